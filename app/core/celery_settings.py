"""Every setting of Celery and of its broker, each with the fault it answers."""

from __future__ import annotations

from datetime import time
from typing import Any

from celery.schedules import crontab
from kombu import Exchange, Queue

from app.core import redis, transport
from app.core.celery_app import QUEUES, ROUTES
from app.core.config import get_settings
from app.core.schedule import schedule
from app.core.setting_types import Schedule

_TASK_MODULES = ("email_tasks", "sms_tasks", "push_notification_tasks", "cleanup_tasks", "canary_tasks")


def configuration() -> dict[str, Any]:
    """Celery's own names → values. Raises SettingsError."""
    return {
        "include": [f"app.tasks.{name}" for name in _TASK_MODULES] + ["app.worker"],
        **transport.current().celery(),
        **_queues(),
        **_delivery(),
        **_outages(),
        **_results(),
        **_formats(),
        **_workers(),
        **_beat(),
    }


def _queues() -> dict[str, Any]:
    """Where a task goes, and what a worker consumes."""
    arguments = transport.current().queue_arguments()
    return {
        # A bare Queue(name) shares one exchange: one publish ran four times. Without task_queues a plain
        # worker consumes none of the routed queues, silently.
        "task_queues": [
            Queue(name, Exchange(name), routing_key=name, queue_arguments=arguments) for name in QUEUES
        ],
        "task_default_queue": "notifications",  # Celery's own, "celery", no worker of ours consumes
        "task_create_missing_queues": False,  # a misspelt queue is an error, not a list nobody reads
        "task_routes": ROUTES,
    }


def _delivery() -> dict[str, Any]:
    """What becomes of a task whose worker dies or hangs."""
    return {
        "task_acks_late": True,  # a task that was running when its worker died comes back
        "task_retry_on_worker_lost": True,  # a child that was killed: again, max_retries times
        # never task_reject_on_worker_lost: a task that kills its child looped 55 times in 10 s
        "worker_prefetch_multiplier": 1,  # a killed worker holds little
        "task_time_limit": 60,  # prefork's last resort; every wait inside a task has its own, shorter limit
        "task_soft_time_limit": 45,  # first the task itself is told, and can record how far it came
        # A code that hangs is worth nothing: the person asks for another.
        "task_annotations": {"app.tasks.sms_tasks.send_otp_sms": {"soft_time_limit": 15, "time_limit": 20}},
    }


def _outages() -> dict[str, Any]:
    """What a worker does while its broker is away."""
    return {
        "broker_connection_retry_on_startup": True,  # a worker may start before its broker
        # Back two seconds after an outage, not thirty; and an item that is no message does not end the worker.
        "worker_consumer": "app.worker.consumer:SturdyConsumer",
        "broker_connection_max_retries": None,  # and outlive any outage
        "broker_channel_error_retry": True,  # else the worker exits when a primary is demoted
        "broker_pool_acquire_timeout": 5,  # an exhausted pool blocked for good
    }


def _results() -> dict[str, Any]:
    """Where a caller finds what became of its task."""
    url = get_settings().celery_result_backend
    return {
        "result_backend": url,
        "result_backend_transport_options": transport.sentinel_options(url, redis.CONNECT_TIMEOUT),
        "redis_backend_use_ssl": redis.tls(url) or None,
        "redis_socket_timeout": 5,  # a frozen result store must not hold a worker's thread for good
        "redis_socket_connect_timeout": 2,  # nor one whose host is gone: the kernel gives up after two minutes
        "redis_socket_keepalive": True,  # one that a firewall has forgotten is noticed before it is needed
        "result_expires": 3600,  # the row is the record; results are for who waits now
    }


def _formats() -> dict[str, Any]:
    """How messages and times are written."""
    return {
        "task_serializer": "json",  # never pickle: a message must not be able to run code
        "result_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        # By a local zone a daily job would move with summer time, or be left out on that night.
        "timezone": "UTC",
        "enable_utc": True,
    }


def _workers() -> dict[str, Any]:
    """How a worker ends, and what it tells."""
    return {
        "worker_soft_shutdown_timeout": 30,  # SIGQUIT: finish in this time; the rest goes back to its queue
        "worker_send_task_events": get_settings().task_events,  # Flower's operators expect them
        "task_send_sent_event": False,  # a publisher would wait once more for the broker, for Flower alone
        "worker_hijack_root_logger": False,  # what a program set up for its own logs stays
    }


def _beat() -> dict[str, Any]:
    """What is started by the clock."""
    return {
        "beat_schedule": {
            task.rpartition(".")[2]: {"task": task, "schedule": _as_beat_has_it(when)}
            for task, when in schedule().items()
        },
        "beat_scheduler": "app.worker.scheduler:TellingScheduler",  # else nobody sees a beat that is dead
        "beat_max_loop_interval": 10,  # so that a beat that stands still is seen within a minute
    }


def _as_beat_has_it(when: Schedule) -> Any:
    return crontab(hour=str(when.hour), minute=str(when.minute)) if isinstance(when, time) else when
