"""Judges the house every 15 seconds: of all processes that try, one at a time does it."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog

from app.core.config import get_settings
from app.monitoring.alerts.homes import Homes
from app.monitoring.alerts.look import take
from app.monitoring.alerts.notify import plan, send_due
from app.monitoring.alerts.rules import judge
from app.monitoring.alerts.snapshot import Snapshot
from app.monitoring.alerts.state import Event, advance

log = structlog.get_logger(__name__)

#: Seconds from one judgement to the next, and those after which one that did not end was cut off.
INTERVAL, LEASE = 15.0, 90.0
#: Deliveries that may wait; beyond that the oldest are dropped.
WAITING_AT_MOST = 500


class Evaluator:
    """This process's part: `look` tells how the house is."""

    def __init__(self, look: Callable[[], Coroutine[Any, Any, Snapshot]] = take) -> None:
        self._look = look
        self._homes = Homes()
        # One loop for all turns: a look that hung ends in a later one.
        self._runner = asyncio.Runner()

    def run(self, stopped: threading.Event) -> None:
        """Judge until `stopped`, whatever fails."""
        while not stopped.is_set():
            try:
                self.turn()
            except Exception as error:  # alerts must outlive a bug in one of their rules
                log.exception("alerts could not be judged", reason=type(error).__name__)
            stopped.wait(INTERVAL)

    def turn(self) -> bool:
        """Judge once, unless another process does or just did; whether it was this one."""
        began = time.monotonic()
        state = self._homes.claim(LEASE)
        if state is None:
            return False
        settings, snapshot = get_settings(), self._runner.run(self._look())
        now = datetime.fromtimestamp(time.time(), UTC)
        alerts, events = advance(
            state.alerts, judge(snapshot, settings), now, timedelta(minutes=settings.alert_repeat_minutes)
        )
        _tell_log(events)
        waiting = [*state.deliveries, *plan(events, settings)]
        if len(waiting) > WAITING_AT_MOST:
            log.warning("alerts that could not be delivered are dropped", number=len(waiting) - WAITING_AT_MOST)
        state = state.model_copy(update={"alerts": alerts, "deliveries": waiting[-WAITING_AT_MOST:]})
        if any(delivery.due_at <= now for delivery in state.deliveries):
            # First kept, then sent: a process that dies between the two leaves them to the next one.
            state = self._homes.save(state, LEASE)
            left = send_due(state.deliveries, settings, now)
            state = state.model_copy(update={"deliveries": left})
        self._homes.save(state, INTERVAL - 1 - (time.monotonic() - began))
        return True


def _tell_log(events: list[Event]) -> None:
    for event in events:
        tell = log.info if event.type == "alert.resolved" else log.warning
        tell(event.type, alert=event.alert.key, severity=event.alert.severity, summary=event.alert.summary)
