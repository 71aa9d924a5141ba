"""A server that answers with what it is sent, and notes it; told to misbehave like the stand-ins."""

from __future__ import annotations

from collections import deque

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.standins.script import ORDINARY, Behaviour
from sandbox.standins.serve import StandIn
from sandbox.standins.tls import Authority


class Echo(StandIn):
    """`bodies` holds every body that arrived, oldest first."""

    def __init__(self, authority: Authority | None = None) -> None:
        routes = [Route("/", self._echo, methods=["POST"]), Route("/headers", _headers, methods=["POST"])]
        super().__init__(routes, authority=authority)
        self.script: deque[Behaviour] = deque()
        self.bodies: list[bytes] = []

    @property
    def url(self) -> str:
        return f"{super().url}/"

    async def _echo(self, request: Request) -> Response:
        self.note_connection(request)
        body = await request.body()
        self.bodies.append(body)
        behaviour = self.script.popleft() if self.script else ORDINARY
        return await self.play(request, behaviour, Response(body))


async def _headers(request: Request) -> Response:
    return JSONResponse(dict(request.headers))
