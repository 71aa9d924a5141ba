"""Many holds that ended at once are released by several threads, which wait for neither bookers nor each other."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, text

from app.core.database import transaction
from app.core.errors import DatabaseUnavailable
from app.maintenance import reservations
from app.maintenance.batches import watched
from tests import data
from tests.holds import make_backlog
from tests.house import wait_until

BATCHES = 12
HOLDS = BATCHES * reservations.BATCH
#: The batch that begins with the oldest hold is of the last 25 trips; this one is of the batch after it.
SECOND_TRIP = text("SELECT FROM trips WHERE id = (SELECT max(id) - 30 FROM trips) FOR NO KEY UPDATE")
EXPIRED = "bookings WHERE status = 'expired'"
#: Ends whoever waits for a lock. CASE: or its order is PostgreSQL's choice, and it may end itself.
END_WAITING = "pg_stat_activity WHERE CASE wait_event_type WHEN 'Lock' THEN pg_terminate_backend(pid) END"
#: Transactions under way that have written messages.
WRITING = "pg_locks WHERE relation = 'notifications'::regclass AND mode = 'RowExclusiveLock'"

pytestmark = pytest.mark.usefixtures("house")


@contextmanager
def a_booker_on_the_second_batch() -> Iterator[Connection]:
    data.make_trip()
    with transaction() as connection:
        make_backlog(connection, HOLDS)
    with transaction() as booker:
        booker.execute(SECOND_TRIP)
        yield booker


def test_a_batch_that_waits_for_a_booker_keeps_no_other_and_every_one_is_told_of() -> None:
    told: list[int] = []

    def release() -> list[str]:
        with watched(told.append):
            return reservations.release_all()

    with ThreadPoolExecutor(1) as pool, a_booker_on_the_second_batch() as booker:
        run = pool.submit(release)
        wait_until(lambda: count(EXPIRED) == HOLDS - reservations.BATCH, 30)
        assert count(WRITING) == 1  # trips are locked last, as their bookers wait from then on
        booker.commit()
        released = run.result(timeout=30)
    assert len(released) == len(set(released)) == HOLDS == count("notifications") == sum(told)
    assert count("trips WHERE available_seats < total_seats") == 0
    assert count("booking_seats WHERE live") == 0


def test_an_error_in_one_batch_ends_the_run_and_what_was_committed_stays() -> None:
    with ThreadPoolExecutor(1) as pool, a_booker_on_the_second_batch() as booker:
        run = pool.submit(reservations.release_all)
        wait_until(lambda: count(END_WAITING) == 1, 30)
        booker.commit()  # nothing is in the way of the others
        with pytest.raises(DatabaseUnavailable):
            run.result(timeout=30)
    released = count(EXPIRED)
    assert reservations.BATCH <= released < HOLDS
    assert count("notifications") == released
    assert len(reservations.release_all()) == HOLDS - released


def count(rows: str) -> int:
    with transaction() as connection:
        return int(connection.execute(text(f"SELECT count(*) FROM {rows}")).scalar_one())
