"""Releasing expired holds in one run, beside the row-by-row way: `python -m bench.reservations [holds]`.

Both release the same holds (two seats each, 40 holds on a trip, a passenger with a phone), give the seats back and
write the push that tells of it; neither publishes. By rows only a sample is released, with one commit for all and
with one for each. Prints microseconds a hold, medians of ROUNDS runs in turn, and writes
bench/results/reservations.json.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import Select, func, select, text
from sqlalchemy.orm import Session

from app.core import migrations
from app.core.database import engine, session
from app.maintenance import reservations
from app.messages.kinds import KINDS
from app.models import Booking, BookingStatus, DeviceToken
from app.notifications import submit
from tests import data
from tests.house import House

HOLDS, SAMPLE, ROUNDS = 100_000, 1000, 3
RESULTS = Path(__file__).parent / "results" / "reservations.json"

_FILL = """
    INSERT INTO trips (route_id, bus_id, departure_time, price, currency, total_seats, available_seats)
    SELECT route_id, bus_id, departure_time, price, currency, 80, 0 FROM trips, generate_series(1, :holds / 40);
    INSERT INTO bookings (reference, user_id, trip_id, status, total_amount, currency, expires_at)
    SELECT 'PF' || n, (SELECT min(id) FROM users), 2 + (n - 1) / 40, 'pending', 1, 'NGN',
           clock_timestamp() - n * interval '1 ms'
    FROM generate_series(1, :holds) AS n;
    INSERT INTO booking_seats (booking_id, trip_id, seat_no)
    SELECT bookings.id, trip_id, ((bookings.id - 1) % 40 * 2 + side)::text
    FROM bookings, generate_series(1, 2) AS side;
"""


def main() -> None:
    """Run each way ROUNDS times, in turn."""
    holds = int(sys.argv[1]) if len(sys.argv) > 1 else HOLDS
    house = House()
    os.environ.update(house.environment)
    migrations.upgrade()
    ways: dict[str, tuple[int, Callable[[], int]]] = {
        "sets, a batch a commit": (holds, lambda: len(reservations.release_all(seconds=3600))),
        "rows, one commit": (min(holds, SAMPLE), _by_rows),
        "rows, a commit each": (min(holds, SAMPLE), _by_rows_and_commits),
    }
    figures: dict[str, list[float]] = {name: [] for name in ways}
    try:
        for _ in range(ROUNDS):
            for name, (number, release) in ways.items():
                figures[name].append(_measure(house, number, release))
    finally:
        house.stop()
    _report(holds, {name: statistics.median(runs) for name, runs in figures.items()})


def _measure(house: House, holds: int, release: Callable[[], int]) -> float:
    """Microseconds a hold."""
    house.clean()
    data.make_trip()
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        for statement in _FILL.strip().rstrip(";").split(";"):
            connection.execute(text(statement), {"holds": holds})
        connection.execute(text("VACUUM ANALYZE"))
    started = time.perf_counter()
    released = release()
    seconds = time.perf_counter() - started
    if released != holds:
        raise RuntimeError(f"{released} of {holds} holds were released")
    return seconds / holds * 1e6


def _by_rows() -> int:
    with session() as s:
        expired = s.scalars(_due()).all()
        for booking in expired:
            _release(s, booking)
    return len(expired)


def _by_rows_and_commits() -> int:
    with session() as s:
        expired = s.scalars(_due()).all()
    for booking in expired:
        with session() as s:
            _release(s, s.get_one(Booking, booking.id))
    return len(expired)


def _due() -> Select[Booking]:
    return select(Booking).where(Booking.status == BookingStatus.PENDING, Booking.expires_at <= func.now())


def _release(s: Session, booking: Booking) -> None:
    booking.status = BookingStatus.EXPIRED
    for seat in booking.seats:
        seat.live = False
    trip = booking.trip
    trip.available_seats += len(booking.seats)
    told = {
        "booking_reference": booking.reference,
        "booking_id": booking.id,
        "trip_id": trip.id,
        "origin": trip.route.origin.city,
        "destination": trip.route.destination.city,
        "timezone": trip.route.origin.timezone,
    }
    tokens = list(s.scalars(select(DeviceToken.token).where(DeviceToken.user_id == booking.user_id)))
    arguments = {"device_tokens": tokens, "booking_data": told}
    submit.accept(s.connection(), KINDS["booking_expired_push"], arguments)


def _report(holds: int, figures: dict[str, float]) -> None:
    base = figures["sets, a batch a commit"]
    lines = [f"{holds} holds, {SAMPLE} of them by rows", f"{'way':<26}{'us a hold':>12}{'ratio':>8}"]
    lines += [f"{name:<26}{cost:>12.0f}{cost / base:>8.1f}" for name, cost in figures.items()]
    sys.stdout.write("\n".join(lines) + "\n")
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps({"holds": holds, "sample": SAMPLE, "us_a_hold": figures}, indent=1))


if __name__ == "__main__":
    main()
