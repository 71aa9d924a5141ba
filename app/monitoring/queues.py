"""What the broker holds: of each queue what waits, what is held, how old the oldest is; and the broker itself."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from math import isfinite
from typing import Any

from app.core import transport
from app.core.broker import Broker
from app.core.celery_app import QUEUES
from app.core.transport import PRIORITY_STEPS, priority_list, published_at

#: Messages held unacknowledged that are looked at; of more, the rest is taken to be spread alike. A worker holds
#: no more than it runs, so there are rarely as many.
HELD_LOOKED_AT = 500

_LISTS = [(queue, step) for queue in QUEUES for step in PRIORITY_STEPS]
#: kombu's hash of what was handed out and not yet acknowledged: tag → [message, exchange, routing key].
_UNACKED, _UNACKED_INDEX = "unacked", "unacked_index"


@dataclass(frozen=True, slots=True)
class Queue:
    """One queue at one moment.

    `length` waits. `held` are with a worker and unacknowledged; `delayed` are those of them that wait for a time
    of their own: None where the broker does not tell. `oldest_seconds` is the age of the oldest that waits: None
    if none does, or if it does not tell.
    """

    length: int
    held: int | None
    delayed: int | None
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True)
class Server:
    """What a Redis or Valkey server says of itself; `max_bytes` is 0 where it has no limit."""

    version: str
    used_bytes: int
    max_bytes: int
    policy: str
    persistent: bool  # an append-only file, or snapshots that were asked for
    write_error: bool  # it could not write its append-only file or its last snapshot
    evicted: int
    rejected: int  # connections


@dataclass(frozen=True, slots=True)
class Holdings:
    """All queues, and the server; None where the server tells nothing about itself."""

    queues: dict[str, Queue]
    oldest_held_seconds: float | None  # since it was handed out
    server: Server | None


def read(broker: Broker) -> Holdings:
    """Look at the broker without taking a message. Raises BrokerUnavailable."""
    if transport.current().has_lists:
        return _lists(broker)
    lengths = broker.lengths(QUEUES)
    queues = {
        name: Queue(length, held=None, delayed=None, oldest_seconds=None) for name, length in lengths.items()
    }
    return Holdings(queues, oldest_held_seconds=None, server=None)


def _lists(broker: Broker) -> Holdings:
    """What Redis holds, in one round trip."""
    with broker.redis() as client:
        *answers, info = _ask(client)
    *lists, held, (_, sample), handed_out = answers
    now = time.time()
    waiting = dict(zip(_LISTS, zip(lists[::2], lists[1::2], strict=True), strict=True))
    by_queue, delayed = _held(sample.values(), held, now)
    return Holdings(
        queues={
            name: Queue(
                length=sum(waiting[name, step][0] for step in PRIORITY_STEPS),
                held=by_queue[name],
                delayed=delayed[name],
                oldest_seconds=_age(now, (waiting[name, step][1] for step in PRIORITY_STEPS)),
            )
            for name in QUEUES
        },
        oldest_held_seconds=max(0.0, now - handed_out[0][1]) if handed_out else None,
        server=None if isinstance(info, Exception) else server(info),
    )


def _ask(client: Any) -> list[Any]:
    """Length and oldest of each list, then what is held, then the server's INFO, or why it gives none."""
    pipe = client.pipeline(transaction=False)
    for queue, step in _LISTS:
        pipe.llen(priority_list(queue, step))
        pipe.lindex(priority_list(queue, step), -1)
    pipe.hlen(_UNACKED)
    pipe.hscan(_UNACKED, count=HELD_LOOKED_AT)
    pipe.zrange(_UNACKED_INDEX, 0, 0, withscores=True)
    pipe.info()
    answers: list[Any] = pipe.execute(raise_on_error=False)
    if refused := next((answer for answer in answers[:-1] if isinstance(answer, Exception)), None):
        raise refused
    return answers


def server(info: dict[str, Any]) -> Server:
    """What the answer to INFO says."""
    return Server(
        version=str(info.get("valkey_version") or info.get("redis_version")),
        used_bytes=int(info.get("used_memory", 0)),
        max_bytes=int(info.get("maxmemory", 0)),
        policy=str(info.get("maxmemory_policy", "unknown")),
        persistent=bool(info.get("aof_enabled") or info.get("rdb_saves")),
        write_error="err" in (info.get("aof_last_write_status"), info.get("rdb_last_bgsave_status")),
        evicted=int(info.get("evicted_keys", 0)),
        rejected=int(info.get("rejected_connections", 0)),
    )


def _age(now: float, oldest: Iterable[bytes | None]) -> float | None:
    """Of the messages that wait longest in each list, the age of the oldest that tells it."""
    known = [at for raw in oldest if (at := published_at(raw)) and isfinite(at)]
    return max(0.0, now - min(known)) if known else None  # another machine's clock may be ahead


def _held(sample: Iterable[bytes], held: int, now: float) -> tuple[Counter[str], Counter[str]]:
    """(messages held, those of them that are delayed) by queue."""
    by_queue: Counter[str] = Counter()
    delayed: Counter[str] = Counter()
    seen = 0
    for raw in sample:
        seen += 1
        try:
            message, _, queue = json.loads(raw)
            eta = message["headers"].get("eta")
            later = eta is not None and datetime.fromisoformat(eta).timestamp() > now
        except (ValueError, TypeError, LookupError, AttributeError):
            continue  # not one of ours: it is counted with no queue
        by_queue[str(queue)] += 1
        delayed[str(queue)] += later
    if seen and held > seen:
        for counts in (by_queue, delayed):
            for queue in counts:
                counts[queue] = round(counts[queue] * held / seen)
    return by_queue, delayed
