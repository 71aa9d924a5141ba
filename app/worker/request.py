"""What a worker knows of one task it was given: hides its arguments, outlives its running out of memory."""

from __future__ import annotations

from typing import Any

from billiard.einfo import ExceptionInfo
from celery.worker.request import Request

from app.worker.pulse import pulse

HIDDEN = "(…)"


class OutOfMemory(Exception):
    """A task took more memory than its process may have."""


class DiscreetRequest(Request):
    """Celery's, but another program's arguments appear in no event and no reply to remote control."""

    @property
    def argsrepr(self) -> str:
        """What events and remote control show of the positional arguments."""
        return HIDDEN

    @property
    def kwargsrepr(self) -> str:
        """What events and remote control show of the named arguments."""
        return HIDDEN

    def info(self, safe: bool = False) -> Any:
        """As Celery's, without the arguments."""
        return {**super().info(safe=True), "args": HIDDEN, "kwargs": HIDDEN}

    def on_accepted(self, pid: Any, time_accepted: Any) -> None:
        """The pool has taken it."""
        pulse.take((self.delivery_info or {}).get("routing_key") or "")
        super().on_accepted(pid, time_accepted)

    def on_failure(self, exc_info: Any, *args: Any, **kwargs: Any) -> Any:
        """Celery raises a child's MemoryError again in the parent: the worker ends, its message comes back and
        ends the next one too, fifteen times in a minute."""
        if isinstance(getattr(exc_info.exception, "exc", exc_info.exception), MemoryError):
            error = OutOfMemory("the task ran out of memory")
            exc_info = ExceptionInfo((OutOfMemory, error, None))
        return super().on_failure(exc_info, *args, **kwargs)
