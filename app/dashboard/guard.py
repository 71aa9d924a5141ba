"""Who may press a button: whoever came in, has a name, and pressed it on a page of ours."""

from __future__ import annotations

import hmac
import time
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, HTTPException, Request

from app.core.credentials import Basic, basic

#: A form's hidden field.
TOKEN = "token"  # noqa: S105 - its name
#: Seconds after which an opened page's buttons need a reload, at the latest twice this.
LIFE = 12 * 3600
#: Characters of a name that are kept.
NAME_LENGTH = 60


async def _given(request: Request) -> Basic | None:
    return basic(request.headers.get("authorization", ""))


#: The name and the key that were shown; the key itself was looked at before.
Given = Annotated[Basic | None, Depends(_given)]


def form_token(given: Basic, age: int = 0) -> str:
    """What a form of ours carries, and another site can't know, though the browser adds name and key for it.

    An HMAC with the key that was given (OWASP's "HMAC-based token"), over the name and the time: it needs no
    storage and holds in every process.
    """
    text = f"operators' page {int(time.time() // LIFE) - age} {given.name}"
    return hmac.new(given.password.encode(), text.encode(), sha256).hexdigest()


async def button_token(given: Given) -> str:
    """A dependency: the token for this page's forms."""
    return form_token(_shown(given))


async def operator(request: Request, given: Given) -> str:
    """A dependency of every action: whose key it is; of API_KEY, which many may have, the name that was given.

    Raises 403 without a name, or the token of a page of ours.
    """
    shown = _shown(given)
    typed = "".join(c for c in shown.name if c.isprintable()).strip()[:NAME_LENGTH]
    name: str = request.state.known_as or typed
    if not name:
        raise HTTPException(HTTPStatus.FORBIDDEN, "Sign in with your name: what you do is recorded under it.")
    token = (await fields(request)).get(TOKEN, "")
    if not any(hmac.compare_digest(token.encode(), form_token(shown, age).encode()) for age in (0, 1)):
        raise HTTPException(HTTPStatus.FORBIDDEN, "This page is too old, or not ours: reload it and press again.")
    return name


def _shown(given: Basic | None) -> Basic:
    if given is None:  # nobody comes as far as here without
        raise HTTPException(HTTPStatus.FORBIDDEN)
    return given


async def fields(request: Request) -> dict[str, str]:
    """What a form of ours was filled in with."""
    return dict(parse_qsl((await request.body()).decode("ascii", "replace")))
