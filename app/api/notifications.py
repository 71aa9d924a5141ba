"""Messages over HTTP: accept one, ask how it stands."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus
from typing import Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Header, HTTPException, Query
from pydantic import BaseModel, Field

from app.api.fields import PLAIN
from app.api.security import Asking, require_key
from app.core.database import transaction
from app.messages.kinds import KINDS
from app.notifications import overview, submit

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/api/v1/notifications", tags=["notifications"], dependencies=[Depends(require_key)])


class NewNotification(BaseModel):
    """A message to send: `kind` as in docs/reference, `arguments` the task's parameters by name."""

    kind: str = Field(examples=["booking_confirmation_sms"])
    arguments: dict[str, Any]


class Standing(BaseModel):
    """How a message stands; whom it is for and what it says stay inside."""

    id: UUID
    kind: str
    status: str
    attempt: int
    booking_reference: str | None
    provider_id: str | None
    reason: str | None
    sent_count: int
    failed_count: int
    created_at: datetime
    finished_at: datetime | None
    valid_until: datetime


@router.post("", status_code=HTTPStatus.ACCEPTED)
def accept(
    new: NewNotification, caller: Asking, idempotency_key: str | None = Header(default=None, max_length=200)
) -> Standing:
    """Accept a message; with an `Idempotency-Key` that the caller used before, the earlier message is returned."""
    kind = KINDS.get(new.kind)
    if kind is None:
        raise HTTPException(
            HTTPStatus.UNPROCESSABLE_ENTITY, f"kind: no such kind; one of {', '.join(sorted(KINDS))}"
        )
    # By the caller's name: its next key finds what was sent with the last one, another caller does not.
    key = f"api:{caller.name}:{idempotency_key}" if idempotency_key else None
    message_id = submit.accept_now(kind, new.arguments, idempotency_key=key)
    log.info("accepted", message_ids=[str(message_id)])
    return get(message_id)


@router.get("/{message_id}")
def get(message_id: UUID) -> Standing:
    """One message."""
    with transaction() as connection:
        found = overview.one(connection, message_id)
    if found is None:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such message.")
    return Standing(**found)


@router.get("")
def newest(
    booking_reference: str | None = Query(default=None, max_length=40, pattern=PLAIN),
    limit: int = Query(default=50, ge=1, le=500),
) -> list[Standing]:
    """The newest messages, or those of one booking."""
    with transaction() as connection:
        return [
            Standing(**m) for m in overview.newest(connection, booking_reference=booking_reference, limit=limit)
        ]
