"""What becomes of a push of which FCM takes only a part, through the real provider and the stand-in."""

from __future__ import annotations

import pytest
import structlog
from structlog.testing import capture_logs

from app.core.database import transaction
from app.messages.kinds import KINDS
from app.notifications import submit
from app.notifications.channels import outcomes
from app.notifications.deliver import deliver
from app.notifications.outcome import Failed, Outcome, Postponed, Sent
from app.providers import registry
from sandbox.standins.fcm import fcm_error
from sandbox.standins.script import ACCEPT_THEN_DROP, Behaviour
from tests import data
from tests.house import House
from tests.rows import due_again, row

PUSH = KINDS["booking_confirmation_push"]
NOT_OURS = "THIRD_PARTY_AUTH_ERROR"

pytestmark = pytest.mark.usefixtures("house")


def push(*tokens: str) -> Outcome:
    return deliver(submit.accept_now(PUSH, data.push(list(tokens))))


def told(house: House) -> list[str]:
    """Who has got a push, oldest first, those of one attempt by name."""
    return [entry["token"] for entry in house.ledger.entries("push")]


@pytest.mark.parametrize(
    ("answer", "least", "most"),
    [
        (fcm_error("QUOTA_EXCEEDED"), 60, 75),
        (fcm_error("QUOTA_EXCEEDED", headers={"Retry-After": "90"}), 90, 113),
        (fcm_error("UNAVAILABLE"), 10, 14),
        (fcm_error("UNAVAILABLE", headers={"Retry-After": "30"}), 30, 34),
        (fcm_error("INTERNAL"), 10, 14),
    ],
)
def test_only_phones_told_to_wait_are_tried_again_after_that_wait(
    house: House, answer: Behaviour, least: float, most: float
) -> None:
    house.fcm.tokens.update({"busy": answer, "gone": fcm_error("UNREGISTERED")})
    message_id = submit.accept_now(PUSH, data.push(["one", "busy", "gone"]))
    outcome = deliver(message_id)
    assert isinstance(outcome, Postponed)
    assert least < outcome.wait < most  # no two wait alike
    assert (row(message_id) or {})["pending_tokens"] == ["busy"]
    house.fcm.tokens.clear()
    due_again()
    outcome = deliver(message_id)
    assert isinstance(outcome, Sent)
    assert (outcome.result["sent_count"], outcome.result["failed_count"]) == (2, 1)
    assert told(house) == ["one", "busy"]


def test_refused_apns_credentials_stop_the_channel_and_alarm_though_androids_are_told(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A logger keeps the configuration of its first use, and another test may have made a new one since.
    monkeypatch.setattr(outcomes, "log", structlog.get_logger())
    house.fcm.tokens["iphone"] = fcm_error(NOT_OURS)
    with capture_logs() as logs:
        outcome = push("android", "iphone")
    assert isinstance(outcome, Sent)
    assert (outcome.result["sent_count"], outcome.result["failed_count"]) == (1, 1)
    [alarm] = [log for log in logs if log["log_level"] == "error"]
    assert (alarm["event"], alarm["channel"]) == ("the channel is stopped", "push")
    assert NOT_OURS in alarm["reason"]
    waiting = push("android")
    assert isinstance(waiting, Postponed)
    assert "CircuitOpen" in waiting.reason
    assert told(house) == ["android"]


def test_refused_apns_credentials_stop_the_channel_though_fcm_is_busy_too(house: House) -> None:
    house.fcm.tokens.update({"busy": fcm_error("UNAVAILABLE"), "iphone": fcm_error(NOT_OURS)})
    assert isinstance(push("busy", "iphone"), Postponed)
    assert "CircuitOpen" in getattr(push("android"), "reason", "")


def test_refused_apns_credentials_fail_a_push_to_iphones_alone_which_can_be_replayed(house: House) -> None:
    house.fcm.tokens["iphone"] = fcm_error(NOT_OURS)
    message_id = submit.accept_now(PUSH, data.push(["iphone"]))
    assert isinstance(deliver(message_id), Failed)
    assert (row(message_id) or {})["pending_tokens"] == ["iphone"]


@pytest.mark.parametrize(("word", "priority"), [("cancelled", 0), ("departed", 3)])
def test_that_a_trip_is_cancelled_goes_before_other_news(word: str, priority: int) -> None:
    trip = {"status": word, "booking_reference": "PF7K2QXM"}
    with transaction() as connection:
        arguments = {"device_tokens": ["one"], "trip_data": trip}
        accepted = submit.accept(connection, KINDS["trip_status_push"], arguments)
    assert accepted.wake_up is not None
    assert accepted.wake_up.priority == priority


def test_an_unreachable_token_endpoint_keeps_all_phones_for_later(house: House) -> None:
    registry.close()
    house.fcm.grant_script.append(Behaviour(accept=False, status=503))
    message_id = submit.accept_now(PUSH, data.push(["one", "two"]))
    assert isinstance(deliver(message_id), Postponed)
    assert (row(message_id) or {})["pending_tokens"] == ["one", "two"]


def test_a_push_that_may_have_come_twice_says_so(house: House) -> None:
    push("before")  # keeps a connection open
    house.fcm.script.append(ACCEPT_THEN_DROP)
    message_id = submit.accept_now(PUSH, data.push(["phone"]))
    assert isinstance(deliver(message_id), Sent)
    assert told(house) == ["before", "phone", "phone"]
    found = row(message_id) or {}
    assert (found["attempt"], found["unknown_attempts"], found["sent_count"]) == (1, 1, 1)
