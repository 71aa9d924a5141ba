"""Messages found by whom they are for: asked in a form's body, so that no URL and no log has it, and recorded."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any

from fastapi import HTTPException, Request, Response
from sqlalchemy import Connection

from app.dashboard import audit, routes
from app.dashboard.audit import Action
from app.dashboard.guard import fields
from app.dashboard.messages import DAYS, PAGE, Operator, Token
from app.dashboard.rendering import whole
from app.dashboard.sources import Answer, from_database
from app.messages.base import InvalidPayload
from app.notifications import for_recipient

router = routes.router()


@router.post("/messages/find")
async def find(who: Operator, token: Token, request: Request) -> Response:
    """The newest messages to the recipient that was given, in an answer that nobody keeps."""
    asked = await fields(request)
    given, days = asked.get("recipient", "").strip(), asked.get("days", str(DAYS[0]))
    if days not in map(str, DAYS):
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"days: must be one of {', '.join(map(str, DAYS))}")
    since = datetime.now(UTC) - timedelta(days=int(days))
    try:
        found = await from_database(lambda connection: _find(connection, who, given, since))
    except InvalidPayload as error:
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"{error}.") from None
    shown = Answer(found.value or [], found.away)
    return whole("found.html", {"found": shown, "days": days, "most": PAGE}, token=token)


def _find(connection: Connection, who: str, given: str, since: datetime) -> list[dict[str, Any]]:
    found = for_recipient.search(connection, given, since=since, limit=PAGE)
    audit.record(connection, who, Action.FIND, *(message["id"] for message in found))
    return found
