"""What people ask about messages: one, the newest, those of a booking, and how many stand where."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.types import Uuid

_COLUMNS = """id, kind, status, attempt, booking_reference, provider_id, reason, sent_count, failed_count,
    created_at, finished_at, valid_until"""

#: How far back counts look: whole partitions older than this are not read.
WINDOW_HOURS = 24


def one(connection: Connection, message_id: UUID) -> dict[str, Any] | None:
    """How one message stands, without whom it is for or what it says; None if there is none."""
    query = text(f"SELECT {_COLUMNS} FROM notifications WHERE id = :id").columns(id=Uuid)  # noqa: S608
    row = connection.execute(query, {"id": message_id}).one_or_none()
    return dict(row._mapping) if row else None


def newest(
    connection: Connection, *, booking_reference: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """The newest messages, or those of one booking, newest first, as `one` gives them."""
    where = "WHERE booking_reference = :reference" if booking_reference else ""
    query = text(f"SELECT {_COLUMNS} FROM notifications {where} ORDER BY id DESC LIMIT :limit")  # noqa: S608
    found = connection.execute(query.columns(id=Uuid), {"reference": booking_reference, "limit": limit})
    return [dict(row._mapping) for row in found]


def counts(connection: Connection) -> list[dict[str, Any]]:
    """[{kind, status, count}] over the last WINDOW_HOURS, by kind."""
    query = text(
        "SELECT kind, status, count(*) AS count FROM notifications"
        " WHERE created_at > clock_timestamp() - make_interval(hours => :hours)"
        "   AND id >= :first GROUP BY kind, status ORDER BY kind, status"
    )
    first = _first_id(connection)
    return [dict(r._mapping) for r in connection.execute(query, {"hours": WINDOW_HOURS, "first": first})]


def backlog(connection: Connection) -> dict[str, Any]:
    """{"waiting": to-do lines, "oldest_seconds": age of the longest overdue one, None if none is due}."""
    query = text(
        "SELECT count(*) AS waiting,"
        " extract(epoch FROM clock_timestamp() - min(due_at) FILTER (WHERE due_at < clock_timestamp()))::float8"
        " AS oldest_seconds FROM outbox"
    )
    return dict(connection.execute(query).one()._mapping)


def _first_id(connection: Connection) -> UUID:
    """The smallest UUIDv7 of WINDOW_HOURS and a day ago: it lets the planner leave older days unread."""
    now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    return UUID(int=int((now.timestamp() - (WINDOW_HOURS + 24) * 3600) * 1000) << 80)
