"""What only a worker's main process knows, in memory that its companion reads: nobody waits for anybody."""

from __future__ import annotations

import multiprocessing
import threading
import time
from typing import Any, NamedTuple

from celery import bootsteps
from celery.worker import state

from app.core.celery_app import QUEUES
from app.messages.base import Channel
from app.notifications import circuit

#: Seconds between two turns that are noted.
INTERVAL = 1.0

_TURNED_AT, _ACTIVE, _LAST_TAKEN_AT, _QUEUES = 0, 1, 2, 3
_CIRCUITS = _QUEUES + 2 * len(QUEUES)
_SIZE = _CIRCUITS + len(Channel)


class Beat(NamedTuple):
    """The numbers at one moment. Times are seconds since 1970, 0.0 for never."""

    turned_at: float
    active: int
    last_taken_at: float
    consumed: list[str]  # the queues, at present
    taken: dict[str, int]  # messages taken from each, since the worker began
    open_until: dict[str, float]  # channel → when its provider is tried again


class Pulse:
    """Written by the main process, read by its companion: a thread, or, beside a forking pool, a process."""

    def __init__(self) -> None:
        self.shared: Any = multiprocessing.get_context("spawn").RawArray("d", _SIZE)
        self._lock = threading.Lock()

    def turn(self, consumed: set[str]) -> None:
        """The main loop has turned, and consumes these queues."""
        self.shared[_TURNED_AT] = time.time()
        self.shared[_ACTIVE] = len(state.active_requests)
        for index, queue in enumerate(QUEUES):
            self.shared[_QUEUES + 2 * index] = queue in consumed
        for index, channel in enumerate(Channel):
            self.shared[_CIRCUITS + index] = circuit.open_until(channel)

    def take(self, queue: str) -> None:
        """A message was taken from this queue."""
        with self._lock:  # threads of the pool tell it
            self.shared[_LAST_TAKEN_AT] = time.time()
            if queue in QUEUES:
                self.shared[_QUEUES + 2 * QUEUES.index(queue) + 1] += 1


def read(shared: Any) -> Beat:
    """What a Pulse's `shared` holds."""
    consumed = shared[_QUEUES:_CIRCUITS:2]
    taken = shared[_QUEUES + 1 : _CIRCUITS : 2]
    return Beat(
        turned_at=shared[_TURNED_AT],
        active=int(shared[_ACTIVE]),
        last_taken_at=shared[_LAST_TAKEN_AT],
        consumed=[queue for queue, yes in zip(QUEUES, consumed, strict=True) if yes],
        taken={queue: int(number) for queue, number in zip(QUEUES, taken, strict=True)},
        open_until=dict(zip(Channel, shared[_CIRCUITS:_SIZE], strict=True)),
    )


#: This worker's; made before its pool forks.
pulse = Pulse()


class PulseStep(bootsteps.StartStopStep):
    """Has the consumer's own timer note each turn: no thread, which a forking pool would not survive."""

    requires = ("celery.worker.consumer.tasks:Tasks",)

    def __init__(self, consumer: Any, **options: Any) -> None:
        super().__init__(consumer, **options)
        self._timer: Any = None

    def start(self, consumer: Any) -> None:
        """Begin with a connection."""
        self._turn(consumer)
        self._timer = consumer.timer.call_repeatedly(INTERVAL, self._turn, (consumer,))

    def stop(self, consumer: Any) -> None:
        """End with the connection."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    shutdown = stop

    def _turn(self, consumer: Any) -> None:
        tasks = consumer.task_consumer
        pulse.turn({queue.name for queue in tasks.queues} if tasks else set())
