"""What health says of providers and cleanups, by what they did; and /metrics with it."""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.maintenance.runs import scheduled
from app.messages.kinds import KINDS
from app.monitoring import metrics, statistics
from app.monitoring.alerts.look import take
from app.monitoring.runs import FAILED, SUCCESS, Run
from app.monitoring.tracker import Tracker
from app.tasks.sms_tasks import send_booking_confirmation_sms, send_otp_sms
from app.utils.task_monitoring import health_checker
from sandbox.standins.script import answer
from tests import data
from tests.house import House, wait_until
from tests.rows import change
from tests.tasks import SOON

HOLDS, LOCATIONS, REPORT = "cleanup_expired_reservations", "cleanup_old_trip_locations", "generate_cleanup_report"


@pytest.fixture(autouse=True)
def nothing_noted(house: House) -> None:
    house.valkey_client(0).flushdb()


def component(name: str) -> dict[str, Any]:
    found: dict[str, Any] = asyncio.run(health_checker.get_comprehensive_health_report())["components"][name]
    return found


def told(name: str) -> dict[str, float]:
    """The samples of a metric, by their only label."""
    families = text_string_to_metric_families(asyncio.run(metrics.render()).decode())
    return {
        next(iter(s.labels.values())): s.value for family in families for s in family.samples if s.name == name
    }


def ended(kind: str, number: int, **changes: Any) -> None:
    """So many runs of a kind's task ended just now."""
    tracker = Tracker()
    for n in range(number):
        values = {"status": SUCCESS, "ended_at": time.time(), **changes}
        tracker.record(Run(task_id=f"{kind}-{changes.get('error')}-{n}", task_name=KINDS[kind].task, **values))
    tracker.flush()
    tracker.stop()


def failures(kind: str, number: int, reason: str) -> None:
    ended(kind, number, status=FAILED, error=f"DeliveryFailed: {reason}")


def test_a_provider_that_takes_nine_of_ten_is_unwell_and_a_dead_number_is_not_its_fault() -> None:
    ended("booking_confirmation_sms", 37)
    ended("booking_confirmation_sms", 1, skipped="expired")
    failures("trip_delay_sms", 4, "Rejected: spam")
    failures("otp_sms", 20, "InvalidRecipient: no such number")
    ended("promotional_push", 3)
    check = component("providers")
    assert check["healthy"], check["message"]
    sms, push, email = (check["channels"][name] for name in ("sms", "push", "email"))
    assert (sms["accepted"], sms["failed"], sms["unreachable"]) == (37, 4, 20)
    assert sms["success_rate_percent"] == pytest.approx(100 * 37 / 41)
    assert (push["success_rate_percent"], email["success_rate_percent"]) == (100, None)
    failures("payment_status_push", 5, "Rejected: content")
    check = component("providers")
    assert not check["healthy"]
    assert check["message"] == "of the last hour's messages, push failed 5 of 8"
    assert told("pafar_channel_accepted") == {"email": 0, "sms": 37, "push": 3}
    assert told("pafar_channel_failed") == {"email": 0, "sms": 4, "push": 5}
    assert told("pafar_channel_unreachable")["sms"] == 20
    assert told("pafar_channel_configured") == {"email": 1, "sms": 1, "push": 1}


def test_real_workers_tell_a_dead_number_from_a_refusal_and_dead_letters_are_counted(house: House) -> None:
    number = {"error": {"code": "invalid_number", "field": "to"}}
    otp, sms = (KINDS[kind].task for kind in ("otp_sms", "booking_confirmation_sms"))
    with house.worker():
        for script, task, arguments in (
            (answer(400, number), send_otp_sms, data.otp()),
            (answer(400, {"error": "spam"}), send_booking_confirmation_sms, data.sms()),
        ):
            house.sms.script.append(script)
            failed = task.delay(**arguments)
            wait_until(lambda i=failed.id: (statistics.status(i) or {}).get("status") == FAILED, SOON)
    found = component("providers")["channels"]["sms"]
    assert (found["accepted"], found["failed"], found["unreachable"]) == (0, 1, 1)
    assert statistics.percentiles(task="otp", measure="accepted")["count"] == 0
    dead = told("pafar_dead_letters")
    assert (dead[otp], dead[sms], dead[KINDS["trip_delay_sms"].task]) == (1, 1, 0)


def run(task: str, ago: timedelta, error: str | None = None, *, killed: bool = False) -> None:
    at = datetime.now(UTC) - ago
    change(
        "INSERT INTO cleanup_runs (task, due_at, started_at, finished_at, next_due_at, error)"
        " VALUES (:task, :at, :at, :finished_at, :at, :error)",
        task=task,
        at=at,
        finished_at=None if killed else at,
        error=error,
    )


def all_others_ran() -> None:
    """Just now: some are due at a time of day, which may be this one."""
    for task in scheduled():
        if task not in (HOLDS, LOCATIONS):
            run(task, timedelta(0))


def test_a_cleanup_that_runs_in_time_and_fails_is_overdue() -> None:
    run(HOLDS, timedelta(minutes=30))
    run(HOLDS, timedelta(minutes=1), error="DatabaseUnavailable: away")
    run(LOCATIONS, timedelta(minutes=65))
    all_others_ran()
    check = component("cleanup")
    assert not check["healthy"]
    assert check["message"] == f"failed at its last run: {HOLDS}"
    assert {task for task, of in check["runs"].items() if of["overdue"]} == {HOLDS}
    overdue, succeeded = told("pafar_cleanup_overdue"), told("pafar_cleanup_last_success_timestamp_seconds")
    assert (overdue[HOLDS], overdue[LOCATIONS], overdue[REPORT]) == (1, 0, 0)
    assert set(succeeded) == set(scheduled())
    assert succeeded[HOLDS] == pytest.approx(time.time() - 1800, abs=600)
    assert asyncio.run(take()).overdue_cleanups == frozenset({HOLDS})
    run(HOLDS, timedelta(0))
    assert component("cleanup")["healthy"]


def test_a_cleanup_that_is_killed_at_each_run_has_not_succeeded() -> None:
    run(HOLDS, timedelta(minutes=30))
    for minutes in (11, 6, 1):
        run(HOLDS, timedelta(minutes=minutes), killed=True)
    run(LOCATIONS, timedelta(0))
    all_others_ran()
    check = component("cleanup")
    assert (check["healthy"], check["message"]) == (False, f"has not succeeded since it was due: {HOLDS}")
    run(HOLDS, timedelta(0))
    assert component("cleanup")["healthy"]


def test_a_cleanup_that_never_ran_is_overdue_once_others_have() -> None:
    assert asyncio.run(take()).overdue_cleanups == frozenset()  # nobody knows since when
    assert component("cleanup")["healthy"]
    run(HOLDS, timedelta(days=2))
    run(HOLDS, timedelta(0))
    assert {LOCATIONS, REPORT} <= (asyncio.run(take()).overdue_cleanups or frozenset())
    assert told("pafar_cleanup_overdue")[REPORT] == 1
    check = component("cleanup")
    assert {LOCATIONS, REPORT} <= set(check["never_ran"])
    assert not check["healthy"]
    assert check["message"].startswith("not run when due: ")
    assert {LOCATIONS, REPORT} <= set(check["message"].removeprefix("not run when due: ").split(", "))
