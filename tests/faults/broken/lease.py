"""A claim holds nothing: it is over at once."""

from __future__ import annotations

from app.core.celery_app import celery_app
from app.notifications import store

__all__ = ["celery_app"]

store.LEASE = 0.0
