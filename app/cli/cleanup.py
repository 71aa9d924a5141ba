"""`pafar cleanup …`: what beat starts, by hand; or only what it would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any

import typer

from app.cli import report
from app.cli.console import console
from app.core import redis
from app.core.config import get_settings
from app.core.database import transaction
from app.maintenance import files, locations, partitions, reservations, retention, sessions, small_tables
from app.maintenance.batches import watched
from app.maintenance.report import generate
from app.tasks import cleanup_tasks

app = typer.Typer(help="Clean up now, or only look.", no_args_is_help=True)

DryRun = Annotated[bool, typer.Option("--dry-run", help="Only say what would be done.")]


@app.command("reservations")
def expired_reservations(dry_run: DryRun = False) -> None:
    """Release the seats of holds that were not paid in time."""
    if dry_run:
        with transaction() as connection:
            _would(f"{reservations.count_expired(connection)} expired holds would be released")
    else:
        _run(cleanup_tasks.cleanup_expired_reservations)


@app.command("locations")
def old_locations(dry_run: DryRun = False) -> None:
    """Delete positions older than LOCATION_RETENTION_DAYS."""
    if dry_run:
        with _progress():
            old = locations.count_old(timedelta(days=get_settings().location_retention_days))
        _would(f"{old.count} positions recorded before {old.cutoff:%Y-%m-%d %H:%M} UTC would be deleted")
    else:
        _run(cleanup_tasks.cleanup_old_trip_locations)


@app.command("notifications")
def old_notifications(dry_run: DryRun = False) -> None:
    """Delete messages older than NOTIFICATION_RETENTION_DAYS, and what was theirs; their counts stay."""
    if dry_run:
        with _progress():
            keep = timedelta(days=get_settings().notification_retention_days)
            old, lines = retention.count_old(keep), small_tables.count_old(keep)
        theirs = ", ".join(f"{count} of {table}" for table, count in lines.items())
        _would(
            f"{old.count} messages accepted before {old.cutoff:%Y-%m-%d %H:%M} UTC would be deleted, and lines"
            f" that nobody needs any more: {theirs}"
        )
    else:
        _run(cleanup_tasks.cleanup_old_notifications)


@app.command("sessions")
def inactive_sessions(dry_run: DryRun = False) -> None:
    """Delete sessions idle for SESSION_RETENTION_DAYS."""
    if dry_run:
        cutoff = datetime.now(UTC) - timedelta(days=get_settings().session_retention_days)
        with _progress():
            swept = sessions.sweep(redis.client(), cutoff=cutoff, dry_run=True)
        _would(f"{swept.cleaned} of {swept.checked} sessions would be deleted{_left_out(swept)}")
    else:
        _run(cleanup_tasks.cleanup_inactive_user_sessions)


@app.command("files")
def temporary_files(dry_run: DryRun = False) -> None:
    """Remove files in TEMP_DIR older than TEMP_FILE_RETENTION_HOURS."""
    if dry_run:
        cutoff = datetime.now(UTC) - timedelta(hours=get_settings().temp_file_retention_hours)
        with _progress():
            old = files.remove_old(get_settings().temp_dir, cutoff=cutoff, dry_run=True)
        _would(f"{old} temporary files would be removed")
    else:
        _run(cleanup_tasks.cleanup_temporary_files)


@app.command("partitions")
def coming_partitions(dry_run: DryRun = False) -> None:
    """Make the day partitions of the coming week."""
    if dry_run:
        with transaction() as connection:
            _would(f"{len(partitions.missing(connection))} day partitions would be made")
    else:
        _run(cleanup_tasks.prepare_partitions)


@app.command("report")
def cleanup_report(dry_run: DryRun = False) -> None:
    """Report as beat does; a dry run is not recorded."""
    if dry_run:
        report.show(**generate())
        return
    result = cleanup_tasks.generate_cleanup_report()
    if "report" in result:
        report.show(**result["report"])
    else:
        console.print(f"{result['message']}.", markup=False)


def _left_out(swept: sessions.Sweep) -> str:
    """What else there is to say of a look: sessions whose age nobody can tell, and those not looked at."""
    broken = "".join(f"; {count} would stay: {reason}" for reason, count in swept.broken.items())
    return broken if swept.complete else f"{broken}; the time was up before all were looked at"


def _would(sentence: str) -> None:
    console.print(f"{sentence}; nothing was.")


def _run(task: Callable[[], dict[str, Any]]) -> None:
    with _progress():
        result = task()
    console.print(f"{result['message']}.", markup=False)


@contextmanager
def _progress() -> Iterator[None]:
    """On a terminal, show how many batches were done inside the block, and with how many rows."""
    batches = rows = 0
    with console.status("Working …") as status:

        def advance(gone: int) -> None:
            nonlocal batches, rows
            batches, rows = batches + 1, rows + gone
            status.update(f"Working … {rows:,} in {batches:,} batches")

        with watched(advance):
            yield
