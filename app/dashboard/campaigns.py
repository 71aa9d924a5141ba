"""Bulk pushes: how far each is, and the buttons that pause, resume and cancel one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any
from uuid import UUID

from fastapi import HTTPException, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import Connection

from app.dashboard import audit, routes
from app.dashboard.audit import Action
from app.dashboard.messages import Operator, Token
from app.dashboard.rendering import page
from app.dashboard.sources import from_database, in_database
from app.notifications import campaign_store, campaigns, overview
from app.notifications.campaign_store import NoSuchCampaign, Progress

#: Campaigns on the page.
SHOWN = 10

_ACTS: dict[Action, Callable[[Connection, UUID], Progress]] = {
    Action.PAUSE: campaigns.pause,
    Action.RESUME: campaigns.resume,
    Action.CANCEL: campaigns.cancel,
}

router = routes.router()


@router.get("/campaigns")
async def show(request: Request, token: Token) -> Response:
    """The newest campaigns."""
    return await page(request, "campaigns.html", _newest, token=token)


async def _newest() -> Mapping[str, Any]:
    def look(connection: Connection) -> list[Progress]:
        return [campaign_store.progress(connection, i) for i in overview.campaigns(connection, limit=SHOWN)]

    return {"campaigns": await from_database(look)}


@router.post("/campaigns/{campaign_id}/{action}")
async def act(who: Operator, campaign_id: UUID, action: Action) -> Response:
    """Pause, resume or cancel one."""
    if action not in _ACTS:
        raise routes.not_found("action")
    routes.done(await in_database(lambda connection: _act(connection, who, campaign_id, action)))
    return RedirectResponse("/campaigns", HTTPStatus.SEE_OTHER)


def _act(connection: Connection, who: str, campaign_id: UUID, action: Action) -> None:
    try:
        _ACTS[action](connection, campaign_id)
        audit.record(connection, who, action, campaign_id)
    except NoSuchCampaign:
        raise routes.not_found("campaign") from None
    except campaigns.CampaignOver as error:
        raise HTTPException(HTTPStatus.CONFLICT, f"{error}.") from None
