"""How a payload lies in its row: as it is, or sealed for a sensitive kind."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import orjson

from app.core.sealing import seal, unseal
from app.messages.base import Kind


def to_store(kind: Kind, payload: dict[str, Any], message_id: UUID) -> dict[str, Any]:
    """What the row holds of `payload`. Raises SettingsError for a sensitive kind without PAYLOAD_KEYS."""
    if not kind.sensitive:
        return payload
    return {"sealed": seal(orjson.dumps(payload), bound_to=str(message_id))}


def from_store(kind: Kind, stored: dict[str, Any], message_id: UUID) -> dict[str, Any]:
    """What `to_store` was given. Raises UnknownKey, CannotOpen, SettingsError."""
    if not kind.sensitive:
        return stored
    opened: dict[str, Any] = orjson.loads(unseal(stored["sealed"], bound_to=str(message_id)))
    return opened
