"""One message through claim, send and record: who may send it, how often, and what is written down."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from uuid import UUID

import pytest
import uuid_utils.compat
from sqlalchemy import text

from app.core.database import statement, transaction
from app.messages.kinds import KINDS
from app.notifications import store, submit
from app.notifications.deliver import UnknownMessage, deliver
from app.notifications.outcome import Busy, Sent, Skipped
from app.notifications.status import Status
from app.providers.memory import MemorySms
from tests import data
from tests.rows import change, row, to_do

SMS, PUSH = KINDS["booking_confirmation_sms"], KINDS["booking_confirmation_push"]

pytestmark = pytest.mark.usefixtures("house")


def accepted() -> UUID:
    return submit.accept_now(SMS, data.sms())


def test_a_message_is_sent_and_its_to_do_line_goes(gateway: MemorySms) -> None:
    message_id = accepted()
    outcome = deliver(message_id)
    assert isinstance(outcome, Sent)
    assert outcome.result["booking_reference"] == "PF7K2QXM"
    message = row(message_id)
    assert message
    assert (message["status"], message["attempt"], message["lease_until"]) == ("sent", 1, None)
    assert message["result"] == outcome.result
    assert message["provider_id"] == outcome.provider_id
    assert to_do() == []
    assert gateway.sent[0].reference == str(message_id)


def test_a_wake_up_that_comes_again_is_told_the_outcome_and_sends_nothing(gateway: MemorySms) -> None:
    message_id = accepted()
    first = deliver(message_id)
    second = deliver(message_id)
    assert isinstance(first, Sent)
    assert isinstance(second, Sent)
    assert second.result == first.result
    assert len(gateway.sent) == 1


def test_of_eight_workers_with_the_same_wake_up_one_sends(gateway: MemorySms) -> None:
    message_id, start = accepted(), Barrier(8)

    def work(_: int) -> object:
        start.wait()
        return deliver(message_id)

    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(work, range(8)))
    assert len(gateway.sent) == 1
    assert all(isinstance(o, Sent | Busy) for o in outcomes)


def test_what_has_lost_its_point_is_not_sent_and_says_so(gateway: MemorySms) -> None:
    message_id = accepted()
    change("UPDATE notifications SET valid_until = clock_timestamp() - interval '2 hours'")
    outcome = deliver(message_id)
    assert isinstance(outcome, Skipped)
    assert outcome.result["success"] is True
    assert outcome.result["skipped"] == "expired"
    assert outcome.result["message"] == "Not sent: it lost its point 2 hours ago"
    assert outcome.result["booking_reference"] == "PF7K2QXM"
    assert gateway.sent == []


def test_the_message_of_a_dead_worker_goes_when_its_lease_runs_out(gateway: MemorySms) -> None:
    message_id = accepted()
    with statement() as connection:
        dead = store.claim(connection, message_id)
    assert dead
    assert isinstance(deliver(message_id), Busy)
    [line] = to_do()
    assert line["due_at"] == (row(message_id) or {})["lease_until"]  # the relay looks at it then
    change("UPDATE notifications SET lease_until = clock_timestamp()")
    assert isinstance(deliver(message_id), Sent)
    message = row(message_id)
    assert message
    assert (message["attempt"], message["unknown_attempts"]) == (2, 1)


def test_a_worker_that_comes_back_late_writes_nothing(gateway: MemorySms) -> None:
    message_id = accepted()
    with statement() as connection:
        late = store.claim(connection, message_id)
    assert late
    change("UPDATE notifications SET lease_until = clock_timestamp()")
    deliver(message_id)
    with statement() as connection:
        assert store.finish(connection, late, Status.FAILED, wipe=False, reason="too late") is False
    assert (row(message_id) or {})["status"] == "sent"


def test_a_number_that_was_accepted_is_not_refused_when_it_is_sent_to(gateway: MemorySms) -> None:
    message_id = accepted()
    dropped = "+234803123"  # as one that the book of numbers has lost since
    change(f'UPDATE notifications SET payload = payload || \'{{"phone_number": "{dropped}"}}\'')
    assert isinstance(deliver(message_id), Sent)
    assert gateway.sent[0].to == dropped


def test_a_message_that_is_not_there_is_an_error() -> None:
    with pytest.raises(UnknownMessage):
        deliver(uuid_utils.compat.uuid7())


def test_how_long_a_message_lives_is_counted_by_the_database(gateway: MemorySms) -> None:
    code = submit.accept_now(KINDS["otp_sms"], data.otp())
    confirmation = accepted()
    with transaction() as connection:
        now = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    assert 595 < ((row(code) or {})["valid_until"] - now).total_seconds() <= 600
    assert (row(confirmation) or {})["valid_until"] == data.DEPARTURE
