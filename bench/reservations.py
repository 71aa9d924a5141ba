"""Releasing expired holds in one run, beside the row-by-row way through the ORM.

Both release the same holds (two seats each, 40 holds on a trip, a passenger with a phone), give the seats back and
write the push that tells of it; neither publishes. By rows only a sample is released, with one commit for all and
with one for each. A run shares what is due between two threads; by rows one releases all. Where no passenger has a
phone, the statements are all there is to do.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Callable
from functools import partial

from sqlalchemy import Select, func, select, text
from sqlalchemy.orm import Session

from app.core.database import engine, session
from app.maintenance import reservations
from app.messages.kinds import KINDS
from app.models import Booking, BookingStatus, DeviceToken
from app.notifications import submit
from bench.measure import Figures, Row, at_least, compare, in_turn, rounds_of
from tests import data
from tests.holds import make_backlog
from tests.house import House

SETS, ROWS, COMMITS = "sets, a batch a commit", "rows, one commit", "rows, a commit each"
UNTOLD = "sets, nobody to tell"
RATE = "holds/s"


def measure(house: House, smoke: bool) -> list[Row]:
    """Holds released a second."""
    holds, sample = (400, 40) if smoke else (100_000, 1_000)
    ways = {
        SETS: partial(_run, house, holds, _by_sets),
        UNTOLD: partial(_run, house, holds, _by_sets, phones=False),
        ROWS: partial(_run, house, sample, _by_rows),
        COMMITS: partial(_run, house, sample, _by_rows_and_commits),
    }
    runs = in_turn(ways, rounds_of(smoke))
    rows = [compare(runs, SETS, way, RATE, target=at_least(30)) for way in (COMMITS, ROWS)]
    return [*rows, compare(runs, SETS, UNTOLD, RATE)]


def _run(house: House, holds: int, release: Callable[[], int], *, phones: bool = True) -> Figures:
    house.clean()
    data.make_trip()
    with engine().connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text("SET statement_timeout = 0"))
        make_backlog(connection, holds)
        if not phones:
            connection.execute(text("DELETE FROM device_tokens"))
        connection.execute(text("VACUUM ANALYZE"))
        connection.invalidate()  # the pool's next user has the product's timeout
    gc.collect()
    gc.freeze()  # as in a worker
    started = time.perf_counter()
    released = release()
    seconds = time.perf_counter() - started
    if released != holds:
        raise RuntimeError(f"{released} of {holds} holds were released")
    return {RATE: holds / seconds}


def _by_sets() -> int:
    return len(reservations.release_all(seconds=3600))


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
