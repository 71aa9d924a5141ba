"""Celery's consumer, sooner back after an outage of the broker, and not killed by garbage in a queue."""

from __future__ import annotations

from functools import partial
from typing import Any

from celery.worker.consumer import Consumer

#: What a list item that is no message raises while kombu reads it (no JSON, JSON of another shape, too deeply
#: nested). The item is gone by then; the stock worker exits with an "unrecoverable error", so that N such items
#: end N workers.
GARBAGE = (ValueError, TypeError, AttributeError, LookupError, RecursionError)


class SturdyConsumer(Consumer):
    """Connects anew within two seconds of the broker's return, and after an item that can't be read."""

    connection_errors: tuple[type[BaseException], ...]

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.connection_errors = (*self.connection_errors, *GARBAGE)

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, trying again for as long as it takes; the stock wait grows to thirty seconds."""
        conn.ensure_connection = partial(
            conn.ensure_connection, interval_start=0.5, interval_step=0.5, interval_max=2
        )
        return super().ensure_connected(conn)
