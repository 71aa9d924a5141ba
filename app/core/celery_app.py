"""The Celery application: its queues, routes and every broker setting, each with the fault it answers."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from celery import Celery
from celery.schedules import crontab
from kombu import Exchange, Queue

from app.core.config import get_settings

#: The four queues; a plain worker consumes all of them.
QUEUES = ("email", "sms", "notifications", "cleanup")

#: Task module → queue.
ROUTES = {
    "app.tasks.email_tasks.*": {"queue": "email"},
    "app.tasks.sms_tasks.*": {"queue": "sms"},
    "app.tasks.push_notification_tasks.*": {"queue": "notifications"},
    "app.tasks.cleanup_tasks.*": {"queue": "cleanup"},
}

#: What beat starts, and how often (seconds) or when (UTC).
BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "prepare-partitions": {"task": "app.tasks.cleanup_tasks.prepare_partitions", "schedule": 3600.0},
    "expired-reservations": {
        "task": "app.tasks.cleanup_tasks.cleanup_expired_reservations",
        "schedule": 300.0,
    },
    # By the clock, in the quiet hours: an interval of a day starts anew with every beat that is started.
    "inactive-sessions": {
        "task": "app.tasks.cleanup_tasks.cleanup_inactive_user_sessions",
        "schedule": crontab(hour="1", minute="10"),
    },
    "temporary-files": {
        "task": "app.tasks.cleanup_tasks.cleanup_temporary_files",
        "schedule": crontab(hour="1", minute="40"),
    },
    "old-trip-locations": {"task": "app.tasks.cleanup_tasks.cleanup_old_trip_locations", "schedule": 3600.0},
    # Soon after midnight: a day that is just over is dropped whole, and little of the next is too old.
    "old-notifications": {
        "task": "app.tasks.cleanup_tasks.cleanup_old_notifications",
        "schedule": crontab(hour="0", minute="20"),
    },
    "cleanup-report": {
        "task": "app.tasks.cleanup_tasks.generate_cleanup_report",
        "schedule": crontab(hour="2", minute="10"),
    },
}


def next_due(task: str, moment: datetime) -> datetime:
    """When beat starts a task the next time after `moment` (with a zone). Raises KeyError for another's task."""
    schedule = {entry["task"]: entry["schedule"] for entry in BEAT_SCHEDULE.values()}[task]
    if isinstance(schedule, float):
        return moment + timedelta(seconds=schedule)
    last, until_next, _ = schedule.remaining_delta(moment)
    due: datetime = last + until_next
    return due


_TASK_MODULES = ("email_tasks", "sms_tasks", "push_notification_tasks", "cleanup_tasks", "canary_tasks")

#: Seconds after which an unacknowledged message is handed out again. The outbox recovers sooner; this is the
#: net below it, and must be longer than every hard time limit (a longer task ran 4 times).
VISIBILITY_TIMEOUT = 900

REDIS_TRANSPORT = {
    "visibility_timeout": VISIBILITY_TIMEOUT,
    "unacked_restore_interval": 5,  # the default sweep comes only every 100 s
    "unacked_restore_throttle": 1,
    "unacked_mutex_expire": 10,  # a worker killed while it held the mutex froze recovery for 300 s
    "socket_timeout": 5,  # a frozen broker blocked a publish for good
    "socket_connect_timeout": 2,
    "socket_keepalive": True,
    "health_check_interval": 10,  # half-open connections are noticed in seconds, not in a minute
}


def _configuration() -> dict[str, Any]:
    settings = get_settings()
    on_redis = not settings.celery_broker_url.startswith("amqp")
    return {
        "broker_url": settings.celery_broker_url,
        "result_backend": settings.celery_result_backend,
        "include": [f"app.tasks.{name}" for name in _TASK_MODULES] + ["app.worker"],
        # A bare Queue(name) shares one exchange: one publish ran four times. Without task_queues a plain
        # worker consumes none of the routed queues, silently.
        "task_queues": [Queue(name, Exchange(name), routing_key=name) for name in QUEUES],
        "task_default_queue": "notifications",
        "task_create_missing_queues": False,  # a misspelt queue is an error, not a list nobody reads
        "task_routes": ROUTES,
        "task_acks_late": True,  # a task that was running when its worker died comes back
        "task_retry_on_worker_lost": True,  # a child that was killed: again, max_retries times
        # never task_reject_on_worker_lost: a task that kills its child looped 55 times in 10 s
        "worker_prefetch_multiplier": 1,  # a killed worker holds little
        "worker_disable_prefetch": on_redis,  # and nothing beyond what it runs
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
        "broker_transport_options": REDIS_TRANSPORT if on_redis else {},
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
        "worker_soft_shutdown_timeout": 30,  # SIGTERM: finish or hand back what is held
        "worker_send_task_events": settings.task_events,  # Flower's operators expect them
        "task_send_sent_event": False,
        "worker_hijack_root_logger": False,
        "beat_schedule": BEAT_SCHEDULE,
        "beat_scheduler": "app.worker.scheduler:TellingScheduler",
        "beat_max_loop_interval": 10,  # so that a beat that stands still is seen within a minute
    }


celery_app = Celery("pafar")
# Read when first needed: importing a task never fails for a setting, and costs no look at the environment.
celery_app.add_defaults(_configuration)
