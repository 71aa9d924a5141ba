"""The canary: a task that does nothing but arrive."""

from __future__ import annotations

from app.core.celery_app import celery_app
from app.monitoring import canary as canaries


@celery_app.task(name=canaries.TASK, ignore_result=True, soft_time_limit=15, time_limit=20)
def canary(queue: str, sent_at: float) -> None:
    """Note that the canary sent at `sent_at` (seconds since 1970) came through `queue`."""
    canaries.arrived(queue, sent_at)
