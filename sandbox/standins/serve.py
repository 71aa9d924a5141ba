"""An ASGI application on loopback in a thread of its own, over HTTP/1.1 or, with TLS, HTTP/2."""

from __future__ import annotations

import asyncio
import os
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from granian.constants import Interfaces
from granian.http import HTTP2Settings
from granian.log import LogLevels
from granian.server.embed import Server
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from sandbox.standins.script import Behaviour
from sandbox.standins.tls import Authority

#: FCM's own limit of requests under way on one connection.
STREAMS = 100
#: Leave logging as the host process has it: granian would set up handlers of its own.
QUIET = {"incremental": True, "handlers": {}, "loggers": {}}
HOST = "127.0.0.1"


class StandIn:
    """Serves `routes` from `start()` to `stop()`; the port stays the same when it is started again.

    `connections` holds the port of every client connection that brought a request.
    """

    def __init__(self, routes: list[Route], *, port: int = 0, authority: Authority | None = None) -> None:
        self.connections: set[int] = set()
        self._app = Starlette(routes=routes)
        self._authority = authority
        self._port = port
        self._stopping = asyncio.Event()
        self._reserved: socket.socket
        self._loop: asyncio.AbstractEventLoop
        self._server: Server
        self._thread: threading.Thread
        self._native_threads: set[str]

    @property
    def url(self) -> str:
        """Scheme, host and port, without a slash at the end; known once started."""
        return f"{'https' if self._authority else 'http'}://{HOST}:{self._port}"

    def start(self) -> None:
        """Listen. Raises OSError when the port is taken, TimeoutError when nothing listens after 10 s."""
        self._reserve()
        others = _native_threads()
        self._stopping = asyncio.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="stand-in", daemon=True)
        self._thread.start()
        self._wait_until_up(time.monotonic() + 10)
        self._native_threads = _native_threads() - others

    def stop(self) -> None:
        """Stop listening and cut every connection."""
        self._loop.call_soon_threadsafe(self._stopping.set)
        self._loop.call_soon_threadsafe(self._server.stop)
        while self._thread.is_alive():
            # Without this the server waits for idle clients to leave by themselves.
            _cut(lambda ours, _theirs: ours == self._port)
            self._thread.join(0.05)
        self._reserved.close()
        deadline = time.monotonic() + 5
        while self._native_threads & _native_threads() and time.monotonic() < deadline:
            time.sleep(0.005)  # granian's threads abort the process if it ends before they do

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    async def play(self, request: Request, behaviour: Behaviour, ordinary: Response) -> Response:
        """End one request as `behaviour` says, with `ordinary` as the ordinary answer."""
        if behaviour.delay:
            await asyncio.sleep(behaviour.delay)
        if behaviour.then == "hang":
            await self._stopping.wait()
        elif behaviour.then == "drop":
            client = _client_port(request)
            _cut(lambda ours, theirs: (ours, theirs) == (self._port, client))
        if behaviour.status is None:
            return ordinary
        return Response(behaviour.body, behaviour.status, dict(behaviour.headers))

    def note_connection(self, request: Request) -> None:
        """Count the connection that this request came on."""
        self.connections.add(_client_port(request))

    def _reserve(self) -> None:
        """Hold the port for as long as we run: granian can't tell which free port it was given.

        It listens with SO_REUSEPORT, as this socket is bound; the first bind, without it, refuses a port that
        another server (another copy of this one, too) holds.
        """
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((HOST, self._port))
        self._reserved = socket.socket()
        self._reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        self._reserved.bind((HOST, self._port))
        self._port = self._reserved.getsockname()[1]

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        tls = self._authority
        self._server = Server(
            self._app,
            address=HOST,
            port=self._port,
            interface=Interfaces.ASGINL,
            websockets=False,
            backpressure=10_000,
            http2_settings=HTTP2Settings(max_concurrent_streams=STREAMS),
            log_level=LogLevels.error,
            log_dictconfig=QUIET,
            ssl_cert=tls.cert_file if tls else None,
            ssl_key=tls.key_file if tls else None,
        )
        await self._server.serve()

    def _wait_until_up(self, deadline: float) -> None:
        while time.monotonic() < deadline:
            try:
                socket.create_connection((HOST, self._port), timeout=1).close()
            except OSError:
                time.sleep(0.005)
            else:
                return
        raise TimeoutError(f"no stand-in listens on port {self._port} after 10 s")


def _client_port(request: Request) -> int:
    return int(request.scope["client"][1])


def _native_threads() -> set[str]:
    """The threads of this process that Python did not start; none are seen where there is no /proc."""
    tasks = Path("/proc/self/task")
    ours = {str(thread.native_id) for thread in threading.enumerate()}
    return {entry.name for entry in tasks.iterdir()} - ours if tasks.is_dir() else set()


def _cut(wanted: Callable[[int, int], bool]) -> None:
    """Break this process's TCP connections for which `wanted(our port, their port)`.

    ASGI has no way to drop a connection without an answer, so we reach for the socket itself.
    """
    for connection in _tcp_connections():
        with connection:
            try:
                if wanted(connection.getsockname()[1], connection.getpeername()[1]):
                    connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue  # a listener, or gone meanwhile


def _tcp_connections() -> Iterator[socket.socket]:
    """A second handle on each IPv4 socket of this process."""
    for entry in os.listdir("/dev/fd"):
        try:
            if not stat.S_ISSOCK(os.fstat(int(entry)).st_mode):
                continue
            connection = socket.socket(fileno=os.dup(int(entry)))
        except OSError:
            continue  # closed since it was listed
        if connection.family == socket.AF_INET and connection.type == socket.SOCK_STREAM:
            yield connection
        else:
            connection.close()
