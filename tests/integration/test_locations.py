"""Old positions go by the day while buses go on reporting theirs."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from psycopg.errors import QueryCanceled

from app.core.database import transaction
from app.core.errors import DatabaseUnavailable
from app.maintenance import connections, locations, partitions
from app.maintenance.partitions import TRIP_LOCATIONS
from app.tasks.cleanup_tasks import cleanup_old_trip_locations
from tests import past
from tests.house import House, wait_until
from tests.past import day_ago, noon, number, positions
from tests.rows import change

WEEK = timedelta(days=7)
SOON = 30.0


@pytest.fixture(autouse=True)
def _fresh(house: House) -> Iterator[None]:
    past.forget()
    yield
    past.forget()


def left() -> int:
    return number("SELECT count(*) FROM trip_locations")


def partition(days: int) -> str:
    return TRIP_LOCATIONS.partition(day_ago(days))


@contextmanager
def a_reader(house: House) -> Iterator[None]:
    """Somebody whose transaction has read the positions and stays open."""
    with psycopg.connect(house.environment["DATABASE_URL"]) as connection:
        connection.execute("SELECT count(*) FROM trip_locations")
        yield


def detaching_waits() -> int:
    return number(
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'ALTER TABLE%DETACH%' AND wait_event_type = 'Lock'"
    )


def test_days_that_are_past_go_whole_and_young_ones_stay() -> None:
    for days, count in ((20, 5), (9, 30), (8, 20), (6, 4), (0, 2)):
        positions(noon(days), count)
    assert locations.count_old(WEEK).count == 55
    assert locations.clean(WEEK).count == 55
    assert left() == 6
    assert [past.there_are(partition(days)) for days in (20, 9, 8, 6, 0)] == [False, False, False, True, True]
    assert locations.clean(WEEK).count == 0


def test_a_big_day_is_not_counted_but_estimated(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    positions(noon(8), 20)
    with psycopg.connect(house.environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("ANALYZE trip_locations")
        connection.execute("SELECT pg_stat_reset_single_table_counters(%s::regclass)", (partition(8),))
        connection.execute("DELETE FROM trip_locations WHERE id IN (SELECT id FROM trip_locations LIMIT 3)")
    monkeypatch.setattr(locations, "MANY", 20)
    assert locations.clean(WEEK).count == 20
    assert left() == 0
    positions(noon(8), 20)
    monkeypatch.setattr(locations, "MANY", 21)
    assert locations.clean(WEEK).count == 20


def test_of_the_day_that_is_half_past_only_old_positions_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "BATCH", 4)
    now = datetime.now(UTC)
    positions(now - WEEK - timedelta(seconds=10), 9)
    positions(now - WEEK + timedelta(hours=1), 3)
    assert locations.count_old(WEEK).count == 9
    assert locations.clean(WEEK).count == 9
    assert left() == 3


def test_a_busy_day_waits_until_it_is_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "HALF_DAY_MOST", 8)
    positions(noon(7).replace(hour=0), 9)
    assert locations.count_old(WEEK).count == 0
    assert locations.clean(WEEK).count == 0
    assert left() == 9


def test_a_partition_that_is_no_day_is_cleaned_row_by_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(locations, "BATCH", 4)
    monkeypatch.setattr(locations, "HALF_DAY_MOST", 8)
    change(
        "CREATE TABLE trip_locations_before PARTITION OF trip_locations"
        f" FOR VALUES FROM (MINVALUE) TO ('{day_ago(40)}')"
    )
    try:
        change(
            "INSERT INTO trip_locations (recorded_at, trip_id, latitude, longitude)"
            " SELECT clock_timestamp() - n * interval '1 month', 7, 6.5, 3.4 FROM generate_series(2, 11) AS n"
        )
        assert locations.count_old(WEEK).count == 10
        assert locations.clean(WEEK).count == 10
    finally:
        change("DROP TABLE trip_locations_before")


def test_buses_report_and_people_read_while_a_day_is_detached(house: House) -> None:
    positions(noon(9), 5)
    with ThreadPoolExecutor(1) as pool:
        with a_reader(house):
            cleaning = pool.submit(locations.clean, WEEK)
            wait_until(detaching_waits, SOON)
            positions(datetime.now(UTC), 3)  # an insert that had to wait would end by its lock timeout
            assert left() == 3  # and the day that goes is out of sight at once
            assert not cleaning.done()
        assert cleaning.result(SOON).count == 5


def test_a_run_does_not_wait_for_a_reader_for_ever(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    positions(noon(9), 5)
    with monkeypatch.context() as patched, a_reader(house):
        patched.setattr(connections, "LOCK_TIMEOUT", "200ms")
        with pytest.raises(DatabaseUnavailable):
            locations.clean(WEEK)
    assert locations.clean(WEEK).count == 5


def test_every_statement_has_its_limits() -> None:
    limits = {}
    for connected in (transaction, connections.long_transaction, connections.autocommit):
        with connected() as connection:
            limits[connected.__name__] = [
                connection.exec_driver_sql(f"SHOW {name}").scalar_one()
                for name in ("statement_timeout", "lock_timeout")
            ]
    assert limits == {
        "transaction": ["10s", "5s"],
        "long_transaction": ["1min", "5s"],
        "autocommit": ["1min", "30s"],
    }


def test_an_interrupted_detach_is_finished(house: House) -> None:
    positions(noon(9), 5)
    positions(noon(10), 2)
    with a_reader(house), psycopg.connect(house.environment["DATABASE_URL"], autocommit=True) as connection:
        connection.execute("SET statement_timeout = '200ms'")
        with pytest.raises(QueryCanceled):
            connection.execute(f"ALTER TABLE trip_locations DETACH PARTITION {partition(9)} CONCURRENTLY")
    assert number("SELECT count(*) FROM pg_inherits WHERE inhdetachpending") == 1
    change(f"DROP TABLE {partition(-7)}")
    with transaction() as connection:
        assert partitions.ensure_ahead(connection) == 1  # which goes on meanwhile
    assert locations.clean(WEEK).count == 7
    assert not past.there_are(partition(9))


def test_a_day_that_a_killed_run_detached_is_counted_and_dropped() -> None:
    positions(noon(9), 5)
    change(f"ALTER TABLE trip_locations DETACH PARTITION {partition(9)}")
    assert locations.clean(WEEK).count == 5
    assert not past.there_are(partition(9))


def test_a_second_cleaner_leaves_it_to_the_first(house: House) -> None:
    positions(noon(9), 5)
    with ThreadPoolExecutor(1) as pool:
        with a_reader(house):
            first = pool.submit(cleanup_old_trip_locations)
            wait_until(detaching_waits, SOON)
            second = cleanup_old_trip_locations()
            assert (second["skipped"], second["cleaned_count"]) == ("running", 0)
        assert first.result(SOON)["cleaned_count"] == 5
    assert cleanup_old_trip_locations()["cleaned_count"] == 0


def test_a_run_out_of_time_leaves_the_rest_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    positions(noon(9), 5)
    with monkeypatch.context() as patched:
        patched.setattr(locations, "BUDGET", 0.0)
        assert (locations.clean(WEEK).count, left()) == (0, 5)
    assert locations.clean(WEEK).count == 5
