"""Dead letters by kind and reason, and the button that sends all of a sort again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import HTTPException, Query, Request, Response
from fastapi.responses import RedirectResponse
from sqlalchemy import Connection

from app.dashboard import audit, routes
from app.dashboard.audit import Action
from app.dashboard.guard import fields
from app.dashboard.messages import Operator, Token
from app.dashboard.rendering import page
from app.dashboard.sources import from_database, in_database
from app.notifications import replay
from app.notifications.replay import Choice

#: How far back one may look, in days; the first is what is meant without a word.
DAYS = (1, 7, 30)

router = routes.router()


@dataclass(frozen=True, slots=True)
class Sort:
    """Failed messages of one kind and reason; `number` can be sent again: all with that reason in theirs."""

    kind: str
    reason: str
    number: int


@router.get("/failures")
async def show(request: Request, token: Token, days: Annotated[int, Query(ge=1, le=30)] = DAYS[0]) -> Response:
    """What failed for good within these days, and can be sent again."""
    return await page(request, "failures.html", partial(_shown, days), token=token)


async def _shown(days: int) -> Mapping[str, Any]:
    found = await from_database(lambda connection: replay.find(connection, Choice(since=_since(days))))
    sorts = _sorts(found.value.replayable) if found.value else []
    return {"found": found, "sorts": sorts, "days": days, "choices": DAYS}


def _sorts(groups: list[tuple[str, str, int]]) -> list[Sort]:
    """By what a choice takes: a reason is a part of the message's, whatever letters are large."""
    return [
        Sort(kind, reason, sum(n for k, r, n in groups if k == kind and reason.lower() in r.lower()))
        for kind, reason, _ in groups
    ]


@router.post("/failures/replay")
async def send_again(who: Operator, request: Request) -> Response:
    """Put all of a sort back to be sent, if they are as many as were shown."""
    asked = await fields(request)
    try:
        days, number = int(asked["days"]), int(asked["number"])
        choice = Choice(kind=asked["kind"], reason=asked["reason"], since=_since(days))
    except (KeyError, ValueError):
        raise HTTPException(HTTPStatus.UNPROCESSABLE_ENTITY, "The form lacks what is to be sent again.") from None
    routes.done(await in_database(lambda connection: _replay(connection, who, choice, number)))
    return RedirectResponse(f"/failures?days={days}", HTTPStatus.SEE_OTHER)


def _replay(connection: Connection, who: str, choice: Choice, number: int) -> None:
    put_back = replay.replay_each(connection, choice)
    if len(put_back) != number:  # raised inside the transaction: nothing is sent
        raise HTTPException(
            HTTPStatus.CONFLICT, f"Nothing was sent: it would be {len(put_back)} by now, not {number}. Look again."
        )
    audit.record(connection, who, Action.REPLAY, *put_back)


def _since(days: int) -> datetime:
    return datetime.now(UTC) - timedelta(days=days)
