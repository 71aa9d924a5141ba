"""What a worker process does besides tasks: checks its settings, keeps partitions ahead, runs the relay.

Celery imports this package by name.
"""

from __future__ import annotations

from typing import Any

import click
import structlog
from celery.concurrency.prefork import TaskPool as ForkingPool
from celery.signals import setup_logging, worker_init, worker_ready, worker_shutdown
from click.core import ParameterSource

from app.core.config import get_settings
from app.core.database import dispose, transaction
from app.core.errors import DatabaseUnavailable, SettingsError
from app.core.logging import configure
from app.core.startup import check_startup
from app.maintenance import partitions
from app.providers import registry
from app.worker.relays import RelayProcess, RelayThread

log = structlog.get_logger(__name__)

#: Threads of a worker whose pool nobody chose: sending waits on others, and a waiting thread costs nothing
#: (measured in docs/decisions.md).
THREADS = 32

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
    if command is not None and not _given(command, "pool"):
        # Not the setting worker_pool: with it, Celery overrides an explicit `-P prefork`.
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
