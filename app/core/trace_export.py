"""OpenTelemetry's SDK, set up: imported only where traces are on."""

from __future__ import annotations

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import SERVICE_NAME, Resource
from opentelemetry.sdk.trace import Span, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator

from app.core.tracing import wanted_trace

#: What FastAPI notes of a request that may name people; the route is noted too, and enough.
_PERSONAL = ("url.path", "url.query")


class _Ids(RandomIdGenerator):
    """A trace has the id that is wanted of it."""

    def generate_trace_id(self) -> int:
        """128 bits."""
        return wanted_trace.get() or super().generate_trace_id()


class _Discreet(SpanProcessor):
    """Hides what a request's address says."""

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """A span that is begun, with the attributes it was given."""
        span.set_attributes({name: "" for name in _PERSONAL if name in (span.attributes or {})})


def start(service: str, endpoint: str) -> None:
    """Export spans to an OTLP receiver over HTTP; its headers, the sampler and more are by the SDK's variables."""
    provider = TracerProvider(resource=Resource.create({SERVICE_NAME: service}), id_generator=_Ids())
    provider.add_span_processor(_Discreet())
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(f"{endpoint.rstrip('/')}/v1/traces")))
    trace.set_tracer_provider(provider)
