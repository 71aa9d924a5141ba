"""Who may press a button: whoever knows the key, gave a name, and pressed it on a page of ours."""

from __future__ import annotations

import hmac
import time
from hashlib import sha256
from http import HTTPStatus
from typing import Annotated
from urllib.parse import parse_qsl

from fastapi import Depends, HTTPException, Request
from fastapi.security import HTTPBasic, HTTPBasicCredentials

from app.core.config import get_settings

#: A form's hidden field.
TOKEN = "token"  # noqa: S105 - its name
#: Seconds after which an opened page's buttons need a reload, at the latest twice this.
LIFE = 12 * 3600
#: Characters of a name that are kept.
NAME_LENGTH = 60

#: What stands in place of the buttons while nobody can be known.
NO_KEY = "Set API_KEY to act here: without it nobody is asked who they are."

_browser = HTTPBasic(auto_error=False)
Given = Annotated[HTTPBasicCredentials | None, Depends(_browser)]


def form_token(given: HTTPBasicCredentials, age: int = 0) -> str:
    """What a form of ours carries, and another site can't know, though the browser adds name and key for it.

    An HMAC with the key that was given (OWASP's "HMAC-based token"), over the name and the time: it needs no
    storage and holds in every process.
    """
    text = f"operators' page {int(time.time() // LIFE) - age} {given.username}"
    return hmac.new(given.password.encode(), text.encode(), sha256).hexdigest()


def button_token(given: Given) -> str | None:
    """A dependency: the token for this page's forms; None while no key is set and nothing may be done."""
    return form_token(given) if given and get_settings().api_key else None


async def operator(request: Request, given: Given) -> str:
    """A dependency of every action: the operator's name. The key itself was looked at before.

    Raises 403 without a key, a name, or the token of a page of ours.
    """
    if get_settings().api_key is None or given is None:
        raise HTTPException(HTTPStatus.FORBIDDEN, NO_KEY)
    name = "".join(c for c in given.username if c.isprintable()).strip()[:NAME_LENGTH]
    if not name:
        raise HTTPException(HTTPStatus.FORBIDDEN, "Sign in with your name: what you do is recorded under it.")
    token = (await fields(request)).get(TOKEN, "")
    if not any(hmac.compare_digest(token.encode(), form_token(given, age).encode()) for age in (0, 1)):
        raise HTTPException(HTTPStatus.FORBIDDEN, "This page is too old, or not ours: reload it and press again.")
    return name


async def fields(request: Request) -> dict[str, str]:
    """What a form of ours was filled in with."""
    return dict(parse_qsl((await request.body()).decode("ascii", "replace")))
