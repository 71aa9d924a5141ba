"""Bulk pushes over HTTP: how far one is; pause, resume, cancel."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime
from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel
from sqlalchemy import Connection

from app.api.security import require_key, require_operator_key
from app.core.database import transaction
from app.notifications import campaign_store, campaigns
from app.notifications.campaign_store import NoSuchCampaign, Progress

router = APIRouter(prefix="/api/v1/campaigns", tags=["campaigns"], dependencies=[Depends(require_key)])
#: Who may pause, resume and cancel.
STEERING = [Depends(require_operator_key)]


class Campaign(BaseModel):
    """How a bulk push stands; its id is its task's. Tokens as given: success + failure + waiting = total."""

    id: UUID
    state: str
    finished: bool
    total_users: int
    total_tokens: int
    success_count: int
    failure_count: int
    waiting_count: int
    created_at: datetime
    finished_at: datetime | None


@router.get("/{campaign_id}")
def get(campaign_id: UUID) -> Campaign:
    """One bulk push."""
    return _answer(campaign_store.progress, campaign_id)


@router.post("/{campaign_id}/pause", dependencies=STEERING)
def pause(campaign_id: UUID) -> Campaign:
    """Send no more until it is resumed; what is under way finishes."""
    return _answer(campaigns.pause, campaign_id)


@router.post("/{campaign_id}/resume", dependencies=STEERING)
def resume(campaign_id: UUID) -> Campaign:
    """Go on where it was paused."""
    return _answer(campaigns.resume, campaign_id)


@router.post("/{campaign_id}/cancel", dependencies=STEERING)
def cancel(campaign_id: UUID) -> Campaign:
    """Never send what is left; what is under way finishes."""
    return _answer(campaigns.cancel, campaign_id)


def _answer(act: Callable[[Connection, UUID], Progress], campaign_id: UUID) -> Campaign:
    try:
        with transaction() as connection:
            return Campaign(**asdict(act(connection, campaign_id)))
    except NoSuchCampaign:
        raise HTTPException(HTTPStatus.NOT_FOUND, "There is no such campaign.") from None
    except campaigns.CampaignOver as error:
        raise HTTPException(HTTPStatus.CONFLICT, f"{error}.") from None
