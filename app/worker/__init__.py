"""What a worker process does besides tasks: checks its settings, keeps partitions ahead, runs the relay.

Celery imports this module by name. The relay is a thread where the pool does not fork; where it does, a
process of its own, since a thread in a parent that forks leaves its locks behind in the children.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from functools import partial
from typing import Any

import click
import structlog
from celery.concurrency.prefork import TaskPool as ForkingPool
from celery.signals import setup_logging, worker_init, worker_ready, worker_shutdown
from celery.worker.consumer import Consumer
from click.core import ParameterSource

from app.core.config import check_startup, get_settings
from app.core.database import dispose, transaction
from app.core.errors import DatabaseUnavailable, SettingsError
from app.core.logging import configure
from app.maintenance import partitions
from app.notifications.relay import Relay
from app.providers import registry

log = structlog.get_logger(__name__)

#: Threads of a worker whose pool nobody chose: sending waits on others, and a waiting thread costs nothing
#: (measured in docs/decisions.md).
THREADS = 16
#: Seconds that a stopping worker waits for its relay to finish the batch in hand.
STOP_TIMEOUT = 5.0


class PromptConsumer(Consumer):
    """Celery's consumer, but back within two seconds of the broker's return.

    The stock one waits two seconds longer after each try, up to thirty.
    """

    def ensure_connected(self, conn: Any) -> Any:
        """Connect, trying again for as long as it takes."""
        conn.ensure_connection = partial(
            conn.ensure_connection, interval_start=0.5, interval_step=0.5, interval_max=2
        )
        return super().ensure_connected(conn)


class RelayThread:
    """The relay beside a pool of threads."""

    def __init__(self) -> None:
        self._relay = Relay()
        self._thread = threading.Thread(target=self._relay.run, name="relay", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the relay after the batch in hand."""
        self._relay.stop()
        self._thread.join(STOP_TIMEOUT)


class RelayProcess:
    """The relay beside a pool of forked children. It ends itself when its worker is gone."""

    def __init__(self) -> None:
        self._process = multiprocessing.get_context("spawn").Process(
            target=run_relay, args=(os.getpid(),), name="relay", daemon=True
        )
        self._process.start()

    def stop(self) -> None:
        """End the relay after the batch in hand."""
        self._process.terminate()
        self._process.join(STOP_TIMEOUT)


def run_relay(parent: int) -> None:
    """The relay process's main: until SIGTERM, or until its parent is gone."""
    relay = Relay()
    signal.signal(signal.SIGTERM, lambda *_: relay.stop())
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the worker decides

    def watch() -> None:
        while os.getppid() == parent and not relay.stopped.wait(1.0):
            pass
        relay.stop()

    threading.Thread(target=watch, daemon=True).start()
    relay.run()


_relay: RelayThread | RelayProcess | None = None


@setup_logging.connect
def _logging(loglevel: int = 20, **_: Any) -> None:
    configure(loglevel)


@worker_init.connect
def _check(sender: Any, **_: Any) -> None:
    """Refuse to start with settings that can't work, in one message; choose the pool where nobody has."""
    try:
        check_startup(get_settings())
    except SettingsError as error:
        raise SystemExit(str(error)) from None
    command = click.get_current_context(silent=True)
    if command is None or _given(command, "pool"):
        return
    # Not the setting worker_pool: with it, Celery takes an explicit `-P prefork` for no choice and overrides it.
    sender.pool_cls = "threads"
    if not _given(command, "concurrency"):
        sender.concurrency = THREADS


def _given(command: click.Context, option: str) -> bool:
    return command.get_parameter_source(option) is not ParameterSource.DEFAULT


@worker_ready.connect
def _start(sender: Any, **_: Any) -> None:
    global _relay  # noqa: PLW0603 - one relay for each worker is the point
    _relay = RelayProcess() if isinstance(sender.pool, ForkingPool) else RelayThread()
    try:
        with transaction() as connection:
            partitions.ensure_ahead(connection)
    except DatabaseUnavailable as error:
        log.warning("no partitions made ahead", reason=str(error))


@worker_shutdown.connect
def _stop(**_: Any) -> None:
    if _relay is not None:
        _relay.stop()
    registry.close()
    dispose()
