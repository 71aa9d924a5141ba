"""Messages: the search, one with its timeline, and the two buttons on it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import Depends, HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import Connection

from app.dashboard import audit, routes
from app.dashboard.audit import Action
from app.dashboard.guard import button_token, operator
from app.dashboard.rendering import page, whole
from app.dashboard.sources import REDIS, Answer, from_database, in_database
from app.dashboard.timeline import timeline
from app.messages.kinds import KINDS
from app.monitoring import statistics
from app.notifications import overview, replay
from app.notifications.overview import Search
from app.notifications.status import Status

#: Messages on one page.
PAGE = 50
#: Days that one may look back for a recipient; the first is what is meant without a word.
DAYS = (7, 1, 30)
#: Of which one may ask; a message's id can't say others.
YEARS = range(2000, 2100)

router = routes.router()
Token = Annotated[str, Depends(button_token)]
Operator = Annotated[str, Depends(operator)]
#: No control characters: PostgreSQL's text takes no NUL.
Text = Annotated[str, Query(max_length=40, pattern=r"^[^\x00-\x1f\x7f]*$")]


@router.get("/messages")
async def search(
    request: Request,
    token: Token,
    reference: Text = "",
    kind: Text = "",
    status: Text = "",
    since: Text = "",
    until: Text = "",
    before: Text = "",
) -> Response:
    """Messages that fit what is given, newest first; with `before`, those older than that one."""
    reference = reference.strip()
    asked = {"reference": reference, "kind": kind, "status": status, "since": since, "until": until}
    wanted = Search(
        booking_reference=reference or None,
        kind=kind or None,
        status=status or None,
        since=_time("From", since),
        until=_time("Until", until),
        before=_id(before) if before else None,
    )
    return await page(request, "messages.html", partial(_found, wanted, asked), token=token)


async def _found(wanted: Search, asked: dict[str, str]) -> Mapping[str, Any]:
    found = await from_database(lambda connection: overview.search(connection, wanted, limit=PAGE + 1))
    given = {name: value for name, value in asked.items() if value}
    shown, older = (found.value or [])[:PAGE], None
    if found.value and len(found.value) > PAGE:
        older = f"/messages?{urlencode(given | {'before': str(shown[-1]['id'])})}"
    newest = f"/messages?{urlencode(given)}" if wanted.before else None
    return {
        "found": Answer(shown, found.away),
        "asked": asked,
        "kinds": list(KINDS),
        "statuses": list(Status),
        "days": DAYS,
        "older": older,
        "newest": newest,
    }


@router.get("/messages/{message_id}")
async def show(request: Request, token: Token, message_id: str) -> Response:
    """One message and what happened to it."""
    look = partial(_message, _id(message_id), None)
    return await page(request, "message.html", look, token=token)


async def _message(message_id: UUID, recipients: list[str] | None) -> Mapping[str, Any]:
    def look(connection: Connection) -> tuple[dict[str, Any] | None, list[audit.Done]]:
        return overview.detail(connection, message_id), audit.of(connection, message_id)

    found, claimed_at = await asyncio.gather(from_database(look), _claimed_at(message_id))
    message, actions = found.value or (None, [])
    if message is None and not found.away:
        raise routes.not_found("message")
    return {
        "id": message_id,
        "message": Answer(message, found.away),
        "events": timeline(message, actions, claimed_at=claimed_at) if message else [],
        "recipients": recipients,
    }


async def _claimed_at(message_id: UUID) -> datetime | None:
    """When a worker last began with it, as far as the tracker knows."""
    record = (await REDIS.ask(lambda: statistics.status(str(message_id)))).value
    return datetime.fromisoformat(record["started_at"]) if record and record["started_at"] else None


@router.post("/messages/{message_id}/replay")
async def send_again(who: Operator, message_id: str) -> Response:
    """Put a failed message back to be sent."""
    target = _id(message_id)
    if not routes.done(await in_database(lambda connection: _replay(connection, who, target))):
        raise HTTPException(
            HTTPStatus.CONFLICT, "It was not sent again: it has not failed, has lost its point, or is not kept."
        )
    return RedirectResponse(f"/messages/{target}", HTTPStatus.SEE_OTHER)


def _replay(connection: Connection, who: str, target: UUID) -> int:
    put_back = replay.replay(connection, replay.Choice(ids=[target]))
    if put_back:
        audit.record(connection, who, Action.REPLAY, target)
    return put_back


@router.post("/messages/{message_id}/reveal")
async def reveal(who: Operator, token: Token, message_id: str) -> Response:
    """The message with whom it is for, in an answer that nobody keeps; asking for it anew is recorded anew."""
    target = _id(message_id)
    recipients = routes.done(await in_database(lambda connection: _reveal(connection, who, target)))
    if recipients is None:
        raise routes.not_found("message")
    shown = await _message(target, recipients)
    return whole("message.html", shown, token=token, source=f"/messages/{target}")


def _reveal(connection: Connection, who: str, target: UUID) -> list[str] | None:
    recipients = overview.recipients(connection, target)
    if recipients is not None:
        audit.record(connection, who, Action.REVEAL, target)
    return recipients


def _id(given: str) -> UUID:
    try:
        return UUID(given)
    except ValueError:
        raise routes.not_found("message") from None


def _time(field: str, given: str) -> datetime | None:
    """What an <input type="datetime-local"> gives, in UTC."""
    if not given:
        return None
    try:
        moment = datetime.fromisoformat(given).replace(tzinfo=UTC)
        if moment.year in YEARS:
            return moment
    except ValueError:
        pass  # said below
    raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, f"{field}: give it as 2026-01-31T14:30")
