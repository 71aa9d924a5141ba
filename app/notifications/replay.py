"""Dead letters: failed messages are sent again when an operator says so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Uuid

from app.core.uuid7 import first_id, moment_of
from app.messages.kinds import KINDS
from app.notifications.overview import ADOPTED, CLOCKS


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """Which failed messages: every condition that is given must hold. `reason` is a part of the row's reason."""

    ids: Sequence[UUID] | None = None
    kind: str | None = None
    reason: str | None = None
    since: datetime | None = None
    until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """What a replay would do: `replayable` by kind and reason; `too_late` have lost their point, `wiped` were
    of a sensitive kind and hold nothing any more, `retired` are of a kind that there is no more.
    """

    replayable: list[tuple[str, str, int]]
    too_late: int
    wiped: int
    retired: int = 0


_CHOSEN = """
    status = 'failed'
    -- By the id as well, which the planner can leave whole days unread for: between two ids that are always
    -- given, as it makes nothing of "none is given, or".
    AND id BETWEEN :first AND :last
    AND (CAST(:ids AS uuid[]) IS NULL OR id = ANY(:ids))
    AND (CAST(:kind AS text) IS NULL OR kind = :kind)
    AND (CAST(:reason AS text) IS NULL OR position(lower(:reason) IN lower(reason)) > 0)
    AND (CAST(:since AS timestamptz) IS NULL OR created_at >= :since)
    AND (CAST(:until AS timestamptz) IS NULL OR created_at < :until)
"""
_IN_TIME = "valid_until > clock_timestamp()"
_WHOLE = "payload <> '{}'"
_KNOWN = "kind = ANY(:kinds)"


_OLDEST = text("SELECT id FROM notifications ORDER BY id LIMIT 1").columns(id=Uuid)
DAY = timedelta(days=1)


def _query(statement: str) -> Any:
    return text(statement).bindparams(bindparam("ids", type_=ARRAY(Uuid)))


def find(connection: Connection, choice: Choice) -> Found:
    """What `replay` would do, without doing it."""
    query = _query(
        f"SELECT kind, reason, count(*) FILTER (WHERE {_IN_TIME} AND {_WHOLE} AND {_KNOWN}) AS replayable,"  # noqa: S608 - constants
        f" count(*) FILTER (WHERE NOT {_IN_TIME}) AS too_late,"
        f" count(*) FILTER (WHERE {_IN_TIME} AND NOT {_WHOLE}) AS wiped,"
        f" count(*) FILTER (WHERE {_IN_TIME} AND {_WHOLE} AND NOT {_KNOWN}) AS retired"
        f" FROM notifications WHERE {_CHOSEN} GROUP BY kind, reason ORDER BY kind, reason"
    )
    rows = connection.execute(query, _values(choice)).all()
    return Found(
        replayable=[(row.kind, row.reason, row.replayable) for row in rows if row.replayable],
        too_late=sum(row.too_late for row in rows),
        wiped=sum(row.wiped for row in rows),
        retired=sum(row.retired for row in rows),
    )


_REPLAY = _query(f"""
    WITH again AS (
        UPDATE notifications
        SET status = 'queued', reason = NULL, finished_at = NULL, not_before = clock_timestamp(),
            -- a push goes again to those who have not got it, who were counted as failed
            failed_count = greatest(0, failed_count - jsonb_array_length(coalesce(pending_tokens, '[]')))
        WHERE {_CHOSEN} AND {_IN_TIME} AND {_WHOLE} AND {_KNOWN}
        RETURNING id, kind, priority
    )
    INSERT INTO outbox (id, task, queue, priority, due_at)
    SELECT again.id, kinds.task, kinds.queue, again.priority, clock_timestamp()
    FROM again JOIN
        unnest(CAST(:kinds AS text[]), CAST(:tasks AS text[]), CAST(:queues AS text[])) AS kinds(kind, task, queue)
        ON kinds.kind = again.kind
    RETURNING id
""")  # noqa: S608 - made of constants


def replay(connection: Connection, choice: Choice) -> int:
    """As `replay_each`; returns how many."""
    return len(replay_each(connection, choice))


def replay_each(connection: Connection, choice: Choice) -> list[UUID]:
    """Put the chosen messages back to be sent; returns their ids. The relay publishes them at once."""
    wakers = {
        "tasks": [kind.task for kind in KINDS.values()],
        "queues": [kind.queue for kind in KINDS.values()],
    }
    return list(connection.scalars(_REPLAY.columns(id=Uuid), _values(choice) | wakers))


def by_day(connection: Connection, choice: Choice) -> list[Choice]:
    """The choice cut into parts of a day each, oldest first: one that names no days may be more than one
    statement can do in its time. What is accepted while it goes on may be in the last of them.
    """
    if choice.ids is not None:
        return [choice]
    oldest: UUID | None = connection.scalar(_OLDEST)
    if oldest is None:
        return []
    first, now = moment_of(oldest) - CLOCKS, datetime.now(UTC) + CLOCKS
    begin, end = max(choice.since or first, first), min(choice.until or now, now)
    edges = [begin + DAY * n for n in range(-((begin - end) // DAY))]
    return [replace(choice, since=edge, until=min(edge + DAY, end)) for edge in edges]


def _values(choice: Choice) -> dict[str, Any]:
    values = {name: getattr(choice, name) for name in choice.__slots__}
    return values | {
        "ids": list(choice.ids) if choice.ids is not None else None,
        "first": first_id(choice.since - ADOPTED) if choice.since else UUID(int=0),
        "last": first_id(choice.until + CLOCKS) if choice.until else UUID(int=2**128 - 1),
        "kinds": list(KINDS),
    }
