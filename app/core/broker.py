"""The broker carries wake-ups: publishes them in batches, and tells how old the oldest waiting one is.

A wake-up is a Celery message with a row's id as task id and no arguments: nothing personal lies in the broker.
"""

from __future__ import annotations

import os
import ssl
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from celery.signals import before_task_publish
from kombu import Connection, Producer
from kombu.exceptions import KombuError
from opentelemetry.trace import SpanKind

from app.core import context, tracing, transport
from app.core.breaker import Breaker
from app.core.celery_app import celery_app
from app.core.errors import BrokerUnavailable
from app.core.transport import PUBLISHED_AT, Place

#: A booking waits for the broker at most this long (connect and reply together stay under a second).
CONNECT_TIMEOUT, REPLY_TIMEOUT = 0.4, 0.5
#: After a failure nobody else waits for this many seconds; the rows wait for the relay.
COOL_DOWN = 30.0


@dataclass(frozen=True, slots=True)
class WakeUp:
    """Tells a worker that row `id` wants attention. `published_at` is by the database's clock."""

    id: str
    task: str
    queue: str
    priority: int
    published_at: float


@before_task_publish.connect
def _stamp(headers: dict[str, Any] | None = None, **_: object) -> None:
    if headers is not None:
        headers.setdefault(PUBLISHED_AT, time.time())
        if (request_id := context.request_id()) is not None:
            headers.setdefault(context.REQUEST_ID, request_id)
        tracing.inject(headers)


class Broker:
    """This process's way to the broker, apart from Celery's own: its waits are short, for callers are waiting."""

    def __init__(self, *, connect_timeout: float, reply_timeout: float, cool_down: float) -> None:
        self.breaker = Breaker(cool_down=cool_down)
        self._connect_timeout, self._reply_timeout = connect_timeout, reply_timeout
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
                    _send(producer, wake_up, **self.publishing(wake_up.priority))

    @contextmanager
    def producer(self) -> Iterator[Producer]:
        """A producer for messages that Celery itself composes. Raises BrokerUnavailable."""
        with self._guarded() as connection:
            yield celery_app.amqp.Producer(connection, auto_declare=False)

    def publishing(self, priority: int) -> dict[str, Any]:
        """Celery's options for a message of `priority` (0 first … 9 last) that `producer` publishes."""
        return transport.current().publishing(priority, self._reply_timeout)

    def oldest_waiting(self, places: Iterable[Place]) -> dict[Place, float | None]:
        """When the oldest message waiting for each (queue, priority) was published; None where none waits.

        0.0, older than everything, where one waits and does not tell. Raises BrokerUnavailable.
        """
        with self._guarded() as connection:
            return transport.current().oldest(connection, places)

    def lengths(self, queues: Iterable[str]) -> dict[str, int]:
        """How many messages wait in each queue, over all priorities. Raises BrokerUnavailable."""
        with self._guarded() as connection:
            return transport.current().lengths(connection, queues)

    def server_properties(self) -> dict[str, Any]:
        """What RabbitMQ tells a client of itself: `product`, `version` and more. Raises BrokerUnavailable."""
        with self._guarded() as connection:
            amqp: Any = connection.connection
            return dict(amqp.server_properties)

    @contextmanager
    def redis(self) -> Iterator[Any]:
        """The client of a connection to a broker with lists, to look without taking. Raises BrokerUnavailable."""
        with self._guarded() as connection:
            channel: Any = connection.default_channel
            yield channel.client

    @contextmanager
    def _guarded(self) -> Iterator[Connection]:
        pool = self._connections()
        with pool.acquire(block=True, timeout=1) as connection:
            try:
                transport.current().ready(connection, self._reply_timeout)
                yield connection
            except (*connection.connection_errors, *connection.channel_errors, KombuError) as error:
                connection.collect()  # its state is unknown: the next caller connects anew
                self.breaker.failed()
                raise _unavailable(error) from error
        self.breaker.succeeded()

    def _connections(self) -> Any:
        """The pool of this process; one inherited over a fork is left alone."""
        with self._lock:
            if self._pool is None or self._pool[0] != os.getpid():
                options = transport.current().publisher(self._connect_timeout, self._reply_timeout)
                connection = celery_app.connection_for_write(
                    transport_options=options, connect_timeout=self._connect_timeout
                )
                self._pool = (os.getpid(), connection.Pool(limit=8))
            return self._pool[1]


def _send(producer: Producer, wake_up: WakeUp, **options: Any) -> None:
    """What `send_task` does, less its SUBSCRIBE to the result: a caller who wants one asks for it."""
    message = celery_app.amqp.create_task_message(
        wake_up.id, wake_up.task, (), {}, ignore_result=False, argsrepr="()", kwargsrepr="{}"
    )
    message.headers[PUBLISHED_AT] = wake_up.published_at
    with tracing.span(f"publish {wake_up.queue}", SpanKind.PRODUCER, message_id=wake_up.id):
        celery_app.amqp.send_task_message(
            producer,
            wake_up.task,
            message,
            queue=celery_app.amqp.queues[wake_up.queue],
            retry=False,
            **options,
        )


def _unavailable(error: BaseException) -> BrokerUnavailable:
    """Whether it is away, or somebody else answers in its place."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return BrokerUnavailable(
                f"the broker's certificate is refused: {cause.verify_message}; see TLS_CA_FILE"
            )
        cause = cause.__cause__ or cause.__context__
    return BrokerUnavailable("the broker did not answer")


#: For callers with a passenger at the other end.
broker = Broker(connect_timeout=CONNECT_TIMEOUT, reply_timeout=REPLY_TIMEOUT, cool_down=COOL_DOWN)
