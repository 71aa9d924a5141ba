"""Every request has an id: taken from X-Request-ID or made, given back, and bound to what is logged meanwhile."""

from __future__ import annotations

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.core import context

HEADER = "X-Request-ID"


class RequestId:
    """ASGI middleware. It leaves the id bound: uvicorn logs the request after the answer, in the same task."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer under an id: the caller's, or a new one."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = context.begin_request(Headers(scope=scope).get(HEADER))

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[HEADER] = request_id
            await send(message)

        await self._app(scope, receive, send_with_id)
