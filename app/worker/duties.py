"""What one process does for the whole house: whichever worker's turn it is notes the queues and sends canaries."""

from __future__ import annotations

import os
from typing import Any

from app.core.broker import Broker
from app.monitoring import canary, keys, queues, samples, workers


def take_turns(client: Any, broker: Broker) -> None:
    """Do what is due and nobody else has taken. Raises RedisError, BrokerUnavailable."""
    sampling, sending = (
        _has_turn(client, "samples", samples.INTERVAL),
        _has_turn(client, "canary", canary.INTERVAL),
    )
    if not (sampling or sending):
        return
    holdings = queues.read(broker)
    if sampling:
        samples.note(client, holdings.queues)
    if sending:
        there, _ = workers.read(client)
        consumed = sorted(holdings.queues.keys() & {queue for worker in there for queue in worker.queues})
        canary.send(client, broker, holdings.queues, consumed)


def _has_turn(client: Any, duty: str, every: float) -> bool:
    """Whether this process does it this time; a turn ends by itself, so one that dies holds nothing up."""
    # A little less than the interval: the next look of the same process must not come just too soon.
    return bool(client.set(keys.turn(duty), os.getpid(), nx=True, px=int((every - 1) * 1000)))
