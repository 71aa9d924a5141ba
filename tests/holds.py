"""Holds that ended or stand, and what became of their seats."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import Connection, text

from app.bookings.seats import hold
from app.core.database import session, transaction
from app.models import Booking
from tests.rows import change

MINUTE = timedelta(minutes=1)
END = "UPDATE bookings SET expires_at = clock_timestamp() - interval '1 min'"

#: Two seats each, 40 on a trip; the one with the highest number ended first.
BACKLOG = (
    """
    INSERT INTO trips (route_id, bus_id, departure_time, price, currency, total_seats, available_seats)
    SELECT route_id, bus_id, departure_time, price, currency, 80, 0 FROM trips, generate_series(1, :holds / 40)
    """,
    """
    INSERT INTO bookings (reference, user_id, trip_id, status, total_amount, currency, expires_at)
    SELECT 'PF' || n, (SELECT min(id) FROM users), 2 + (n - 1) / 40, 'pending', 1, 'NGN',
           clock_timestamp() - n * interval '1 ms'
    FROM generate_series(1, :holds) AS n
    """,
    """
    INSERT INTO booking_seats (booking_id, trip_id, seat_no)
    SELECT bookings.id, trip_id, ((bookings.id - 1) % 40 * 2 + side)::text
    FROM bookings, generate_series(1, 2) AS side
    """,
)


def make_backlog(connection: Connection, holds: int) -> None:
    """So many holds that ended, a multiple of 40, on trips after the only one there is."""
    for statement in BACKLOG:
        connection.execute(text(statement), {"holds": holds})


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
