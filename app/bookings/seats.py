"""Claims seats. The unique index on live seats decides between two who want the same one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from secrets import choice
from typing import Any

from sqlalchemy import func, select, text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.core.config import get_settings
from app.core.errors import PafarError
from app.models import Booking, BookingStatus, Trip, User

#: No 0, O, 1 or I: a reference is read out over the phone.
ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
#: Of 32^8 references, ten million bookings leave all but one in 100,000 free; with six letters, one in a hundred.
REFERENCE_LENGTH = 8


class SeatsTaken(PafarError):
    """Somebody else has these seats; `seats` names them."""

    def __init__(self, seats: Sequence[str]) -> None:
        super().__init__(f"seats: {', '.join(seats)} already taken on this trip; choose others")
        self.seats = list(seats)


class InvalidBooking(PafarError):
    """The booking can't be made; the text names the field."""


def hold(session: Session, *, trip_id: int, user_id: int, seats: Sequence[str]) -> Booking:
    """Hold `seats` on a trip for RESERVATION_HOLD_MINUTES, unpaid, in the session's transaction.

    Raises SeatsTaken, InvalidBooking; roll back then.
    """
    wanted = sorted(set(seats))
    if not wanted or len(wanted) != len(seats):
        raise InvalidBooking("seats: give at least one seat, and each only once")
    trip, has_left = _look_up(session, trip_id)
    if has_left:
        raise InvalidBooking("trip_id: this trip has left; choose a later one")
    if session.get(User, user_id) is None:
        raise InvalidBooking("user_id: no such passenger")
    known = {str(number) for number in range(1, trip.total_seats + 1)}  # "07" would be sold beside "7"
    if unknown := [seat for seat in wanted if seat not in known]:
        raise InvalidBooking(f"seats: {', '.join(unknown)} not on this bus; it has 1 to {trip.total_seats}")
    booking = _write(
        session,
        user_id=user_id,
        trip_id=trip_id,
        status=BookingStatus.PENDING,
        total_amount=trip.price * len(wanted),
        currency=trip.currency,
        expires_at=func.clock_timestamp() + timedelta(minutes=get_settings().reservation_hold_minutes),
    )
    claim(session, booking, wanted)
    return booking


def _look_up(session: Session, trip_id: int) -> tuple[Trip, bool]:
    """The trip, and whether it has left by the database's clock."""
    query = select(Trip, Trip.departure_time <= func.clock_timestamp()).where(Trip.id == trip_id)
    if (found := session.execute(query).first()) is None:
        raise InvalidBooking("trip_id: no such trip")
    return found[0], found[1]


def _write(session: Session, **values: Any) -> Booking:
    """A new booking under a reference that no other has."""
    free = insert(Booking).values(values).on_conflict_do_nothing(index_elements=[Booking.reference])
    booking: Booking | None = None
    while booking is None:
        reference = "PF" + "".join(choice(ALPHABET) for _ in range(REFERENCE_LENGTH))
        booking = session.scalar(free.values(reference=reference).returning(Booking))
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
