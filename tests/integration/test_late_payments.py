"""Payments that come late get what is still to be had."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from app.bookings.payments import Settlement, settle, to_refund
from app.bookings.seats import InvalidBooking
from app.core.database import session
from app.maintenance import reservations
from app.models import Booking
from app.notifications.deliver import deliver
from app.notifications.outcome import Sent, Skipped
from app.providers.memory import MemoryPush
from tests import data
from tests.holds import MINUTE, make_hold, standing
from tests.rows import change, rows

pytestmark = pytest.mark.usefixtures("house")


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
