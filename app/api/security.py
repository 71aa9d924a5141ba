"""Who may come in: those who know a key. Nothing here waits for a thread that a request may hold."""

from __future__ import annotations

import hmac
import threading
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

from app.api import keys, limits
from app.api.keys import Caller
from app.core.config import get_settings
from app.core.credentials import basic
from app.core.errors import DatabaseUnavailable
from app.models.api_key import Role
from app.monitoring.looks import LIMIT, NoAnswer, look_within

_program = HTTPBearer(auto_error=False)
#: What a request shows in its Authorization header.
Shown = Annotated[HTTPAuthorizationCredentials | None, Depends(_program)]

#: Who asks while no key is set: a program of a developer's.
ANYBODY = Caller(None, "anybody", Role.PRODUCER)

#: Seconds that a caller waits for the look at its key, as long as for the database itself.
PATIENCE = 5.0
#: Keys that are looked up at the same time: with a database that hangs each holds a thread.
MOST_LOOKS = 16
_places = threading.BoundedSemaphore(MOST_LOOKS)

#: What is said while there is no API_KEY: a key of the table opens even so.
UNSET = "Set API_KEY to come in with it, or give an operator's key of pafar keys"


async def identify(key: str, patience: float = PATIENCE) -> Caller | None:
    """Whose key this is, None for nobody's. API_KEY is an operator's, and is known without asking anybody.

    Raises NoAnswer for a key of the table that is not looked up within `patience` seconds.
    """
    first = get_settings().api_key
    # In constant time, so that a key can't be guessed letter by letter.
    if first is not None and hmac.compare_digest(key.encode(), first.get_secret_value().encode()):
        return Caller(0, "API_KEY", Role.OPERATOR)
    if (known := keys.remembered(key)) is not None:
        return known
    return await look_within(patience, "the database", _find, key) if keys.is_one(key) else None


def _find(key: str) -> Caller | None:
    if not _places.acquire(blocking=False):
        raise DatabaseUnavailable("the database is busy with other keys")
    try:
        return keys.find(key)
    finally:
        _places.release()


async def _admit(request: Request, key: str, refusal: HTTPException) -> Caller:
    """Whose key this is. Raises `refusal` for nobody's, 429 for one too many, DatabaseUnavailable."""
    try:
        caller = await identify(key)
    except NoAnswer as error:
        raise DatabaseUnavailable(str(error)) from error
    if caller is None:
        if key:
            await limits.demand_after_wrong_key(request.client.host if request.client else "")
        raise refusal
    if caller.id:  # not API_KEY: it works whatever hangs
        await limits.demand(caller.id, get_settings().api_requests_per_minute)
    return caller


async def require_key(request: Request, shown: Shown) -> Caller:
    """A dependency: whoever asks. 401 without a valid key, 429 beyond its rate.

    While API_KEY is not set, whoever shows no key of the table is ANYBODY, a producer.
    """
    key = shown.credentials if shown else ""
    if get_settings().api_key is None and not keys.is_one(key):
        return ANYBODY
    return await _admit(request, key, _unauthorized("Give a key as Authorization: Bearer <key>.", "Bearer"))


#: Whoever asks, for a route that wants to know.
Asking = Annotated[Caller, Depends(require_key)]


async def require_operator_key(caller: Asking) -> None:
    """A dependency: 403 unless the key is an operator's."""
    if caller is ANYBODY:
        raise _unauthorized(f"{UNSET}, as Authorization: Bearer <key>.", "Bearer")
    if caller.role is not Role.OPERATOR:
        raise HTTPException(HTTPStatus.FORBIDDEN, "This is for operators; the key is a producer's.")


async def may_see_all(request: Request) -> bool:
    """Whether an operator asks, or anybody while no key is set, as far as can be told in LIMIT seconds."""
    if get_settings().api_key is None:
        return True
    shown = await _program(request)  # not declared, for OpenAPI would say that a key is needed
    try:
        caller = await identify(shown.credentials if shown else "", LIMIT)
    except NoAnswer:
        return False
    return caller is not None and caller.role is Role.OPERATOR


async def require_operator(request: Request) -> None:
    """A dependency for pages: the browser asks for a name and an operator's key as password.

    `request.state.known_as` is then whose key it is, None for API_KEY's, which many may have.
    """
    given = basic(request.headers.get("authorization", ""))
    ask = "Give your name, and an operator's key as password."
    if get_settings().api_key is None:
        ask = f"{UNSET}, as password."
    refusal = _unauthorized(ask, 'Basic realm="Pafar", charset="UTF-8"')
    caller = await _admit(request, given.password if given else "", refusal)
    if caller.role is not Role.OPERATOR:
        raise refusal
    request.state.known_as = caller.name if caller.id else None


def _unauthorized(detail: str, scheme: str) -> HTTPException:
    return HTTPException(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": scheme})
