"""The queues' lengths, noted every ten seconds for an hour: from them come rates and the lines of charts."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.core.celery_app import QUEUES
from app.monitoring import keys
from app.monitoring.queues import Queue

#: Seconds between two samples, and those that a rate looks back.
INTERVAL, WINDOW = 10.0, 120.0


@dataclass(frozen=True, slots=True)
class Sample:
    """At `at` (seconds since 1970): what waited in each queue, and how many messages workers had taken, ever."""

    at: float
    waiting: dict[str, int]
    taken: dict[str, int]


@dataclass(frozen=True, slots=True)
class Rates:
    """Messages a second, of late. `seconds_to_empty` at these rates: None if it does not shrink."""

    into: float
    out: float
    seconds_to_empty: float | None


def note(client: Any, queues: dict[str, Queue]) -> None:
    """Keep a sample, and forget the oldest. Raises RedisError."""
    taken = client.hgetall(keys.TAKEN)
    sample = {
        "at": time.time(),
        "waiting": {name: queue.length for name, queue in queues.items()},
        "taken": {name: int(taken.get(name.encode(), 0)) for name in queues},
    }
    pipe = client.pipeline(transaction=False)
    pipe.lpush(keys.SAMPLES, json.dumps(sample))
    pipe.ltrim(keys.SAMPLES, 0, keys.SAMPLES_KEPT - 1)
    pipe.expire(keys.SAMPLES, keys.HOUR)
    pipe.execute()


def parse(raw: Sequence[bytes]) -> list[Sample]:
    """The samples as they lie in Redis, oldest first."""
    return [Sample(**json.loads(sample)) for sample in reversed(raw)]


def rates(samples: Sequence[Sample]) -> dict[str, Rates]:
    """The rates of each queue over the last WINDOW; empty while there are too few samples."""
    recent = [s for s in samples if s.at > time.time() - WINDOW - INTERVAL]
    if len(recent) < 2:
        return {}
    first, last = recent[0], recent[-1]
    seconds = last.at - first.at
    found = {}
    for queue in QUEUES:
        waiting = last.waiting[queue]
        # What was counted anew (a restart of Redis) tells nothing; it is soon out of the window.
        out = max(0.0, (last.taken[queue] - first.taken[queue]) / seconds)
        into = max(0.0, out + (waiting - first.waiting[queue]) / seconds)
        shrinks = waiting == 0 or out > into
        found[queue] = Rates(
            into, out, waiting / (out - into) if waiting and shrinks else 0.0 if shrinks else None
        )
    return found
