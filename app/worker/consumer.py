"""Celery's consumer: sooner back after an outage, not killed by garbage, discreet, and thrifty with events."""

from __future__ import annotations

from functools import partial
from typing import Any

import structlog
from celery.worker.consumer import Consumer

from app.worker.pulse import pulse
from app.worker.request import HIDDEN

log = structlog.get_logger(__name__)

#: What a list item that is no message raises while kombu reads it (no JSON, JSON of another shape, too deeply
#: nested). The item is gone by then; the stock worker exits with an "unrecoverable error", so that N such items
#: end N workers.
GARBAGE = (ValueError, TypeError, AttributeError, LookupError, RecursionError)

#: Seconds for which events of tasks gather: publishing each by itself took a sixth of a busy worker's time.
EVENTS_INTERVAL = 0.2


class SturdyConsumer(Consumer):
    """Connects anew within two seconds of the broker's return, and after an item that can't be read."""

    connection_errors: tuple[type[BaseException], ...]
    event_dispatcher: Any

    class Blueprint(Consumer.Blueprint):  # type: ignore[misc, valid-type]  # a class, whatever the stubs say
        """Celery's, without the 28 queues in which RabbitMQ would hold delayed messages: rows hold ours."""

        default_steps = tuple(s for s in Consumer.Blueprint.default_steps if "DelayedDelivery" not in str(s))

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connection_errors = (*self.connection_errors, *GARBAGE)

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, trying again for as long as it takes; the stock wait grows to thirty seconds."""
        conn.ensure_connection = partial(
            _connect_turning, conn.ensure_connection, interval_start=0.5, interval_step=0.5, interval_max=2
        )
        return super().ensure_connected(conn)

    def on_connection_error_after_connected(self, exc: Exception) -> None:
        """Let go of a lost connection, also when that fails.

        With messages in hand, kombu gives them back through a pool; behind Sentinels it makes a new one, from a
        connection that is gone by then. The stock worker ended so in every second failover.
        """
        try:
            super().on_connection_error_after_connected(exc)
        except AttributeError as error:
            log.warning("the lost connection was not closed in order", reason=str(error))

    def on_send_event_buffered(self) -> None:  # type: ignore[override]  # nobody asks for a result
        """Leave the event where it is: Celery would publish each task's by themselves."""

    def register_with_event_loop(self, hub: Any) -> None:
        """Publish what events have gathered, a few times a second; sooner once there are 24."""
        super().register_with_event_loop(hub)
        hub.call_repeatedly(EVENTS_INTERVAL, self._publish_events)

    def shutdown(self) -> None:
        """Publish the last events, those of tasks that ended while the worker stopped among them; then close."""
        self._publish_events()
        super().shutdown()

    def _publish_events(self) -> None:
        if self.event_dispatcher:
            self.event_dispatcher.flush()

    def update_strategies(self) -> None:
        """Have every task's request hide its arguments and outlive its running out of memory."""
        for task in self.app.tasks.values():
            task.Request = "app.worker.request:DiscreetRequest"
        super().update_strategies()

    # Celery's log lines for what it can't run show bodies.

    def on_unknown_message(self, body: Any, message: Any) -> None:
        """Drop what is no task message, and log it without its body."""
        super().on_unknown_message(HIDDEN, _without_arguments(message))

    def on_unknown_task(self, body: Any, message: Any, exc: Any) -> None:
        """Drop a task that we don't have, and log its name without its arguments."""
        super().on_unknown_task(HIDDEN, _without_arguments(message), exc)

    def on_invalid_task(self, body: Any, message: Any, exc: Any) -> None:
        """Drop a task whose message lacks what Celery needs, and log it without its arguments."""
        super().on_invalid_task(HIDDEN, _without_arguments(message), exc)

    def on_decode_error(self, message: Any, exc: Any) -> None:
        """Drop what can't be decoded, and log its size in bytes and the kind of error."""
        log.error("a message can't be decoded and is dropped", size=len(message.body), reason=type(exc).__name__)
        message.ack()


def _connect_turning(connect: Any, *args: Any, callback: Any, **options: Any) -> Any:
    """Connect, and let each try count as a turn: a worker whose broker is away waits, it does not hang."""

    def turn() -> None:
        pulse.turn(set())
        callback()

    return connect(*args, callback=turn, **options)


def _without_arguments(message: Any) -> Any:
    """The message, its headers' picture of the arguments hidden."""
    for name in ("argsrepr", "kwargsrepr"):
        if name in (message.headers or {}):
            message.headers[name] = HIDDEN
    return message
