"""HTTP for many threads over few connections: libcurl's multi interface on one event-loop thread."""

from __future__ import annotations

import asyncio
import math
import os
import sys
import threading
import time
import weakref
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import certifi
import pycurl

from app.providers.http_exchange import Exchange, HttpError, Request, Response

#: Requests under way on one HTTP/2 connection; the limit that Google's servers announce.
STREAMS = 100


class HttpClient:
    """POSTs for any number of threads, over at most `connections` connections to a host.

    HTTP/2 is used over TLS where the server offers it, HTTP/1.1 else. Certificates are verified against the
    public authorities and those in `ca_file` (PEM). `connect_timeout` (seconds) bounds name, TCP and TLS,
    `timeout` a whole call, however many requests it has; what could not begin within half of that is not sent.
    `multiplex` is for servers known to speak HTTP/2.
    Redirects are not followed and the environment's proxies not used. A forked child connects anew.

    Raises OSError when `ca_file` can't be read.
    """

    _lock: threading.Lock
    _engine: _Engine | None

    def __init__(
        self,
        *,
        ca_file: str | None = None,
        connections: int = 4,
        connect_timeout: float = 5.0,
        timeout: float = 15.0,
        multiplex: bool = True,
    ) -> None:
        self.timeout = timeout
        self._connections = connections
        self._options: dict[int, Any] = {
            pycurl.POST: 1,
            pycurl.PROTOCOLS: pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS,
            pycurl.PROXY: "",
            pycurl.NOSIGNAL: 1,  # signals belong to the main thread
            pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_2TLS,
            # Share a connection that is being opened rather than open one more. Where it then speaks HTTP/1.1,
            # all the others would wait for the first one's answer.
            pycurl.PIPEWAIT: int(multiplex),
            pycurl.TCP_KEEPALIVE: 1,
            pycurl.CONNECTTIMEOUT_MS: round(connect_timeout * 1000),
            pycurl.CAINFO: certifi.where(),
        }
        if ca_file:
            both = Path(certifi.where()).read_bytes() + b"\n" + Path(ca_file).read_bytes()
            self._options |= self._trust(both)
        self.forget()
        _clients.add(self)

    def _trust(self, authorities: bytes) -> dict[int, Any]:
        """The options that name `authorities` (PEM): libcurl takes one file or one blob.

        Each request would copy a blob (0.16 s of CPU for 1,000 requests, against 0.10); and nothing that clears
        the disk takes away a file in memory.
        """
        if sys.platform != "linux":
            return {pycurl.CAINFO_BLOB: authorities}
        memory = os.memfd_create("authorities")
        weakref.finalize(self, os.close, memory)
        with os.fdopen(memory, "wb", closefd=False) as file:
            file.write(authorities)
        return {pycurl.CAINFO: f"/proc/self/fd/{memory}"}

    def request(self, request: Request, *, deadline: float = math.inf) -> Response:
        """POST one request and wait for the answer, as `request_many` does. Raises HttpError."""
        answer = self.request_many([request], deadline=deadline)[0]
        if isinstance(answer, HttpError):
            raise answer
        return answer

    def request_many(
        self, requests: Sequence[Request], *, deadline: float = math.inf
    ) -> list[Response | HttpError]:
        """POST all at once and wait for all the answers, in the order of the requests.

        `deadline` (`time.monotonic()`) is the end of the whole call where that is sooner than the timeout's.
        """
        with self._lock:
            if self._engine is None:
                self._engine = _Engine(self._options, self._connections)
            start = time.monotonic()
            end = min(start + self.timeout, deadline)
            answers = asyncio.run_coroutine_threadsafe(
                self._engine.answer(requests, start, end), self._engine.loop
            )
        return answers.result()

    def close(self) -> None:
        """Close the connections once what is under way is answered; a later request opens new ones."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine:
            engine.stop()

    def forget(self) -> None:
        """Start afresh in a forked child: the parent's thread is not here and its lock may be held."""
        self._lock = threading.Lock()
        self._engine = None


class _Engine:
    """The thread that owns the connections of one client in one process."""

    def __init__(self, options: Mapping[int, Any], connections: int) -> None:
        self.loop = asyncio.new_event_loop()
        self._options = options
        self._slots = asyncio.Semaphore(connections * STREAMS)
        self._stopping = asyncio.Event()
        self._multi = pycurl.AsyncCurlMulti()
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, connections)
        self._multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, STREAMS)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()
        _engines.append(self)

    def stop(self) -> None:
        """Return when all is answered and closed."""
        self.loop.call_soon_threadsafe(self._stopping.set)
        self._thread.join()
        _engines.remove(self)

    async def answer(self, requests: Sequence[Request], start: float, end: float) -> list[Response | HttpError]:
        """The answers until `end`; both moments are `time.monotonic()`, which is the loop's clock."""
        return await asyncio.gather(*(self._answer_one(request, start, end) for request in requests))

    def _run(self) -> None:
        self.loop.run_until_complete(self._serve())
        self.loop.close()

    async def _serve(self) -> None:
        await self._stopping.wait()
        if under_way := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(under_way)
        await self._multi.aclose()

    async def _answer_one(self, request: Request, start: float, end: float) -> Response | HttpError:
        patience = (end - start) / 2
        if patience <= 0:
            return HttpError("the deadline has passed", sent=False)
        try:
            async with asyncio.timeout_at(start + patience):
                await self._slots.acquire()
        except TimeoutError:
            return HttpError(f"no free connection within {patience:g} s", sent=False)
        try:
            return await self._exchange(request, end)
        finally:
            self._slots.release()

    async def _exchange(self, request: Request, deadline: float) -> Response | HttpError:
        exchange = Exchange()
        curl = pycurl.Curl()
        try:
            for option, value in self._options.items():
                curl.setopt(option, value)
            curl.setopt(pycurl.TIMEOUT_MS, round((deadline - self.loop.time()) * 1000))
            exchange.set_up(curl, request)
            await self._multi.perform(curl)
            return exchange.answer(curl)
        except pycurl.error as error:
            return exchange.failure(error)
        finally:
            curl.close()


_clients: weakref.WeakSet[HttpClient] = weakref.WeakSet()
#: Keeps a parent's engines alive in its children: freeing one would say goodbye on the parent's connections.
_engines: list[_Engine] = []


def _forget_engines() -> None:
    for client in _clients:
        client.forget()


os.register_at_fork(after_in_child=_forget_engines)
