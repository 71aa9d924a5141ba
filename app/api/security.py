"""Who may come in: those who know a key, once API_KEY is set (in production it must be)."""

from __future__ import annotations

import hmac
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBasic, HTTPBasicCredentials, HTTPBearer

from app.api import keys, limits
from app.api.keys import Caller
from app.core.config import get_settings
from app.models.api_key import Role
from app.monitoring.looks import NoAnswer, look

_browser = HTTPBasic(auto_error=False)
_program = HTTPBearer(auto_error=False)
#: What a request shows in its Authorization header.
Shown = Annotated[HTTPAuthorizationCredentials | None, Depends(_program)]


def identify(key: str) -> Caller | None:
    """Whose key this is, None for nobody's. API_KEY is an operator's, and needs no database to be known.

    While API_KEY is not set everybody is an operator. Raises DatabaseUnavailable for a key of the table.
    """
    first = get_settings().api_key
    if first is None:
        return Caller(None, "anybody", Role.OPERATOR)
    # In constant time, so that a key can't be guessed letter by letter.
    if hmac.compare_digest(key.encode(), first.get_secret_value().encode()):
        return Caller(0, "API_KEY", Role.OPERATOR)
    return keys.find(key)


def require_key(shown: Shown) -> Caller:
    """A dependency: whoever asks. 401 without a valid key, 429 beyond its rate."""
    caller = identify(shown.credentials if shown else "")
    if caller is None:
        raise _unauthorized("Give a key as Authorization: Bearer <key>.", "Bearer")
    if caller.id is not None:
        limits.demand(caller.id, get_settings().api_requests_per_minute)
    return caller


#: Whoever asks, for a route that wants to know.
Asking = Annotated[Caller, Depends(require_key)]


def require_operator_key(caller: Asking) -> None:
    """A dependency: 403 unless the key is an operator's."""
    if caller.role is not Role.OPERATOR:
        raise HTTPException(HTTPStatus.FORBIDDEN, "This is for operators; the key is a producer's.")


async def may_see_all(request: Request) -> bool:
    """A dependency that refuses nobody: whether an operator asks, as far as can be told in a second."""
    shown = await _program(request)  # not declared, for OpenAPI would say that a key is needed
    try:
        caller = await look("the database", identify, shown.credentials if shown else "")
    except NoAnswer:
        return False
    return caller is not None and caller.role is Role.OPERATOR


def require_operator(given: Annotated[HTTPBasicCredentials | None, Depends(_browser)]) -> None:
    """A dependency for pages: the browser asks for a name (any) and an operator's key as password."""
    caller = identify(given.password if given else "")
    if caller is None or caller.role is not Role.OPERATOR:
        raise _unauthorized("Give any name, and an operator's key as password.", 'Basic realm="Pafar"')


def _unauthorized(detail: str, scheme: str) -> HTTPException:
    return HTTPException(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": scheme})
