"""The product's app and, besides, tasks that end their own process: what a leak or a bad library would do."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from app.core.celery_app import celery_app

__all__ = ["celery_app"]

TASK = "tests.faults.crash"
_SOFT_LIMIT, _HARD_LIMIT = 1, 2  # seconds


@contextmanager
def _little_memory() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (1, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _run_out_of_memory() -> None:
    with _little_memory():
        bytearray(2**30)


def _ignore_the_soft_limit() -> None:
    """As a C library does that never returns to Python: only the hard limit ends it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR1})
    time.sleep(60)


#: How a child may end → how often Celery starts the task in all: again max_retries times if its child was lost.
STARTS = {"kill": 4, "exit": 4, "segfault": 4, "overtime": 1, "memory": 1}
_WAYS: dict[str, Callable[[], object]] = {
    "kill": lambda: os.kill(os.getpid(), signal.SIGKILL),
    "exit": lambda: os._exit(1),
    "segfault": lambda: ctypes.string_at(0),
    "memory": _run_out_of_memory,
    "overtime": _ignore_the_soft_limit,
}


@celery_app.task(
    name=TASK, max_retries=3, default_retry_delay=1, soft_time_limit=_SOFT_LIMIT, time_limit=_HARD_LIMIT
)
def crash(way: str, starts: str) -> None:
    """Add a byte to the file `starts`, and end as `way` says."""
    with Path(starts).open("ab") as file:
        file.write(b"x")
    _WAYS[way]()
