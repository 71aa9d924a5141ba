"""Logs to standard error: structlog's events and everybody else's in one form, nothing personal in them."""

from __future__ import annotations

import logging
import sys
from urllib.parse import unquote

import structlog
from structlog.types import EventDict, Processor, WrappedLogger

from app.core.config import LogFormat
from app.core.redaction import redact

#: Fields that identify a message, a kind or a place in the code, and hold nothing to hide.
_SAFE = frozenset({"level", "timestamp", "logger", "message_id", "kind", "attempt", "outcome"})


def configure(level: int = logging.INFO, log_format: LogFormat = LogFormat.CONSOLE) -> None:
    """Send every log line of this process to standard error, from `level` on, uvicorn's among them."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, _access],
            pass_foreign_args=True,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                _redacted,
                _renderer(log_format),
            ],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    _take_over("uvicorn", "uvicorn.access")


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
