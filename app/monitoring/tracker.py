"""Gathers the runs of this process's tasks, and writes them to Redis once a second, in a thread of its own."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections import deque
from dataclasses import replace

import structlog
from redis.exceptions import RedisError

from app.core import redis
from app.monitoring import keys
from app.monitoring.runs import STARTED, Run, write

log = structlog.get_logger(__name__)

#: Seconds between writes, and those a stopping process waits for the last one.
INTERVAL, STOP_TIMEOUT = 1.0, 2.0
#: Runs that wait while Redis is away (about 5 MB), and those written in one transaction (some 10 ms of Redis).
BUFFER, BATCH = 10_000, 1_000
#: Seconds for which a run is believed to go on without its process saying so again: a killed one says nothing.
BELIEVED = 15.0


class Tracker:
    """What one process has to tell. No method raises for Redis, and only `flush` and `stop` wait for it."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begin anew: after a fork, what the parent gathered is the parent's to tell."""
        self._process = uuid.uuid4().hex
        self._running: set[Run] = set()
        self._gathered: deque[Run] = deque()
        self._dropped = 0
        self._batch: tuple[str, list[Run], int] | None = None
        self._doubtful = False
        self._away = False
        self._flushing, self._starting = threading.Lock(), threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None

    def began(self, run: Run) -> None:
        """Note a run of this process. One that ends before the next write is written once."""
        self._running.add(run)
        if self._thread is None:
            self._start()

    def ended(self, run: Run) -> None:
        """Note that a run has ended; one that is still `started` came to nothing, as a wake-up too many does."""
        self._running.discard(run)
        if run.status != STARTED:
            self.record(run)

    def record(self, run: Run) -> None:
        """Have a run written. While Redis is away for long, what is beyond the buffer is dropped and counted."""
        if len(self._gathered) >= BUFFER:
            with self._starting:
                self._dropped += 1
            return
        self._gathered.append(run)
        if self._thread is None:
            self._start()

    def flush(self) -> None:
        """Write what has gathered, now. Waits for Redis, and keeps all that it did not take."""
        with self._flushing:
            try:
                while self._write_batch():
                    pass
                self._away = False
            except RedisError as error:
                if not self._away:
                    log.warning("task statistics wait for Redis", reason=type(error).__name__)
                self._doubtful = self._away = True
            except Exception:  # what can't be written must not stand before all that comes after it
                log.exception("task statistics can't be written")
                self._drop_batch()

    def stop(self) -> None:
        """Write what has gathered, and end; waits for at most STOP_TIMEOUT."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(STOP_TIMEOUT)

    def _start(self) -> None:
        with self._starting:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="tracker", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        over = False
        while not over:
            over = self._stopping.wait(INTERVAL)
            self.flush()

    def _write_batch(self) -> bool:
        """Write one batch; whether there may be more. Raises RedisError.

        Whether a batch without an answer arrived is not known: its number, written with it, tells later.
        """
        client = redis.client(retries=0)
        if self._batch is None:
            self._batch = self._next_batch()
        number, runs, dropped = self._batch
        arrived = self._doubtful and client.get(keys.batch(self._process)) == number.encode()
        going = self._going()
        if not arrived and (runs or dropped or going):
            pipe = client.pipeline(transaction=True)
            pipe.set(keys.batch(self._process), number, ex=keys.BATCH_LIFETIME)
            write(pipe, [*going, *runs])
            if dropped:
                pipe.incrby(keys.DROPPED, dropped)
            pipe.execute()
        self._batch, self._doubtful = None, False
        return len(runs) == BATCH

    def _next_batch(self) -> tuple[str, list[Run], int]:
        runs = [self._gathered.popleft() for _ in range(min(BATCH, len(self._gathered)))]
        with self._starting:
            dropped, self._dropped = self._dropped, 0
        return uuid.uuid4().hex, runs, dropped

    def _drop_batch(self) -> None:
        if self._batch is not None:
            _, runs, dropped = self._batch
            with self._starting:
                self._dropped += len(runs) + dropped
            self._batch = None

    def _going(self) -> list[Run]:
        """The runs that go on, each said to do so for a while; copies, for threads may end them meanwhile."""
        until = time.time() + BELIEVED
        going = [replace(run, believed_until=until) for run in list(self._running)]
        # One that is ending is told of when it has ended.
        return [run for run in going if run.status == STARTED and run.ended_at is None]


tracker = Tracker()
os.register_at_fork(after_in_child=tracker.reset)
