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
    settings = get_settings()
    broker, results = transport.current(), settings.celery_result_backend
    return {
        **broker.celery(),
        "result_backend": results,
        "result_backend_transport_options": transport.sentinel_options(results, redis.CONNECT_TIMEOUT),
        "redis_backend_use_ssl": redis.tls(results) or None,
        "include": [f"app.tasks.{name}" for name in _TASK_MODULES] + ["app.worker"],
        # A bare Queue(name) shares one exchange: one publish ran four times. Without task_queues a plain
        # worker consumes none of the routed queues, silently.
        "task_queues": [
            Queue(name, Exchange(name), routing_key=name, queue_arguments=broker.queue_arguments())
            for name in QUEUES
        ],
        "task_default_queue": "notifications",
        "task_create_missing_queues": False,  # a misspelt queue is an error, not a list nobody reads
        "task_routes": ROUTES,
        "task_acks_late": True,  # a task that was running when its worker died comes back
        "task_retry_on_worker_lost": True,  # a child that was killed: again, max_retries times
        # never task_reject_on_worker_lost: a task that kills its child looped 55 times in 10 s
        "worker_prefetch_multiplier": 1,  # a killed worker holds little
        "task_time_limit": 60,  # prefork's last resort; every wait inside a task has its own, shorter limit
        "task_soft_time_limit": 45,
        # A code that hangs is worth nothing: the person asks for another.
        "task_annotations": {"app.tasks.sms_tasks.send_otp_sms": {"soft_time_limit": 15, "time_limit": 20}},
        "broker_connection_retry_on_startup": True,  # a worker may start before its broker
        # Back two seconds after an outage, not thirty; and an item that is no message does not end the worker.
        "worker_consumer": "app.worker.consumer:SturdyConsumer",
        "broker_connection_max_retries": None,  # and outlive any outage
        "broker_channel_error_retry": True,  # else the worker exits when a primary is demoted
        "broker_pool_acquire_timeout": 5,  # an exhausted pool blocked for good
        "redis_socket_timeout": 5,  # a frozen result store must not hold a worker's thread for good
        "redis_socket_connect_timeout": 2,
        "redis_socket_keepalive": True,
        "result_expires": 3600,  # the row is the record; results are for who waits now
        "task_serializer": "json",  # never pickle: a message must not be able to run code
        "result_serializer": "json",
        "accept_content": ["json"],
        "result_accept_content": ["json"],
        "timezone": "UTC",
        "enable_utc": True,
        "worker_soft_shutdown_timeout": 30,  # SIGQUIT: finish in this time; the rest goes back to its queue
        "worker_send_task_events": settings.task_events,  # Flower's operators expect them
        "task_send_sent_event": False,
        "worker_hijack_root_logger": False,
        "beat_schedule": {
            task.rpartition(".")[2]: {"task": task, "schedule": _as_beat_has_it(when)}
            for task, when in schedule().items()
        },
        "beat_scheduler": "app.worker.scheduler:TellingScheduler",
        "beat_max_loop_interval": 10,  # so that a beat that stands still is seen within a minute
    }


def _as_beat_has_it(when: Schedule) -> Any:
    return crontab(hour=str(when.hour), minute=str(when.minute)) if isinstance(when, time) else when
