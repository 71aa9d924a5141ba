"""Follows messages to their ends: by their keys alone, so that looking costs nothing in a large table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, Row, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Uuid

from app.core.uuid7 import first_id
from app.notifications.status import FINAL

#: Messages followed at once; of more, the oldest are let go.
LIMIT = 5_000
#: Seconds for which a message may lie in a transaction before it is seen: its id is older than its commit.
OVERLAP = 10.0

_OPEN = text("SELECT id FROM outbox ORDER BY id DESC LIMIT :limit").columns(id=Uuid)
_NOW = text("SELECT extract(epoch FROM clock_timestamp())::float8")
_LOOK = text("""
    SELECT id, kind, status, reason, finished_at FROM notifications WHERE id = ANY(:open)
    UNION
    (SELECT id, kind, status, reason, finished_at FROM notifications
     WHERE id >= :recent ORDER BY id DESC LIMIT :limit)
    ORDER BY finished_at
""").columns(id=Uuid)


class Follower:
    """Knows the messages that were open when it first looked, and those accepted since."""

    def __init__(self) -> None:
        self._open: set[UUID] | None = None
        self._told: set[UUID] = set()
        self._began = UUID(int=0)

    def look(self, connection: Connection) -> Sequence[Row[Any]]:
        """What ended since the last look, oldest first: id, kind, status, reason, finished_at."""
        now: float = connection.scalar(_NOW) or 0.0
        if self._open is None:
            self._open = {row.id for row in connection.execute(_OPEN, {"limit": LIMIT})}
            self._began = first_id(datetime.fromtimestamp(now, UTC))
        recent = max(self._began, first_id(datetime.fromtimestamp(now - OVERLAP, UTC)))
        look = _LOOK.bindparams(bindparam("open", list(self._open), type_=ARRAY(Uuid)))
        rows = connection.execute(look, {"recent": recent, "limit": LIMIT}).all()
        ended = [row for row in rows if row.status in FINAL and row.id not in self._told]
        self._told = {row.id for row in rows if row.status in FINAL and row.id >= recent}
        self._open = set(sorted(row.id for row in rows if row.status not in FINAL)[-LIMIT:])
        return ended
