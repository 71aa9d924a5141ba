"""When a recurring task is due is a setting; beat, the record of runs, the report and the page follow it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from app.core.config import get_settings
from app.core.database import transaction
from app.core.errors import SettingsError
from app.core.schedule import next_due, schedule
from app.dashboard.schedule import entries
from app.maintenance import report, runs
from app.tasks import cleanup_tasks
from tests.house import House, wait_until
from tests.rows import change

TASK = "cleanup_temporary_files"


@pytest.fixture(autouse=True)
def _fresh(house: House) -> Iterator[None]:
    yield
    get_settings.cache_clear()


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """Whose variables are read anew after `get_settings.cache_clear()`."""
    with monkeypatch.context() as patched:
        yield patched


def in_words() -> dict[str, str]:
    with transaction() as connection:
        return {entry.task.rpartition(".")[2]: entry.every for entry in entries(connection)}


def late(moment: datetime) -> set[str]:
    with transaction() as connection:
        return {found.task for found in runs.overdue(connection, moment)}


def test_the_contract_s_times_are_the_defaults() -> None:
    assert in_words() == {
        "prepare_partitions": "every 1\xa0h",
        "cleanup_expired_reservations": "every 5\xa0min",
        "cleanup_old_trip_locations": "every 1\xa0h",
        "cleanup_old_notifications": "daily at 00:20 UTC",
        "cleanup_inactive_user_sessions": "daily at 01:10 UTC",
        "cleanup_temporary_files": "daily at 01:40 UTC",
        "generate_cleanup_report": "daily at 02:10 UTC",
    }


def test_beat_starts_a_task_when_the_environment_says(house: House) -> None:
    broker = house.valkey_client(1)
    with house.beat(TEMP_FILE_CLEANUP_SCHEDULE="10"):
        assert TASK in str(wait_until(lambda: broker.lrange("cleanup", 0, -1), 60))


def test_what_is_due_follows_the_settings_even_after_a_run(environment: pytest.MonkeyPatch) -> None:
    cleanup_tasks.cleanup_temporary_files()
    begun = datetime.now(UTC)
    assert TASK not in late(begun + timedelta(minutes=20))
    environment.setenv("TEMP_FILE_CLEANUP_SCHEDULE", "300")
    get_settings.cache_clear()
    assert TASK in late(begun + timedelta(minutes=20))
    with transaction() as connection:
        last = runs.last(connection, [TASK])[TASK]
        [entry] = [entry for entry in entries(connection) if entry.task.endswith(TASK)]
    due = last.started_at + timedelta(minutes=5)
    assert (last.next_due_at, entry.next_at, entry.every) == (due, due, "every 5\xa0min")
    assert report.generate()["database_stats"]["runs"][TASK]["next_due_at"] == due.isoformat()


def test_a_daily_task_is_due_by_the_clock(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("RESERVATION_CLEANUP_SCHEDULE", "23:05")
    get_settings.cache_clear()
    when = schedule()["app.tasks.cleanup_tasks.cleanup_expired_reservations"]
    before, at = datetime(2026, 12, 31, 23, 4, 59, tzinfo=UTC), datetime(2026, 12, 31, 23, 5, tzinfo=UTC)
    assert (next_due(when, before), next_due(when, at)) == (at, at + timedelta(days=1))
    cleanup_tasks.cleanup_expired_reservations()
    change("UPDATE cleanup_runs SET started_at = '2026-11-01 12:00Z'")
    assert "cleanup_expired_reservations" not in late(datetime(2026, 11, 1, 23, 14, tzinfo=UTC))
    assert "cleanup_expired_reservations" in late(datetime(2026, 11, 1, 23, 16, tzinfo=UTC))


@pytest.mark.parametrize("value", ["9", "86401", "24:00", "1:30", "hourly", "-300", "٣٠٠"])
def test_what_is_no_time_is_refused_by_name(value: str, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("SESSION_CLEANUP_SCHEDULE", value)
    get_settings.cache_clear()
    with pytest.raises(SettingsError, match="SESSION_CLEANUP_SCHEDULE must be seconds from 10 to 86400") as caught:
        get_settings()
    assert value not in str(caught.value)
    environment.undo()
