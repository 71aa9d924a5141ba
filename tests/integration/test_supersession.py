"""Of several messages about one thing to one person only the newest is sent, and never two at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from threading import Barrier
from typing import Any
from uuid import UUID

import pytest
import uuid_utils.compat

from app.core.database import session, transaction
from app.messages.kinds import KINDS
from app.notifications import submit
from app.notifications.deliver import deliver
from app.notifications.outcome import Postponed, Sent, Skipped
from app.providers.errors import Transient
from app.providers.memory import MemorySms
from app.tasks.sms_tasks import send_trip_delay_sms
from tests import data
from tests.hanging import HangingSms
from tests.house import House
from tests.rows import due_again, row, rows

DELAY = KINDS["trip_delay_sms"]

#: Generous: the machine may be busy with something else.
SOON = 30.0

pytestmark = pytest.mark.usefixtures("house")


def accepted(minutes: int = 45, **changes: Any) -> UUID:
    return submit.accept_now(DELAY, data.delay(minutes) | changes)


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
    assert "1 h 30 min" in text.text


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
    gated: HangingSms, threads: ThreadPoolExecutor
) -> None:
    older = accepted(45)
    with session() as s:
        newer = submit.accept_in(s, DELAY, data.delay(90))
        sending = threads.submit(deliver, older)
        gated.wait_for(1).set()  # it was claimed
        assert isinstance(sending.result(SOON), Sent)  # and recorded
    assert [message["revision"] for message in rows()] == [1, 2]
    sending = threads.submit(deliver, newer)
    gated.wait_for(2).set()
    assert isinstance(sending.result(SOON), Sent)


def test_of_two_in_one_transaction_the_later_is_the_newer(gateway: MemorySms) -> None:
    with transaction() as connection:
        older, newer = (submit.accept(connection, DELAY, data.delay(minutes)).id for minutes in (45, 90))
    assert isinstance(deliver(older), Skipped)
    assert isinstance(deliver(newer), Sent)


def test_transactions_that_meet_in_several_subjects_do_not_wait_for_each_other(
    threads: ThreadPoolExecutor,
) -> None:
    start = Barrier(2)

    def accept(references: list[str]) -> None:
        for _ in range(20):
            with transaction() as connection:
                for reference in references:
                    submit.accept(connection, DELAY, data.delay(booking_reference=reference))
                start.wait(SOON)

    telling = [threads.submit(accept, references) for references in (["PFA", "PFB"], ["PFB", "PFA"])]
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


def test_two_that_are_accepted_at_once_get_different_revisions(threads: ThreadPoolExecutor) -> None:
    start = Barrier(8)

    def accept(minutes: int) -> UUID:
        start.wait()
        return accepted(minutes)

    list(threads.map(accept, range(1, 9)))
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
    assert "1 h 30 min" in text["message"]
