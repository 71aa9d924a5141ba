"""The relay's statements on the to-do list."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Uuid

_DUE = text("""
    SELECT id, task, queue, priority, attempt, extract(epoch FROM published_at)::float8 AS published_at,
           extract(epoch FROM clock_timestamp())::float8 AS now
    FROM outbox WHERE due_at <= clock_timestamp()
    ORDER BY due_at LIMIT :size
    FOR UPDATE SKIP LOCKED
""").columns(id=Uuid)


def due(connection: Connection, size: int) -> Sequence[Row[Any]]:
    """Up to `size` to-do lines that are due, locked for this transaction; lines others hold are passed over."""
    return connection.execute(_DUE, {"size": size}).all()


_MOVE_ON = text("""
    UPDATE outbox
    SET due_at = clock_timestamp() + make_interval(secs => moved.wait),
        published_at = CASE WHEN :published THEN to_timestamp(moved.at) ELSE published_at END,
        attempt = attempt + (:published)::int
    FROM unnest(:ids, :waits, :ats) AS moved(id, wait, at)
    WHERE outbox.id = moved.id
""").bindparams(bindparam("ids", type_=ARRAY(Uuid)))


def move_on(connection: Connection, lines: Sequence[tuple[UUID, float, float]], *, published: bool) -> None:
    """Look at these lines again after their wait: (id, wait in seconds, the database's time)."""
    ids, waits, ats = map(list, zip(*lines, strict=True))
    connection.execute(_MOVE_ON, {"ids": ids, "waits": waits, "ats": ats, "published": published})


def not_published(connection: Connection, ids: Sequence[UUID]) -> None:
    """The publish right after the commit failed: the relay does it, at once."""
    connection.execute(
        text(
            "UPDATE outbox SET published_at = NULL, due_at = clock_timestamp()"
            " WHERE id = ANY(:ids) AND published_at IS NOT NULL"
        ).bindparams(bindparam("ids", type_=ARRAY(Uuid))),
        {"ids": list(ids)},
    )
