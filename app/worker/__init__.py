"""What a worker process does besides tasks: checks its settings, keeps partitions ahead, starts its companion.

Celery imports this package by name.
"""

from __future__ import annotations

import gc
import logging
import os
import time
from typing import Any

import click
import structlog
from celery.concurrency.prefork import TaskPool as ForkingPool
from celery.signals import (
    setup_logging,
    task_postrun,
    task_prerun,
    worker_init,
    worker_process_init,
    worker_process_shutdown,
    worker_ready,
    worker_shutdown,
    worker_shutting_down,
)
from celery.states import FAILURE
from click.core import ParameterSource
from opentelemetry.trace import SpanKind

from app.core import context, stopping, tracing
from app.core.celery_app import celery_app
from app.core.config import get_settings
from app.core.database import dispose, transaction
from app.core.errors import DatabaseUnavailable, SettingsError
from app.core.logging import configure
from app.core.startup import check_startup
from app.maintenance import partitions
from app.messages.kinds import KINDS
from app.monitoring import signals
from app.providers import registry
from app.worker.companion import TRACED_AS, Companion, CompanionProcess
from app.worker.pulse import PulseStep, pulse
from app.worker.vitals import About

log = structlog.get_logger(__name__)

#: Threads of a worker whose pool nobody chose: sending waits on others, and a waiting thread costs nothing
#: (measured in docs/decisions.md).
THREADS = 32

_MESSAGES = frozenset(kind.task for kind in KINDS.values())

celery_app.steps["consumer"].add(PulseStep)

_companion: Companion | CompanionProcess | None = None


@setup_logging.connect
def _logging(loglevel: int = logging.INFO, **_: Any) -> None:
    configure(loglevel, get_settings().log_format)
    if loglevel > logging.DEBUG:
        # "Task … received" says nothing that the row and health don't know.
        logging.getLogger("celery.worker.strategy").setLevel(logging.WARNING)
        logging.getLogger("celery.app.trace").addFilter(_is_news)


def _is_news(record: logging.LogRecord) -> bool:
    """Not "Task … succeeded" of a message: `attempt` has told of it a moment before."""
    told = record.args
    return not (isinstance(told, dict) and "runtime" in told and told["name"] in _MESSAGES)


@task_prerun.connect
def _begin(task_id: str, task: Any, **_: Any) -> None:
    request = task.request
    context.begin_task(task_id, task.name, request.get(context.REQUEST_ID))
    name = task.name.removeprefix("app.tasks.")
    parent = request.get(tracing.TRACEPARENT)
    request.span = tracing.span(f"run {name}", SpanKind.CONSUMER, message_id=task_id, parent=parent)
    request.span.__enter__()


@task_postrun.connect
def _end(task: Any, state: str | None, retval: Any, **_: Any) -> None:
    error = retval if state == FAILURE else None
    task.request.span.__exit__(type(error) if error else None, error, None)
    context.end()


@worker_init.connect
def _check(sender: Any, **_: Any) -> None:
    """Refuse to start with settings that can't work, in one message; choose the pool where nobody has."""
    try:
        check_startup(get_settings())
        tracing.check()
    except SettingsError as error:
        raise SystemExit(str(error)) from None
    if get_settings().tracker:
        signals.install()
    command = click.get_current_context(silent=True)
    if command is not None and not _given(command, "pool"):
        # Not the setting worker_pool: with it, Celery overrides an explicit `-P prefork`.
        sender.pool_cls = "threads"
        if not _given(command, "concurrency"):
            sender.concurrency = THREADS


def _given(command: click.Context, option: str) -> bool:
    return command.get_parameter_source(option) is not ParameterSource.DEFAULT


@worker_process_init.connect
def _start_child(**_: Any) -> None:
    """A child of a pool that forks: the exporter's thread would not outlive the fork."""
    tracing.configure(TRACED_AS)
    gc.freeze()


@worker_process_shutdown.connect
def _stop_child(**_: Any) -> None:
    tracing.stop()


@worker_ready.connect
def _start(sender: Any, **_: Any) -> None:
    global _companion  # noqa: PLW0603 - one companion for each worker is the point
    forks = isinstance(sender.pool, ForkingPool)
    if not forks:
        tracing.configure(TRACED_AS)
    about = About(
        name=sender.hostname,
        pid=os.getpid(),
        pool=type(sender.pool).__module__.rpartition(".")[2],
        concurrency=sender.controller.concurrency,
        registered_tasks=sum(name.startswith("app.") for name in sender.app.tasks),
        started_at=time.time(),
    )
    _companion = (CompanionProcess if forks else Companion)(about, pulse.shared)
    _companion.start()
    try:
        with transaction() as connection:
            partitions.ensure_ahead(connection)
    except DatabaseUnavailable as error:
        log.warning("no partitions made ahead", reason=str(error))
    gc.freeze()  # modules and all else that stays: the collector took 4 % for looking through it


@worker_shutting_down.connect
def _ask_to_stop(**_: Any) -> None:
    stopping.ask()


@worker_shutdown.connect
def _stop(**_: Any) -> None:
    if _companion is not None:
        _companion.stop()
    registry.close()
    dispose()
    tracing.stop()
