"""Of several messages about one thing to one person only the newest is sent, and never two at once."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
import uuid_utils.compat

from app.core.database import session, transaction
from app.messages.kinds import KINDS
from app.notifications import store, subjects, submit
from app.notifications.deliver import TURN_WAIT, deliver
from app.notifications.outcome import Busy, Outcome, Postponed, Sent, Skipped
from app.notifications.subjects import Turn
from app.providers import registry
from app.providers.errors import Transient
from app.providers.memory import MemorySms
from app.tasks.sms_tasks import send_trip_delay_sms
from tests import data
from tests.hanging import HangingSms
from tests.house import House, wait_until
from tests.rows import change, row, rows

DELAY = KINDS["trip_delay_sms"]

#: Generous: the machine may be busy with something else.
SOON = 30.0

pytestmark = pytest.mark.usefixtures("house")


@pytest.fixture
def gated(gateway: MemorySms) -> Iterator[HangingSms]:
    double = HangingSms()
    registry.install("sms", double)
    yield double
    for gate in double.gates:
        gate.set()


@pytest.fixture
def worker() -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(8)
    yield pool
    pool.shutdown(wait=False)  # a test that failed leaves workers hanging


def accepted(minutes: int = 45, **changes: Any) -> UUID:
    return submit.accept_now(DELAY, data.delay(minutes) | changes)


def due_again() -> None:
    change("UPDATE notifications SET not_before = clock_timestamp() WHERE status = 'queued'")


def lease_runs_out(message_id: UUID) -> None:
    change("UPDATE notifications SET lease_until = clock_timestamp() WHERE id = :id", id=message_id)
    change("UPDATE subjects SET held_until = clock_timestamp() WHERE holder_id = :id", id=message_id)


def die_while_sending(message_id: UUID) -> None:
    """What a worker has written when it is killed in the middle of a send."""
    with transaction() as connection:
        held = store.claim(connection, message_id)
        assert held and held.subject and held.revision  # noqa: PT018 - they only narrow types
        turn = subjects.take_turn(
            connection, held.subject, revision=held.revision, message_id=held.id, lease=store.LEASE
        )
    assert turn is Turn.OURS


def test_a_newer_delay_supersedes_an_older_one_that_waits(gateway: MemorySms) -> None:
    older, newer = accepted(45), accepted(90)
    outcome = deliver(older)
    assert isinstance(outcome, Skipped)
    assert outcome.result == {
        "success": True,
        "skipped": "superseded",
        "message": "Not sent: a newer message says more",
        "booking_reference": "PF7K2QXM",
    }
    assert (row(older) or {})["status"] == "skipped"
    assert isinstance(deliver(newer), Sent)
    [text] = gateway.sent
    assert "90 min" in text.text


def test_an_older_delay_whose_retry_waits_is_superseded(gateway: MemorySms) -> None:
    older = accepted(45)
    gateway.script.append(Transient("try later"))
    assert isinstance(deliver(older), Postponed)
    newer = accepted(90)
    assert isinstance(deliver(newer), Sent)  # the one that waits holds no turn
    due_again()
    assert isinstance(deliver(older), Skipped)
    assert [text.reference for text in gateway.sent] == [str(newer)]


def test_what_was_rolled_back_supersedes_nothing(gateway: MemorySms) -> None:
    older = accepted(45)
    with suppress(RuntimeError), transaction() as connection:
        submit.accept(connection, DELAY, data.delay(90))
        raise RuntimeError("the trip is on time after all")
    assert isinstance(deliver(older), Sent)


def test_what_was_rolled_back_to_a_savepoint_supersedes_nothing(gateway: MemorySms) -> None:
    older = accepted(45)
    with session() as s, suppress(RuntimeError), s.begin_nested():
        submit.accept_in(s, DELAY, data.delay(90))
        raise RuntimeError("the trip is on time after all")
    assert isinstance(deliver(older), Sent)


def test_an_open_transaction_that_has_accepted_a_newer_one_holds_up_nobody(
    gated: HangingSms, worker: ThreadPoolExecutor
) -> None:
    older = accepted(45)
    with session() as s:
        newer = submit.accept_in(s, DELAY, data.delay(90))
        sending = worker.submit(deliver, older)
        gated.wait_for(1).set()  # it was claimed
        assert isinstance(sending.result(SOON), Sent)  # and recorded
    assert [message["revision"] for message in rows()] == [1, 2]
    sending = worker.submit(deliver, newer)
    gated.wait_for(2).set()
    assert isinstance(sending.result(SOON), Sent)


def test_of_two_in_one_transaction_the_later_is_the_newer(gateway: MemorySms) -> None:
    with transaction() as connection:
        older, newer = (submit.accept(connection, DELAY, data.delay(minutes)).id for minutes in (45, 90))
    assert isinstance(deliver(older), Skipped)
    assert isinstance(deliver(newer), Sent)


def test_transactions_that_meet_in_several_subjects_do_not_wait_for_each_other(worker: ThreadPoolExecutor) -> None:
    start = Barrier(2)

    def accept(references: list[str]) -> None:
        for _ in range(20):
            with transaction() as connection:
                for reference in references:
                    submit.accept(connection, DELAY, data.delay(booking_reference=reference))
                start.wait(SOON)

    telling = [worker.submit(accept, references) for references in (["PFA", "PFB"], ["PFB", "PFA"])]
    for task in telling:
        task.result(SOON)
    assert sorted(message["revision"] for message in rows()) == sorted([*range(1, 41)] * 2)


@pytest.mark.parametrize(
    "other",
    [data.delay(90) | {"phone_number": "+2348031234568"}, data.delay(90, booking_reference="PFOTHER1")],
    ids=["passenger", "booking"],
)
def test_other_passengers_and_bookings_are_untouched(gateway: MemorySms, other: dict[str, Any]) -> None:
    first, second = accepted(45), submit.accept_now(DELAY, other)
    assert isinstance(deliver(first), Sent)
    assert isinstance(deliver(second), Sent)
    assert len(gateway.sent) == 2


def test_a_newer_delay_waits_until_the_older_one_is_out(gated: HangingSms, worker: ThreadPoolExecutor) -> None:
    older = accepted(45)
    sending = worker.submit(deliver, older)
    gate = gated.wait_for(1)
    newer = accepted(90)
    outcome = deliver(newer)
    assert isinstance(outcome, Postponed)
    assert outcome.wait == TURN_WAIT
    assert isinstance(deliver(newer), Busy)  # its wait is written in the row
    gate.set()
    assert isinstance(sending.result(SOON), Sent)
    due_again()
    sending = worker.submit(deliver, newer)
    gated.wait_for(2).set()
    assert isinstance(sending.result(SOON), Sent)


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
    gated: HangingSms, worker: ThreadPoolExecutor
) -> None:
    older = accepted(45)
    late = worker.submit(deliver, older)
    gated.wait_for(1)
    lease_runs_out(older)
    second = worker.submit(deliver, older)
    gated.wait_for(2)
    gated.gates[0].set()
    late.result(SOON)  # it has no say any more: the second attempt is still under way
    third = worker.submit(deliver, accepted(90))
    wait_until(lambda: third.done() or len(gated.gates) > 2, SOON)
    for gate in gated.gates:
        gate.set()
    assert isinstance(third.result(SOON), Postponed)
    assert isinstance(second.result(SOON), Sent)


def test_two_workers_never_have_two_messages_of_one_subject_in_hand(
    gated: HangingSms, worker: ThreadPoolExecutor
) -> None:
    start = Barrier(6)

    def tell(minutes: int) -> Outcome:
        start.wait()
        message_id = accepted(minutes)
        while isinstance(outcome := deliver(message_id), Postponed):
            # Only its own row: two that change all rows at once wait for each other.
            change("UPDATE notifications SET not_before = clock_timestamp() WHERE id = :id", id=message_id)
        return outcome

    telling = [worker.submit(tell, minutes) for minutes in range(10, 70, 10)]
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


def test_two_that_are_accepted_at_once_get_different_revisions(worker: ThreadPoolExecutor) -> None:
    start = Barrier(8)

    def accept(minutes: int) -> UUID:
        start.wait()
        return accepted(minutes)

    list(worker.map(accept, range(1, 9)))
    assert sorted(message["revision"] for message in rows()) == list(range(1, 9))


def test_a_task_that_comes_again_with_its_arguments_does_not_supersede_itself(gateway: MemorySms) -> None:
    task_id = str(uuid_utils.compat.uuid7())
    message_id = submit.adopt(DELAY, data.delay(), task_id)
    assert submit.adopt(DELAY, data.delay(), task_id) == message_id
    assert isinstance(deliver(message_id), Sent)


def test_celery_sees_a_superseded_message_as_a_success_that_says_why(house: House) -> None:
    older, newer = send_trip_delay_sms.delay(**data.delay(45)), send_trip_delay_sms.delay(**data.delay(90))
    with house.worker():
        assert newer.get(timeout=SOON)["sms_id"]
        assert older.get(timeout=SOON)["skipped"] == "superseded"
    assert (older.state, newer.state) == ("SUCCESS", "SUCCESS")
    [text] = house.ledger.entries("sms")
    assert "90 min" in text["message"]
