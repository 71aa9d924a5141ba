"""Traces: one leads from a request to the provider, what it holds is not personal, and off there are none."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from uuid import UUID

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from app.core import tracing
from app.core.config import get_settings
from app.core.errors import SettingsError
from sandbox.standins.script import answer
from tests import data
from tests.house import ROOT, House, wait_until
from tests.operators import PERSONAL
from tests.rows import row
from tests.web import ask

SOON = 60.0
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
#: Sent often, so that a test need not wait for five seconds.
OFTEN = {"OTEL_BSP_SCHEDULE_DELAY": "200"}


class Collector:
    """An OTLP receiver on loopback: `spans` are those that came, `raw` all bytes."""

    def __init__(self) -> None:
        self.spans: list[tuple[str, Span]] = []  # (service, span)
        self.raw = b""
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                collector.take(self.path, body)
                self.send_response(200)
                self.end_headers()

            def log_message(self, format: str, *args: object) -> None:
                """Nothing on the test's output."""

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def take(self, path: str, body: bytes) -> None:
        assert path == "/v1/traces"
        self.raw += body
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            [service] = [a.value.string_value for a in resource.resource.attributes if a.key == "service.name"]
            self.spans += [(service, span) for scope in resource.scope_spans for span in scope.spans]

    def named(self, name: str) -> list[Span]:
        return [span for _, span in self.spans if span.name == name]

    def wait_for(self, name: str, number: int = 1) -> list[Span]:
        wait_until(lambda: len(self.named(name)) >= number, SOON)
        return self.named(name)


@pytest.fixture
def collector() -> Iterator[Collector]:
    made = Collector()
    threading.Thread(target=made.server.serve_forever, args=(0.05,), daemon=True).start()
    yield made
    made.server.shutdown()
    made.server.server_close()


PUBLISH, RUN, SEND = "publish sms", "run sms_tasks.send_booking_confirmation_sms", "send sms"


def accept(api: str) -> UUID:
    body = {"kind": "booking_confirmation_sms", "arguments": data.sms()}
    return UUID(ask(f"{api}/api/v1/notifications?secret=Ada", body, traceparent=PARENT).json["id"])


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_one_trace_leads_from_the_request_to_the_provider(house: House, collector: Collector, pool: str) -> None:
    on = {"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "600000"}
    with house.api(**on) as api, house.worker("-P", pool, "-c", "2", **on):
        message_id = accept(api)
        wait_until(lambda: (row(message_id) or {})["status"] == "sent", SOON)
    names = ("POST /api/v1/notifications", PUBLISH, RUN, SEND)  # told when a process ends, at the latest
    chain = [collector.wait_for(name)[0] for name in names]
    assert {span.trace_id.hex() for span in chain} == {PARENT.split("-")[1]}
    assert [span.parent_span_id.hex() for span in chain] == [PARENT.split("-")[2]] + [
        span.span_id.hex() for span in chain[:-1]
    ]
    services = {span.name: service for service, span in collector.spans}
    assert [services[name] for name in names] == ["pafar-api", "pafar-api", "pafar-worker", "pafar-worker"]
    told = {a.key: a.value.string_value for a in chain[2].attributes}
    assert told["messaging.message.id"] == str(message_id)
    assert not [secret for secret in PERSONAL if secret.encode() in collector.raw]


def test_what_the_relay_publishes_is_a_trace_with_the_messages_id(house: House, collector: Collector) -> None:
    house.sms.script.append(answer(503, {"error": "+2348031234567 must wait"}))
    with house.api() as api, house.worker(OTEL_EXPORTER_OTLP_ENDPOINT=collector.endpoint, **OFTEN):
        message_id = accept(api)
        refused, sent = sorted(collector.wait_for(SEND, 2), key=lambda span: span.start_time_unix_nano)
    assert (refused.status.code, refused.status.message) == (Status.STATUS_CODE_ERROR, "Transient")
    assert not refused.events
    assert refused.trace_id == sent.trace_id == message_id.bytes
    [published] = collector.named(PUBLISH)
    again = next(span for span in collector.named(RUN) if span.span_id == sent.parent_span_id)
    assert again.parent_span_id == published.span_id
    assert b"2348031234567" not in collector.raw


def test_a_receiver_that_is_away_is_nobodys_trouble(house: House) -> None:
    nowhere = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1", **OFTEN}
    with house.api(**nowhere) as api, house.worker(**nowhere):
        accept(api)
        wait_until(lambda: house.ledger.entries("sms"), SOON)


def test_off_nothing_of_the_exporter_is_imported() -> None:
    check = "import sys, app.main, app.worker; print([m for m in sys.modules if 'opentelemetry.exporter' in m])"
    done = subprocess.run([sys.executable, "-c", check], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_without_the_extra_the_start_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    get_settings.cache_clear()
    try:
        with pytest.raises(SettingsError, match=r"pip install 'pafar-tasks\[otel\]'"):
            tracing.check()
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
