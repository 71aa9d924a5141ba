"""Cleanup runs: each leaves a line in `cleanup_runs`, and two runs of one task never overlap."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import wraps
from typing import Any
from zlib import crc32

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import DBAPIError
from sqlalchemy.types import String

from app.core import stopping
from app.core.redaction import redact
from app.core.schedule import CLEANUP, next_due, schedule
from app.maintenance.batches import watched
from app.maintenance.connections import autocommit

#: Days that a line is kept.
KEPT_DAYS = 90
#: Half of the lock's name; the other half is the task's.
LOCK_SPACE = 7_236_002
#: Characters of an error that are kept.
ERROR_LENGTH = 300
#: How late a run may begin: the one before may take as long, by its task's time limit.
GRACE = timedelta(minutes=10)

_NAME = "CAST(:space AS int), CAST(:task AS int)"

Clean = Callable[[], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class LastRun:
    """A task's newest run; unfinished, it is under way or was killed.

    `batches`: those that it committed; `stopped`: its worker was asked to stop meanwhile, and what was left goes
    with the next; `due_at`: when the schedule wanted it, or its start if it came before that;
    `next_due_at`: when the schedule wants the next.
    """

    task: str
    started_at: datetime
    age_seconds: float
    finished: bool
    cleaned: int | None
    error: str | None
    stopped: bool
    batches: int | None
    milliseconds: float | None
    due_at: datetime
    next_due_at: datetime


@dataclass(frozen=True, slots=True)
class Overdue:
    """A task that should have begun by `due_at` and has not; None: no run of any task has ever been recorded."""

    task: str
    due_at: datetime | None
    ever_ran: bool


@dataclass(slots=True)
class _Batches:
    count: int = 0

    def add(self, _rows: int) -> None:
        self.count += 1


def recorded(clean: Clean) -> Clean:
    """Decorate a cleanup task's function: its run is recorded, its exception too before it is raised again.

    While another process runs the same task, nothing is done and the result says so:
    {"success": True, "skipped": "running", "message": …, "cleaned_count": 0}.
    """
    task = clean.__name__

    @wraps(clean)
    def run() -> dict[str, Any]:
        with autocommit() as connection, _lock(connection, task) as alone:
            if not alone:
                message = f"Not run: another run of {task} is under way"
                return {"success": True, "skipped": "running", "message": message, "cleaned_count": 0}
            run_id, batches = _begin(connection, task), _Batches()
            try:
                with watched(batches.add):
                    result = clean()
            except Exception as error:
                with suppress(DBAPIError):  # the database may be what went wrong
                    _end(connection, run_id, batches.count, error=_in_short(error))
                raise
            _end(connection, run_id, batches.count, cleaned=result.get("cleaned_count"))
            return result

    return run


@contextmanager
def _lock(connection: Connection, task: str) -> Iterator[bool]:
    """Whether this session holds the task's lock in the block; it ends with the connection, whatever happens."""
    name = {"space": LOCK_SPACE, "task": crc32(task.encode()) >> 1}
    held = connection.scalar(text(f"SELECT pg_try_advisory_lock({_NAME})"), name)
    try:
        yield bool(held)
    finally:
        if held:
            with suppress(DBAPIError):  # given back now: a server sees some time later that a connection is closed
                connection.execute(text(f"SELECT pg_advisory_unlock({_NAME})"), name)


# Due when the run before it said; a first run, and one that nobody waited for yet, when it starts.
_BEGIN = text("""
    INSERT INTO cleanup_runs (task, started_at, due_at, next_due_at)
    SELECT CAST(:task AS varchar), :now, least(:now, (
        SELECT next_due_at FROM cleanup_runs WHERE task = :task ORDER BY started_at DESC LIMIT 1
    )), :next_due_at
    RETURNING id
""")


def _begin(connection: Connection, task: str) -> int:
    now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    values = {"task": task, "now": now, "next_due_at": _next_due(task, now)}
    return int(connection.execute(_BEGIN, values).scalar_one())


def _next_due(task: str, started_at: datetime) -> datetime:
    return next_due(schedule()[CLEANUP + task], started_at)


def _end(
    connection: Connection, run_id: int, batches: int, *, cleaned: int | None = None, error: str | None = None
) -> None:
    connection.execute(
        text(
            "UPDATE cleanup_runs SET finished_at = clock_timestamp(), batches = :batches, cleaned = :cleaned,"
            " error = :error, stopped = :stopped WHERE id = :id"
        ),
        {"id": run_id, "batches": batches, "cleaned": cleaned, "error": error, "stopped": stopping.asked()},
    )


def _in_short(error: Exception) -> str:
    """The class and the first line: a database's further lines quote rows."""
    first = (str(error).splitlines() or [""])[0]
    return redact(f"{type(error).__name__}: {first}")[:ERROR_LENGTH]


_LAST = text("""
    SELECT newest.task, started_at, cleaned, error, stopped, batches, due_at,
           extract(epoch FROM finished_at - started_at)::float8 * 1000 AS milliseconds,
           extract(epoch FROM clock_timestamp() - started_at)::float8 AS age_seconds,
           finished_at IS NOT NULL AS finished
    FROM unnest(:tasks) AS named(task), LATERAL (
        SELECT * FROM cleanup_runs WHERE cleanup_runs.task = named.task ORDER BY started_at DESC LIMIT 1
    ) AS newest
""").bindparams(bindparam("tasks", type_=ARRAY(String)))


def last(connection: Connection, tasks: list[str]) -> dict[str, LastRun]:
    """The newest run of each of these tasks (names without their module); one that never ran is not there."""
    newest = connection.execute(_LAST, {"tasks": tasks})
    # By the schedule as it is now: what the run wrote down was by the settings of its day.
    return {row.task: LastRun(**row._mapping, next_due_at=_next_due(row.task, row.started_at)) for row in newest}


def scheduled() -> list[str]:
    """The tasks that beat starts, without their module."""
    return [task.removeprefix(CLEANUP) for task in schedule()]


def overdue(connection: Connection, now: datetime) -> list[Overdue]:
    """Scheduled tasks that were due more than GRACE before `now` (with a zone) and have not begun since.

    One that never ran was due from the first recorded run of any task on; without any, all are named.
    """
    newest = last(connection, scheduled())
    first: datetime | None = connection.scalar(text("SELECT min(started_at) FROM cleanup_runs"))
    found = []
    for task in scheduled():
        due = newest[task].next_due_at if task in newest else first and _next_due(task, first)
        if due is None or due + GRACE < now:
            found.append(Overdue(task, due, ever_ran=task in newest))
    return found
