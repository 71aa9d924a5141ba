"""Day partitions of `notifications` and `trip_locations`, made ahead: an insert always finds its day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, text

from app.core.uuid7 import first_id

#: Days made ahead of today; inserts go on for a week if nobody makes more.
DAYS_AHEAD = 7
#: One process at a time makes partitions; the number only has to be ours.
ADVISORY_LOCK = 7_236_001


@dataclass(frozen=True, slots=True)
class Partitioned:
    """A table cut by day. With `by_uuid7` the key is a UUIDv7, whose first 48 bits are milliseconds."""

    table: str
    by_uuid7: bool
    storage: str  # of each day's table

    def bound(self, day: date) -> str:
        """The first key of `day` (UTC), as a literal."""
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        return str(first_id(midnight)) if self.by_uuid7 else midnight.isoformat()

    def partition(self, day: date) -> str:
        """The name of a day's partition."""
        return f"{self.table}_p{day:%Y%m%d}"


#: Room on each page keeps the few updates of a row beside it (HOT); what they leave is swept before it piles up.
NOTIFICATIONS = Partitioned(
    "notifications", by_uuid7=True, storage="fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05"
)
#: Never updated, so vacuum has nothing to free; but a page that it has not seen is logged whole when it is first
#: read: counting a million such rows wrote 77 MB of WAL in 113 ms, a million vacuumed ones none in 32 ms.
TRIP_LOCATIONS = Partitioned(
    "trip_locations", by_uuid7=False, storage="autovacuum_vacuum_insert_scale_factor = 0.05"
)
PARTITIONED = (NOTIFICATIONS, TRIP_LOCATIONS)


def ensure_ahead(connection: Connection, *, days: int = DAYS_AHEAD) -> int:
    """Make the partitions from yesterday to `days` ahead that are missing; returns how many.

    Yesterday's is for a clock that lags over midnight. Another process at it: 0. CREATE … LIKE and ATTACH
    lets inserts go on, where CREATE … PARTITION OF stopped them for 4.7 s behind one open reader.
    """
    if not connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK}):
        return 0
    wanted = missing(connection, days=days)
    for parent, day in wanted:
        _make(connection, parent, day)
    return len(wanted)


def missing(connection: Connection, *, days: int = DAYS_AHEAD) -> list[tuple[Partitioned, date]]:
    """The partitions from yesterday to `days` ahead that are not there."""
    today: date = connection.execute(text("SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date")).scalar_one()
    wanted = [today + timedelta(days=n) for n in range(-1, days + 1)]
    return [(parent, day) for parent in PARTITIONED for day in wanted if not _exists(connection, parent, day)]


def days(connection: Connection, parent: Partitioned, *, attached: bool) -> list[date]:
    """The days that have a partition, oldest first; or those whose table is made and not (any more) attached."""
    names = connection.scalars(
        text(
            "SELECT relname FROM pg_class WHERE relnamespace = CAST(current_schema() AS regnamespace)"
            " AND relkind = 'r' AND relispartition = :attached AND relname ~ :pattern ORDER BY relname"
        ),
        {"attached": attached, "pattern": rf"^{parent.table}_p\d{{8}}$"},
    )
    return [date.fromisoformat(name[-8:]) for name in names]


def _exists(connection: Connection, parent: Partitioned, day: date) -> bool:
    found = connection.scalar(text("SELECT to_regclass(:name)"), {"name": parent.partition(day)})
    return found is not None


def _make(connection: Connection, parent: Partitioned, day: date) -> None:
    name = parent.partition(day)
    connection.execute(
        text(f"CREATE TABLE {name} (LIKE {parent.table} INCLUDING ALL EXCLUDING INDEXES) WITH ({parent.storage})")
    )
    attach(connection, parent, day)


def attach(connection: Connection, parent: Partitioned, day: date) -> None:
    """Make the day's table a partition."""
    low, high = parent.bound(day), parent.bound(day + timedelta(days=1))
    connection.execute(
        text(
            f"ALTER TABLE {parent.table} ATTACH PARTITION {parent.partition(day)}"
            f" FOR VALUES FROM ('{low}') TO ('{high}')"
        )
    )
