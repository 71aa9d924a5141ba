"""Claims seats. The unique index on live seats decides between two who want the same one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from secrets import choice

from sqlalchemy import func, select, text
from sqlalchemy.orm import Session

from app.core.errors import PafarError
from app.models import Booking, BookingStatus, Trip, User

#: How long an unpaid hold keeps its seats.
HOLD = timedelta(minutes=10)
#: No 0, O, 1 or I: a reference is read out over the phone.
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"


class SeatsTaken(PafarError):
    """Somebody else has these seats; `seats` names them."""

    def __init__(self, seats: Sequence[str]) -> None:
        super().__init__(f"seats: {', '.join(seats)} already taken on this trip; choose others")
        self.seats = list(seats)


class InvalidBooking(PafarError):
    """The booking can't be made; the text names the field."""


def hold(session: Session, *, trip_id: int, user_id: int, seats: Sequence[str]) -> Booking:
    """Hold `seats` on a trip for HOLD, unpaid, in the session's transaction.

    Raises SeatsTaken, InvalidBooking; roll back then.
    """
    wanted = sorted(set(seats))
    if not wanted or len(wanted) != len(seats):
        raise InvalidBooking("seats: give at least one seat, and each only once")
    trip = session.get(Trip, trip_id)
    if trip is None or session.get(User, user_id) is None:
        raise InvalidBooking("trip_id: no such trip" if trip is None else "user_id: no such passenger")
    if unknown := [seat for seat in wanted if not (seat.isdecimal() and 1 <= int(seat) <= trip.total_seats)]:
        raise InvalidBooking(f"seats: {', '.join(unknown)} not on this bus; it has 1 to {trip.total_seats}")
    booking = Booking(
        reference="PF" + "".join(choice(ALPHABET) for _ in range(6)),
        user_id=user_id,
        trip_id=trip_id,
        status=BookingStatus.PENDING,
        total_amount=trip.price * len(wanted),
        currency=trip.currency,
        expires_at=session.scalar(select(func.clock_timestamp() + HOLD)),
    )
    session.add(booking)
    session.flush()
    claim(session, booking, wanted)
    return booking


def claim(session: Session, booking: Booking, wanted: Sequence[str]) -> None:
    """Take the seats `wanted`, sorted, for a booking that has none. Raises SeatsTaken; roll back then.

    Seats first, in order, then the trip: everybody locks in this order, so nobody deadlocks.
    """
    claimed = session.scalars(
        text(
            "INSERT INTO booking_seats (booking_id, trip_id, seat_no)"
            " SELECT :booking, :trip, seat FROM unnest(CAST(:seats AS text[])) AS seat"
            " ON CONFLICT (trip_id, seat_no) WHERE live DO NOTHING RETURNING seat_no"
        ),
        {"booking": booking.id, "trip": booking.trip_id, "seats": list(wanted)},
    ).all()
    if missing := [seat for seat in wanted if seat not in claimed]:
        raise SeatsTaken(missing)
    session.execute(
        text("UPDATE trips SET available_seats = available_seats - :n WHERE id = :trip"),
        {"n": len(wanted), "trip": booking.trip_id},
    )
