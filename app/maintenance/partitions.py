"""Day partitions of `notifications` and `trip_locations`, made ahead: an insert always finds its day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

#: Days made ahead of today; inserts go on for a week if nobody makes more.
DAYS_AHEAD = 7
#: One process at a time makes partitions; the number only has to be ours.
ADVISORY_LOCK = 7_236_001


@dataclass(frozen=True, slots=True)
class Partitioned:
    """A table cut by day. With `by_uuid7` the key is a UUIDv7, whose first 48 bits are milliseconds."""

    table: str
    by_uuid7: bool
    storage: str = ""  # room on each page keeps the few updates of a row beside it (HOT)

    def bound(self, day: date) -> str:
        """The first key of `day` (UTC), as a literal."""
        midnight = datetime(day.year, day.month, day.day, tzinfo=UTC)
        if self.by_uuid7:
            return str(UUID(int=int(midnight.timestamp() * 1000) << 80))
        return midnight.isoformat()


PARTITIONED = (
    Partitioned("notifications", by_uuid7=True, storage="WITH (fillfactor = 70)"),
    Partitioned("trip_locations", by_uuid7=False),
)


def ensure_ahead(connection: Connection, *, days: int = DAYS_AHEAD) -> int:
    """Make the partitions from yesterday to `days` ahead that are missing; returns how many.

    Yesterday's is for a clock that lags over midnight. Another process at it: 0. CREATE … LIKE and ATTACH
    lets inserts go on, where CREATE … PARTITION OF stopped them for 4.7 s behind one open reader.
    """
    if not connection.scalar(text("SELECT pg_try_advisory_xact_lock(:key)"), {"key": ADVISORY_LOCK}):
        return 0
    today: date = connection.execute(text("SELECT (clock_timestamp() AT TIME ZONE 'UTC')::date")).scalar_one()
    wanted = [today + timedelta(days=n) for n in range(-1, days + 1)]
    return sum(_ensure(connection, table, day) for table in PARTITIONED for day in wanted)


def _ensure(connection: Connection, parent: Partitioned, day: date) -> bool:
    name = f"{parent.table}_p{day:%Y%m%d}"
    if connection.scalar(text("SELECT to_regclass(:name)"), {"name": name}) is not None:
        return False
    low, high = parent.bound(day), parent.bound(day + timedelta(days=1))
    connection.execute(
        text(f"CREATE TABLE {name} (LIKE {parent.table} INCLUDING ALL EXCLUDING INDEXES) {parent.storage}")
    )
    connection.execute(
        text(f"ALTER TABLE {parent.table} ATTACH PARTITION {name} FOR VALUES FROM ('{low}') TO ('{high}')")
    )
    return True
