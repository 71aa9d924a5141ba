"""Pushes by libcurl on an event loop with nothing around it: what no client that is made of it can undercut.

Bodies are made before; answers are not read, errors not told apart, deadlines not kept.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from typing import Any

import orjson
import pycurl

from app.providers.base import Push
from app.providers.fcm_message import content_of, target_of
from app.providers.http_engine import STREAMS

#: As long as Google's.
HEADERS = ["Authorization: Bearer " + "a" * 200, "Content-Type: application/json"]


def bodies(message: Push, tokens: list[str]) -> list[bytes]:
    """What is posted, as the provider words it."""
    content = content_of(message)
    return [orjson.dumps({"message": target_of(token) | content}) for token in tokens]


def post(url: str, ca_file: str, connections: int, warm: list[bytes], each: list[bytes]) -> tuple[float, float]:
    """Seconds and CPU seconds of posting `each`, after `warm`. Raises RuntimeError unless all are answered 200."""

    async def run() -> tuple[float, float]:
        crowd = _Crowd(url, ca_file, connections)
        await crowd.send(warm)
        started, cpu = time.monotonic(), time.process_time()
        await crowd.send(each)
        return time.monotonic() - started, time.process_time() - cpu

    return asyncio.run(run())


class _Crowd:
    """As many handles as requests may be under way, each used again and again."""

    def __init__(self, url: str, ca_file: str, connections: int) -> None:
        self._multi = pycurl.AsyncCurlMulti()
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, connections)
        self._multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, STREAMS)
        self._handles = [_handle(url, ca_file) for _ in range(connections * STREAMS)]

    async def send(self, posted: list[bytes]) -> None:
        """Post all, and wait for the answers."""
        self._waiting = deque(posted)
        self._left = len(posted)
        self._all_answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        for curl in self._handles[: len(posted)]:
            self._next(curl)
        await self._all_answered

    def _next(self, curl: Any) -> None:
        if self._waiting:
            curl.setopt(pycurl.POSTFIELDS, self._waiting.popleft())
            self._multi.add_handle(curl).add_done_callback(lambda _: self._answered(curl))

    def _answered(self, curl: Any) -> None:
        if curl.getinfo(pycurl.RESPONSE_CODE) != 200:
            raise RuntimeError("a push was not accepted")
        self._left -= 1
        if not self._left:
            self._all_answered.set_result(None)
        self._next(curl)


def _handle(url: str, ca_file: str) -> Any:
    curl = pycurl.Curl()
    for option, value in {
        pycurl.URL: url,
        pycurl.HTTPHEADER: HEADERS,
        pycurl.CAINFO: ca_file,
        pycurl.HTTP_VERSION: pycurl.CURL_HTTP_VERSION_2TLS,
        pycurl.PIPEWAIT: 1,
        pycurl.NOSIGNAL: 1,
        pycurl.WRITEFUNCTION: len,
    }.items():
        curl.setopt(option, value)
    return curl
