"""What keeps the database clean and ready, run by beat."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from celery import Task

from app.core import redis
from app.core.celery_app import celery_app
from app.core.config import get_settings
from app.core.database import transaction
from app.maintenance import (
    files,
    locations,
    partitions,
    report,
    reservations,
    retention,
    runs,
    sessions,
    small_tables,
)

#: Seconds. Every cleaning ends by a budget of its own, which is shorter: threads have no time limits.
SOFT_TIME_LIMIT, TIME_LIMIT = 540, 600


def _cleanup_task(clean: runs.Clean) -> Task[[], dict[str, Any]]:
    """A task of this module by its function's name: recorded, and never two of one name at once."""
    name = f"{__name__}.{clean.__name__}"
    task = celery_app.task(name=name, soft_time_limit=SOFT_TIME_LIMIT, time_limit=TIME_LIMIT)
    return task(runs.recorded(clean))


def _now() -> str:
    return datetime.now(UTC).isoformat()


@_cleanup_task
def prepare_partitions() -> dict[str, Any]:
    """Make the day partitions of the coming week. Returns success, message, created_count."""
    with transaction() as connection:
        created = partitions.ensure_ahead(connection)
    return {"success": True, "message": f"{created} day partitions made", "created_count": created}


@_cleanup_task
def cleanup_expired_reservations() -> dict[str, Any]:
    """Release the seats of holds that were not paid in time, and tell their passengers.

    Returns success, message, cleaned_count, booking_references, timestamp.
    """
    released = reservations.release_all()
    return {"success": True, "message": f"{len(released)} expired holds released", "timestamp": _now()} | {
        "cleaned_count": len(released),
        "booking_references": released,
    }


@_cleanup_task
def cleanup_inactive_user_sessions() -> dict[str, Any]:
    """Delete sessions idle for SESSION_RETENTION_DAYS.

    Returns success, message, cleaned_count, total_sessions_checked, broken {reason: sessions left for it},
    complete (whether all were looked at in the time there is), cutoff_date, timestamp.
    """
    cutoff = datetime.now(UTC) - timedelta(days=get_settings().session_retention_days)
    swept = sessions.sweep(redis.client(), cutoff=cutoff)
    return {"success": True, "message": f"{swept.cleaned} idle sessions deleted", "timestamp": _now()} | {
        "cleaned_count": swept.cleaned,
        "total_sessions_checked": swept.checked,
        "broken": dict(swept.broken),
        "complete": swept.complete,
        "cutoff_date": cutoff.isoformat(),
    }


@_cleanup_task
def cleanup_temporary_files() -> dict[str, Any]:
    """Remove files in TEMP_DIR older than TEMP_FILE_RETENTION_HOURS that nobody uses.

    Returns success, message, cleaned_count, cutoff_time, timestamp.
    """
    cutoff = datetime.now(UTC) - timedelta(hours=get_settings().temp_file_retention_hours)
    removed = files.remove_old(get_settings().temp_dir, cutoff=cutoff)
    return {"success": True, "message": f"{removed} temporary files removed", "timestamp": _now()} | {
        "cleaned_count": removed,
        "cutoff_time": cutoff.isoformat(),
    }


@_cleanup_task
def cleanup_old_trip_locations() -> dict[str, Any]:
    """Delete positions older than LOCATION_RETENTION_DAYS.

    Returns success, message, cleaned_count, cutoff_date, timestamp.
    """
    cleaned = locations.clean(timedelta(days=get_settings().location_retention_days))
    return {"success": True, "message": f"{cleaned.count} old positions deleted", "timestamp": _now()} | {
        "cleaned_count": cleaned.count,
        "cutoff_date": cleaned.cutoff.isoformat(),
    }


@_cleanup_task
def cleanup_old_notifications() -> dict[str, Any]:
    """Delete messages older than NOTIFICATION_RETENTION_DAYS, once their counts are kept, and what was theirs.

    Returns success, message, cleaned_count (messages), cutoff_date, timestamp, small_tables {name: lines}.
    """
    keep = timedelta(days=get_settings().notification_retention_days)
    cleaned, lines = retention.clean(keep), small_tables.clean(keep)
    return {"success": True, "message": f"{cleaned.count} old messages deleted", "timestamp": _now()} | {
        "cleaned_count": cleaned.count,
        "cutoff_date": cleaned.cutoff.isoformat(),
        "small_tables": lines,
    }


@_cleanup_task
def generate_cleanup_report() -> dict[str, Any]:
    """How clean the database is. Returns success, message, report {database_stats, recommendations}, timestamp."""
    found = report.generate()
    advice = len(found["recommendations"])
    return {"success": True, "message": f"{advice} recommendations", "report": found, "timestamp": _now()}
