"""Publishes whatever is due: what was never published, what the broker lost, and retries whose time has come.

Any number of relays may run at once; each line is locked by one of them while it is published.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

import structlog
from sqlalchemy import Row

from app.core.broker import Broker, WakeUp
from app.core.database import transaction
from app.core.errors import BrokerUnavailable, DatabaseUnavailable
from app.notifications import outbox, store

log = structlog.get_logger(__name__)

#: Lines looked at in one transaction: their publish takes well under 200 ms.
BATCH = 500
#: Seconds between looks when nothing is due, and after a broker or database did not answer.
IDLE, AWAY = 0.2, 1.0
#: Seconds by which a commit may run ahead of its publish: only a message this much younger than ours at the
#: head of the list shows that ours is not waiting in it.
SLACK = 3.0
#: Longest wait before a line that has been published is looked at again.
LONGEST_GRACE = 30.0


class Relay:
    """Runs until told to stop."""

    def __init__(self) -> None:
        self.stopped = threading.Event()
        # Nobody waits for this one, so it may be patient with a slow broker; and it has no use for a cool-down.
        self._broker = Broker(connect_timeout=2.0, reply_timeout=5.0, cool_down=0.0)

    def run(self) -> None:
        """Publish until `stop`; outages of broker and database are waited out, and said once."""
        away = False
        while not self.stopped.is_set():
            try:
                wait = 0.0 if self.publish_due() == BATCH else IDLE
                away = False
            except (BrokerUnavailable, DatabaseUnavailable) as error:
                if not away:
                    log.warning("relay waits", reason=str(error))
                away, wait = True, AWAY
            except Exception:  # whatever it is, a relay that has ended would say nothing and publish nothing
                log.exception("relay stumbled")
                wait = AWAY
            self.stopped.wait(wait)

    def stop(self) -> None:
        """End `run` after the batch in hand."""
        self.stopped.set()

    def publish_due(self) -> int:
        """Look at one batch of due lines; returns how many. Raises BrokerUnavailable, DatabaseUnavailable.

        Publishing stands inside the transaction: a relay that dies before the commit leaves the lines due.
        """
        with transaction() as connection:
            lines = outbox.due(connection, BATCH)
            if not lines:
                return 0
            lost, waiting = self._sort(lines)
            if lost:
                self._broker.publish([WakeUp(str(n.id), n.task, n.queue, n.priority, n.now) for n in lost])
                outbox.move_on(connection, [(n.id, _grace(n.attempt), n.now) for n in lost], published=True)
            if waiting:
                # The longer it has waited, the longer a look can wait: a backlog is not looked at every second.
                outbox.move_on(connection, [(n.id, _patience(n), n.now) for n in waiting], published=False)
            return len(lines)

    def _sort(self, lines: Sequence[Row[Any]]) -> tuple[list[Row[Any]], list[Row[Any]]]:
        """(to be published, may still be waiting in the broker). A backlog is not a loss."""
        lists = {(n.queue, n.priority) for n in lines if n.published_at is not None}
        oldest = self._broker.oldest_waiting(lists) if lists else {}
        lost: list[Row[Any]] = []
        waiting: list[Row[Any]] = []
        for line in lines:
            head = None if line.published_at is None else oldest[line.queue, line.priority]
            gone = head is None or head > line.published_at + SLACK
            (lost if gone else waiting).append(line)
        return lost, waiting


def _grace(publishes: int) -> float:
    return min(LONGEST_GRACE, store.GRACE * 2.0**publishes)


def _patience(line: Row[Any]) -> float:
    return float(min(LONGEST_GRACE, max(store.GRACE, line.now - line.published_at)))
