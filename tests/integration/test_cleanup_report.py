"""The cleanup report: true figures, advice with a name and a figure, and none when all is well."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core.config import get_settings
from app.core.database import session, transaction
from app.core.redis import client
from app.maintenance import report, runs
from app.maintenance.advice import recommendations
from app.maintenance.partitions import NOTIFICATIONS, TRIP_LOCATIONS
from app.models import Booking
from sandbox.ports import free_port
from tests import data, past
from tests.house import House
from tests.past import day_ago, messages, noon, positions
from tests.rows import change

TASKS = {
    "cleanup_expired_reservations",
    "cleanup_old_trip_locations",
    "cleanup_old_notifications",
    "cleanup_inactive_user_sessions",
    "cleanup_temporary_files",
    "generate_cleanup_report",
    "prepare_partitions",
}


@pytest.fixture(autouse=True)
def _well(house: House) -> Iterator[None]:
    """A clean database whose every task has just run."""
    past.forget()
    for task in TASKS:
        ran(task)
    yield
    past.forget()


def ran(task: str, *, ago: timedelta = timedelta(0), error: str | None = None, finished: bool = True) -> None:
    """A run that began that long ago."""
    at = datetime.now(UTC) - ago
    change(
        "INSERT INTO cleanup_runs (task, due_at, started_at, finished_at, cleaned, error, next_due_at)"
        " VALUES (:task, :at, :at, :end, 0, :error, :next)",
        task=task,
        at=at,
        end=at if finished else None,
        error=error,
        next=at + timedelta(days=1),
    )


def advice() -> list[str]:
    found: list[str] = report.generate()["recommendations"]
    return found


def hold(*, expired: timedelta) -> None:
    trip, user = data.make_trip()
    with session() as s:
        s.add(
            Booking(
                reference="PF7K2QXM",
                user_id=user,
                trip_id=trip,
                status="pending",
                total_amount=1,
                currency="NGN",
                expires_at=datetime.now(UTC) - expired,
            )
        )


def test_all_is_well() -> None:
    positions(datetime.now(UTC), 3)
    found = report.generate()
    assert found["recommendations"] == []
    stats = json.loads(json.dumps(found))["database_stats"]
    assert set(stats["runs"]) == TASKS
    assert stats["partitions"]["trip_locations"]["days_ahead"] >= 7
    assert stats["redis"]["used_bytes"] > 0
    assert stats["clients"]["connections"] > 0
    sizes = {table["name"]: table["bytes"] for table in stats["tables"]}
    assert sizes["trip_locations"] > 0  # its partitions are its own, not tables beside it
    assert not any("_p20" in name for name in sizes)


def test_days_past_their_retention_are_named() -> None:
    positions(noon(20))
    positions(noon(12))
    assert advice() == ["trip_locations holds 2 days past its retention: check beat."]


def test_days_left_half_dropped_and_few_days_ahead_are_named() -> None:
    positions(noon(12))
    change(f"ALTER TABLE trip_locations DETACH PARTITION {TRIP_LOCATIONS.partition(day_ago(12))}")
    for days in range(2, 8):
        change(f"DROP TABLE {NOTIFICATIONS.partition(day_ago(-days))}")
    assert advice() == [
        "notifications has partitions for 1 day ahead: check prepare_partitions.",
        "trip_locations has 1 day detached and not dropped: check beat.",
    ]


def test_holds_that_outlive_their_time_are_named() -> None:
    hold(expired=timedelta(hours=3))
    assert advice() == [
        "1 hold past the time limit, the longest for 3 h: check that cleanup_expired_reservations runs."
    ]


def test_old_unfinished_messages_are_named() -> None:
    messages(noon(40), 2, status="queued", waiting=True)
    [kept, days] = advice()
    assert kept.startswith("2 messages past retention and unfinished")
    assert days.startswith("notifications holds 1 day past its retention")


def test_messages_nobody_takes_up_are_named() -> None:
    messages(datetime.now(UTC), 2, status="queued", waiting=True)
    change("UPDATE outbox SET due_at = clock_timestamp() - interval '2 hours'")
    assert advice() == ["2 messages to do, the longest due for 2 h: check the workers."]


def test_runs_that_failed_or_never_came_are_named() -> None:
    change("DELETE FROM cleanup_runs")
    assert advice() == ["No cleanup has run yet: start beat and a worker of the cleanup queue."]
    ran("cleanup_expired_reservations", ago=timedelta(days=5))
    ran("cleanup_old_notifications", error="SummaryMismatch: 5 messages were to go")
    ran("cleanup_old_trip_locations", ago=timedelta(minutes=50), finished=False)
    ran("generate_cleanup_report")
    assert {re.sub(r"\d+ (days|h|min|s)\b", "…", sentence) for sentence in advice()} == {
        "cleanup_expired_reservations last ran … ago and has been due for …: check beat.",
        "cleanup_old_notifications failed … ago: SummaryMismatch: 5 messages were to go.",
        "cleanup_old_trip_locations began … ago and did not end: its worker was killed, see its log.",
        "prepare_partitions has never run and has been due for …: check beat.",
        "cleanup_inactive_user_sessions has never run and has been due for …: check beat.",
        "cleanup_temporary_files has never run and has been due for …: check beat.",
    }


def test_who_is_overdue_is_told_by_the_time_that_is_passed_in() -> None:
    now = datetime.now(UTC)

    def late(hours: float) -> dict[str, runs.Overdue]:
        with transaction() as connection:
            return {found.task: found for found in runs.overdue(connection, now + timedelta(hours=hours))}

    ran("cleanup_expired_reservations", ago=timedelta(hours=30))  # older than the one that just was
    assert late(0) == {}
    change("DELETE FROM cleanup_runs WHERE task = 'cleanup_expired_reservations'")
    ran("cleanup_expired_reservations", ago=timedelta(hours=30))
    assert set(late(0)) == {"cleanup_expired_reservations"}
    assert set(late(25)) == TASKS
    change("DELETE FROM cleanup_runs WHERE task = 'prepare_partitions'")
    found = late(0)["prepare_partitions"]  # hourly, and others have run for 30 hours
    assert (found.ever_ran, found.due_at and round((now - found.due_at) / timedelta(hours=1))) == (False, 29)
    change("DELETE FROM cleanup_runs")
    assert {(found.due_at, found.ever_ran) for found in late(0).values()} == {(None, False)}


def test_a_redis_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("REDIS_URL", f"redis://127.0.0.1:{free_port()}/0")
        for cache in (get_settings, client):
            cache.cache_clear()
        assert advice() == ["Redis did not answer (ConnectionError): check REDIS_URL."]
    for cache in (get_settings, client):
        cache.cache_clear()


TABLE = {"name": "trips", "live_rows": 1000, "dead_rows": 0, "bytes": 1e9, "index_bytes": 0, "wasted_bytes": 0}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        (
            {"tables": [TABLE | {"dead_rows": 20_000}]},
            "trips has 20000 dead rows beside 1000 live ones: VACUUM trips.",
        ),
        (
            {"tables": [TABLE | {"wasted_bytes": 4e8}]},
            "trips has about 400 MB of 1.0 GB unused: repack it in a quiet hour.",
        ),
        (
            {"unused_indexes": [{"name": "ix_trips_price", "bytes": 2e7}]},
            "ix_trips_price takes 20 MB and nobody has read it: consider dropping it.",
        ),
        (
            {"clients": {"connections": 80, "connections_usable": 97, "longest_transaction_seconds": 0}},
            "80 of 97 database connections are in use: raise max_connections or run fewer processes.",
        ),
        (
            {"clients": {"connections": 8, "connections_usable": 97, "longest_transaction_seconds": 4000}},
            "A transaction has been open for 1 h and keeps dead rows from being reclaimed: find it in"
            " pg_stat_activity.",
        ),
        (
            {"redis": {"used_bytes": 9.5e8, "max_bytes": 1e9, "keys": 5, "sessions": 3}},
            "Redis uses 950 MB of 1.0 GB: raise maxmemory.",
        ),
    ],
)
def test_figures_of_a_big_house(changed: dict[str, Any], says: str) -> None:
    stats = report.generate()["database_stats"]
    assert recommendations(stats | changed) == [says]


def test_waste_and_dead_rows_are_seen() -> None:
    positions(datetime.now(UTC), 20_000)
    change("DELETE FROM trip_locations WHERE id % 4 <> 0")
    change("ANALYZE trip_locations")  # counts the dead ones too
    table = next(t for t in report.generate()["database_stats"]["tables"] if t["name"] == "trip_locations")
    assert 4_000 < table["live_rows"] < 6_000
    assert table["wasted_bytes"] > 0.6 * 20_000 * 60


def test_statuses_are_estimated_over_all_days() -> None:
    messages(noon(3), 50, status="skipped")
    change("ANALYZE notifications")
    change("TRUNCATE notifications, outbox")  # whose statistics stay behind
    messages(noon(1), 300)
    messages(noon(2), 100, status="failed")
    change("ANALYZE notifications")
    assert report.generate()["database_stats"]["notifications"] == {"sent": 300, "failed": 100}


@pytest.mark.parametrize(("keys", "about"), [(40, 30), (20_000, 15_000)])
def test_sessions_are_counted_by_a_sample(keys: int, about: int) -> None:
    client().flushdb()
    client().mset({f"session:{n}" if n % 4 else f"other:{n}": "{}" for n in range(keys)})
    found = report.generate()["database_stats"]["redis"]["sessions"]
    client().flushdb()
    assert abs(found - about) <= (0 if keys < 5_000 else 0.1 * about)
