"""Celery's queues and routes, and its application, which is made when it is first used.

Its settings are in celery_settings.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, cast

from celery.local import Proxy

if TYPE_CHECKING:
    from celery import Celery

#: The four queues; a plain worker consumes all of them.
QUEUES = ("email", "sms", "notifications", "cleanup")

#: Task module → queue.
ROUTES = {
    "app.tasks.email_tasks.*": {"queue": "email"},
    "app.tasks.sms_tasks.*": {"queue": "sms"},
    "app.tasks.push_notification_tasks.*": {"queue": "notifications"},
    "app.tasks.cleanup_tasks.*": {"queue": "cleanup"},
}


@cache
def _application() -> Celery:
    # A module is loaded once, whatever threads ask for it first.
    return cast("Celery", import_module("app.core.application").application)


#: As `import celery` loads nothing of Celery until one of its names is used.
celery_app = cast("Celery", Proxy(_application))
