"""The thread that owns a client's connections: libcurl's multi interface on an event loop.

No coroutine and no timer for each request: they took more CPU than libcurl itself.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import pycurl

from app.providers.http_exchange import Exchange, HttpError, Request, Response

#: Requests under way on one HTTP/2 connection; the limit that Google's servers announce.
STREAMS = 100

Answer = Response | HttpError


class _Batch:
    """The requests of one call, their answers so far, and which is to begin next."""

    def __init__(self, requests: Sequence[Request], start: float, end: float) -> None:
        self.requests = requests
        self.end = end
        self.patience = (end - start) / 2
        self.give_up = start + self.patience
        self.begun = 0
        self.all_answered: Future[list[Answer]] = Future()
        self._answers: list[Answer | None] = [None] * len(requests)
        self._left = len(requests)

    @property
    def waits(self) -> bool:
        """Whether a request of it has still to begin."""
        return self.begun < len(self.requests)

    def settle(self, index: int, answer: Answer) -> None:
        """Note an answer; the last one ends the call."""
        self._answers[index] = answer
        self._left -= 1
        if not self._left:
            self.all_answered.set_result([answer for answer in self._answers if answer is not None])


class Engine:
    """Over at most `connections` connections to a host, with these options of libcurl, until `stop`."""

    def __init__(self, options: Mapping[int, Any], connections: int) -> None:
        self._loop = asyncio.new_event_loop()
        self._model = pycurl.Curl()  # duplicated for each that may be under way: its options are set once
        for option, value in options.items():
            self._model.setopt(option, value)
        self._free = connections * STREAMS
        self._under_way = 0
        self._waiting: deque[_Batch] = deque()
        self._idle: list[Exchange] = []  # made before, and used again
        self._stopping = False
        self._multi = pycurl.AsyncCurlMulti()
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        self._multi.setopt(pycurl.M_MAX_HOST_CONNECTIONS, connections)
        self._multi.setopt(pycurl.M_MAX_CONCURRENT_STREAMS, STREAMS)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()

    def post(self, requests: Sequence[Request], start: float, end: float) -> Future[list[Answer]]:
        """The answers until `end`, in the order of the requests; both moments are `time.monotonic()`."""
        batch = _Batch(requests, start, end)
        if not requests:
            batch.all_answered.set_result([])
            return batch.all_answered
        self._loop.call_soon_threadsafe(self._take, batch)
        return batch.all_answered

    def stop(self) -> None:
        """Return when all is answered and closed."""
        self._loop.call_soon_threadsafe(self._stop_when_idle)
        self._thread.join()

    def _run(self) -> None:
        self._loop.run_forever()
        self._loop.run_until_complete(self._multi.aclose())
        for exchange in self._idle:
            exchange.curl.close()
        self._loop.close()

    def _stop_when_idle(self) -> None:
        self._stopping = True
        if not self._under_way and not self._waiting:
            self._loop.stop()

    def _take(self, batch: _Batch) -> None:
        if batch.patience <= 0:
            self._give_up(batch, "the deadline has passed")
            return
        self._waiting.append(batch)
        self._begin_what_fits()
        if batch.waits:
            late = f"no free connection within {batch.patience:g} s"
            self._loop.call_at(batch.give_up, self._give_up, batch, late)

    def _begin_what_fits(self) -> None:
        while self._waiting and self._under_way < self._free:
            batch = self._waiting[0]
            index, batch.begun = batch.begun, batch.begun + 1
            if not batch.waits:
                self._waiting.popleft()
            self._begin(batch.requests[index], batch.end, partial(batch.settle, index))
        if self._stopping:
            self._stop_when_idle()

    def _begin(self, request: Request, end: float, settle: Callable[[Answer], None]) -> None:
        exchange = self._idle.pop() if self._idle else Exchange(self._model.duphandle())
        try:
            exchange.set_up(request, end - self._loop.time())
            done = self._multi.add_handle(exchange.curl)
        except Exception as error:  # whatever it is, who waits for the answer must hear of it
            exchange.curl.close()
            settle(exchange.failure(error))
            return
        self._under_way += 1
        done.add_done_callback(partial(self._ended, exchange, settle))

    def _ended(self, exchange: Exchange, settle: Callable[[Answer], None], done: asyncio.Future[Any]) -> None:
        if error := done.exception():
            settle(exchange.failure(error))
            exchange.curl.close()
        else:
            settle(exchange.answer())
            self._idle.append(exchange)
        self._under_way -= 1
        self._begin_what_fits()

    def _give_up(self, batch: _Batch, why: str) -> None:
        """What has not begun by now is not sent."""
        if batch in self._waiting:
            self._waiting.remove(batch)
        while batch.waits:
            index, batch.begun = batch.begun, batch.begun + 1
            batch.settle(index, HttpError(why, sent=False))
