"""What beat starts: when each last ran, how that ended, and when it comes next."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection

from app.core.schedule import next_due, schedule
from app.core.setting_types import Schedule
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
    last = runs.last(connection, runs.scheduled())
    return [_entry(task, when, last.get(_short(task))) for task, when in schedule().items()]


def _entry(task: str, when: Schedule, last: LastRun | None) -> Entry:
    if isinstance(when, timedelta):
        return Entry(task, f"every {span(when.total_seconds())}", last, last.next_due_at if last else None)
    return Entry(task, f"daily at {when:%H:%M} UTC", last, next_due(when, datetime.now(UTC)))


def _short(task: str) -> str:
    return task.rpartition(".")[2]
