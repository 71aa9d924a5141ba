"""Where buses were: positions older than a week go, by the day."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from app.core.database import transaction
from app.maintenance.batches import Budget, in_batches
from app.maintenance.cleaned import Cleaned, cutoff
from app.maintenance.connections import long_transaction
from app.maintenance.dropping import drop_past
from app.maintenance.partitions import TRIP_LOCATIONS

#: Seconds for one run.
BUDGET = 240.0
#: Rows deleted in one transaction.
BATCH = 5_000
#: A day of so many is not counted one by one before it is dropped: that would read all of it for a number alone.
MANY = 100_000
#: Of the day that is half past, no more than this is deleted row by row: a busy day's positions wait, at most
#: a day, until they go with their partition, which costs a hundredth.
HALF_DAY_MOST = 50_000


def clean(keep: timedelta) -> Cleaned:
    """Delete the positions recorded longer than `keep` ago, whole days by dropping them. One caller at a time.

    Of a day with MANY positions the count is PostgreSQL's own estimate.
    """
    budget = Budget(BUDGET)
    with transaction() as connection:
        before = cutoff(connection, keep)
    gone = drop_past(TRIP_LOCATIONS, before, _rows_of, budget=budget)
    gone += _delete(_midnight(before), budget)  # in partitions that are not a day's
    with transaction() as connection:
        few = _count(connection, before, at_most=HALF_DAY_MOST + 1) <= HALF_DAY_MOST
    if few:
        gone += _delete(before, budget)
    return Cleaned(gone, before)


def count_old(keep: timedelta) -> Cleaned:
    """What `clean` would delete if it had the time. Raises DatabaseUnavailable if it can't be counted in time."""
    with long_transaction() as connection:
        before = cutoff(connection, keep)
        whole_days = _count(connection, _midnight(before))
        half_day = _count(connection, before, after=_midnight(before), at_most=HALF_DAY_MOST + 1)
    return Cleaned(whole_days + (half_day if half_day <= HALF_DAY_MOST else 0), before)


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _rows_of(connection: Connection, table: str) -> int:
    # As in `database_stats`: after a crash the statistics begin anew, what the catalog says remains.
    estimate = text(
        "SELECT greatest(reltuples::bigint, pg_stat_get_live_tuples(oid)) FROM pg_class"
        " WHERE oid = CAST(:table AS regclass)"
    )
    about = int(connection.execute(estimate, {"table": table}).scalar_one())
    if about >= MANY:
        return about
    return int(connection.execute(text(f"SELECT count(*) FROM {table}")).scalar_one())  # noqa: S608 - made of constants


def _count(
    connection: Connection, before: datetime, *, after: datetime | None = None, at_most: int | None = None
) -> int:
    query = text(
        "SELECT count(*) FROM (SELECT FROM trip_locations WHERE recorded_at < :before"
        " AND recorded_at >= coalesce(CAST(:after AS timestamptz), '-infinity') LIMIT :at_most) AS old"
    )
    values = {"before": before, "after": after, "at_most": at_most}
    return int(connection.execute(query, values).scalar_one())


def _delete(before: datetime, budget: Budget) -> int:
    return in_batches(lambda connection: _delete_oldest(connection, before), size=BATCH, budget=budget)


def _delete_oldest(connection: Connection, before: datetime) -> int:
    """Delete the oldest BATCH positions and those of the same moment: a stretch of time, found by its index."""
    query = text(
        "SELECT recorded_at FROM trip_locations WHERE recorded_at < :before"
        " ORDER BY recorded_at OFFSET :others LIMIT 1"
    )
    last: datetime | None = connection.scalar(query, {"before": before, "others": BATCH - 1})
    delete = text("DELETE FROM trip_locations WHERE recorded_at < :before AND recorded_at <= :last")
    return connection.execute(delete, {"before": before, "last": last or before}).rowcount
