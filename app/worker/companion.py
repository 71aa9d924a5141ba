"""What runs beside each pool: the relay, the heartbeats, and what one process does for the whole house.

A thread in a parent that forks would leave its locks, held or not, behind in the children: so the companion is
a process of its own there, and threads elsewhere.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable
from typing import Any

import structlog
from redis.exceptions import RedisError

from app.core import redis, tracing
from app.core.broker import Broker
from app.core.config import get_settings
from app.core.errors import BrokerUnavailable
from app.core.logging import configure
from app.monitoring import workers
from app.monitoring.alerts.evaluate import Evaluator
from app.notifications.relay import Relay
from app.worker import duties
from app.worker.vitals import About, Vitals

log = structlog.get_logger(__name__)

#: The service that a worker's spans are told to be of, its companion's among them.
TRACED_AS = "pafar-worker"
#: Seconds that a stopping worker waits for the batch that its relay has in hand.
STOP_TIMEOUT = 5.0


class Companion:
    """Three loops that end together; none waits for another, so a hanging broker makes no heartbeat late."""

    def __init__(self, about: About, shared: Any) -> None:
        self._about = about
        self._relay = Relay()
        self.stopped = self._relay.stopped
        vitals = Vitals(about, shared)
        # Nobody waits for this one, so it may be patient with a slow broker.
        broker = Broker(connect_timeout=2.0, reply_timeout=5.0, cool_down=0.0)
        self._threads = [
            threading.Thread(target=self._relay.run, name="relay", daemon=True),
            self._loop("heartbeats", vitals.beat),
            self._loop("duties", lambda: duties.take_turns(redis.client(), broker)),
            threading.Thread(target=Evaluator().run, args=(self.stopped,), name="alerts", daemon=True),
        ]

    def start(self) -> None:
        """Begin, in threads."""
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End after the batch in hand, and say goodbye."""
        self._relay.stop()
        for thread in self._threads:
            thread.join(STOP_TIMEOUT)
        try:
            workers.goodbye(redis.client(), self._about.name)
        except RedisError as error:
            log.warning("no goodbye said", reason=type(error).__name__)

    def _loop(self, name: str, do: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            away = False
            while not self.stopped.is_set():
                try:
                    do()
                    away = False
                except (RedisError, BrokerUnavailable) as error:
                    if not away:
                        log.warning(f"{name} wait", reason=type(error).__name__)
                    away = True
                except Exception:  # whatever it is, one that has ended would say nothing
                    log.exception(f"{name} stumbled")
                self.stopped.wait(workers.INTERVAL)

        return threading.Thread(target=run, name=name, daemon=True)


class CompanionProcess:
    """The companion of a pool of forked children. It ends itself when its worker is gone."""

    def __init__(self, about: About, shared: Any) -> None:
        self._process = multiprocessing.get_context("spawn").Process(
            target=run_companion, args=(about, shared), name="companion", daemon=True
        )

    def start(self) -> None:
        """Begin, in a process."""
        self._process.start()

    def stop(self) -> None:
        """End after the batch in hand, and say goodbye."""
        self._process.terminate()
        self._process.join(2 * STOP_TIMEOUT)


def run_companion(about: About, shared: Any) -> None:
    """The companion process's main: until SIGTERM, or until its worker is gone."""
    configure(log_format=get_settings().log_format)  # a spawned process inherits none
    tracing.configure(TRACED_AS)
    companion = Companion(about, shared)
    signal.signal(signal.SIGTERM, lambda *_: companion.stopped.set())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the worker decides
    companion.start()
    while os.getppid() == about.pid and not companion.stopped.wait(1.0):
        pass
    companion.stop()
    tracing.stop()
