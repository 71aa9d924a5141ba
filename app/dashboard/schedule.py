"""What beat starts: when each last ran, how that ended, and when it comes next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection

from app.core.celery_app import BEAT_SCHEDULE
from app.dashboard.words import span
from app.maintenance import runs
from app.maintenance.runs import LastRun


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of the schedule. `last` is None where no run is kept, `next_at` where only beat knows."""

    task: str
    every: str
    last: LastRun | None
    next_at: datetime | None


def entries(connection: Connection) -> list[Entry]:
    """The schedule, with the runs that `cleanup_runs` holds."""
    tasks = {entry["task"]: entry["schedule"] for entry in BEAT_SCHEDULE.values()}
    last = runs.last(connection, [_short(task) for task in tasks])
    return [_entry(task, schedule, last.get(_short(task))) for task, schedule in tasks.items()]


def _entry(task: str, schedule: Any, last: LastRun | None) -> Entry:
    if isinstance(schedule, (int, float)):
        next_at = last.started_at + timedelta(seconds=schedule) if last else None
        return Entry(task, f"every {span(schedule)}", last, next_at)
    now = datetime.now(UTC)
    # Celery takes a moment of its own for now: rounded, they are the same.
    next_at = (now + schedule.remaining_estimate(now) + timedelta(seconds=0.5)).replace(microsecond=0)
    return Entry(task, _clock(schedule), last, next_at)


def _clock(schedule: Any) -> str:
    """Celery's crontab, of which ours are all daily."""
    times = [f"{hour:02}:{minute:02}" for hour in sorted(schedule.hour) for minute in sorted(schedule.minute)]
    return f"daily at {', '.join(times)} UTC"


def _short(task: str) -> str:
    return task.rpartition(".")[2]
