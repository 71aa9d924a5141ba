"""A TCP proxy that hurts: late, silent, cut short, reset or not there, switched while connections are open."""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable
from typing import Literal, Self

from sandbox.ports import free_port

HOST = "127.0.0.1"
Direction = Literal["to_client", "to_server"]

#: SO_LINGER on, for 0 seconds: close() sends RST instead of FIN (socket(7)).
_ABORT = struct.pack("ii", 1, 0)


class FaultProxy:
    """Forwards `host`:`port` to HOST:`target`, in a thread of its own; running inside `with`.

    The faults last until `heal`; those open connections feel them too.
    """

    def __init__(self, target: int, host: str = HOST) -> None:
        self.host, self.port = host, free_port()
        self.connection_count = 0
        self.silent = False
        self._target = target
        self._latency = 0.0
        self._left: dict[Direction, int] = {}
        self._links: set[_Link] = set()
        self._server: asyncio.Server | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        self._call(self._open)
        return self

    def __exit__(self, *_: object) -> None:
        self.refuse()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def delay(self, seconds: float) -> None:
        """Hand on every piece, in either direction, `seconds` late."""
        self._latency = seconds

    def silence(self) -> None:
        """Hand nothing on, in either direction, and say nothing: a black hole."""
        self._call(self._set_silent, True)

    def cut_after(self, count: int, direction: Direction) -> None:
        """Reset the connection that brings the `count`-th byte from now on in that direction; once."""
        self._left[direction] = count

    def reset(self) -> None:
        """Reset every open connection (RST at both ends); new ones are served."""
        self._call(self._reset)

    def refuse(self) -> None:
        """Reset every open connection and refuse new ones."""
        self._call(self._close)

    def heal(self) -> None:
        """End every fault; what a silence held back goes on."""
        self._latency = 0.0
        self._left.clear()
        self._call(self._set_silent, False)
        self._call(self._open)

    def _call(self, function: Callable[..., object], *arguments: object) -> None:
        """Run `function` in the proxy's thread, and return when it is done."""

        async def there() -> None:
            result = function(*arguments)
            if asyncio.iscoroutine(result):
                await result

        asyncio.run_coroutine_threadsafe(there(), self._loop).result()

    async def _open(self) -> None:
        if self._server is None:
            self._server = await self._loop.create_server(lambda: _Link(self), self.host, self.port)

    def _close(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        self._reset()

    def _reset(self) -> None:
        for link in list(self._links):
            link.abort()

    def _set_silent(self, silent: bool) -> None:
        self.silent = silent
        for link in self._links:
            link.hush(silent)

    # -- What links ask ----------------------------------------------------------------------------------

    def joined(self, link: _Link) -> None:
        """A client has connected."""
        self._links.add(link)
        self.connection_count += 1
        link.hush(self.silent)
        link.reaching = self._loop.create_task(link.reach(self._target))

    def left(self, link: _Link) -> None:
        """The connection is over."""
        self._links.discard(link)

    def ended(self, link: _Link) -> None:
        """One end has said goodbye; what is on its way gets there first."""
        self._loop.call_later(self._latency, link.close)

    def pass_on(self, link: _Link, data: bytes, direction: Direction) -> None:
        """Hand `data` on as the faults have it."""
        if direction in self._left:
            allowed = self._left[direction]
            self._left[direction] -= len(data)
            if self._left[direction] <= 0:
                del self._left[direction]
                link.write(data[:allowed], direction)
                self._loop.call_later(0.05, link.abort)  # what was let through gets there first
                return
        if self._latency:
            self._loop.call_later(self._latency, link.write, data, direction)
        else:
            link.write(data, direction)


class _Link(asyncio.Protocol):
    """One client's connection, joined to one to the server."""

    reaching: asyncio.Task[None]

    def __init__(self, proxy: FaultProxy) -> None:
        self._proxy = proxy
        self._ends: dict[Direction, asyncio.Transport] = {}
        self._early: list[bytes] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._ends["to_client"] = transport
        self._proxy.joined(self)

    def data_received(self, data: bytes) -> None:
        self._proxy.pass_on(self, data, "to_server")

    def eof_received(self) -> bool:
        self._proxy.ended(self)
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._proxy.ended(self)

    async def reach(self, port: int) -> None:
        """Connect to the server; a client whose server is not there is reset."""
        try:
            far, _ = await asyncio.get_running_loop().create_connection(
                lambda: _Far(self._proxy, self), HOST, port
            )
        except OSError:
            self.abort()
            return
        self._ends["to_server"] = far
        self.hush(self._proxy.silent)
        for data in self._early:
            far.write(data)
        if self._ends["to_client"].is_closing():
            far.close()

    def write(self, data: bytes, direction: Direction) -> None:
        """Send to one end; what a client says before the server is reached waits."""
        if end := self._ends.get(direction):
            end.write(data)
        else:
            self._early.append(data)

    def hush(self, silent: bool) -> None:
        """Stop or go on reading at both ends."""
        for end in self._ends.values():
            (end.pause_reading if silent else end.resume_reading)()

    def close(self) -> None:
        """End both connections in order, after what is still to be written."""
        self._proxy.left(self)
        for end in self._ends.values():
            end.close()

    def abort(self) -> None:
        """Reset both connections."""
        self._proxy.left(self)
        self.reaching.cancel()
        for end in self._ends.values():
            connection: socket.socket | None = end.get_extra_info("socket")
            if connection is not None and not end.is_closing():
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _ABORT)
            end.abort()


class _Far(asyncio.Protocol):
    """The server's side of a link."""

    def __init__(self, proxy: FaultProxy, link: _Link) -> None:
        self._proxy = proxy
        self._link = link

    def data_received(self, data: bytes) -> None:
        self._proxy.pass_on(self._link, data, "to_client")

    def eof_received(self) -> bool:
        self._proxy.ended(self._link)
        return True

    def connection_lost(self, error: Exception | None) -> None:
        self._proxy.ended(self._link)
