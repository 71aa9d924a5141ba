"""Pushes that failed go again to the phones they have not reached, and never to one that may have it."""

from __future__ import annotations

import pytest

from app.core.database import transaction
from app.messages.kinds import KINDS
from app.notifications import submit
from app.notifications.deliver import deliver
from app.notifications.outcome import Failed, Postponed, Sent, Unanswered
from app.notifications.replay import Choice, replay
from app.providers.errors import InvalidRecipient, OutcomeUnknown, ProviderError, Rejected, Transient
from app.providers.memory import MemoryPush
from tests import data
from tests.rows import change, due_again, row

PUSH = KINDS["booking_confirmation_push"]

pytestmark = pytest.mark.usefixtures("house")


def replayed() -> int:
    with transaction() as connection:
        return replay(connection, Choice())


def test_a_push_that_reached_nobody_goes_to_every_phone_again(fcm: MemoryPush) -> None:
    fcm.tokens |= {"one": Rejected("no"), "two": Rejected("no")}
    message_id = submit.accept_now(PUSH, data.push(["one", "two"]))
    assert isinstance(deliver(message_id), Failed)
    fcm.tokens.clear()
    assert replayed() == 1
    outcome = deliver(message_id)
    assert isinstance(outcome, Sent)
    assert (outcome.result["sent_count"], outcome.result["failed_count"]) == (2, 0)
    assert sorted(token for _, token in fcm.sent) == ["one", "two"]


def test_a_push_goes_again_only_to_phones_it_has_not_reached(fcm: MemoryPush) -> None:
    fcm.tokens |= {"two": Transient("busy"), "gone": InvalidRecipient("gone")}
    message_id = submit.accept_now(PUSH, data.push(["one", "two", "gone"]))
    assert isinstance(deliver(message_id), Postponed)
    due_again()
    fcm.script.append(Rejected("not today"))
    assert isinstance(deliver(message_id), Failed)
    fcm.tokens.clear()
    assert replayed() == 1
    outcome = deliver(message_id)
    assert isinstance(outcome, Sent)
    assert (outcome.result["sent_count"], outcome.result["failed_count"]) == (2, 1)
    assert [token for _, token in fcm.sent] == ["one", "two"]


@pytest.mark.parametrize("other", [None, Rejected("no"), InvalidRecipient("gone")])
def test_a_push_that_may_have_arrived_is_no_dead_letter(fcm: MemoryPush, other: ProviderError | None) -> None:
    fcm.tokens |= {"refused": other} if other else {}
    fcm.tokens["silent"] = OutcomeUnknown()
    offer = {"device_tokens": list(fcm.tokens), "promotion_data": {"message": "10 % off"}}
    message_id = submit.accept_now(KINDS["promotional_push"], offer)
    assert isinstance(deliver(message_id), Unanswered)
    message = row(message_id) or {}
    assert (message["status"], message["failed_count"]) == ("unknown", len(fcm.tokens))
    assert replayed() == 0


def test_a_push_without_an_answer_and_without_time_left_is_no_dead_letter(fcm: MemoryPush) -> None:
    message_id = submit.accept_now(PUSH, data.push())
    change("UPDATE notifications SET valid_until = clock_timestamp() + interval '30 seconds'")
    fcm.tokens["token-of-adas-phone"] = OutcomeUnknown(retry_after=60.0)
    assert isinstance(deliver(message_id), Unanswered)
    assert ((row(message_id) or {})["status"], replayed()) == ("unknown", 0)
