"""Small tables that are not cut by day: what belonged to messages that are gone goes too, and dead phones."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import String

from app.core.database import transaction
from app.maintenance import runs
from app.maintenance.batches import Budget, done
from app.maintenance.cleaned import cutoff
from app.maintenance.connections import long_transaction
from app.notifications import devices, limits

#: Seconds for one run.
BUDGET = 120.0
#: Pages (of 8 KiB) read in one transaction. Each table is read once from its first page to its last, so that no
#: index has to be kept for a job that runs once a day.
PAGES = 200


@dataclass(frozen=True, slots=True)
class Small:
    """`old` chooses lines by their own columns; of those, locked, the lines go that `unused` holds for."""

    table: str
    old: str
    unused: str = "true"


# LIMIT: each line of the to-do list is looked up by its id, in its own day; a join read every day's messages.
_WAITING = """outbox, LATERAL (
    SELECT id, subject, campaign_id FROM notifications WHERE notifications.id = outbox.id LIMIT 1
) AS waiting"""

#: A key lives as long as its message: the same key given later would stand for a message that is gone.
KEYS = Small(
    "idempotency_keys",
    "created_at < :before",
    "NOT EXISTS (SELECT FROM outbox WHERE outbox.id = idempotency_keys.notification_id)",
)
#: `held_until` stays behind when a message has been sent, so it tells when the subject was last used. While
#: messages of a subject wait, its revision says which of them is the newest.
SUBJECTS = Small(
    "subjects",
    "created_at < :before AND (held_until IS NULL OR held_until < :before)",
    f"NOT EXISTS (SELECT FROM {_WAITING} WHERE waiting.subject = subjects.subject)",
)
#: A bulk message is over when neither its own row nor a chunk has anything to do.
CAMPAIGNS = Small(
    "campaigns",
    "created_at < :before",
    f"NOT EXISTS (SELECT FROM {_WAITING} WHERE campaigns.id IN (waiting.id, waiting.campaign_id))",
)
RUNS = Small("cleanup_runs", f"started_at < clock_timestamp() - interval '{runs.KEPT_DAYS} days'")
CODES = Small("otp_sends", f"created_at < clock_timestamp() - interval '{limits.LONGEST.total_seconds()} s'")
PHONES = Small("device_tokens", f"last_seen_at < clock_timestamp() - interval '{devices.DROP_AFTER} days'")
SMALL = (KEYS, SUBJECTS, CAMPAIGNS, RUNS, CODES, PHONES)


def clean(keep: timedelta) -> dict[str, int]:
    """Delete old lines; how many by table. One caller at a time."""
    budget = Budget(BUDGET)
    with transaction() as connection:
        before = cutoff(connection, keep)
    return {small.table: _sweep(small, before, budget) for small in SMALL}


def count_old(keep: timedelta) -> dict[str, int]:
    """What `clean` would delete by table if it had the time. Raises DatabaseUnavailable if it takes too long."""
    with long_transaction() as connection:
        before = cutoff(connection, keep)
        return {small.table: _count(connection, small, before) for small in SMALL}


def _count(connection: Connection, small: Small, before: datetime) -> int:
    query = text(f"SELECT count(*) FROM {small.table} WHERE {small.old} AND {small.unused}")  # noqa: S608 - made of constants
    return int(connection.execute(query, {"before": before}).scalar_one())


def _sweep(small: Small, before: datetime, budget: Budget) -> int:
    with transaction() as connection:
        size = text("SELECT pg_relation_size(CAST(:table AS regclass)) / current_setting('block_size')::int")
        pages: int = connection.execute(size, {"table": small.table}).scalar_one()
    return sum(_sweep_pages(small, before, first) for first in range(0, pages, PAGES) if not budget.is_spent())


def _sweep_pages(small: Small, before: datetime, first: int) -> int:
    """Lock what is old, then look whether it is used: a statement of its own sees what was committed meanwhile.

    Whoever uses a line now is passed over and never waited for, so no booking is held up or caught in a deadlock.
    """
    lock = text(
        f"SELECT CAST(ctid AS text) FROM {small.table}"  # noqa: S608 - made of constants
        " WHERE ctid >= CAST(:low AS tid) AND ctid < CAST(:high AS tid)"
        f" AND {small.old} FOR UPDATE SKIP LOCKED"
    )
    delete = text(f"DELETE FROM {small.table} WHERE ctid = ANY(CAST(:lines AS tid[])) AND {small.unused}")  # noqa: S608 - made of constants
    with transaction() as connection:
        values = {"low": f"({first},0)", "high": f"({first + PAGES},0)", "before": before}
        lines = list(connection.scalars(lock, values))
        if not lines:
            return 0
        delete = delete.bindparams(bindparam("lines", type_=ARRAY(String)))
        gone = connection.execute(delete, {"lines": lines}).rowcount
    done(gone)
    return gone
