"""Messages older than a month go, and their counts stay: by kind, day and outcome, without whom they were for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Row, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Date, Uuid

from app.core.database import transaction
from app.core.errors import PafarError
from app.core.uuid7 import first_id
from app.maintenance.batches import Budget, in_batches
from app.maintenance.cleaned import Cleaned, cutoff
from app.maintenance.connections import long_transaction
from app.maintenance.dropping import drop_past
from app.maintenance.partitions import NOTIFICATIONS
from app.notifications.status import FINAL

#: Seconds for one run.
BUDGET = 240.0
#: Messages deleted in one transaction.
BATCH = 5_000


class SummaryMismatch(PafarError):
    """The summary did not take the count of every message that was to go, so none of them went."""


def clean(keep: timedelta) -> Cleaned:
    """Delete the messages accepted longer than `keep` ago, unfinished ones never. One caller at a time.

    Whole days are dropped; a day with unfinished messages and the day that is half past lose their finished ones
    in batches. Raises SummaryMismatch.
    """
    budget = Budget(BUDGET)
    with transaction() as connection:
        before = cutoff(connection, keep)
    gone = drop_past(NOTIFICATIONS, before, _summarise_all, must_stay=_has_unfinished, budget=budget)
    gone += in_batches(lambda connection: _delete(connection, before), size=BATCH, budget=budget)
    return Cleaned(gone, before)


def count_old(keep: timedelta) -> Cleaned:
    """What `clean` would delete if it had the time. Raises DatabaseUnavailable if it can't be counted in time."""
    with long_transaction() as connection:
        before = cutoff(connection, keep)
        query = text(f"SELECT count(*) FROM notifications WHERE id < :before AND {_FINISHED}")  # noqa: S608 - made of constants
        values = {"before": first_id(before), "final": list(FINAL)}
        return Cleaned(connection.execute(query, values).scalar_one(), before)


def _has_unfinished(connection: Connection, day: date) -> bool:
    low, high = NOTIFICATIONS.bound(day), NOTIFICATIONS.bound(day + timedelta(days=1))
    query = text("SELECT EXISTS (SELECT FROM outbox WHERE id >= :low AND id < :high)")
    return bool(connection.scalar(query, {"low": low, "high": high}))


_GROUPS = "CAST(created_at AT TIME ZONE 'UTC' AS date) AS day, kind, status, count(*) AS messages"


def _summarise_all(connection: Connection, table: str) -> int:
    groups = connection.execute(text(f"SELECT {_GROUPS} FROM {table} GROUP BY 1, 2, 3")).all()  # noqa: S608 - made of constants
    return _keep(connection, groups)


_FINISHED = "status = ANY(:final) AND NOT EXISTS (SELECT FROM outbox WHERE outbox.id = notifications.id)"
# An operator may replay a failed message at this very moment: one that is locked is passed over.
_OLD = text(f"""
    SELECT id FROM notifications WHERE id < :before AND {_FINISHED}
    ORDER BY id LIMIT :size FOR UPDATE OF notifications SKIP LOCKED
""").columns(id=Uuid)  # noqa: S608 - made of constants
_DELETE = text(f"""
    WITH gone AS (DELETE FROM notifications WHERE id = ANY(:ids) RETURNING created_at, kind, status)
    SELECT {_GROUPS} FROM gone GROUP BY 1, 2, 3
""").bindparams(bindparam("ids", type_=ARRAY(Uuid)))  # noqa: S608 - made of constants


def _delete(connection: Connection, before: datetime) -> int:
    values = {"before": first_id(before), "size": BATCH, "final": list(FINAL)}
    ids = list(connection.scalars(_OLD, values))
    return _keep(connection, connection.execute(_DELETE, {"ids": ids}).all())


_ADD = text("""
    INSERT INTO notification_summaries (day, kind, status, count) VALUES (:day, :kind, :status, :messages)
    ON CONFLICT (day, kind, status) DO UPDATE SET count = notification_summaries.count + excluded.count
""")
_KEPT = text(
    "SELECT coalesce(sum(count), 0)::bigint FROM notification_summaries WHERE day = ANY(:days)"
).bindparams(bindparam("days", type_=ARRAY(Date)))


def _keep(connection: Connection, groups: Sequence[Row[Any]]) -> int:
    """Add these counts to the summary; returns their sum, which the summary has grown by."""
    if not groups:
        return 0
    days = {"days": [group.day for group in groups]}
    before: int = connection.execute(_KEPT, days).scalar_one()
    connection.execute(_ADD, [dict(group._mapping) for group in groups])
    grown, gone = connection.execute(_KEPT, days).scalar_one() - before, sum(group.messages for group in groups)
    if grown != gone:
        raise SummaryMismatch(f"{gone} messages were to go, but their summary grew by {grown}")
    return int(gone)
