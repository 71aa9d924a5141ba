"""Whether what cleans the database succeeded when it was due."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import String

from app.core.database import transaction
from app.core.schedule import CLEANUP, next_due, schedule
from app.maintenance import runs
from app.maintenance.runs import GRACE, LastRun


@dataclass(frozen=True, slots=True)
class Cleanup:
    """One scheduled cleanup, named without its module.

    `begun_in_time`: whether its newest run began when it was due; `overdue`: whether none has succeeded since.
    """

    task: str
    last: LastRun | None  # None: it never ran
    succeeded_at: datetime | None
    begun_in_time: bool
    overdue: bool

    def told(self) -> dict[str, Any]:
        """Its newest run with `succeeded_at` and `overdue`, as the health report has it."""
        newest = asdict(self.last) if self.last else {}
        return newest | {"succeeded_at": self.succeeded_at, "overdue": self.overdue}


# The first run stands in for one that succeeded: from it on one was due.
_SUCCEEDED = text("""
    SELECT named.task, succeeded.finished_at, coalesce(succeeded.started_at, first.started_at) AS since
    FROM unnest(:tasks) AS named(task)
    LEFT JOIN LATERAL (
        SELECT started_at, finished_at FROM cleanup_runs
        WHERE task = named.task AND finished_at IS NOT NULL AND error IS NULL ORDER BY started_at DESC LIMIT 1
    ) AS succeeded ON true
    LEFT JOIN LATERAL (
        SELECT started_at FROM cleanup_runs WHERE task = named.task ORDER BY started_at LIMIT 1
    ) AS first ON true
""").bindparams(bindparam("tasks", type_=ARRAY(String)))


def read() -> list[Cleanup]:
    """All that the schedule has, in its order. Raises DatabaseUnavailable."""
    with transaction() as connection:
        return _read(connection, datetime.now(UTC))


def _read(connection: Connection, now: datetime) -> list[Cleanup]:
    last = runs.last(connection, runs.scheduled())
    # Without any run of any task, nobody knows since when one is due.
    late = {run.task for run in runs.overdue(connection, now) if run.due_at}
    found = {row.task: row for row in connection.execute(_SUCCEEDED, {"tasks": runs.scheduled()})}
    cleanups = []
    for task in runs.scheduled():
        row = found[task]
        missed = row.since is not None and next_due(schedule()[CLEANUP + task], row.since) + GRACE < now
        cleanups.append(Cleanup(task, last.get(task), row.finished_at, task not in late, missed or task in late))
    return cleanups
