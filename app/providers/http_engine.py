"""The thread that owns a client's connections: what other threads ask for, begun where there is room."""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import pycurl
import structlog

from app.providers.http_exchange import Exchange, HttpError, Request, Response
from app.providers.http_transfers import Transfers

log = structlog.get_logger(__name__)

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

    def give_up_waiting(self) -> None:
        """What has not begun by now is not sent."""
        no_room = f"no free connection within {self.patience:g} s"
        error = HttpError(no_room if self.patience > 0 else "the deadline has passed", sent=False)
        while self.waits:
            index, self.begun = self.begun, self.begun + 1
            self.settle(index, error)


class Engine:
    """Over at most `connections` connections to a host, with these options of libcurl, until `stop`."""

    def __init__(self, options: Mapping[int, Any], connections: int) -> None:
        self._model = pycurl.Curl()  # duplicated for each that may be under way: its options are set once
        for option, value in options.items():
            self._model.setopt(option, value)
        self._connections = connections
        self._posted: deque[_Batch] = deque()  # by other threads
        self._waiting: deque[_Batch] = deque()
        self._under_way: dict[Any, tuple[Exchange, Callable[[Answer], None]]] = {}
        self._idle: list[Exchange] = []  # made before, and used again
        self._stopping = False
        self._transfers = Transfers(connections, STREAMS)
        self._thread = threading.Thread(target=self._run, name="http", daemon=True)
        self._thread.start()

    def post(self, requests: Sequence[Request], start: float, end: float) -> Future[list[Answer]]:
        """The answers until `end`, in the order of the requests; both moments are `time.monotonic()`."""
        batch = _Batch(requests, start, end)
        if not requests:
            batch.all_answered.set_result([])
            return batch.all_answered
        self._posted.append(batch)
        self._transfers.wake()
        return batch.all_answered

    def stop(self) -> None:
        """Return when all is answered and closed."""
        self._stopping = True
        self._transfers.wake()
        self._thread.join()

    def _run(self) -> None:
        while not self._stopping or self._under_way or self._waiting or self._posted:
            try:
                self._turn()
            except Exception as error:  # whatever it is, who waits for answers must hear of it
                log.exception("the HTTP client broke down and begins anew")
                self._break_off(error)
        self._transfers.close()
        for exchange in self._idle:
            exchange.curl.close()

    def _turn(self) -> None:
        soonest = min((batch.give_up for batch in self._waiting), default=math.inf)
        for curl, error in self._transfers.turn(0 if self._posted else soonest):
            self._ended(*self._under_way.pop(curl), error)
        while self._posted:
            self._waiting.append(self._posted.popleft())
        now = time.monotonic()
        for batch in [batch for batch in self._waiting if batch.give_up <= now]:
            self._waiting.remove(batch)
            batch.give_up_waiting()
        self._begin_what_fits(now)

    def _begin_what_fits(self, now: float) -> None:
        while self._waiting and len(self._under_way) < self._connections * STREAMS:
            batch = self._waiting[0]
            index, batch.begun = batch.begun, batch.begun + 1
            if not batch.waits:
                self._waiting.popleft()
            self._begin(batch.requests[index], batch.end - now, batch.give_up, partial(batch.settle, index))

    def _begin(self, request: Request, seconds: float, begin_by: float, settle: Callable[[Answer], None]) -> None:
        exchange = self._idle.pop() if self._idle else Exchange(self._model.duphandle())
        try:
            exchange.set_up(request, seconds, begin_by)
            self._transfers.begin(exchange.curl)
        except Exception as error:  # one that can't be made says nothing of the others
            exchange.curl.close()
            settle(exchange.failure(error))
        else:
            self._under_way[exchange.curl] = exchange, settle

    def _ended(self, exchange: Exchange, settle: Callable[[Answer], None], error: pycurl.error | None) -> None:
        if error:
            settle(exchange.failure(error))
            exchange.curl.close()
        else:
            settle(exchange.answer())
            self._idle.append(exchange)

    def _break_off(self, error: Exception) -> None:
        """Tell all who wait, and start with new connections."""
        self._transfers.close()
        self._transfers = Transfers(self._connections, STREAMS)
        broken = pycurl.error(pycurl.E_FAILED_INIT, type(error).__name__)
        for exchange, settle in self._under_way.values():
            settle(exchange.failure(broken))
            exchange.curl.close()
        self._under_way.clear()
        for batch in self._waiting:
            batch.give_up_waiting()
        self._waiting.clear()
