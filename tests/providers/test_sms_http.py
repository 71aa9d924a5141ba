"""Texts through the real provider to the gateway's stand-in: what is sent, and what each answer means."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator

import pytest

from app.providers.base import Receipt, Sms
from app.providers.errors import (
    InvalidRecipient,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Rejected,
    Transient,
)
from app.providers.http import HttpClient
from app.providers.sms_http import SmsHttpProvider
from sandbox.standins.ledger import Ledger
from sandbox.standins.script import ACCEPT_THEN_DROP, DROP, HANG, Behaviour, answer
from sandbox.standins.sms import SmsStandIn
from tests.providers.suites import SMS, SmsSuite

API_KEY = "an-api-key"


@pytest.fixture
def gateway(ledger: Ledger) -> Iterator[SmsStandIn]:
    with SmsStandIn(ledger, api_key=API_KEY) as standin:
        yield standin


def connect(url: str, *, api_key: str = API_KEY, timeout: float = 15.0) -> SmsHttpProvider:
    return SmsHttpProvider(HttpClient(timeout=timeout), url=url, api_key=api_key, sender="Pafar")


@pytest.fixture
def provider(gateway: SmsStandIn) -> Iterator[SmsHttpProvider]:
    made = connect(gateway.url)
    yield made
    made.close()


def refusal(provider: SmsHttpProvider, message: Sms = SMS) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        provider.send(message)
    return caught.value


class TestSmsHttp(SmsSuite):
    @pytest.fixture
    def rate_limit(self, gateway: SmsStandIn) -> Callable[[float], None]:
        return lambda seconds: gateway.script.append(
            answer(429, {"error": "too_many_requests"}, headers={"Retry-After": str(int(seconds))})
        )


def test_the_gateway_gets_the_whole_message(provider: SmsHttpProvider, ledger: Ledger) -> None:
    receipt = provider.send(SMS)
    [entry] = ledger.entries("sms")
    expected = {
        "id": receipt.provider_id,
        "to": SMS.to,
        "message": SMS.text,
        "sender": "Pafar",
        "reference": SMS.reference,
        "validity_period": 600,
    }
    assert expected.items() <= entry.items()


def test_a_message_without_a_limit_has_no_validity_period(provider: SmsHttpProvider, ledger: Ledger) -> None:
    provider.send(Sms(reference="from another program\r\nX-Evil: 1", to=SMS.to, text="→ Lagos"))
    [entry] = ledger.entries("sms")
    assert entry["validity_period"] is None
    assert entry["message"] == "→ Lagos"
    assert "\n" not in entry["reference"]


@pytest.mark.parametrize(
    ("body", "provider_id"),
    [
        ({"id": "a"}, "a"),
        ({"message_id": 1}, "1"),
        ({"sid": "SM1", "message": "queued", "error": None}, "SM1"),
        ({"message": {"id": "b"}}, "b"),
        ({"data": {"message_id": "c"}, "success": True}, "c"),
    ],
)
def test_the_id_is_found(
    provider: SmsHttpProvider, gateway: SmsStandIn, body: dict[str, object], provider_id: str
) -> None:
    gateway.script.append(answer(200, body))
    assert provider.send(SMS) == Receipt(provider_id)


@pytest.mark.parametrize(
    ("behaviour", "kind", "code", "wait"),
    [
        (answer(400, {"error": {"code": "text_too_long"}}), Rejected, "text_too_long", None),
        (answer(422, {"code": 21612, "field": "from"}), Rejected, "21612", None),
        (answer(422, {"error": {"code": "invalid", "field": "to"}}), InvalidRecipient, "invalid", None),
        (answer(400, {"error": "invalid_number"}), InvalidRecipient, "invalid_number", None),
        (answer(400, {"code": "invalid_number"}), InvalidRecipient, "invalid_number", None),
        (answer(400, {"error": "insufficient_balance"}), Misconfigured, "insufficient_balance", None),
        (answer(401, b""), Misconfigured, "401", None),
        (answer(402, b""), Misconfigured, "402", None),
        (answer(403, b"<html>"), Misconfigured, "403", None),
        (answer(404, {"error": "no such page"}), Misconfigured, "404", None),
        (answer(307, b"", headers={"Location": "https://elsewhere.example/"}), Misconfigured, "307", None),
        (answer(408, b""), Transient, "408", None),
        (answer(500, b"", headers={"Retry-After": "9"}), Transient, "500", 9),
        (answer(503, b"[]"), Transient, "503", None),
        (answer(429, b""), RateLimited, "429", None),
        (answer(409, b""), OutcomeUnknown, "409", None),
        (answer(413, b""), Rejected, "413", None),
        (answer(415, b""), Misconfigured, "415", None),
        (answer(429, b"", headers={"Retry-After": "20"}), RateLimited, "429", 20),
        (answer(200, {"error": {"code": "no_credit"}}), Misconfigured, "no_credit", None),
        (answer(200, {"error": "throttled"}, headers={"Retry-After": "7"}), RateLimited, "throttled", 7),
        (answer(200, {"error": {"code": "internal_error"}}), Transient, "internal_error", None),
        (answer(200, {"error": {"code": "invalid_number"}}), InvalidRecipient, "invalid_number", None),
        (answer(200, {"error": {"code": "spam"}}), Rejected, "spam", None),
        (answer(200, {"success": False}), Rejected, "200", None),
        (answer(200, {"id": "a", "status": "Rejected"}), Rejected, "200", None),
        (answer(200, {"status": "failed", "field": "to"}), InvalidRecipient, "200", None),
        (answer(200, b"OK", accept=True), OutcomeUnknown, "200", None),
        (answer(200, {"id": ""}, accept=True), OutcomeUnknown, "200", None),
        (answer(202, {"id": True}, accept=True), OutcomeUnknown, "202", None),
    ],
)
def test_what_an_answer_means(
    provider: SmsHttpProvider,
    gateway: SmsStandIn,
    behaviour: Behaviour,
    kind: type[ProviderError],
    code: str,
    wait: float | None,
) -> None:
    gateway.script.append(behaviour)
    error = refusal(provider)
    assert (type(error), error.code, error.retry_after) == (kind, code, wait)


def test_the_gateway_itself_refuses_a_bad_number(provider: SmsHttpProvider, ledger: Ledger) -> None:
    error = refusal(provider, Sms(reference="r", to="0803", text="Seat 4A"))
    assert type(error) is InvalidRecipient
    assert ledger.entries("sms") == []


@pytest.mark.parametrize("behaviour", [ACCEPT_THEN_DROP, DROP])
@pytest.mark.parametrize("warm", [True, False])
def test_a_lost_answer_is_unknown_and_nothing_is_sent_twice(
    provider: SmsHttpProvider, gateway: SmsStandIn, ledger: Ledger, behaviour: Behaviour, warm: bool
) -> None:
    if warm:
        provider.send(SMS)
    gateway.script.append(behaviour)
    assert type(refusal(provider)) is OutcomeUnknown
    assert len(ledger.entries("sms")) == int(warm) + int(behaviour.accept)


def test_no_answer_in_time_is_unknown(gateway: SmsStandIn) -> None:
    gateway.script.append(HANG)
    provider = connect(gateway.url, timeout=2)
    assert type(refusal(provider)) is OutcomeUnknown
    provider.close()


def test_a_gateway_that_is_away_is_transient(gateway: SmsStandIn, provider: SmsHttpProvider) -> None:
    gateway.stop()
    assert type(refusal(provider)) is Transient
    gateway.start()
    assert provider.send(SMS).provider_id


def test_a_wrong_key_is_misconfigured(gateway: SmsStandIn) -> None:
    provider = connect(gateway.url, api_key="another")
    assert type(refusal(provider)) is Misconfigured
    provider.close()


def test_a_key_that_no_header_can_carry_is_refused_without_being_shown() -> None:
    with pytest.raises(Misconfigured, match="api_key") as caught:
        connect("http://127.0.0.1:1/", api_key="secret\n")
    assert "secret" not in str(caught.value)


def test_neither_errors_nor_logs_show_number_text_or_key(
    provider: SmsHttpProvider, gateway: SmsStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    quoting = f"{SMS.to} {SMS.text} {API_KEY}"
    gateway.script.append(answer(400, {"error": {"code": SMS.to, "message": quoting}}))
    gateway.script.append(answer(200, {"error": quoting}))
    gateway.script.append(answer(500, quoting.encode()))
    gateway.script.append(ACCEPT_THEN_DROP)
    for _ in range(4):
        shown = repr(error := refusal(provider)) + str(error.code) + caplog.text
        assert not any(part in shown for part in (SMS.to, SMS.text, API_KEY))
