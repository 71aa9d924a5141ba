"""Celery's signals tell the tracker of every run of every task. No argument of a task is ever noted."""

from __future__ import annotations

import math
import sys
import time
from typing import Any

from billiard.exceptions import TimeLimitExceeded, WorkerLostError
from celery.exceptions import Reject
from celery.signals import (
    task_failure,
    task_postrun,
    task_prerun,
    task_retry,
    task_revoked,
    worker_process_shutdown,
    worker_shutdown,
)

from app.core.errors import PafarError
from app.core.redaction import redact
from app.core.transport import PUBLISHED_AT
from app.messages.kinds import KINDS
from app.monitoring.runs import FAILED, RETRYING, STARTED, SUCCESS, Run
from app.monitoring.tracker import tracker

#: Characters of an error's text that are kept.
ERROR_LENGTH = 500

_STATUS = {"SUCCESS": SUCCESS, "FAILURE": FAILED, "RETRY": RETRYING}
_SENSITIVE = {kind.task for kind in KINDS.values() if kind.sensitive}


def install() -> None:
    """Track every task that this worker and its children run from now on."""
    task_prerun.connect(_began)
    task_postrun.connect(_ended)
    task_failure.connect(_lost)
    task_retry.connect(_handed_back)
    task_revoked.connect(_revoked)
    worker_process_shutdown.connect(_stop)
    worker_shutdown.connect(_stop)


def _began(task_id: str, task: Any, **_: Any) -> None:
    request = task.request
    request.tracked = _run_of(task, task_id, request)
    request.tracked_since = time.perf_counter()
    tracker.began(request.tracked)


def _ended(task_id: str, task: Any, state: str | None, retval: Any, **_: Any) -> None:
    request = task.request
    run: Run = request.tracked
    # No state: something failed while Celery wrote the outcome, and it reports a failure too. What is no Exception
    # ends the process, and its parent tells.
    error = retval if state is not None else sys.exc_info()[1]
    run.status = _STATUS.get(state, STARTED) if state else FAILED if isinstance(error, Exception) else STARTED
    if run.status == SUCCESS:
        run.skipped = _skipped(retval)
    elif isinstance(error, BaseException):
        run.error = explain(run.task_name, error)
    run.seconds = time.perf_counter() - request.tracked_since
    run.ended_at = time.time()
    tracker.ended(run)


def _skipped(result: Any) -> str | None:
    reason = result.get("skipped") if isinstance(result, dict) else None
    return None if reason is None else str(reason)


def _lost(sender: Any, task_id: str, exception: BaseException, **_: Any) -> None:
    """A failure that only the parent of a pool sees: the child is gone. (A rejected message has no other end.)"""
    # A child out of time is told of twice, and the second time, as every other, with the task's request.
    gone = isinstance(exception, (WorkerLostError, TimeLimitExceeded)) and sender.request.id == task_id
    if gone or isinstance(exception, Reject):
        _record(sender, task_id, FAILED, exception)


def _handed_back(sender: Any, request: Any, **_: Any) -> None:
    if getattr(request, "tracked", None) is None:  # by the parent, for a child that is gone
        _record(sender, request.id, RETRYING, WorkerLostError("its process was lost"))


def _revoked(sender: Any, request: Any, terminated: bool, **_: Any) -> None:
    if terminated:  # else it never ran
        _record(sender, request.id, FAILED, WorkerLostError("terminated by an operator"))


def _record(task: Any, task_id: str, status: str, error: BaseException) -> None:
    now = time.time()
    tracker.record(
        Run(task_id=task_id, task_name=task.name, status=status, ended_at=now, error=explain(task.name, error))
    )


def _run_of(task: Any, task_id: str, request: Any) -> Run:
    delivery = request.delivery_info or {}
    return Run(
        task_id=task_id,
        task_name=task.name,
        queue=delivery.get("routing_key") or "",
        published_at=_published_at(request),
        started_at=time.time(),
    )


def _published_at(request: Any) -> float | None:
    """The header's, if the message did not wait for a time of its own; anybody may have written it."""
    value = getattr(request, PUBLISHED_AT, None)
    if not isinstance(value, (int, float)) or not math.isfinite(value) or request.eta:
        return None
    return float(value)


def _stop(**_: Any) -> None:
    tracker.stop()


def explain(task_name: str, error: BaseException | str) -> str:
    """An error in one line, cut, without addresses, numbers and secrets.

    A sensitive task's is only named, unless it is one of ours, whose texts quote nothing: any other may quote
    the code.
    """
    if task_name in _SENSITIVE and not isinstance(error, PafarError):
        return type(error).__name__ if isinstance(error, BaseException) else "not told"
    told = error if isinstance(error, str) else f"{type(error).__name__}: {error}"
    text = redact(told).encode(errors="replace").decode()  # a lone surrogate can't be stored
    return text[:ERROR_LENGTH].removesuffix(": ")
