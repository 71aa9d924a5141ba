"""Traces by OpenTelemetry, from a request through the broker to a provider; off unless an endpoint is set.

A span has names and ids: never an argument, a recipient or the text of an error.
"""

from __future__ import annotations

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import util
from typing import Any
from uuid import UUID

from opentelemetry import trace
from opentelemetry.trace import SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from app.core.config import get_settings
from app.core.errors import SettingsError

#: Header of a Celery message and of a request that says which trace goes on (W3C Trace Context).
TRACEPARENT = "traceparent"

#: The id of a trace that begins now, if it is to have a certain one.
wanted_trace: ContextVar[int | None] = ContextVar("wanted_trace", default=None)

_tracer = trace.get_tracer("pafar")  # does nothing until `configure` has said where spans go
_w3c = TraceContextTextMapPropagator()


def check() -> None:
    """Raise SettingsError where traces are on and their extra is not installed."""
    if get_settings().otel_exporter_otlp_endpoint and not util.find_spec("opentelemetry.sdk"):
        raise SettingsError(
            "OTEL_EXPORTER_OTLP_ENDPOINT needs OpenTelemetry's SDK: pip install 'pafar-tasks[otel]'"
        )


def configure(service: str) -> None:
    """Export this process's spans from now on, as those of `service`, if OTEL_EXPORTER_OTLP_ENDPOINT is set.

    It starts a thread: call it after a fork.
    """
    if endpoint := get_settings().otel_exporter_otlp_endpoint:
        from app.core import trace_export  # noqa: PLC0415 - of an extra, and slow to import

        trace_export.start(service, endpoint)


def stop() -> None:
    """Export what is left, and end."""
    end = getattr(trace.get_tracer_provider(), "shutdown", None)
    if end is not None:
        end()


@contextmanager
def span(name: str, kind: SpanKind, *, message_id: str | None = None, parent: object = None) -> Iterator[None]:
    """A span around the block, marked as failed by an exception, of which only the class is told.

    `parent` is the traceparent that a message brought; without it, what is under way here. Where nothing is, a new
    trace begins, whose id is that of the message: so what the relay publishes, hours later perhaps, is found.
    """
    if not isinstance(parent, str) and isinstance(trace.get_tracer_provider(), trace.ProxyTracerProvider):
        yield  # nobody has said where spans go, and none came with the message
        return
    context = _w3c.extract({TRACEPARENT: parent}) if isinstance(parent, str) else None
    attributes = {"messaging.message.id": message_id} if message_id else None
    token = wanted_trace.set(_as_trace(message_id))
    try:
        current = _tracer.start_span(name, context, kind, attributes)
    finally:
        wanted_trace.reset(token)
    with trace.use_span(current, end_on_exit=True, record_exception=False, set_status_on_exception=False):
        try:
            yield
        except Exception as error:
            current.set_status(StatusCode.ERROR, type(error).__name__)
            raise


def inject(headers: MutableMapping[str, Any]) -> None:
    """Have a message carry on the trace that is under way, if one is."""
    _w3c.inject(headers)


def _as_trace(message_id: str | None) -> int | None:
    """A UUID is as long as a trace's id."""
    try:
        return UUID(message_id).int if message_id else None
    except ValueError:
        return None  # another program's id
