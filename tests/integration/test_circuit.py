"""An outage of a provider costs few calls; a dead number, a slow-down or a missing setting is no outage."""

from __future__ import annotations

from uuid import UUID

import pytest

from app.core.breaker import Breaker
from app.core.config import get_settings
from app.messages.base import Channel
from app.messages.kinds import KINDS
from app.notifications import circuit, submit
from app.notifications.channels import CIRCUIT_SPREAD
from app.notifications.circuit import COOL_DOWN, THRESHOLD
from app.notifications.deliver import deliver
from app.notifications.outcome import Failed, Postponed, Sent
from app.providers import registry
from app.providers.errors import (
    InvalidRecipient,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    RecipientBusy,
    Rejected,
    Transient,
)
from app.providers.memory import MemoryPush, MemorySms
from tests import data
from tests.house import House
from tests.rows import change, due_again, row

SMS, PUSH = KINDS["booking_confirmation_sms"], KINDS["booking_confirmation_push"]

pytestmark = pytest.mark.usefixtures("house", "clock")


class Clock:
    """The breakers' time, which stands until the test moves it on."""

    def __init__(self) -> None:
        self.now = 1000.0

    def monotonic(self) -> float:
        """Seconds."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("app.core.breaker.time", clock)
    return clock


def text() -> UUID:
    return submit.accept_now(SMS, data.sms())


def push() -> UUID:
    return submit.accept_now(PUSH, data.push())


def reason(message_id: UUID) -> str:
    return str((row(message_id) or {})["reason"])


def is_let_through(gateway: MemorySms) -> bool:
    """Whether the next text reaches the provider."""
    gateway.script[:] = [Rejected("only asking")]
    deliver(text())
    return not gateway.script


def fail(gateway: MemorySms, *errors: ProviderError) -> None:
    gateway.script[:] = errors
    for _ in errors:
        deliver(text())
    assert not gateway.script  # each of them was a call


def test_after_enough_failures_the_provider_is_left_alone_and_the_rest_waits(gateway: MemorySms) -> None:
    fail(gateway, *[Transient("down")] * THRESHOLD)
    waiting = text()
    outcome = deliver(waiting)
    assert isinstance(outcome, Postponed)
    assert COOL_DOWN <= outcome.wait <= COOL_DOWN + CIRCUIT_SPREAD
    assert "CircuitOpen" in reason(waiting)
    assert not outcome.unknown  # nothing was handed over
    assert gateway.sent == []


def test_after_the_cool_down_one_asks_and_if_it_fails_the_others_wait_on(gateway: MemorySms, clock: Clock) -> None:
    fail(gateway, *[Transient("down")] * THRESHOLD)
    clock.now += COOL_DOWN
    fail(gateway, Transient("still down"))
    assert not is_let_through(gateway)
    clock.now += COOL_DOWN / 2
    assert not is_let_through(gateway)


def test_when_the_one_that_asks_is_answered_all_go(gateway: MemorySms, clock: Clock) -> None:
    fail(gateway, *[Transient("down")] * THRESHOLD)
    waiting = [text() for _ in range(3)]
    assert all(isinstance(deliver(message_id), Postponed) for message_id in waiting)
    clock.now += COOL_DOWN
    due_again()
    assert all(isinstance(deliver(message_id), Sent) for message_id in waiting)


def test_an_answer_in_between_starts_the_count_anew(gateway: MemorySms) -> None:
    down = [Transient("down")] * (THRESHOLD - 1)
    fail(gateway, *down, InvalidRecipient("no such number"), *down)
    assert is_let_through(gateway)


@pytest.mark.parametrize(
    "error",
    [InvalidRecipient("dead"), Rejected("spam"), RateLimited(retry_after=60.0), RecipientBusy(retry_after=300.0)],
)
def test_what_is_not_the_providers_fault_never_opens_it(gateway: MemorySms, error: ProviderError) -> None:
    fail(gateway, *[error] * (2 * THRESHOLD))
    assert is_let_through(gateway)


def test_silence_is_an_outage_too(gateway: MemorySms) -> None:
    fail(gateway, *[OutcomeUnknown()] * THRESHOLD)
    assert not is_let_through(gateway)


def test_refused_credentials_stop_the_channel_at_once(gateway: MemorySms, clock: Clock) -> None:
    refused = text()
    gateway.script.append(Misconfigured("the key was refused", code="401"))
    assert isinstance(deliver(refused), Failed)
    assert "Misconfigured" in reason(refused)
    assert not is_let_through(gateway)
    clock.now += COOL_DOWN
    assert is_let_through(gateway)  # somebody may have mended it


def test_what_would_come_too_late_after_the_cool_down_fails_and_says_why(
    gateway: MemorySms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(circuit._breakers, Channel.SMS, Breaker(cool_down=120.0))
    fail(gateway, Transient("down"))
    late = text()
    change("UPDATE notifications SET valid_until = clock_timestamp() + interval '1 minute'")
    assert isinstance(deliver(late), Failed)
    assert "no time left" in reason(late)


def test_one_channels_outage_does_not_stop_another(gateway: MemorySms, fcm: MemoryPush) -> None:
    fail(gateway, *[Transient("down")] * THRESHOLD)
    assert isinstance(deliver(push()), Sent)


def test_a_push_service_that_takes_no_token_is_an_outage(fcm: MemoryPush) -> None:
    fcm.tokens["token-of-adas-phone"] = Transient("down", code="503")
    for _ in range(THRESHOLD):
        assert isinstance(deliver(push()), Postponed)
    waiting = push()
    deliver(waiting)
    assert "CircuitOpen" in reason(waiting)


def test_a_push_service_that_can_not_be_asked_is_an_outage(fcm: MemoryPush) -> None:
    fcm.script += [Transient("no access token")] * (THRESHOLD + 1)
    for _ in range(THRESHOLD + 1):
        deliver(push())
    assert len(fcm.script) == 1


@pytest.mark.parametrize("other", [None, Transient("busy")])
def test_dead_phones_are_no_outage(fcm: MemoryPush, other: ProviderError | None) -> None:
    fcm.tokens["dead"] = InvalidRecipient("gone")
    if other:
        fcm.tokens["busy"] = other
    for _ in range(2 * THRESHOLD):
        deliver(submit.accept_now(PUSH, data.push([*fcm.tokens, "token-of-adas-phone"])))
    assert isinstance(deliver(push()), Sent)


def test_an_unconfigured_channel_fails_at_once_and_names_what_it_needs(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    registry.close()
    for name in ("SMS_API_URL", "SMS_API_KEY"):
        monkeypatch.delenv(name)
    get_settings.cache_clear()
    try:
        for _ in range(THRESHOLD + 1):
            message_id = text()
            outcome = deliver(message_id)
            assert isinstance(outcome, Failed)
            assert "set SMS_API_URL, SMS_API_KEY" in outcome.reason
            assert (row(message_id) or {})["status"] == "failed"
        assert isinstance(deliver(submit.accept_now(KINDS["booking_confirmation_email"], data.email())), Sent)
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
    assert isinstance(deliver(text()), Sent)  # nothing was tripped
    assert len(house.ledger.entries("sms")) == 1
