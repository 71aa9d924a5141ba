"""Work in batches, each committed by itself, so that nobody waits long for a lock; whoever wants hears of each.

A run ends when its time is up or its worker is asked to stop; the next one goes on where it ended.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from sqlalchemy import Connection

from app.core import stopping
from app.core.database import transaction

#: Called after every batch with the number of rows that went.
Watcher = Callable[[int], None]

_watchers: ContextVar[tuple[Watcher, ...]] = ContextVar("watchers", default=())
_telling = threading.Lock()


class Budget:
    """The time that a run has: `seconds` from now on, and none once its worker is asked to stop."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds

    def is_spent(self) -> bool:
        """Whether to begin nothing more."""
        return stopping.asked() or time.monotonic() >= self._ends_at

    def end(self) -> None:
        """Let it be spent, for all threads that share it."""
        self._ends_at = time.monotonic()


@contextmanager
def watched(watcher: Watcher) -> Iterator[None]:
    """Inside the block, `watcher` hears of every batch of this context's cleanings, of one at a time."""
    token = _watchers.set((*_watchers.get(), watcher))
    try:
        yield
    finally:
        _watchers.reset(token)


def done(rows: int) -> None:
    """Say that a batch is over, with which `rows` went."""
    with _telling:
        for watcher in _watchers.get():
            watcher(rows)


def in_batches(delete: Callable[[Connection], int], *, size: int, budget: Budget) -> int:
    """Call `delete` until it finds fewer than `size` rows, or `budget` is spent; rows in all."""
    gone = 0
    while not budget.is_spent():
        with transaction() as connection:
            batch = delete(connection)
        done(batch)
        gone += batch
        if batch < size:
            break
    return gone
