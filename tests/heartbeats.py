"""A heartbeat as a worker writes it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from app.core.celery_app import QUEUES
from app.monitoring.workers import Heartbeat


def heartbeat(now: float, **changes: Any) -> Heartbeat:
    """Of a worker with nothing to do, on all queues."""
    idle = Heartbeat(
        name="idle@host",
        pid=1,
        pool="thread",
        concurrency=32,
        registered_tasks=20,
        started_at=now - 1000,
        at=now,
        active_tasks=0,
        last_taken_at=None,
        loop_seconds=0.5,
        queues=list(QUEUES),
        circuits_open={},
        memory_bytes=10**8,
        temp_free_percent=50.0,
    )
    return replace(idle, **changes)
