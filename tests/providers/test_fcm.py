"""Pushes through the real provider to FCM's stand-in over HTTP/2: what is sent, and what each answer means."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

import pytest

from app.providers.base import Push, Receipt
from app.providers.errors import (
    InvalidRecipient,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Rejected,
    Transient,
)
from app.providers.fcm import STRANGERS, FcmProvider
from sandbox.standins.fcm import PROJECT, FcmStandIn, apns_error, bad_request, fcm_error
from sandbox.standins.ledger import Ledger
from sandbox.standins.script import ACCEPT_THEN_DROP, Behaviour, answer
from tests.providers.fcm_bench import outcome
from tests.providers.suites import PUSH, PushSuite

BAD = "INVALID_ARGUMENT"
FOREIGN = "SENDER_ID_MISMATCH"


class TestFcm(PushSuite):
    @pytest.fixture
    def refuse_all(self, fcm: FcmStandIn) -> Callable[[], None]:
        return lambda: fcm.grant_script.append(answer(503, b""))

    @pytest.fixture
    def kill(self, fcm: FcmStandIn) -> Callable[[str], None]:
        return lambda token: fcm.tokens.update({token: fcm_error("UNREGISTERED")})


def test_the_phone_gets_the_whole_message(provider: FcmProvider, ledger: Ledger) -> None:
    result = outcome(provider)
    [entry] = ledger.entries("push")
    expected = {
        "id": result.provider_id if isinstance(result, Receipt) else None,
        "token": "token",
        "title": PUSH.title,
        "body": PUSH.body,
        "data": {"booking": "B1", "nid": PUSH.reference},
        "tag": "B1",
        "ttl": "600s",
        "project": PROJECT,
    }
    assert expected.items() <= entry.items()


def test_apns_gets_its_own_words(provider: FcmProvider, fcm: FcmStandIn) -> None:
    tag = "Ẹkọ-" * 20
    provider.send(Push(reference="r", title="t", body="b", tag=tag, ttl=600), ["token"])
    [message] = fcm.messages
    headers = message["apns"]["headers"]
    assert (headers["apns-priority"], headers["apns-push-type"]) == ("10", "alert")
    assert abs(int(headers["apns-expiration"]) - time.time() - 600) < 3600
    assert tag.startswith(headers["apns-collapse-id"])
    assert 60 < len(headers["apns-collapse-id"].encode()) <= 64
    assert message["android"]["priority"] == "HIGH"
    assert message["android"]["notification"] == {"channel_id": "trips", "tag": tag}
    assert "collapse_key" not in message["android"]


def test_browsers_get_lifetime_urgency_and_replacement(provider: FcmProvider, fcm: FcmStandIn) -> None:
    provider.send(Push(reference="r", title="t", body="b", tag="trip-B1", ttl=600), ["token"])
    provider.send(Push(reference="r", title="t", body="b", offer=True), ["token"])
    news, offer = (message["webpush"] for message in fcm.messages)
    assert news["headers"] == {"TTL": "600", "Urgency": "high"}
    assert news["notification"] == {"tag": "trip-B1", "renotify": True}
    assert offer == {"headers": {"Urgency": "low"}}


def test_an_offer_wakes_no_phone(provider: FcmProvider, fcm: FcmStandIn) -> None:
    provider.send(Push(reference="r", title="t", body="b", offer=True), ["token"])
    [message] = fcm.messages
    assert (message["android"]["priority"], message["apns"]["headers"]["apns-priority"]) == ("NORMAL", "5")
    assert message["android"]["notification"]["channel_id"] == "offers"


def test_an_installation_id_goes_where_fcm_wants_it(provider: FcmProvider, fcm: FcmStandIn) -> None:
    fcm.tokens["fid:gone"] = fcm_error("UNREGISTERED")
    one, gone = provider.send(PUSH, ["fid:cU8vXkq3QeWlPzR0aBcDeF", "fid:gone"])
    assert isinstance(one, Receipt)
    assert type(gone) is InvalidRecipient
    assert [message.get("fid") for message in fcm.messages] == ["cU8vXkq3QeWlPzR0aBcDeF"]
    assert "token" not in fcm.messages[0]


def test_a_message_without_tag_and_ttl_leaves_them_to_fcm(provider: FcmProvider, fcm: FcmStandIn) -> None:
    provider.send(Push(reference="r", title="t", body="b"), ["token"])
    [message] = fcm.messages
    assert "ttl" not in message["android"]
    assert message["apns"]["headers"].keys() == {"apns-priority", "apns-push-type"}


@pytest.mark.parametrize(("ttl", "sent"), [(10**9, "2419200s"), (-5, "0s")])
def test_ttl_stays_within_what_fcm_takes(provider: FcmProvider, ledger: Ledger, ttl: int, sent: str) -> None:
    provider.send(Push(reference="r", title="t", body="b", ttl=ttl), ["token"])
    assert ledger.entries("push")[0]["ttl"] == sent


def test_too_much_is_refused_before_it_is_sent(provider: FcmProvider, fcm: FcmStandIn) -> None:
    with pytest.raises(Rejected, match="allowed: 4096"):
        provider.send(Push(reference="r", title="t", body="ẹ" * 2000), ["token"])
    assert fcm.grants == 0


@pytest.mark.parametrize(
    ("behaviour", "kind", "code", "wait"),
    [
        (fcm_error("UNREGISTERED"), InvalidRecipient, "UNREGISTERED", None),
        (fcm_error(BAD), Rejected, BAD, None),
        (fcm_error(BAD, bad_request("message.data[0].value")), Rejected, BAD, None),
        (fcm_error(BAD, bad_request("message.token")), InvalidRecipient, BAD, None),
        (fcm_error(BAD, bad_request("message.fid")), InvalidRecipient, BAD, None),
        (fcm_error(BAD, apns_error(410, "Unregistered")), InvalidRecipient, BAD, None),
        (fcm_error(BAD, apns_error(400, "BadDeviceToken")), InvalidRecipient, BAD, None),
        (fcm_error(BAD, apns_error(400, "BadTopic")), Rejected, BAD, None),
        (fcm_error("THIRD_PARTY_AUTH_ERROR"), Misconfigured, "THIRD_PARTY_AUTH_ERROR", None),
        (fcm_error("QUOTA_EXCEEDED"), RateLimited, "QUOTA_EXCEEDED", 60),
        (fcm_error("QUOTA_EXCEEDED", headers={"Retry-After": "90"}), RateLimited, "QUOTA_EXCEEDED", 90),
        (fcm_error("UNAVAILABLE"), Transient, "UNAVAILABLE", 10),
        (fcm_error("UNAVAILABLE", headers={"Retry-After": "30"}), Transient, "UNAVAILABLE", 30),
        (fcm_error("INTERNAL"), Transient, "INTERNAL", 10),
        (answer(502, b"<html>Bad Gateway"), Transient, "502", 10),
        (answer(403, {"error": {"status": "PERMISSION_DENIED"}}), Misconfigured, "PERMISSION_DENIED", None),
        (answer(404, b"<html>"), OutcomeUnknown, "404", None),
        (answer(400, {"error": "odd"}), OutcomeUnknown, "400", None),
        (answer(400, {"error": {"status": 3, "details": ["odd", {"@type": 1}]}}), OutcomeUnknown, "400", None),
        (answer(200, b"{}", accept=True), OutcomeUnknown, "200", None),
        (answer(200, b"[", accept=True), OutcomeUnknown, "200", None),
    ],
)
def test_what_an_answer_means(
    provider: FcmProvider,
    fcm: FcmStandIn,
    behaviour: Behaviour,
    kind: type[ProviderError],
    code: str,
    wait: float | None,
) -> None:
    fcm.tokens["token"] = behaviour
    error = outcome(provider)
    assert isinstance(error, ProviderError)
    assert (type(error), error.code, error.retry_after) == (kind, code, wait)
    assert fcm.grants == 1


def test_another_projects_token_is_dead_only_to_an_account_that_is_proven_right(
    provider: FcmProvider, fcm: FcmStandIn
) -> None:
    fcm.tokens["stranger"] = fcm_error(FOREIGN)
    assert [type(error) for error in provider.send(PUSH, ["stranger"])] == [Rejected]
    results = provider.send(PUSH, ["stranger", "ours"])
    assert [type(result) for result in results] == [InvalidRecipient, Receipt]
    assert [type(error) for error in provider.send(PUSH, ["stranger"])] == [InvalidRecipient]


@pytest.mark.parametrize("at_once", [1, STRANGERS])
def test_strangers_alone_mean_that_the_service_account_is_wrong(
    provider: FcmProvider, fcm: FcmStandIn, at_once: int
) -> None:
    tokens = [f"stranger-{number}" for number in range(STRANGERS)]
    fcm.tokens.update(dict.fromkeys(tokens, fcm_error(FOREIGN)) | {"gone": fcm_error("UNREGISTERED")})
    provider.send(PUSH, [tokens[0]] * STRANGERS)  # one phone, however often, proves nothing
    errors = [e for start in range(0, STRANGERS, at_once) for e in provider.send(PUSH, tokens[start:][:at_once])]
    assert {type(error) for error in errors[:-1]} == {Rejected if at_once == 1 else Misconfigured}
    assert type(errors[-1]) is Misconfigured
    assert [type(error) for error in provider.send(PUSH, [*tokens[:2], "gone"])] == [
        Misconfigured,
        Misconfigured,
        InvalidRecipient,
    ]


def test_fcm_away_is_transient(provider: FcmProvider, fcm: FcmStandIn) -> None:
    outcome(provider)
    fcm.stop()
    time.sleep(1.5)  # libcurl trusts a connection that it used within the last second
    assert type(outcome(provider)) is Transient
    fcm.start()
    assert isinstance(outcome(provider), Receipt)


def test_a_thousand_phones_over_few_connections(provider: FcmProvider, fcm: FcmStandIn, ledger: Ledger) -> None:
    tokens = [f"token-{number}" for number in range(1000)]
    dead = set(tokens[::100])
    fcm.tokens.update(dict.fromkeys(dead, fcm_error("UNREGISTERED")))
    results = provider.send(PUSH, tokens)
    assert [type(result) is InvalidRecipient for result in results] == [token in dead for token in tokens]
    assert {entry["token"] for entry in ledger.entries("push")} == set(tokens) - dead
    assert len(ledger.entries("push")) == 990
    assert len(fcm.connections) <= 4


def test_neither_errors_nor_logs_show_tokens_or_text(
    provider: FcmProvider, fcm: FcmStandIn, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    token, quoting = "a-device-token", {"error": {"status": "a-device-token", "message": "a-device-token"}}
    for behaviour in (answer(400, quoting), answer(500, quoting), fcm_error("UNREGISTERED"), ACCEPT_THEN_DROP):
        fcm.tokens[token] = behaviour
        [error] = provider.send(PUSH, [token])
        assert isinstance(error, ProviderError)
        shown = repr(error) + str(error.code) + caplog.text + repr(PUSH)
        assert not any(part in shown for part in (token, PUSH.title, "ya29"))
