"""Gateways that call things otherwise: what the settings say about it reaches them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import orjson
import pytest

from app.core.config import get_settings
from app.providers import registry
from app.providers.base import Receipt, Sms
from app.providers.errors import InvalidRecipient, Misconfigured, OutcomeUnknown
from app.providers.http import HttpClient
from app.providers.sms_http import Dialect, SmsHttpProvider
from sandbox.standins.ledger import Ledger
from sandbox.standins.script import answer
from sandbox.standins.sms import SmsStandIn
from tests.providers.echo import Echo
from tests.providers.suites import SMS

API_KEY = "an-api-key"


def connected(url: str, dialect: Dialect) -> closing[SmsHttpProvider]:
    return closing(SmsHttpProvider(HttpClient(), url=url, api_key=API_KEY, sender="Pafar", dialect=dialect))


@pytest.mark.parametrize(
    ("path", "body", "provider_id"),
    [
        ("messages.0.message-id", {"messages": [{"message-id": "0A01"}]}, "0A01"),
        ("sms.id", {"id": "of the request", "sms": {"id": 7}}, "7"),
        ("id", {"data": {"id": "elsewhere"}}, None),
        ("messages.1.id", {"messages": [{"id": "a"}]}, None),
        ("messages.id", {"messages": [{"id": "a"}]}, None),
        ("id.0", {"id": "word"}, None),
    ],
)
def test_the_id_is_found_where_the_settings_say(
    ledger: Ledger, path: str, body: dict[str, object], provider_id: str | None
) -> None:
    with (
        SmsStandIn(ledger, api_key=API_KEY) as gateway,
        connected(gateway.url, Dialect(id_path=path)) as provider,
    ):
        gateway.script.append(answer(200, body, accept=True))
        if provider_id is None:
            with pytest.raises(OutcomeUnknown):
                provider.send(SMS)
        else:
            assert provider.send(SMS) == Receipt(provider_id)


def test_a_gateway_with_names_of_its_own(ledger: Ledger) -> None:
    header, names = "X-Api-Key: key={key}", ("recipient", "body", "sender_id")
    dialect = Dialect(to=names[0], message=names[1], sender=names[2], auth_header=header)
    with (
        SmsStandIn(ledger, api_key=API_KEY, key_header=header, names=names) as gateway,
        connected(gateway.url, dialect) as provider,
        connected(gateway.url, Dialect()) as stranger,
    ):
        provider.send(SMS)
        with pytest.raises(Misconfigured):
            stranger.send(SMS)
        with pytest.raises(InvalidRecipient):
            provider.send(Sms(reference="r", to="0803", text="Seat 4A"))
        gateway.script.append(answer(400, {"error": {"code": "bad", "field": "recipient"}}))
        with pytest.raises(InvalidRecipient):
            provider.send(SMS)
    [entry] = ledger.entries("sms")
    assert (entry["to"], entry["message"], entry["sender"]) == (SMS.to, SMS.text, "Pafar")


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Settings of this process that the next use of the channel reads."""
    get_settings.cache_clear()
    registry.close()
    yield monkeypatch
    monkeypatch.undo()
    get_settings.cache_clear()
    registry.close()


def test_the_settings_reach_the_gateway(ledger: Ledger, environment: pytest.MonkeyPatch) -> None:
    with SmsStandIn(ledger, api_key=API_KEY, key_header="apiKey: {key}", names=("a", "b", "c")) as gateway:
        settings = {
            "SMS_API_URL": gateway.url,
            "SMS_API_KEY": API_KEY,
            "SMS_AUTH_HEADER": "apiKey: {key}",
            "SMS_TO_FIELD": "a",
            "SMS_MESSAGE_FIELD": "b",
            "SMS_FROM_FIELD": "c",
            "SMS_ID_PATH": "data.0.sms-id",
        }
        for name, value in settings.items():
            environment.setenv(name, value)
        gateway.script.append(answer(200, {"data": [{"sms-id": "x1"}]}, accept=True))
        assert registry.sms().send(SMS) == Receipt("x1")
    [entry] = ledger.entries("sms")
    assert (entry["to"], entry["message"], entry["sender"]) == (SMS.to, SMS.text, "Pafar")


@pytest.mark.parametrize(
    ("name", "field", "sent"),
    [(None, "validity_period", 259_200), ("ttl", "ttl", 259_200), ("none", "none", None)],
)
def test_how_long_a_text_may_be_tried_has_its_name_and_its_limit(
    environment: pytest.MonkeyPatch, name: str | None, field: str, sent: int | None
) -> None:
    with Echo() as gateway:
        environment.setenv("SMS_API_URL", gateway.url)
        environment.setenv("SMS_API_KEY", API_KEY)
        if name:
            environment.setenv("SMS_VALIDITY_FIELD", name)
        with pytest.raises(OutcomeUnknown):  # an echo is no receipt
            registry.sms().send(Sms(reference="r", to=SMS.to, text="Seat 4A", valid_for=864_000))
        [body] = gateway.bodies
    assert orjson.loads(body).get(field) == sent
    assert len(orjson.loads(body)) == (3 if sent is None else 4)
