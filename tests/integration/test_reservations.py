"""Holds that were not paid in time are released, and payments that come late get what is still to be had."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from threading import Barrier
from uuid import UUID

import pytest
from sqlalchemy import text

from app.bookings.payments import Settlement, settle, to_refund
from app.bookings.seats import InvalidBooking, hold
from app.core.database import session, transaction
from app.maintenance import reservations
from app.models import Booking
from app.notifications.deliver import deliver
from app.notifications.outcome import Sent, Skipped
from app.providers.memory import MemoryPush
from tests import data
from tests.rows import change, rows

pytestmark = pytest.mark.usefixtures("house")

MINUTE = timedelta(minutes=1)
END = "UPDATE bookings SET expires_at = clock_timestamp() - interval '1 min'"


def make_hold(trip: int, user: int, *seats: str, expired: bool = True) -> Booking:
    """A hold that ended a minute ago, or one that stands."""
    with session() as s:
        booking = hold(s, trip_id=trip, user_id=user, seats=seats)
    if expired:
        change(f"{END} WHERE id = :id", id=booking.id)
    return booking


def standing(trip: int) -> tuple[list[tuple[str, str, bool]], int]:
    """([(booking status, seat, live)], the trip's count of free seats)."""
    with transaction() as connection:
        seats = connection.execute(
            text("SELECT status, seat_no, live FROM booking_seats JOIN bookings ON id = booking_id ORDER BY id, 2")
        )
        free = connection.execute(text("SELECT available_seats FROM trips WHERE id = :id"), {"id": trip})
        return [(row.status, row.seat_no, row.live) for row in seats], int(free.scalar_one())


def arrive(booking: Booking, *, transaction_id: str = "GW-1", authorized: timedelta = -5 * MINUTE) -> Settlement:
    """A gateway reports a payment, authorised before the hold's end (five minutes ago) unless said otherwise."""
    with session() as s:
        return settle(
            s,
            reference=booking.reference,
            transaction_id=transaction_id,
            method="card",
            authorized_at=datetime.now(UTC) + authorized,
        )


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


@pytest.mark.parametrize("released", [True, False])
def test_a_late_payment_gets_its_seats_while_they_are_free(*, released: bool) -> None:
    trip, user = data.make_trip()
    booking = make_hold(trip, user, "3", "12")
    if released:
        reservations.release_all()
    settled = arrive(booking)
    assert (settled.payment.status, settled.booking.status) == ("completed", "confirmed")
    assert standing(trip) == ([("confirmed", "12", True), ("confirmed", "3", True)], 38)
    assert [row["kind"] for row in rows() if str(row["id"]) in settled.messages] == [
        "booking_confirmation_email",
        "booking_confirmation_sms",
        "booking_confirmation_push",
        "payment_receipt_email",
    ]
    assert reservations.release_all() == []


def test_a_late_payment_for_seats_that_are_gone_is_to_be_refunded_and_says_so() -> None:
    trip, user = data.make_trip()
    booking = make_hold(trip, user, "3", "12")
    reservations.release_all()
    make_hold(trip, user, "12", expired=False)
    settled = arrive(booking)
    assert (settled.payment.status, settled.booking.status) == ("needs_refund", "expired")
    seats, free = standing(trip)
    assert seats == [("expired", "12", False), ("expired", "3", False), ("pending", "12", True)]
    assert free == 39
    with session() as s:
        assert [payment.transaction_id for payment in to_refund(s)] == ["GW-1"]
    told = [row for row in rows() if str(row["id"]) in settled.messages]
    assert [(row["kind"], row["payload"]["payment_data"]["status"]) for row in told] == [
        ("payment_receipt_email", "to be refunded"),
        ("payment_status_push", "needs_refund"),
    ]


def test_that_a_hold_has_ended_is_not_said_after_a_late_payment_got_its_seats(fcm: MemoryPush) -> None:
    trip, user = data.make_trip()
    booking = make_hold(trip, user, "3")
    reservations.release_all()
    [ended] = rows()
    confirmed = arrive(booking).messages[2]
    assert isinstance(deliver(ended["id"]), Skipped)
    assert isinstance(deliver(UUID(confirmed)), Sent)
    assert [push.title for push, _ in fcm.sent] == ["🎫 Booking confirmed"]


def test_a_passenger_whose_data_make_no_message_keeps_seats_and_the_rest_of_the_messages() -> None:
    trip, user = data.make_trip()
    change("UPDATE users SET phone = 'none of these'")
    settled = arrive(make_hold(trip, user, "3", expired=False), transaction_id="G" * 65)
    assert (settled.payment.status, settled.booking.status) == ("completed", "confirmed")
    assert [row["kind"] for row in rows()] == ["booking_confirmation_email", "booking_confirmation_push"]


@pytest.mark.parametrize(
    ("statement", "authorized"),
    [
        ("SELECT 1", timedelta(0)),  # authorised after the hold's end
        ("UPDATE bookings SET status = 'cancelled'", -5 * MINUTE),
        ("UPDATE trips SET departure_time = clock_timestamp() - interval '1 min'", -5 * MINUTE),
    ],
)
def test_what_can_not_be_had_is_to_be_refunded(statement: str, authorized: timedelta) -> None:
    trip, user = data.make_trip()
    booking = make_hold(trip, user, "3")
    change(statement)
    assert arrive(booking, authorized=authorized).payment.status == "needs_refund"


def test_a_gateway_whose_clock_is_fast_is_in_time_when_its_word_arrives_in_time() -> None:
    trip, user = data.make_trip()
    booking = make_hold(trip, user, "3", expired=False)
    assert arrive(booking, authorized=timedelta(hours=1)).payment.status == "completed"


def test_the_same_payment_again_changes_nothing_and_another_one_goes_back() -> None:
    trip, user = data.make_trip()
    booking = make_hold(trip, user, "3", expired=False)
    first, again = arrive(booking), arrive(booking)
    assert (again.payment.id, again.payment.status, again.messages) == (first.payment.id, "completed", [])
    assert arrive(booking, transaction_id="GW-2").payment.status == "needs_refund"
    other = make_hold(trip, user, "4", expired=False)
    with pytest.raises(InvalidBooking, match="transaction_id"):
        arrive(other)
    with pytest.raises(InvalidBooking, match="booking_reference"), session() as s:
        settle(s, reference="PFNONE", transaction_id="x", method="card", authorized_at=datetime.now(UTC))
