"""Holds that ended or stand, and what became of their seats."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import text

from app.bookings.seats import hold
from app.core.database import session, transaction
from app.models import Booking
from tests.rows import change

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
