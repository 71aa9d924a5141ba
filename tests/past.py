"""Makes a past: days whose partitions nobody made ahead, with positions and messages in them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import text

from app.core.database import transaction
from app.core.uuid7 import first_id
from app.maintenance import partitions
from app.maintenance.partitions import NOTIFICATIONS, PARTITIONED, TRIP_LOCATIONS, Partitioned
from tests.rows import change


def forget() -> None:
    """As on the first day: nothing in the tables of this chapter, and no partition of a day before yesterday."""
    change("TRUNCATE trip_locations, notifications, outbox, cleanup_runs, notification_summaries")
    yesterday = (datetime.now(UTC) - timedelta(days=1)).date()
    with transaction() as connection:
        for parent in PARTITIONED:
            there = partitions.days(connection, parent, attached=True)
            there += partitions.days(connection, parent, attached=False)
            for day in there:
                if day < yesterday:
                    connection.execute(text(f"DROP TABLE {parent.partition(day)}"))
        partitions.ensure_ahead(connection)


def day_ago(days: int) -> date:
    """That many days ago, UTC."""
    return (datetime.now(UTC) - timedelta(days=days)).date()


def partition(parent: Partitioned, day: date) -> None:
    """Give a past day its partition, unless it has one."""
    name = parent.partition(day)
    with transaction() as connection:
        if connection.scalar(text("SELECT to_regclass(:name)"), {"name": name}) is None:
            connection.execute(text(f"CREATE TABLE {name} (LIKE {parent.table} INCLUDING ALL EXCLUDING INDEXES)"))
            partitions.attach(connection, parent, day)


def positions(moment: datetime, count: int = 1) -> None:
    """`count` positions of a bus, a microsecond apart, from `moment` on."""
    partition(TRIP_LOCATIONS, moment.astimezone(UTC).date())
    change(
        "INSERT INTO trip_locations (recorded_at, trip_id, latitude, longitude)"
        " SELECT CAST(:moment AS timestamptz) + n * interval '1 microsecond', 7, 6.5, 3.4"
        " FROM generate_series(0, :last) AS n",
        moment=moment,
        last=count - 1,
    )


_MESSAGE = text(
    "INSERT INTO notifications (id, kind, status, priority, payload, valid_until, created_at, subject, revision)"
    " VALUES (:id, :kind, :status, 3, '{}', CAST(:created_at AS timestamptz) + interval '60 days', :created_at,"
    " :subject, 1)"
)
_TO_DO = text(
    "INSERT INTO outbox (id, task, queue, priority, due_at)"
    " VALUES (:id, 'app.tasks.sms_tasks.send_otp_sms', 'sms', 3, clock_timestamp())"
)


def messages(
    moment: datetime,
    count: int = 1,
    *,
    kind: str = "otp_sms",
    status: str = "sent",
    waiting: bool = False,
    **more: Any,
) -> list[UUID]:
    """`count` messages accepted at `moment`; `waiting` gives each a to-do line. Their ids."""
    partition(NOTIFICATIONS, moment.astimezone(UTC).date())
    low = first_id(moment).int | 7 << 76 | 2 << 62  # version and variant of RFC 9562
    with transaction() as connection:
        taken: int = connection.execute(text("SELECT count(*) FROM notifications")).scalar_one()
        ids = [UUID(int=low + taken + n) for n in range(count)]
        row = {"kind": kind, "status": status, "created_at": moment, "subject": more.get("subject")}
        connection.execute(_MESSAGE, [row | {"id": id_} for id_ in ids])
        if waiting:
            connection.execute(_TO_DO, [{"id": id_} for id_ in ids])
    return ids


def noon(days: int) -> datetime:
    """Noon UTC, that many days ago."""
    day = day_ago(days)
    return datetime(day.year, day.month, day.day, 12, tzinfo=UTC)


def there_are(table: str) -> bool:
    """Whether there is a table of that name."""
    with transaction() as connection:
        return connection.scalar(text("SELECT to_regclass(:table)"), {"table": table}) is not None


def number(query: str, **values: Any) -> int:
    """The one number that a query gives."""
    with transaction() as connection:
        return int(connection.execute(text(query), values).scalar_one())
