"""When each recurring task is due: beat, the record of runs, health and the operators' page all ask here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from app.core.config import get_settings
from app.core.setting_types import Schedule

#: What stands before a cleanup task's name.
CLEANUP = "app.tasks.cleanup_tasks."


def schedule() -> dict[str, Schedule]:
    """The tasks that beat starts, each with the interval, or the time of day in UTC, that the settings say."""
    settings = get_settings()
    cleanup: dict[str, Schedule] = {
        "prepare_partitions": settings.partition_schedule,
        "cleanup_expired_reservations": settings.reservation_cleanup_schedule,
        "cleanup_inactive_user_sessions": settings.session_cleanup_schedule,
        "cleanup_temporary_files": settings.temp_file_cleanup_schedule,
        "cleanup_old_trip_locations": settings.location_cleanup_schedule,
        "cleanup_old_notifications": settings.notification_cleanup_schedule,
        "generate_cleanup_report": settings.cleanup_report_schedule,
    }
    return {CLEANUP + task: when for task, when in cleanup.items()}


def next_due(when: Schedule, moment: datetime) -> datetime:
    """The next time after `moment` (with a zone), as beat counts: an interval from it, or by the clock."""
    if isinstance(when, timedelta):
        return moment + when
    due = datetime.combine(moment.astimezone(UTC), when, tzinfo=UTC)
    return due if due > moment else due + timedelta(days=1)
