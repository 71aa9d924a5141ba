"""Of one subject only one message is in hand at a time, whoever dies or comes back late."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import text

from app.core.database import statement, transaction
from app.notifications import store, subjects
from app.notifications.deliver import TURN_WAIT, deliver
from app.notifications.outcome import Busy, Outcome, Postponed, Sent, Skipped
from app.notifications.subjects import Turn
from app.providers.memory import MemorySms
from tests.hanging import HangingSms
from tests.house import wait_until
from tests.integration.test_supersession import SOON, accepted
from tests.rows import change, due_again, row

pytestmark = pytest.mark.usefixtures("house")


def lease_runs_out(message_id: UUID) -> None:
    change("UPDATE notifications SET lease_until = clock_timestamp() WHERE id = :id", id=message_id)
    change("UPDATE subjects SET held_until = clock_timestamp() WHERE holder_id = :id", id=message_id)


def die_while_sending(message_id: UUID) -> None:
    """What a worker has written when it is killed in the middle of a send."""
    with statement() as connection:
        held = store.claim(connection, message_id)
        assert held and held.subject and held.revision  # noqa: PT018 - they only narrow types
        turn = subjects.take_turn(
            connection, held.subject, revision=held.revision, message_id=held.id, lease=store.LEASE
        )
    assert turn is Turn.OURS


def waits_to_end_its_turn() -> bool:
    query = (
        "SELECT EXISTS (SELECT FROM pg_stat_activity"
        " WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE subjects SET holder_id = NULL%')"
    )
    with transaction() as connection:
        return bool(connection.scalar(text(query)))


def test_a_newer_delay_waits_until_the_older_one_is_out(gated: HangingSms, threads: ThreadPoolExecutor) -> None:
    older = accepted(45)
    sending = threads.submit(deliver, older)
    gate = gated.wait_for(1)
    newer = accepted(90)
    outcome = deliver(newer)
    assert isinstance(outcome, Postponed)
    assert outcome.wait == TURN_WAIT
    assert isinstance(deliver(newer), Busy)  # its wait is written in the row
    gate.set()
    assert isinstance(sending.result(SOON), Sent)
    due_again()
    sending = threads.submit(deliver, newer)
    gated.wait_for(2).set()
    assert isinstance(sending.result(SOON), Sent)


def test_a_message_whose_turn_can_t_be_asked_for_is_given_back(
    gateway: MemorySms, threads: ThreadPoolExecutor
) -> None:
    """Nothing was handed over: the next attempt must not take it for one without an answer."""
    message_id = accepted(45)
    with transaction() as connection:
        connection.execute(text("LOCK TABLE subjects"))
        sending = threads.submit(deliver, message_id)
        wait_until(waits_to_end_its_turn, SOON)  # so it no longer asks for it
    assert isinstance(sending.result(SOON), Postponed)
    due_again()
    assert isinstance(deliver(message_id), Sent)
    assert (row(message_id) or {})["unknown_attempts"] == 0


def test_the_turn_of_a_dead_worker_ends_with_its_lease(gateway: MemorySms) -> None:
    older = accepted(45)
    die_while_sending(older)
    newer = accepted(90)
    assert isinstance(deliver(newer), Postponed)
    due_again()
    lease_runs_out(older)
    assert isinstance(deliver(newer), Sent)
    assert isinstance(deliver(older), Skipped)
    assert [text.reference for text in gateway.sent] == [str(newer)]


def test_a_worker_that_comes_back_late_does_not_end_the_turn_of_the_next(
    gated: HangingSms, threads: ThreadPoolExecutor
) -> None:
    older = accepted(45)
    late = threads.submit(deliver, older)
    gated.wait_for(1)
    lease_runs_out(older)
    second = threads.submit(deliver, older)
    gated.wait_for(2)
    gated.gates[0].set()
    late.result(SOON)  # it has no say any more: the second attempt is still under way
    third = threads.submit(deliver, accepted(90))
    wait_until(lambda: third.done() or len(gated.gates) > 2, SOON)
    for gate in gated.gates:
        gate.set()
    assert isinstance(third.result(SOON), Postponed)
    assert isinstance(second.result(SOON), Sent)


def test_two_workers_never_have_two_messages_of_one_subject_in_hand(
    gated: HangingSms, threads: ThreadPoolExecutor
) -> None:
    start = Barrier(6)

    def tell(minutes: int) -> Outcome:
        start.wait()
        message_id = accepted(minutes)
        while isinstance(outcome := deliver(message_id), Postponed):
            # Only its own row: two that change all rows at once wait for each other.
            change("UPDATE notifications SET not_before = clock_timestamp() WHERE id = :id", id=message_id)
        return outcome

    telling = [threads.submit(tell, minutes) for minutes in range(10, 70, 10)]
    for sends in range(1, 7):  # at most one for each message
        wait_until(lambda sends=sends: len(gated.gates) >= sends or all(t.done() for t in telling), SOON)
        time.sleep(0.05)  # were there a second one, it would have come
        assert len(gated.gates) <= sends
        for gate in gated.gates:
            gate.set()
    assert all(isinstance(task.result(), Sent | Skipped) for task in telling)
    revisions = [(row(text.reference) or {})["revision"] for text in gated.sent]
    assert revisions == sorted(revisions)
    assert revisions[-1] == 6
