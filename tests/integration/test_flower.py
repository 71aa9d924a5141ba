"""Flower, started by the documented command beside a real worker, shows tasks and none of their arguments."""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.core.broker import broker
from app.core.celery_app import celery_app
from app.tasks.sms_tasks import send_booking_confirmation_sms
from sandbox.ports import free_port
from tests import data
from tests.house import ROOT, House, wait_until
from tests.web import ask

SOON = 60.0
OPERATOR = "operator:a-password-for-tests-only"
KEY = {"Authorization": f"Basic {base64.b64encode(OPERATOR.encode()).decode()}"}


@pytest.fixture
def flower(house: House, tmp_path: Path) -> Iterator[str]:
    """Its URL, once it has seen the worker."""
    broker.breaker.succeeded()
    port = free_port()
    command = [sys.executable, "-m", "celery", "-A", "app.core.celery_app", "flower", "--address=127.0.0.1"]
    with house.worker(), (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen(
            [*command, f"--port={port}", f"--basic-auth={OPERATOR}"],
            env=os.environ | {"PYTHONPATH": str(ROOT)},
            cwd=tmp_path,
            stdout=log,
            stderr=log,
        )
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until(lambda: answers(url) or process.poll() is not None, SOON)
            assert process.poll() is None, (tmp_path / "log").read_text()
            yield url
        finally:
            process.terminate()
            process.wait(30)


def answers(url: str) -> bool:
    try:
        return ask(f"{url}/api/workers?refresh=true", **KEY).status == 200
    except OSError:
        return False


def seen(url: str, task_id: str) -> dict[str, Any] | None:
    """What Flower says of a task that has ended, None before."""
    found: dict[str, Any] = ask(f"{url}/api/tasks", **KEY).json.get(task_id, {})
    return found if found.get("state") == "SUCCESS" else None


def test_tasks_appear_and_nothing_of_what_they_were_given(flower: str) -> None:
    ours = send_booking_confirmation_sms.delay(**data.sms())
    others = celery_app.send_task(send_booking_confirmation_sms.name, kwargs=data.sms())
    for task in (ours, others):
        known = wait_until(lambda task=task: seen(flower, task.id), SOON)
        assert known["name"] == send_booking_confirmation_sms.name
        assert known["args"] in ("()", "(…)")
        assert known["kwargs"] in ("{}", "(…)")
    shown = "".join(
        ask(f"{flower}{path}", **KEY).text for path in ("/api/tasks", f"/task/{ours.id}", f"/task/{others.id}")
    )
    assert ours.id in shown
    assert "8031234567" not in shown
    assert "Ada" not in shown
    assert data.sms()["booking_data"]["booking_reference"] not in shown  # which the result repeats


def test_without_the_password_nothing_is_shown(flower: str) -> None:
    assert ask(f"{flower}/api/tasks").status == 401
