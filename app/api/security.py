"""Who may come in: those who know the API key, when one is set (in production it must be)."""

from __future__ import annotations

import hmac
from http import HTTPStatus
from typing import Annotated

from fastapi import Depends, Header, HTTPException
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from app.core.config import get_settings

_browser = HTTPBasic(auto_error=False)


def has_key(authorization: str) -> bool:
    """Whether a request's Authorization header shows the API key; while none is set, everybody has it."""
    key = get_settings().api_key
    return key is None or _same(authorization, f"Bearer {key.get_secret_value()}")


def require_key(authorization: str = Header(default="")) -> None:
    """A dependency: 401 unless `Authorization: Bearer <API_KEY>`; open while no key is set."""
    if not has_key(authorization):
        raise _unauthorized("Give the API key as Authorization: Bearer <key>.", "Bearer")


def require_operator(given: Annotated[HTTPBasicCredentials | None, Depends(_browser)]) -> None:
    """A dependency for pages: the browser asks for a name (any) and the API key as password."""
    key = get_settings().api_key
    if key is not None and not (given and _same(given.password, key.get_secret_value())):
        raise _unauthorized("Give any name, and the API key as password.", 'Basic realm="Pafar"')


def _same(given: str, expected: str) -> bool:
    """Compared in constant time, so that a key can't be guessed letter by letter."""
    return hmac.compare_digest(given.encode(), expected.encode())


def _unauthorized(detail: str, scheme: str) -> HTTPException:
    return HTTPException(HTTPStatus.UNAUTHORIZED, detail, headers={"WWW-Authenticate": scheme})
