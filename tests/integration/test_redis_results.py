"""Our result store on Redis: a success is written unasked, and nothing takes its place."""

from __future__ import annotations

from typing import Any

import pytest
from celery import states

from app.core import redis
from app.core.celery_app import celery_app
from app.core.redis_results import Backend

pytestmark = [
    pytest.mark.usefixtures("house"),
    pytest.mark.filterwarnings("ignore:Call to deprecated setex"),  # Celery's
]


def _reads() -> int:
    told: dict[str, Any] = redis.client().info("commandstats")
    return int(told.get("cmdstat_get", {"calls": 0})["calls"])


def test_a_success_is_written_without_looking() -> None:
    assert type(celery_app.backend) is Backend
    before = _reads()
    celery_app.backend.store_result("one", {"sms_id": "7"}, states.SUCCESS)
    assert _reads() == before
    told = celery_app.AsyncResult("one")
    assert told.get(timeout=5) == {"sms_id": "7"}
    assert told.date_done


def test_a_success_takes_the_place_of_an_attempt_that_failed() -> None:
    celery_app.backend.store_result("two", ConnectionError("away"), states.RETRY)
    celery_app.backend.store_result("two", {"sms_id": "8"}, states.SUCCESS)
    assert celery_app.AsyncResult("two").get(timeout=5) == {"sms_id": "8"}


def test_what_a_lost_task_writes_late_does_not_take_its_place() -> None:
    celery_app.backend.store_result("three", {"sms_id": "9"}, states.SUCCESS)
    celery_app.backend.store_result("three", ConnectionError("late"), states.FAILURE)
    assert celery_app.AsyncResult("three").get(timeout=5) == {"sms_id": "9"}
