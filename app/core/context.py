"""The ids that tie log lines together: a request's, through the broker's headers, to the worker that sends."""

from __future__ import annotations

import re

import structlog
import uuid_utils.compat

#: Field of every log line, and header of every Celery message, that came of one request.
REQUEST_ID = "request_id"

#: Never digits alone: that might be somebody's telephone number, and would be hidden as one. Shorter than what
#: redaction takes for a secret.
_TOKEN = re.compile(r"(?=[0-9_-]*[A-Za-z])[A-Za-z0-9_-]{8,40}")


def begin_request(given: str | None) -> str:
    """Begin the log context of a request, under the caller's id if it is a short token, else under a new one."""
    request_id = _checked(given) or str(uuid_utils.compat.uuid7())
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**{REQUEST_ID: request_id})
    return request_id


def begin_task(task_id: str, task_name: str, given: object) -> None:
    """Begin the log context of a task; `given` is the request id of its message's headers, None if it has none."""
    ids = {"task_id": task_id, "task": task_name}
    if (request_id := _checked(given)) is not None:
        ids[REQUEST_ID] = request_id
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**ids)


def end() -> None:
    """What is logged from here on belongs to no request or task."""
    structlog.contextvars.clear_contextvars()


def request_id() -> str | None:
    """The id of the request that this code works for, if any."""
    found: str | None = structlog.contextvars.get_contextvars().get(REQUEST_ID)
    return found


def _checked(given: object) -> str | None:
    return given if isinstance(given, str) and _TOKEN.fullmatch(given) else None
