"""Logs to standard error: structlog's events and everybody else's in one form, nothing personal in them."""

from __future__ import annotations

import logging
import sys
from typing import Any
from urllib.parse import unquote

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from app.core.config import LogFormat
from app.core.redaction import redact

#: Fields that identify a message, a kind or a place in the code, and hold nothing to hide.
_SAFE = frozenset({"level", "timestamp", "logger", "message_id", "task", "kind", "attempt", "outcome"})


class _Named:
    """What structlog writes to: the handlers of the standard library, which no failed write gets out of."""

    def __init__(self, name: str = "") -> None:
        self.name = name

    def _write(self, record: logging.LogRecord) -> None:
        logging.root.handle(record)

    debug = info = warning = error = critical = _write


class _Lines(structlog.stdlib.ProcessorFormatter):
    """Makes lines of other people's records; ours are lines already, made once and not by way of a record."""

    def format(self, record: logging.LogRecord) -> str:
        line: str = record.msg
        return line if hasattr(record, "is_line") else super().format(record)


def configure(level: int = logging.INFO, log_format: LogFormat = LogFormat.CONSOLE) -> None:
    """Send every log line of this process to standard error, from `level` on, uvicorn's among them."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    written: list[Processor] = [structlog.processors.format_exc_info, _redacted, _renderer(log_format)]
    structlog.configure(
        processors=[*shared, *written, _as_record],
        logger_factory=_Named,
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        _Lines(
            foreign_pre_chain=[*shared, _access],
            pass_foreign_args=True,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *written],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    # What no line of ours shows a record need not gather (Python's logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    _take_over("uvicorn", "uvicorn.access")


def _as_record(logger: WrappedLogger, method: str, line: Any) -> tuple[tuple[logging.LogRecord], dict[str, str]]:
    """The arguments that `_Named` is called with."""
    level = method.upper()
    record = {"name": logger.name, "levelname": level, "levelno": getattr(logging, level), "msg": line}
    return (logging.makeLogRecord(record | {"is_line": True}),), {}


def _renderer(log_format: LogFormat) -> Processor:
    if log_format is LogFormat.JSON:
        return structlog.processors.JSONRenderer(ensure_ascii=False)
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())


def _redacted(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    return {k: redact(v) if isinstance(v, str) and k not in _SAFE else v for k, v in event.items()}


def _access(_: WrappedLogger, __: str, event: EventDict) -> EventDict:
    """Uvicorn's line on a request as fields; without the query and the client's address, which tell of people."""
    arguments = event.pop("positional_args")
    if event["logger"] == "uvicorn.access":
        _client, method, target, _version, status = arguments
        path = unquote(target.partition("?")[0])  # an address written with %40 is not seen for what it is
        event.update(event="request", method=method, path=path, status=status)
    return event


def _take_over(*names: str) -> None:
    """Have loggers that print by themselves print here; one that was silenced stays silent."""
    for name in names:
        logger = logging.getLogger(name)
        if logger.handlers:
            logger.handlers.clear()
            logger.propagate = True
