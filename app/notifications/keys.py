"""Idempotency keys: one key, one message."""

from __future__ import annotations

from uuid import UUID

from sqlalchemy import Connection, text
from sqlalchemy.types import Uuid


def remember(connection: Connection, key: str, message_id: UUID) -> UUID:
    """The message that `key` stands for: `message_id` if the key is new, else the earlier one."""
    connection.execute(
        text("INSERT INTO idempotency_keys (key, notification_id) VALUES (:key, :id) ON CONFLICT DO NOTHING"),
        {"key": key, "id": message_id},
    )
    return lookup(connection, key) or message_id


def lookup(connection: Connection, key: str) -> UUID | None:
    """The message that `key` stands for, None if nobody used it."""
    found: UUID | None = connection.scalar(
        text("SELECT notification_id FROM idempotency_keys WHERE key = :key").columns(notification_id=Uuid),
        {"key": key},
    )
    return found
