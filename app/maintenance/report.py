"""The cleanup report: how clean the database is, and what to do about it."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any

from redis.exceptions import RedisError
from sqlalchemy import Connection, text

from app.core import redis
from app.core.config import get_settings
from app.core.database import transaction
from app.maintenance import database_stats, runs, sessions
from app.maintenance.advice import recommendations
from app.maintenance.cleaned import cutoff
from app.notifications import overview

#: Days that a cleaning may be late before the report says so: those that run once a day, and a day's end.
LATE_DAYS = 1

_RUN = [field.name for field in fields(runs.LastRun) if field.name != "task"]


def generate() -> dict[str, Any]:
    """{"database_stats": {…}, "recommendations": [sentences]}, all of it fit for JSON. Raises DatabaseUnavailable.

    The stats: tables, unused_indexes, bookings and notifications {status: estimate}, holds, messages, partitions,
    clients (see `database_stats`), recorded (whether any run is), runs {task: what `runs.LastRun` says, and
    overdue_seconds, None unless it is}, redis {used_bytes, max_bytes, keys, sessions} or {error}.
    """
    with transaction() as connection:
        stats = _database(connection) | _runs(connection)
    stats["redis"] = _redis()
    return {"database_stats": stats, "recommendations": recommendations(stats)}


def _database(connection: Connection) -> dict[str, Any]:
    settings = get_settings()
    keep_days = {
        "notifications": settings.notification_retention_days,
        "trip_locations": settings.location_retention_days,
    }
    late = {table: cutoff(connection, timedelta(days=days + LATE_DAYS)) for table, days in keep_days.items()}
    unfinished = database_stats.unfinished_before(connection, late["notifications"])
    return {
        "tables": database_stats.tables(connection),
        "unused_indexes": database_stats.unused_indexes(connection),
        "bookings": database_stats.statuses(connection, "bookings"),
        "notifications": database_stats.statuses(connection, "notifications"),
        "holds": database_stats.holds(connection),
        "messages": overview.backlog(connection) | {"unfinished_old": unfinished},
        "partitions": database_stats.partitions(connection, late),
        "clients": database_stats.clients(connection),
    }


def _runs(connection: Connection) -> dict[str, Any]:
    now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    newest = runs.last(connection, runs.scheduled())
    late = {overdue.task: overdue.due_at for overdue in runs.overdue(connection, now)}
    found = {}
    for task in runs.scheduled():
        due = late.get(task)
        run = _as_json(newest[task]) if task in newest else dict.fromkeys(_RUN)
        found[task] = run | {"overdue_seconds": due and (now - due).total_seconds()}
    return {"recorded": bool(newest), "runs": found}


def _as_json(run: runs.LastRun) -> dict[str, Any]:
    values = asdict(run)
    return {name: value.isoformat() if isinstance(value := values[name], datetime) else value for name in _RUN}


def _redis() -> dict[str, Any]:
    client = redis.client()
    try:
        memory, keys, there = client.info("memory"), client.dbsize(), sessions.estimate(client)
    except RedisError as error:
        return {"error": type(error).__name__}
    return {"used_bytes": memory["used_memory"], "max_bytes": memory["maxmemory"], "keys": keys, "sessions": there}
