"""What a provider answers, and what becomes of the message: sent, tried again, failed, unknown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core.database import transaction
from app.messages.base import Kind
from app.messages.kinds import KINDS
from app.notifications import submit
from app.notifications.deliver import deliver
from app.notifications.outcome import Busy, Failed, Postponed, Sent, Unanswered
from app.providers import registry
from app.providers.base import Receipt, Sms
from app.providers.errors import (
    InvalidRecipient,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Rejected,
    Transient,
)
from app.providers.memory import MemoryPush, MemorySms
from tests import data
from tests.rows import change, due_again, row, to_do

SMS, PUSH = KINDS["booking_confirmation_sms"], KINDS["booking_confirmation_push"]
DELAY = KINDS["trip_delay_sms"]

pytestmark = pytest.mark.usefixtures("house")


def accepted() -> UUID:
    return submit.accept_now(SMS, data.sms())


def test_what_can_not_go_now_waits_and_goes_later(gateway: MemorySms) -> None:
    message_id = accepted()
    gateway.script.append(Transient("try later", code="503"))
    outcome = deliver(message_id)
    assert isinstance(outcome, Postponed)
    assert isinstance(deliver(message_id), Busy)  # a wake-up before its time changes nothing
    message = row(message_id)
    assert message
    assert message["status"] == "queued"
    assert "503" in message["reason"]
    [line] = to_do()
    assert line["due_at"] == message["not_before"]
    due_again()
    assert isinstance(deliver(message_id), Sent)


def test_what_the_provider_asks_for_is_waited(gateway: MemorySms) -> None:
    message_id = accepted()
    gateway.script.append(RateLimited(retry_after=120.0))
    outcome = deliver(message_id)
    assert isinstance(outcome, Postponed)
    assert 120 <= outcome.wait <= 150


@pytest.mark.parametrize("error", [InvalidRecipient(code="21614"), Rejected("no such sender")])
def test_what_will_never_go_fails_at_once_and_says_why(gateway: MemorySms, error: ProviderError) -> None:
    message_id = accepted()
    gateway.script.append(error)
    assert isinstance(deliver(message_id), Failed)
    message = row(message_id)
    assert message
    assert message["status"] == "failed"
    assert type(error).__name__ in message["reason"]
    assert to_do() == []


def test_what_the_provider_says_is_kept_without_the_number(gateway: MemorySms) -> None:
    message_id = accepted()
    gateway.script.append(Rejected("no route to +234 803 123 4567 for ada@example.com"))
    deliver(message_id)
    reason = (row(message_id) or {})["reason"]
    assert "803" not in reason
    assert "ada@" not in reason
    assert "no route" in reason


def test_no_answer_is_noted_and_a_confirmation_goes_again(gateway: MemorySms) -> None:
    message_id = accepted()
    gateway.script.append(OutcomeUnknown())
    assert isinstance(deliver(message_id), Postponed)
    due_again()
    assert isinstance(deliver(message_id), Sent)
    assert (row(message_id) or {})["unknown_attempts"] == 1


def test_no_answer_is_the_end_for_a_kind_that_is_never_sent_twice(
    gateway: MemorySms, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(KINDS, SMS.name, replace(SMS, resend_unknown=False))
    message_id = accepted()
    gateway.script.append(OutcomeUnknown())
    assert isinstance(deliver(message_id), Unanswered)
    assert isinstance(deliver(message_id), Unanswered)
    assert (row(message_id) or {})["status"] == "unknown"
    assert to_do() == []


def test_a_retry_that_would_come_too_late_is_a_failure_now(gateway: MemorySms) -> None:
    message_id = accepted()
    change("UPDATE notifications SET valid_until = clock_timestamp() + interval '30 seconds'")
    gateway.script.append(RateLimited(retry_after=60.0))
    outcome = deliver(message_id)
    assert isinstance(outcome, Failed)
    assert "no time left" in outcome.reason


def test_a_push_goes_again_only_to_those_who_have_not_got_it(fcm: MemoryPush) -> None:
    tokens = ["phone-one", "phone-two", "phone-gone"]
    message_id = submit.accept_now(PUSH, data.push(tokens))
    fcm.tokens |= {"phone-two": Transient("busy"), "phone-gone": InvalidRecipient("gone")}
    assert isinstance(deliver(message_id), Postponed)
    assert (row(message_id) or {})["pending_tokens"] == ["phone-two"]
    del fcm.tokens["phone-two"]
    due_again()
    outcome = deliver(message_id)
    assert isinstance(outcome, Sent)
    assert (outcome.result["sent_count"], outcome.result["failed_count"]) == (2, 1)
    message = row(message_id)
    assert message
    assert (message["sent_count"], message["failed_count"], message["pending_tokens"]) == (2, 1, None)


def test_a_push_that_reaches_no_phone_fails(fcm: MemoryPush) -> None:
    message_id = submit.accept_now(PUSH, data.push(["phone-gone"]))
    fcm.tokens["phone-gone"] = InvalidRecipient("gone")
    assert isinstance(deliver(message_id), Failed)
    assert (row(message_id) or {})["failed_count"] == 1


def test_a_fault_of_our_own_is_recorded_and_raised(gateway: MemorySms, monkeypatch: pytest.MonkeyPatch) -> None:
    message_id = accepted()
    monkeypatch.setitem(KINDS, SMS.name, replace(SMS, template="no_such_template"))
    with pytest.raises(Exception, match="no_such_template"):
        deliver(message_id)
    message = row(message_id)
    assert message
    assert message["status"] == "failed"
    assert "our own code" in message["reason"]


@pytest.mark.usefixtures("gateway")
def test_a_fault_of_our_own_while_sending_leaves_the_outcome_unknown() -> None:
    class Broken(MemorySms):
        def send(self, message: Sms) -> Receipt:
            super().send(message)
            raise TypeError("a bug, after the gateway has it")

    broken = Broken()
    registry.install("sms", broken)
    message_id = accepted()
    assert isinstance(deliver(message_id), Postponed)
    message = row(message_id)
    assert message
    assert (message["status"], message["unknown_attempts"]) == ("queued", 1)
    assert "TypeError while sending" in message["reason"]


@pytest.mark.usefixtures("gateway")
@pytest.mark.parametrize("name", ["\x00", "SM\x0012"])
@pytest.mark.parametrize(
    ("kind", "arguments"), [(SMS, data.sms()), (DELAY, data.delay())]
)  # alone, in a transaction
def test_what_was_accepted_under_a_name_that_can_not_be_stored_is_sent(
    kind: Kind, arguments: dict[str, Any], name: str
) -> None:
    class Odd(MemorySms):
        def send(self, message: Sms) -> Receipt:
            return replace(super().send(message), provider_id=name)

    registry.install("sms", Odd())
    message_id = submit.accept_now(kind, arguments)
    outcome = deliver(message_id)
    assert isinstance(outcome, Sent)
    message = row(message_id)
    assert message
    assert (message["status"], message["provider_id"]) == ("sent", None)
    assert message["result"] == {key: value for key, value in outcome.result.items() if key != "sms_id"}
    assert to_do() == []


def test_a_token_that_fcm_calls_dead_is_forgotten(fcm: MemoryPush) -> None:
    data.make_trip()
    fcm.tokens["token-of-adas-phone"] = InvalidRecipient("gone", code="UNREGISTERED")
    deliver(submit.accept_now(PUSH, data.push()))
    with transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM device_tokens")).scalar_one() == 0


def test_a_token_stays_when_only_the_message_was_refused(fcm: MemoryPush) -> None:
    data.make_trip()
    fcm.tokens["token-of-adas-phone"] = Rejected("too long", code="INVALID_ARGUMENT")
    deliver(submit.accept_now(PUSH, data.push()))
    with transaction() as connection:
        assert connection.execute(text("SELECT count(*) FROM device_tokens")).scalar_one() == 1


def test_an_offer_that_broke_off_counts_its_phones_as_not_reached(fcm: MemoryPush) -> None:
    fcm.script.append(OutcomeUnknown())
    offer = {"device_tokens": ["one", "two"], "promotion_data": {"message": "10 % off"}}
    message_id = submit.accept_now(KINDS["promotional_push"], offer)
    assert isinstance(deliver(message_id), Unanswered)
    assert (row(message_id) or {})["failed_count"] == 2
