"""Asks a server by the real HTTP client, for the tests of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from app.providers.http import HttpClient
from app.providers.http_exchange import HttpError, Request
from tests.providers.echo import Echo
from tests.providers.http2_server import RefusingServer

MakeClient = Callable[..., HttpClient]


def post(
    server: Echo | RefusingServer | str, body: bytes = b"hello", *, repeatable: bool = False, **headers: str
) -> Request:
    """A request that posts `body` there."""
    url = server if isinstance(server, str) else server.url
    return Request(url=url, headers={"Content-Type": "text/plain"} | headers, body=body, repeatable=repeatable)


def failure(client: HttpClient, request: Request) -> HttpError:
    """Why it did not come to an answer, as it must not."""
    with pytest.raises(HttpError) as caught:
        client.request(request)
    return caught.value
