"""The cleanup tasks, run as beat runs them: each by its name, on real servers."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text
from sqlalchemy.exc import ProgrammingError

from app.bookings.seats import hold
from app.core.config import get_settings
from app.core.database import session, transaction
from app.maintenance.files import remove_old
from app.tasks import cleanup_tasks
from tests import data, past
from tests.house import House, wait_until
from tests.past import messages, noon, number, positions
from tests.rows import change
from tests.tasks import SOON


@pytest.fixture(autouse=True)
def _fresh(house: House) -> Iterator[None]:
    past.forget()
    yield
    past.forget()


def runs(task: str) -> list[tuple[int | None, str | None]]:
    """(cleaned, error) of a task's finished runs, oldest first."""
    query = "SELECT cleaned, error FROM cleanup_runs WHERE task = :task AND finished_at IS NOT NULL ORDER BY id"
    with transaction() as connection:
        return [tuple(row) for row in connection.execute(text(query), {"task": task})]


def days_ago(iso: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(iso)) / timedelta(days=1)


@pytest.mark.usefixtures("worker")
def test_expired_reservations(house: House) -> None:
    trip, user = data.make_trip()
    with session() as s:
        ended = hold(s, trip_id=trip, user_id=user, seats=["3", "4"])
        hold(s, trip_id=trip, user_id=user, seats=["5"])
    change("UPDATE bookings SET expires_at = clock_timestamp() WHERE id = :id", id=ended.id)
    result = cleanup_tasks.cleanup_expired_reservations.delay().get(timeout=SOON)
    assert (result["success"], result["message"], result["cleaned_count"], result["booking_references"]) == (
        True,
        "1 expired holds released",
        1,
        [ended.reference],
    )
    assert round(days_ago(result["timestamp"]), 1) == 0
    assert number("SELECT available_seats FROM trips") == 39
    assert runs("cleanup_expired_reservations") == [(1, None)]
    told = wait_until(lambda: house.ledger.entries("push"), SOON)
    assert ended.reference in str(told)


def test_a_reservations_second_run_does_nothing() -> None:
    trip, user = data.make_trip()
    with session() as s:
        hold(s, trip_id=trip, user_id=user, seats=["3"])
    change("UPDATE bookings SET expires_at = clock_timestamp()")
    assert cleanup_tasks.cleanup_expired_reservations()["cleaned_count"] == 1
    assert cleanup_tasks.cleanup_expired_reservations()["booking_references"] == []
    assert number("SELECT count(*) FROM notifications") == 1


@pytest.mark.usefixtures("worker")
def test_inactive_user_sessions(house: House) -> None:
    sessions = house.valkey_client(0)
    sessions.flushdb()
    for name, days in (("idle", 31), ("active", 29)):
        moment = datetime.now(UTC) - timedelta(days=days)
        sessions.set(f"session:{name}", json.dumps({"last_activity": moment.isoformat()}))
    sessions.set("session:broken", "{}")
    result = cleanup_tasks.cleanup_inactive_user_sessions.delay().get(timeout=SOON)
    assert (result["success"], result["message"]) == (True, "1 idle sessions deleted")
    assert (result["cleaned_count"], result["total_sessions_checked"]) == (1, 3)
    assert (result["broken"], result["complete"]) == ({"no last_activity": 1}, True)
    assert (round(days_ago(result["cutoff_date"]), 1), round(days_ago(result["timestamp"]), 1)) == (30, 0)
    assert sorted(sessions.keys("session:*")) == [b"session:active", b"session:broken"]
    assert runs("cleanup_inactive_user_sessions") == [(1, None)]


def test_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, hours in (("old.pdf", 25), ("new.pdf", 23)):
        (tmp_path / name).write_bytes(b"generated")
        moment = (datetime.now(UTC) - timedelta(hours=hours)).timestamp()
        os.utime(tmp_path / name, (moment, moment))
    monkeypatch.setenv("TEMP_DIR", str(tmp_path))
    get_settings.cache_clear()
    result = cleanup_tasks.cleanup_temporary_files()
    assert (result["success"], result["message"]) == (True, "1 temporary files removed")
    assert (result["cleaned_count"], [path.name for path in tmp_path.iterdir()]) == (1, ["new.pdf"])
    assert (round(days_ago(result["cutoff_time"]), 1), round(days_ago(result["timestamp"]), 1)) == (1, 0)
    monkeypatch.setenv("TEMP_DIR", str(tmp_path / "missing"))
    get_settings.cache_clear()
    assert cleanup_tasks.cleanup_temporary_files()["cleaned_count"] == 0
    assert runs("cleanup_temporary_files") == [(1, None), (0, None)]
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.mark.usefixtures("worker")
def test_old_trip_locations() -> None:
    positions(noon(9), 30)
    positions(noon(1), 2)
    result = cleanup_tasks.cleanup_old_trip_locations.delay().get(timeout=SOON)
    assert (result["success"], result["message"], result["cleaned_count"]) == (
        True,
        "30 old positions deleted",
        30,
    )
    assert (round(days_ago(result["cutoff_date"]), 1), round(days_ago(result["timestamp"]), 1)) == (7, 0)
    assert number("SELECT count(*) FROM trip_locations") == 2
    assert runs("cleanup_old_trip_locations") == [(30, None)]


@pytest.mark.usefixtures("worker")
def test_old_notifications() -> None:
    messages(noon(40), 30)
    messages(noon(1), 2)
    result = cleanup_tasks.cleanup_old_notifications.delay().get(timeout=SOON)
    assert (result["success"], result["message"], result["cleaned_count"]) == (True, "30 old messages deleted", 30)
    assert (round(days_ago(result["cutoff_date"]), 1), round(days_ago(result["timestamp"]), 1)) == (30, 0)
    assert number("SELECT count(*) FROM notifications") == 2
    assert number("SELECT sum(count) FROM notification_summaries") == 30
    assert runs("cleanup_old_notifications") == [(30, None)]


@pytest.mark.usefixtures("worker")
def test_cleanup_report() -> None:
    positions(noon(20))
    result = cleanup_tasks.generate_cleanup_report.delay().get(timeout=SOON)
    assert result["success"] is True
    assert set(result["report"]) == {"database_stats", "recommendations"}
    assert "trip_locations holds 1 day past its retention: check beat." in result["report"]["recommendations"]
    assert runs("generate_cleanup_report") == [(None, None)]


def test_nothing_to_do_is_a_success_with_nought() -> None:
    for task in (cleanup_tasks.cleanup_old_trip_locations, cleanup_tasks.cleanup_old_notifications):
        result: dict[str, Any] = task()
        assert (result["success"], result["cleaned_count"]) == (True, 0)


def test_a_run_that_fails_raises_and_is_recorded() -> None:
    messages(noon(40), 1)
    change("ALTER TABLE notification_summaries RENAME TO elsewhere")
    try:
        with pytest.raises(ProgrammingError):
            cleanup_tasks.cleanup_old_notifications()
    finally:
        change("ALTER TABLE elsewhere RENAME TO notification_summaries")
    [(cleaned, error)] = runs("cleanup_old_notifications")
    assert cleaned is None
    assert (error or "").startswith("ProgrammingError: (psycopg.errors.UndefinedTable)")
    assert cleanup_tasks.cleanup_old_notifications()["cleaned_count"] == 1  # and its lock is free again


def test_a_run_says_when_it_was_due_and_when_the_next_is() -> None:
    positions(noon(9), 30)
    positions(noon(10), 2)
    hour = timedelta(hours=1)
    for _ in range(3):
        cleanup_tasks.cleanup_old_trip_locations()
        change(
            "UPDATE cleanup_runs SET started_at = started_at - interval '90 minutes',"
            " due_at = due_at - interval '90 minutes', next_due_at = next_due_at - interval '90 minutes'"
        )
    with transaction() as connection:
        query = "SELECT due_at, started_at, next_due_at, batches FROM cleanup_runs ORDER BY id"
        first, second, third = connection.execute(text(query)).all()
    assert (first.due_at, first.next_due_at) == (first.started_at, first.started_at + hour)
    assert (second.due_at, third.due_at) == (first.next_due_at, second.next_due_at)
    assert timedelta(minutes=29) < second.started_at - second.due_at
    assert (first.batches >= 2, second.batches, third.batches) == (True, 2, 2)


def test_a_run_of_files_ends_with_its_time(tmp_path: Path) -> None:
    (tmp_path / "old.pdf").write_bytes(b"generated")
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    assert remove_old(tmp_path, cutoff=tomorrow, seconds=0) == 0
    assert remove_old(tmp_path, cutoff=tomorrow) == 1


def test_a_run_by_hand_was_due_when_it_began() -> None:
    cleanup_tasks.cleanup_temporary_files()
    assert number("SELECT count(*) FROM cleanup_runs WHERE next_due_at::time = '01:40'") == 1
    change("UPDATE cleanup_runs SET next_due_at = next_due_at + interval '1 day'")
    cleanup_tasks.cleanup_temporary_files()
    assert number("SELECT count(*) FROM cleanup_runs WHERE due_at = started_at") == 2


def test_how_long_things_are_kept_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    positions(noon(3), 4)
    messages(noon(3), 5)
    with monkeypatch.context() as patched:
        patched.setenv("LOCATION_RETENTION_DAYS", "1")
        patched.setenv("NOTIFICATION_RETENTION_DAYS", "2")
        get_settings.cache_clear()
        assert cleanup_tasks.cleanup_old_trip_locations()["cleaned_count"] == 4
        assert cleanup_tasks.cleanup_old_notifications()["cleaned_count"] == 5
    get_settings.cache_clear()
