"""What `.delay_in` costs a booking: two seats held, paid, confirmed, and told of in the same transaction.

Beside the same transaction without a message; time runs until commit and publishing are done. Once with a database
that waits for the disk at each commit, as in production, and once with one that does not. What no statement more
undercuts is one that does nothing: SELECT 1.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any

from sqlalchemy import event, select, text
from sqlalchemy.orm import Session

from app.bookings import confirm, seats
from app.core import migrations
from app.core.database import engine, session
from app.models import BookingStatus, PaymentStatus, Trip
from app.tasks.email_tasks import send_booking_confirmation_email
from bench.databases import using
from bench.measure import Figures, Row, at_most, compare, in_turn, percentile, rounds_of
from sandbox.servers.postgres import PostgresServer
from tests import data
from tests.house import House
from tests.rows import change

WITH, WITHOUT = "a booking with `.delay_in`", "without"
IN_MEMORY, IN_MEMORY_WITHOUT = f"{WITH}, no wait for the disk", f"{WITHOUT}, no wait for the disk"
NOTHING = "a booking with SELECT 1"
TIME, STATEMENTS = "ms", "statements"
ROUNDS = 11  # medians of five came out on both sides of the target, from 1.35 to 1.53
PER_TRIP = 20  #: bookings of two seats on a bus

#: What the transaction does besides: with its session and the booking's data.
More = Callable[[Session, dict[str, Any]], None]


def measure(house: House, smoke: bool) -> list[Row]:
    """Milliseconds and statements of a booking."""
    bookings = 40 if smoke else 1_000
    in_memory = house.environment["DATABASE_URL"]
    with PostgresServer(house.folder / "durable", durable=True) as server:
        on_disk = server.create_database("pafar")
        with using(on_disk):
            migrations.upgrade()
        ways = {
            WITH: partial(_run, on_disk, bookings, _tell),
            WITHOUT: partial(_run, on_disk, bookings, None),
            NOTHING: partial(_run, on_disk, bookings, _ask),
            IN_MEMORY: partial(_run, in_memory, bookings, _tell),
            IN_MEMORY_WITHOUT: partial(_run, in_memory, bookings, None),
        }
        runs = in_turn(ways, rounds_of(smoke, ROUNDS))
    more = [ours[STATEMENTS] - theirs[STATEMENTS] for ours, theirs in zip(runs[WITH], runs[WITHOUT], strict=True)]
    return [
        compare(runs, WITH, WITHOUT, TIME, target=at_most(1.5)),
        compare(runs, NOTHING, WITHOUT, TIME),
        compare(runs, IN_MEMORY, IN_MEMORY_WITHOUT, TIME),
        Row(what="`.delay_in`, statements more", unit=STATEMENTS, ours=more, target=at_most(1)),
    ]


def _run(url: str, bookings: int, more: More | None) -> Figures:
    with using(url):
        trips, user_id = _trips(bookings // PER_TRIP)
        took = []
        with _counted() as statements:
            for trip_id in trips:
                for number in range(PER_TRIP):
                    started = time.perf_counter()
                    _book(trip_id, user_id, [str(2 * number + 1), str(2 * number + 2)], more)
                    took.append((time.perf_counter() - started) * 1000)
    return {TIME: percentile(took, 50), STATEMENTS: len(statements) / len(took)}


def _trips(number: int) -> tuple[Sequence[int], int]:
    """So many trips of 40 free seats, and a passenger."""
    change("TRUNCATE users, terminals, buses, notifications, outbox RESTART IDENTITY CASCADE")
    _, user_id = data.make_trip()
    change(
        "INSERT INTO trips (route_id, bus_id, departure_time, price, currency, total_seats, available_seats)"
        " SELECT route_id, bus_id, departure_time, price, currency, 40, 40 FROM trips, generate_series(1, :n)",
        n=number,
    )
    with session() as s:
        return s.scalars(select(Trip.id).order_by(Trip.id)).all()[1:], user_id


def _book(trip_id: int, user_id: int, wanted: list[str], more: More | None) -> None:
    with session() as s:
        booking = seats.hold(s, trip_id=trip_id, user_id=user_id, seats=wanted)
        booking.status, booking.expires_at = BookingStatus.CONFIRMED, None
        confirm.record(s, booking, PaymentStatus.COMPLETED, method="card", transaction_id=f"TX-{booking.id}")
        if more:
            more(s, data.booking_data(booking_reference=booking.reference, seats=wanted, trip_id=trip_id))


def _tell(s: Session, booked: dict[str, Any]) -> None:
    send_booking_confirmation_email.delay_in(s, "ada@example.com", "Ada Obi", booked)


def _ask(s: Session, _booked: dict[str, Any]) -> None:
    s.execute(text("SELECT 1"))


@contextmanager
def _counted() -> Iterator[list[str]]:
    """The statements of the block, as they are sent."""
    statements: list[str] = []

    def note(_connection: object, _cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(engine(), "before_cursor_execute", note)
    try:
        yield statements
    finally:
        event.remove(engine(), "before_cursor_execute", note)
