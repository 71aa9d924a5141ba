"""Holds that were not paid in time are released, whatever else goes on."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from threading import Barrier

import pytest
from sqlalchemy import text

from app.bookings.payments import settle
from app.bookings.seats import hold
from app.core.database import session, transaction
from app.maintenance import reservations
from tests import data
from tests.holds import MINUTE, make_hold, standing
from tests.house import wait_until
from tests.rows import change, rows

ANOTHER_TRIP = """
    INSERT INTO trips (route_id, bus_id, departure_time, price, currency, total_seats, available_seats)
    SELECT route_id, bus_id, departure_time, price, currency, total_seats, available_seats FROM trips RETURNING id
"""

pytestmark = pytest.mark.usefixtures("house")


def test_an_expired_hold_is_released_and_its_passenger_told_in_one_commit() -> None:
    trip, user = data.make_trip()
    ended, stands = make_hold(trip, user, "3", "4"), make_hold(trip, user, "5", expired=False)
    with transaction() as connection:
        assert reservations.release_expired(connection) == [ended.reference]
        connection.rollback()
    assert (standing(trip)[1], rows()) == (37, [])

    assert reservations.release_all() == [ended.reference]
    assert standing(trip) == ([("expired", "3", False), ("expired", "4", False), ("pending", "5", True)], 39)
    [told] = rows()
    assert (told["kind"], told["booking_reference"]) == ("booking_expired_push", ended.reference)
    assert told["payload"]["device_tokens"] == ["token-of-adas-phone"]
    assert told["payload"]["booking_data"]["origin"] == "Lagos"
    assert stands.reference not in str(told)


def test_a_second_run_does_nothing_and_runs_at_once_share_the_work() -> None:
    trip, user = data.make_trip()
    for seat in range(1, 41):
        make_hold(trip, user, str(seat), expired=False)
    change("UPDATE bookings SET expires_at = clock_timestamp() - id * interval '1 second'")
    start = Barrier(4)

    def run(_: int) -> list[str]:
        start.wait()
        with transaction() as connection:
            return reservations.release_expired(connection, batch=15)

    with ThreadPoolExecutor(4) as pool:
        released = [reference for found in pool.map(run, range(4)) for reference in found]
    released += reservations.release_all()
    assert len(released) == len(set(released)) == 40
    assert standing(trip)[1] == 40
    assert len(rows()) == 40
    assert reservations.release_all() == []


def test_a_hold_that_is_being_paid_is_left_to_its_payment() -> None:
    trip, user = data.make_trip()
    booking = make_hold(trip, user, "3")
    with session() as s:
        authorized = datetime.now(UTC) - 5 * MINUTE
        settle(s, reference=booking.reference, transaction_id="GW-1", method="card", authorized_at=authorized)
        # It is due until this commits, but a run in another connection passes over it, and does not wait.
        assert reservations.release_all() == []
    assert reservations.release_all() == []
    assert standing(trip) == ([("confirmed", "3", True)], 39)


def test_a_run_and_new_holds_on_the_same_seats_never_wait_in_a_circle() -> None:
    trip, user = data.make_trip()
    old = make_hold(trip, user, "3", "9")
    with session() as booker, ThreadPoolExecutor(1) as pool:
        # A new hold has its key lock on the trip already and is about to ask for a seat that the run frees.
        booker.execute(text("SELECT 1 FROM trips WHERE id = :id FOR KEY SHARE"), {"id": trip})
        released = pool.submit(reservations.release_all)
        assert released.result(timeout=4) == [old.reference]
        hold(booker, trip_id=trip, user_id=user, seats=["3"])
    assert standing(trip)[1] == 39


def test_runs_on_a_trip_that_changes_while_others_look_at_it_never_wait_in_a_circle() -> None:
    trip, user = data.make_trip()
    old = [make_hold(trip, user, seat) for seat in ("3", "9")]
    with ThreadPoolExecutor(2) as pool, session() as booker, session() as changer:
        # Another hold has its key lock on the trip, and to the end keeps alive what changed the trip before it.
        booker.execute(text("SELECT 1 FROM trips WHERE id = :id FOR KEY SHARE"), {"id": trip})
        changer.execute(text("UPDATE trips SET price = price + 1"))
        runs = []
        for waiting in (1, 2):
            runs.append(pool.submit(_release_one))
            wait_until(lambda: _waiting() == waiting, 5)  # noqa: B023 - it is called at once
        changer.commit()
        released = [run.result(timeout=4) for run in runs]
    assert sorted(released) == sorted([booking.reference] for booking in old)
    assert standing(trip)[1] == 40


def test_a_run_takes_trips_in_the_order_of_their_ids() -> None:
    def release() -> list[str]:
        with transaction() as connection:
            for way in ("indexscan", "bitmapscan"):  # tables are read as they lie
                connection.execute(text(f"SET LOCAL enable_{way} = off"))
            return reservations.release_expired(connection)

    low, user = data.make_trip()
    with transaction() as connection:
        high = connection.execute(text(ANOTHER_TRIP)).scalar_one()
    make_hold(high, user, "3")
    make_hold(low, user, "3")
    change("UPDATE trips SET price = price + 1 WHERE id = :id", id=low)  # so that it lies behind the other
    lock = text("SELECT FROM trips WHERE id = :id FOR NO KEY UPDATE NOWAIT")
    with ThreadPoolExecutor(1) as pool, transaction() as booker:
        booker.execute(lock, {"id": low})
        run = pool.submit(release)
        wait_until(_waiting, 5)
        booker.execute(lock, {"id": high})  # which the run has not taken yet
        booker.commit()
        assert len(run.result(timeout=4)) == 2


def _release_one() -> list[str]:
    with transaction() as connection:
        return reservations.release_expired(connection, batch=1)


def _waiting() -> int:
    """How many connections wait for a lock on something."""
    with transaction() as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        return int(connection.execute(text(query)).scalar_one())


def test_a_trip_with_a_wrong_count_or_odd_data_does_not_keep_the_others() -> None:
    trip, user = data.make_trip()
    odd, other = make_hold(trip, user, "3"), make_hold(trip, user, "4")
    change("UPDATE trips SET available_seats = total_seats")
    change("UPDATE terminals SET timezone = 'Nowhere'")
    assert sorted(reservations.release_all()) == sorted([odd.reference, other.reference])
    assert (standing(trip)[1], rows()) == (40, [])


def test_a_passenger_without_the_app_is_not_told() -> None:
    trip, user = data.make_trip()
    change("DELETE FROM device_tokens")
    booking = make_hold(trip, user, "3")
    assert (reservations.release_all(), rows()) == ([booking.reference], [])


def test_a_release_and_its_count_are_found_by_index() -> None:
    with transaction() as connection:
        connection.execute(text("SET LOCAL enable_seqscan = off"))
        for query in (reservations._RELEASE.text, f"SELECT count(*) FROM bookings WHERE {reservations._DUE}"):
            plan = connection.execute(text(f"EXPLAIN {query}"), {"batch": 1, "fid": ""}).scalars()
            lines = "\n".join(plan)
            assert "ix_bookings_pending_expiry" in lines
            assert "Index Cond: (expires_at <= (InitPlan" in lines
        query = "EXPLAIN SELECT 1 FROM payments WHERE status = 'needs_refund' ORDER BY created_at"
        assert "ix_payments_needs_refund" in "\n".join(connection.execute(text(query)).scalars())
