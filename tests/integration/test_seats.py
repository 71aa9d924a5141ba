"""A seat is sold once, and the trip's count of free seats stays right."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import pytest
from sqlalchemy import text

from app.bookings import seats
from app.bookings.confirm import pay
from app.bookings.seats import InvalidBooking, SeatsTaken, hold
from app.core.config import get_settings
from app.core.database import session, transaction
from app.models import Booking
from tests import data
from tests.house import House
from tests.rows import change

pytestmark = pytest.mark.usefixtures("house")


def free_seats(trip: int) -> int:
    with transaction() as connection:
        query = text("SELECT available_seats FROM trips WHERE id = :id")
        return int(connection.execute(query, {"id": trip}).scalar_one())


def live_seats() -> list[str]:
    with transaction() as connection:
        return list(connection.scalars(text("SELECT seat_no FROM booking_seats WHERE live ORDER BY seat_no")))


def test_of_many_who_want_one_seat_exactly_one_gets_it(house: House) -> None:
    trip, user = data.make_trip()
    start = Barrier(8)

    def try_to_book(_: int) -> bool:
        start.wait()
        try:
            with session() as s:
                pay(s, hold(s, trip_id=trip, user_id=user, seats=["7"]), method="card")
        except SeatsTaken as taken:
            return taken.seats != ["7"]
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(try_to_book, range(8)))
    assert won.count(True) == 1
    assert live_seats() == ["7"]
    assert free_seats(trip) == 39


def test_overlapping_groups_neither_deadlock_nor_share_a_seat(house: House) -> None:
    trip, user = data.make_trip()
    groups = [[str(n), str(n % 40 + 1), str((n + 1) % 40 + 1)] for n in range(1, 41)]

    def try_to_book(group: list[str]) -> int:
        try:
            with session() as s:
                hold(s, trip_id=trip, user_id=user, seats=group)
        except SeatsTaken:
            return 0
        return len(group)

    with ThreadPoolExecutor(8) as pool:
        sold = sum(pool.map(try_to_book, groups))
    live = live_seats()
    assert len(live) == len(set(live)) == sold
    assert free_seats(trip) == 40 - sold


def test_a_hold_lasts_as_long_as_the_setting_says(monkeypatch: pytest.MonkeyPatch) -> None:
    trip, user = data.make_trip()
    with monkeypatch.context() as patched:
        patched.setenv("RESERVATION_HOLD_MINUTES", "25")
        get_settings.cache_clear()
        with session() as s:
            hold(s, trip_id=trip, user_id=user, seats=["3"])
    get_settings.cache_clear()
    with session() as s:
        hold(s, trip_id=trip, user_id=user, seats=["4"])
        lives = (
            "SELECT round(extract(epoch FROM expires_at - clock_timestamp()) / 60)::int FROM bookings ORDER BY id"
        )
        assert list(s.scalars(text(lives))) == [25, 10]


def test_a_freed_seat_can_be_sold_again() -> None:
    trip, user = data.make_trip()
    with session() as s:
        hold(s, trip_id=trip, user_id=user, seats=["3"])
    change("UPDATE booking_seats SET live = false")
    with session() as s:
        hold(s, trip_id=trip, user_id=user, seats=["3"])
    assert live_seats() == ["3"]


def test_a_reference_that_is_taken_is_drawn_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(seats, "ALPHABET", "AB")
    monkeypatch.setattr(seats, "REFERENCE_LENGTH", 2)
    trip, user = data.make_trip()
    with session() as s:
        held = {hold(s, trip_id=trip, user_id=user, seats=[str(seat)]).reference for seat in range(1, 5)}
    assert held == {"PFAA", "PFAB", "PFBA", "PFBB"}


def test_a_trip_that_has_left_sells_no_seat() -> None:
    trip, user = data.make_trip()
    change("UPDATE trips SET departure_time = clock_timestamp() - interval '1 minute'")
    with pytest.raises(InvalidBooking, match="trip_id: this trip has left"), session() as s:
        hold(s, trip_id=trip, user_id=user, seats=["7"])
    assert (free_seats(trip), live_seats()) == (40, [])


def test_a_hold_that_has_ended_can_not_be_paid() -> None:
    trip, user = data.make_trip()
    with session() as s:
        booking = hold(s, trip_id=trip, user_id=user, seats=["3"])
    change("UPDATE bookings SET expires_at = clock_timestamp() - interval '1 second'")
    with pytest.raises(InvalidBooking, match="hold"), session() as s:
        pay(s, s.get_one(Booking, booking.id), method="card")


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        ([], "at least one"),
        (["1", "1"], "once"),
        (["41"], "1 to 40"),
        (["0"], "1 to 40"),
        (["A"], "1 to 40"),
        (["07"], "1 to 40"),
        (["\u0667"], "1 to 40"),
    ],
)
def test_seats_that_make_no_sense_are_refused(wanted: list[str], says: str) -> None:
    trip, user = data.make_trip()
    with pytest.raises(InvalidBooking, match=says), session() as s:
        hold(s, trip_id=trip, user_id=user, seats=wanted)
    assert free_seats(trip) == 40
