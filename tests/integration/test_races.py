"""Bookings, payments, late payments and releases at random, at once, on the same few seats.

Some thousand races by default; `make races` has 100,000 and takes its time.
"""

from __future__ import annotations

import os
import random
import sys
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest
from sqlalchemy import text

from app.bookings.confirm import pay
from app.bookings.payments import settle
from app.bookings.seats import InvalidBooking, SeatsTaken, hold
from app.core.database import session, transaction
from app.maintenance import reservations
from app.models import Booking
from tests import data

RACES = int(os.environ.get("RACES", "3000"))
#: So many races for each trip: enough to sell it out, and go on.
RACES_A_TRIP, SEATS, THREADS = 25, 8, 8

#: What must never be found, and how it would be.
WRONGS = {
    "a paid booking without its seats": """
        SELECT 1 FROM bookings b WHERE status = 'confirmed'
        AND NOT (SELECT bool_and(live) FROM booking_seats WHERE booking_id = b.id)""",
    "an expired booking that keeps a seat": """
        SELECT 1 FROM bookings b JOIN booking_seats s ON s.booking_id = b.id WHERE status = 'expired' AND live""",
    "a seat sold twice": "SELECT 1 FROM booking_seats WHERE live GROUP BY trip_id, seat_no HAVING count(*) > 1",
    "a wrong count of free seats": """
        SELECT 1 FROM trips t WHERE available_seats
        <> total_seats - (SELECT count(*) FROM booking_seats WHERE trip_id = t.id AND live)""",
    "a booking paid, and not confirmed by exactly one payment": """
        SELECT 1 FROM bookings b WHERE (status = 'confirmed')::int
        <> (SELECT count(*) FROM payments WHERE booking_id = b.id AND status = 'completed')""",
    "a hold told to have ended other than once for its release": """
        SELECT 1 FROM notifications WHERE kind = 'booking_expired_push'
        GROUP BY booking_reference HAVING count(*) > 1""",
}


class Races:
    """Many threads' random work, one trip after another, and what they were told."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        first, self.user = data.make_trip(seats=SEATS)
        with transaction() as connection:
            self.trips = [first, *connection.scalars(text(_MORE_TRIPS), {"number": RACES // RACES_A_TRIP})]
        # Appended to by all threads.
        self.held: dict[int, list[tuple[int, str]]] = {trip: [] for trip in self.trips}
        self.paid: list[int] = []
        self.released: list[str] = []

    def run(self, number: int) -> Counter[str]:
        """One thread's part; returns how often each thing happened."""
        chance, happened, steps = random.Random(self.seed + number), Counter[str](), RACES // THREADS
        for step in range(steps):
            trip = self.trips[step * len(self.trips) // steps]
            [act] = chance.choices([self.book, self.pay, self.settle, self.release], [4, 3, 4, 1])
            happened[act(chance, trip)] += 1
        return happened

    def book(self, chance: random.Random, trip: int) -> str:
        seats = [str(seat) for seat in chance.sample(range(1, SEATS + 1), chance.choice([1, 1, 2, 3]))]
        try:
            with session() as s:
                booking = hold(s, trip_id=trip, user_id=self.user, seats=seats)
                # Not ten minutes but some milliseconds, so that its end falls among its payments.
                end = "UPDATE bookings SET expires_at = clock_timestamp() + :life WHERE id = :id"
                s.execute(text(end), {"life": timedelta(milliseconds=chance.uniform(0, 60)), "id": booking.id})
        except SeatsTaken:
            return "seats taken"
        self.held[trip].append((booking.id, booking.reference))
        return "held"

    def pay(self, chance: random.Random, trip: int) -> str:
        booking_id, _ = self.one_of_late(chance, trip)
        try:
            with session() as s:
                pay(s, s.get_one(Booking, booking_id), method="card")
        except InvalidBooking:
            return "payment refused"
        self.paid.append(booking_id)
        return "paid"

    def settle(self, chance: random.Random, trip: int) -> str:
        booking_id, reference = self.one_of_late(chance, trip)
        authorized = datetime.now(UTC) - timedelta(milliseconds=chance.uniform(0, 100))
        number = f"GW-{uuid4().hex}"
        with session() as s:
            settled = settle(
                s, reference=reference, transaction_id=number, method="card", authorized_at=authorized
            )
        if settled.payment.status == "completed":
            self.paid.append(booking_id)
        return f"payment {settled.payment.status}"

    def release(self, chance: random.Random, _: int) -> str:
        with transaction() as connection:
            released = reservations.release_expired(connection, batch=chance.choice([1, 2, 50]))
        self.released += released
        return "released" if released else "nothing to release"

    def one_of_late(self, chance: random.Random, trip: int) -> tuple[int, str]:
        while not self.held[trip]:
            self.book(chance, trip)
        return chance.choice(self.held[trip][-6:])


_MORE_TRIPS = """
    INSERT INTO trips (route_id, bus_id, departure_time, price, currency, total_seats, available_seats)
    SELECT route_id, bus_id, departure_time, price, currency, total_seats, available_seats
    FROM trips, generate_series(1, :number) RETURNING id
"""


@pytest.mark.usefixtures("house")
def test_no_seat_is_sold_twice_and_no_payment_is_lost_whatever_meets() -> None:
    seed = random.randrange(10**6)
    races = Races(seed)
    with ThreadPoolExecutor(THREADS) as pool:
        happened = sum(pool.map(races.run, range(THREADS)), Counter[str]())
    races.released += reservations.release_all()
    with transaction() as connection:
        found = {wrong: len(connection.execute(text(query)).all()) for wrong, query in WRONGS.items()}
        confirmed = set(connection.scalars(text("SELECT id FROM bookings WHERE status = 'confirmed'")))
        told = set(
            connection.scalars(
                text("SELECT booking_reference FROM notifications WHERE kind = :kind"),
                {"kind": "booking_expired_push"},
            )
        )
        money = connection.scalar(text("SELECT count(*) FROM payments"))
        back = connection.scalar(
            text("SELECT count(*) FROM bookings WHERE status = 'confirmed' AND reference = ANY(:released)"),
            {"released": races.released},
        )
    context = f"seed {seed}, {dict(happened)}, {back} released and bought back"
    assert not any(found.values()), f"{found}; {context}"
    assert (set(races.paid), len(races.paid)) == (confirmed, len(confirmed)), context
    assert (set(races.released), len(races.released)) == (told, len(told)), context
    assert money == len(races.paid) + happened["payment needs_refund"], context
    # All of it happened, or the races prove little.
    outcomes = {"held", "seats taken", "paid", "payment refused", "payment completed", "payment needs_refund"}
    assert {"released", *outcomes} <= set(happened), context
    assert back, context
    print(context, file=sys.stderr)  # for `make races`; the log of every race goes to stdout
