"""Days that are past leave a partitioned table as whole partitions, without holding up whoever writes.

A plain DROP stopped inserts for 4.7 s behind one open reader, DETACH CONCURRENTLY for 30 ms. Rows that go so
leave no dead ones behind: nothing to vacuum, and the disk gets its room back.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

from sqlalchemy import Connection, text

from app.maintenance.batches import Budget, done
from app.maintenance.connections import autocommit, long_transaction
from app.maintenance.partitions import Partitioned, attach, days

#: Counts or keeps what a day's table holds, in the transaction that drops it; returns its number of rows.
Settle = Callable[[Connection, str], int]
#: Whether a day must stay.
MustStay = Callable[[Connection, date], bool]


def drop_past(
    parent: Partitioned,
    cutoff: datetime,
    settle: Settle,
    *,
    must_stay: MustStay = lambda *_: False,
    budget: Budget,
) -> int:
    """Drop the days of `parent` that were over at `cutoff`; returns how many rows went with them.

    One caller at a time. `must_stay` is asked before a day is detached, and again when nobody can reach it
    any more: then a day that must stay is attached again. Ends when `budget` is spent; what a run leaves
    half-way, the next one finishes. Raises DatabaseUnavailable when an open transaction holds a day for 30 s.
    """
    with autocommit() as connection:
        _finish_interrupted(connection, parent)
        for day in days(connection, parent, attached=True):
            if is_over(day, cutoff) and not budget.is_spent() and not must_stay(connection, day):
                connection.execute(
                    text(f"ALTER TABLE {parent.table} DETACH PARTITION {parent.partition(day)} CONCURRENTLY")
                )
        detached = days(connection, parent, attached=False)  # a killed run may have left some
    return sum(
        _drop(parent, day, settle, must_stay=must_stay)
        for day in detached
        if is_over(day, cutoff) and not budget.is_spent()
    )


def is_over(day: date, moment: datetime) -> bool:
    """Whether all of `day` (UTC) was past at `moment`."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC) + timedelta(days=1) <= moment


def _finish_interrupted(connection: Connection, parent: Partitioned) -> None:
    """A DETACH that was interrupted blocks every other one until it is finished."""
    pending = connection.scalars(
        text(
            "SELECT CAST(CAST(inhrelid AS regclass) AS text) FROM pg_inherits"
            " WHERE inhparent = CAST(:parent AS regclass) AND inhdetachpending"
        ),
        {"parent": parent.table},
    ).all()
    for name in pending:
        connection.execute(text(f"ALTER TABLE {parent.table} DETACH PARTITION {name} FINALIZE"))


def _drop(parent: Partitioned, day: date, settle: Settle, *, must_stay: MustStay) -> int:
    name = parent.partition(day)
    with long_transaction() as connection:
        connection.execute(text(f"LOCK TABLE {name} IN ACCESS EXCLUSIVE MODE"))
        if must_stay(connection, day):
            attach(connection, parent, day)
            return 0
        rows = settle(connection, name)
        connection.execute(text(f"DROP TABLE {name}"))
    done(rows)
    return rows
