"""The broker carries wake-ups: publishes them in batches, and tells how old the oldest waiting one is.

A wake-up is a Celery message with a row's id as task id and no arguments: nothing personal lies in the broker.
"""

from __future__ import annotations

import json
import os
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from celery.signals import before_task_publish
from kombu import Connection, Producer
from kombu.exceptions import KombuError

from app.core import context
from app.core.breaker import Breaker
from app.core.celery_app import REDIS_TRANSPORT, celery_app
from app.core.errors import BrokerUnavailable

#: Header that tells when a message was published (seconds since 1970); a stock Celery message does not.
PUBLISHED_AT = "published_at"

#: A booking waits for the broker at most this long (connect and reply together stay under a second).
CONNECT_TIMEOUT, REPLY_TIMEOUT = 0.4, 0.5
#: After a failure nobody else waits for this many seconds; the rows wait for the relay.
COOL_DOWN = 30.0

#: kombu on Redis keeps one list for each of these priorities, named <queue><SEPARATOR><step> but for step 0.
PRIORITY_STEPS, SEPARATOR = (0, 3, 6, 9), "\x06\x16"


@dataclass(frozen=True, slots=True)
class WakeUp:
    """Tells a worker that row `id` wants attention. `published_at` is by the database's clock."""

    id: str
    task: str
    queue: str
    priority: int
    published_at: float


def priority_list(queue: str, priority: int) -> str:
    """The Redis key of the list in which a message of `priority` (0 first … 9 last) waits."""
    step = max(s for s in PRIORITY_STEPS if s <= priority)
    return f"{queue}{SEPARATOR}{step}" if step else queue


@before_task_publish.connect
def _stamp(headers: dict[str, Any] | None = None, **_: object) -> None:
    if headers is not None:
        headers.setdefault(PUBLISHED_AT, time.time())
        if (request_id := context.request_id()) is not None:
            headers.setdefault(context.REQUEST_ID, request_id)


class Broker:
    """This process's way to the broker, apart from Celery's own: its waits are short, for callers are waiting."""

    def __init__(self, *, connect_timeout: float, reply_timeout: float, cool_down: float) -> None:
        self.breaker = Breaker(cool_down=cool_down)
        self._timeouts = {"socket_connect_timeout": connect_timeout, "socket_timeout": reply_timeout}
        self._lock = threading.Lock()
        self._pool: tuple[int, Any] | None = None

    def publish(self, wake_ups: Sequence[WakeUp]) -> None:
        """Publish in one batch. Raises BrokerUnavailable, at once while the breaker is open.

        Some of a failed batch may have arrived; doubles do no harm, for a row is claimed once.
        """
        if not self.breaker.allow():
            raise BrokerUnavailable("the broker did not answer a moment ago; the relay publishes later")
        with self._guarded() as connection:
            producer = celery_app.amqp.Producer(connection, auto_declare=False)
            with producer.batch():  # type: ignore[attr-defined]  # kombu's stubs lag behind 5.7
                for wake_up in wake_ups:
                    _send(producer, wake_up)

    @contextmanager
    def producer(self) -> Iterator[Producer]:
        """A producer for messages that Celery itself composes. Raises BrokerUnavailable."""
        with self._guarded() as connection:
            yield celery_app.amqp.Producer(connection, auto_declare=False)

    def oldest_waiting(self, lists: Iterable[tuple[str, int]]) -> dict[tuple[str, int], float | None]:
        """When the oldest message waiting for each (queue, priority) was published; None where none waits.

        Raises BrokerUnavailable. Only Redis can be asked without taking a message; elsewhere nothing is
        known, and 0.0 (older than everything) says so.
        """
        wanted = list(lists)
        if not celery_app.conf.broker_url.startswith(("redis", "sentinel")):
            return dict.fromkeys(wanted, 0.0)
        with self._guarded() as connection:
            channel: Any = connection.default_channel
            pipe = channel.client.pipeline(transaction=False)
            for queue, priority in wanted:
                pipe.lindex(priority_list(queue, priority), -1)
            return {key: published_at(raw) for key, raw in zip(wanted, pipe.execute(), strict=True)}

    def lengths(self, queues: Iterable[str]) -> dict[str, int]:
        """How many messages wait in each queue, over all priorities. Raises BrokerUnavailable."""
        names = list(queues)
        with self._guarded() as connection:
            channel: Any = connection.default_channel
            return {name: channel._size(name) for name in names}

    @contextmanager
    def redis(self) -> Iterator[Any]:
        """The Redis client of a connection, to look without taking. Raises BrokerUnavailable, also elsewhere."""
        if not celery_app.conf.broker_url.startswith(("redis", "sentinel")):
            raise BrokerUnavailable("only a broker on Redis can be looked into")
        with self._guarded() as connection:
            channel: Any = connection.default_channel
            yield channel.client

    @contextmanager
    def _guarded(self) -> Iterator[Connection]:
        pool = self._connections()
        with pool.acquire(block=True, timeout=1) as connection:
            try:
                yield connection
            except (*connection.connection_errors, *connection.channel_errors, KombuError) as error:
                connection.collect()  # its state is unknown: the next caller connects anew
                self.breaker.failed()
                raise BrokerUnavailable("the broker did not answer") from error
        self.breaker.succeeded()

    def _connections(self) -> Any:
        """The pool of this process; one inherited over a fork is left alone."""
        with self._lock:
            if self._pool is None or self._pool[0] != os.getpid():
                on_redis = not celery_app.conf.broker_url.startswith("amqp")
                # Not twice: kombu would sleep for two seconds in between, whatever the timeouts say.
                options = {**REDIS_TRANSPORT, **self._timeouts, "max_retries": 0} if on_redis else {}
                connection = celery_app.connection_for_write(
                    transport_options=options, connect_timeout=self._timeouts["socket_connect_timeout"]
                )
                self._pool = (os.getpid(), connection.Pool(limit=8))
            return self._pool[1]


def _send(producer: Producer, wake_up: WakeUp) -> None:
    """What `send_task` does, less its SUBSCRIBE to the result: a caller who wants one asks for it."""
    message = celery_app.amqp.create_task_message(
        wake_up.id, wake_up.task, (), {}, ignore_result=False, argsrepr="()", kwargsrepr="{}"
    )
    message.headers[PUBLISHED_AT] = wake_up.published_at
    celery_app.amqp.send_task_message(
        producer,
        wake_up.task,
        message,
        queue=celery_app.amqp.queues[wake_up.queue],
        priority=wake_up.priority,
        retry=False,
    )


def published_at(raw: bytes | None) -> float | None:
    """When a message as it lies in a list was published; None for no message, 0.0 for one that does not say."""
    if raw is None:
        return None
    try:
        return float(json.loads(raw)["headers"][PUBLISHED_AT])
    except (ValueError, KeyError, TypeError):
        return 0.0  # not one of ours, but it waits: whatever is younger may well wait behind it


#: For callers with a passenger at the other end.
broker = Broker(connect_timeout=CONNECT_TIMEOUT, reply_timeout=REPLY_TIMEOUT, cool_down=COOL_DOWN)
