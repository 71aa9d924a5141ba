"""The product's app and, besides, tasks that end their own process: what a leak or a bad library would do."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from celery.result import AsyncResult

from app.core.celery_app import celery_app
from tests.rlimits import limited

__all__ = ["celery_app"]

TASK = "tests.faults.crash"
#: Seconds, soft and hard, of the one that is ended by its limit. The others have none: Celery looks for children
#: that are gone every 5 s if it has missed the moment (github.com/celery/celery/issues/9588).
_LIMITS: dict[str, dict[str, Any]] = {"overtime": {"soft_time_limit": 1, "time_limit": 2}}
#: Until the parent has surely noted who runs the task. If the child ends in the very moment of its start, the pool
#: (celery.concurrency.asynpool.on_job_process_down) may hand the task to another child besides calling it lost.
_NOTED = 0.5


def _run_out_of_memory() -> None:
    with limited(resource.RLIMIT_AS, 1):
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


def start(way: str, starts: Path) -> AsyncResult[None]:
    """Have a worker start the task that ends so; the file grows by a byte at each start."""
    return celery_app.send_task(TASK, (way, str(starts)), queue="cleanup", **_LIMITS.get(way, {}))


@celery_app.task(name=TASK, max_retries=3, default_retry_delay=1)
def crash(way: str, starts: str) -> None:
    """Add a byte to the file `starts`, and end as `way` says."""
    with Path(starts).open("ab") as file:
        file.write(b"x")
    time.sleep(_NOTED)
    _WAYS[way]()
