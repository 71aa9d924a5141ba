"""HTTP for many threads over few connections, which one thread of each process owns."""

from __future__ import annotations

import math
import os
import sys
import threading
import time
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import certifi
import pycurl

from app.providers.http_engine import Engine
from app.providers.http_exchange import HttpError, Request, Response


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
    _engine: Engine | None

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
                self._engine = Engine(self._options, self._connections)
                _engines.append(self._engine)
            start = time.monotonic()
            answers = self._engine.post(requests, start, min(start + self.timeout, deadline))
        return answers.result()

    def close(self) -> None:
        """Close the connections once what is under way is answered; a later request opens new ones."""
        with self._lock:
            engine, self._engine = self._engine, None
        if engine:
            engine.stop()
            _engines.remove(engine)

    def forget(self) -> None:
        """Start afresh in a forked child: the parent's thread is not here and its lock may be held."""
        self._lock = threading.Lock()
        self._engine = None


_clients: weakref.WeakSet[HttpClient] = weakref.WeakSet()
#: Keeps a parent's engines alive in its children: freeing one would say goodbye on the parent's connections.
_engines: list[Engine] = []


def _forget_engines() -> None:
    for client in _clients:
        client.forget()


os.register_at_fork(after_in_child=_forget_engines)
