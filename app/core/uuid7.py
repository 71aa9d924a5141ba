"""Ids that begin with the time at which they were made (UUIDv7, RFC 9562, section 5.7)."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID


def first_id(moment: datetime) -> UUID:
    """The smallest id of that millisecond."""
    return UUID(int=int(moment.timestamp() * 1000) << 80)


def moment_of(id_: UUID) -> datetime:
    """When an id was made, by the clock of whoever made it."""
    return datetime.fromtimestamp((id_.int >> 80) / 1000, UTC)
