"""Canaries: a tiny task through every queue that somebody consumes shows that it is consumed, and how soon."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from app.core.broker import Broker
from app.core.celery_app import QUEUES, celery_app
from app.core.redis import client as redis_client
from app.monitoring import keys
from app.monitoring.queues import Queue

TASK = "app.tasks.canary_tasks.canary"

#: Seconds between two canaries, after which one that did not come is no longer waited for, and its life.
INTERVAL, PATIENCE, LIFE = 30.0, 60.0, 120


@dataclass(frozen=True, slots=True)
class Flight:
    """The canaries of one queue; times are seconds since 1970, None: none yet."""

    sent_at: float | None
    arrived_at: float | None  # of the last one that came through
    seconds: float | None  # that it took


def send(client: Any, broker: Broker, queues: dict[str, Queue], names: Iterable[str]) -> None:
    """Send one through each of these queues, before all else that waits there.

    None follows one that is on its way: a queue that nobody empties must not fill with canaries.
    Raises RedisError, BrokerUnavailable.
    """
    now, flights = time.time(), read(client)
    for name in names:
        last = flights[name]
        flies = last.sent_at is not None and (last.arrived_at or 0.0) < last.sent_at
        if flies and (queues[name].length or queues[name].held) and now - (last.sent_at or 0.0) < PATIENCE:
            continue
        client.hset(keys.CANARIES, f"{name}:sent", now)
        with broker.producer() as producer:
            celery_app.send_task(
                TASK,
                (name, now),
                queue=name,
                producer=producer,
                expires=LIFE,
                ignore_result=True,
                retry=False,
                **broker.publishing(0),
            )


def arrived(queue: str, sent_at: float) -> None:
    """The one sent at `sent_at` came through. Raises RedisError."""
    now = time.time()
    redis_client().hset(
        keys.CANARIES, mapping={f"{queue}:arrived": now, f"{queue}:seconds": max(0.0, now - sent_at)}
    )


def read(client: Any) -> dict[str, Flight]:
    """The canaries of every queue. Raises RedisError."""
    return parse(client.hgetall(keys.CANARIES))


def parse(fields: dict[bytes, bytes]) -> dict[str, Flight]:
    """The canaries of every queue, as they lie in Redis."""
    known = {name.decode(): float(value) for name, value in fields.items()}
    return {
        queue: Flight(known.get(f"{queue}:sent"), known.get(f"{queue}:arrived"), known.get(f"{queue}:seconds"))
        for queue in QUEUES
    }
