"""A task that does nothing, for `celery … worker -I bench.noop`: what is left is what Celery and we add."""

from __future__ import annotations

from app.core.celery_app import celery_app

NAME = "bench.noop"


@celery_app.task(name=NAME, ignore_result=True)
def noop() -> None:
    """Do nothing."""
