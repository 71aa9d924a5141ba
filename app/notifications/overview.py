"""What people ask about messages: one, those that fit a search, bulk pushes, and how many stand where."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Uuid

from app.core.uuid7 import first_id
from app.messages.kinds import KINDS
from app.notifications import sealed
from app.notifications.submit import ID_WINDOW

#: What is told of a message: neither whom it is for nor what it says.
COLUMNS = """id, kind, status, attempt, booking_reference, provider_id, reason, sent_count, failed_count,
    created_at, finished_at, valid_until"""

# A sensitive one was wiped when it ended, a message without a point is not sent, nor one whose kind is gone.
_REPLAYABLE = """status = 'failed' AND valid_until > clock_timestamp() AND payload <> '{}'
    AND kind = ANY(:kinds) AS replayable"""

#: How far back counts look: whole partitions older than this are not read.
WINDOW_HOURS = 24
#: By how much an id's time, by its producer's clock, may be later than the row's `created_at`, by the database's.
CLOCKS = timedelta(hours=1)
#: And earlier: what is published with its arguments while the database is away keeps its id when it gets its row.
ADOPTED = timedelta(seconds=ID_WINDOW)


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """Which messages: every condition that is given must hold. `before` is an id: only older ones, for paging."""

    booking_reference: str | None = None
    kind: str | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: UUID | None = None


def one(connection: Connection, message_id: UUID) -> dict[str, Any] | None:
    """How one message stands, without whom it is for or what it says; None if there is none."""
    query = text(f"SELECT {COLUMNS} FROM notifications WHERE id = :id").columns(id=Uuid)  # noqa: S608 - made of constants
    row = connection.execute(query, {"id": message_id}).one_or_none()
    return dict(row._mapping) if row else None


def those(connection: Connection, ids: Sequence[UUID]) -> list[dict[str, Any]]:
    """The messages with these ids, as `one` gives them and whether a replay would send each; newest first."""
    query = text(f"SELECT {COLUMNS}, {_REPLAYABLE} FROM notifications WHERE id = ANY(:ids) ORDER BY id DESC")  # noqa: S608 - made of constants
    query = query.bindparams(bindparam("ids", type_=ARRAY(Uuid)))
    values = {"ids": list(ids), "kinds": list(KINDS)}
    return [dict(row._mapping) for row in connection.execute(query.columns(id=Uuid), values)]


_DETAIL = text(f"""
    SELECT {COLUMNS}, notifications.priority, campaign_id, not_before, lease_until, unknown_attempts,
           outbox.due_at, outbox.published_at, {_REPLAYABLE}
    FROM (SELECT * FROM notifications WHERE id = :id) AS notifications
    LEFT JOIN (SELECT id, due_at, published_at FROM outbox WHERE id = :id) AS outbox USING (id)
""").columns(id=Uuid, campaign_id=Uuid)  # noqa: S608 - made of constants


def detail(connection: Connection, message_id: UUID) -> dict[str, Any] | None:
    """As `one`, with what its next step waits for and whether a replay would send it; None if there is none."""
    row = connection.execute(_DETAIL, {"id": message_id, "kinds": list(KINDS)}).one_or_none()
    return dict(row._mapping) if row else None


def recipients(connection: Connection, message_id: UUID) -> list[str] | None:
    """Whom a message is for: its address, number or tokens; none of them once wiped. None if there is no message.

    Raises CannotOpen, SettingsError for a sensitive one whose key is missing.
    """
    query = text("SELECT kind, payload FROM notifications WHERE id = :id")
    row = connection.execute(query, {"id": message_id}).one_or_none()
    if row is None:
        return None
    kind = KINDS.get(row.kind)
    return _recipients(sealed.from_store(kind, row.payload, message_id)) if kind and row.payload else []


def _recipients(arguments: dict[str, Any]) -> list[str]:
    """The tasks' parameters have three names for it."""
    one_of = [arguments[name] for name in ("user_email", "phone_number") if name in arguments]
    return one_of or list(arguments.get("device_tokens", ()))


def newest(
    connection: Connection, *, booking_reference: str | None = None, limit: int = 50
) -> list[dict[str, Any]]:
    """The newest messages, or those of one booking, newest first, as `one` gives them."""
    return search(connection, Search(booking_reference=booking_reference), limit=limit)


_CONDITIONS = {
    # As it was given, or in the capitals in which the platform makes its own.
    "booking_reference": "booking_reference IN (CAST(:booking_reference AS text),"
    " upper(CAST(:booking_reference AS text)))",
    "kind": "kind = :kind",
    "status": "status = :status",
    # By the id as well, which the planner can leave whole days unread for.
    "since": "created_at >= :since AND id >= :first",
    "until": "created_at < :until AND id < :last",
    "before": "id < :before",
}


def search(connection: Connection, wanted: Search, *, limit: int) -> list[dict[str, Any]]:
    """The messages that fit, newest first, as `one` gives them."""
    values: dict[str, Any] = {name: value for name, value in asdict(wanted).items() if value is not None}
    where = " AND ".join(_CONDITIONS[name] for name in values) or "true"
    query = text(f"SELECT {COLUMNS} FROM notifications WHERE {where} ORDER BY id DESC LIMIT :limit")  # noqa: S608 - made of constants
    if wanted.since:
        values["first"] = first_id(wanted.since - ADOPTED)
    if wanted.until:
        values["last"] = first_id(wanted.until + CLOCKS)
    return [dict(row._mapping) for row in connection.execute(query.columns(id=Uuid), values | {"limit": limit})]


def counts(connection: Connection) -> list[dict[str, Any]]:
    """[{kind, status, count}] over the last WINDOW_HOURS, by kind."""
    query = text(
        "SELECT kind, status, count(*) AS count FROM notifications"
        " WHERE created_at > :since AND id >= :first GROUP BY kind, status ORDER BY kind, status"
    )
    now: datetime = connection.execute(text("SELECT clock_timestamp()")).scalar_one()
    since = now - timedelta(hours=WINDOW_HOURS)
    found = connection.execute(query, {"since": since, "first": first_id(since - ADOPTED)})
    return [dict(r._mapping) for r in found]


def backlog(connection: Connection) -> dict[str, Any]:
    """{"waiting": to-do lines, "oldest_seconds": age of the longest overdue one, None if none is due}."""
    query = text(
        "SELECT count(*) AS waiting,"
        " extract(epoch FROM clock_timestamp() - min(due_at) FILTER (WHERE due_at < clock_timestamp()))::float8"
        " AS oldest_seconds FROM outbox"
    )
    return dict(connection.execute(query).one()._mapping)


def campaigns(connection: Connection, *, limit: int) -> list[UUID]:
    """The ids of the newest bulk pushes whose messages are still kept, newest first."""
    query = text(
        "SELECT id FROM campaigns WHERE EXISTS (SELECT FROM notifications WHERE notifications.id = campaigns.id)"
        " ORDER BY id DESC LIMIT :limit"
    ).columns(id=Uuid)
    return list(connection.scalars(query, {"limit": limit}))
