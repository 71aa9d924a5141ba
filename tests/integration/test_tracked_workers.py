"""Workers that are tracked: what each pool tells, killed or stopped, with Redis frozen or dead."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import psutil
import pytest

from app.messages.kinds import KINDS
from app.monitoring import statistics
from app.monitoring.tracker import BELIEVED
from app.notifications import submit
from app.tasks.sms_tasks import send_booking_confirmation_sms
from sandbox.servers.valkey import ValkeyServer
from sandbox.standins.script import slow
from tests import data
from tests.faults import crashing
from tests.house import House, wait_until

SOON = 60.0
NAME = "import.timetable"
OTP = "app.tasks.sms_tasks.send_otp_sms"


def successes() -> int:
    return int(statistics.statistics()["successful_tasks"])


def running() -> int:
    return int(statistics.statistics()["running_tasks"])


def send(house: House, number: int) -> None:
    """Have a worker send so many texts, and see all of them arrive."""
    for _ in range(number):
        send_booking_confirmation_sms.delay(**data.sms())
    wait_until(lambda: len(house.ledger.entries("sms")) == number, SOON)


def test_a_frozen_redis_holds_no_task_and_counts_nothing_twice(house: House, redis_server: ValkeyServer) -> None:
    with house.worker():
        send_booking_confirmation_sms.delay(**data.sms())
        wait_until(lambda: successes() == 1, SOON)
        house.ledger.clear()
        os.kill(redis_server.pid, signal.SIGSTOP)
        try:
            send(house, 5)
            time.sleep(8)  # longer than a reply is waited for: a batch is on its way, its answer is not
            house.ledger.clear()
            send(house, 5)
        finally:
            os.kill(redis_server.pid, signal.SIGCONT)
        wait_until(lambda: successes() >= 11, SOON)
        time.sleep(3)
    assert successes() == 11
    assert statistics.totals().dropped == 0


def test_what_happened_while_redis_was_dead_is_told_later(house: House, redis_server: ValkeyServer) -> None:
    redis_server.stop()
    with house.worker("-P", "prefork", "-c", "1"):
        send(house, 3)
        redis_server.restart()
        wait_until(lambda: successes() == 3, SOON)


def test_two_workers_add_up(house: House, redis_server: ValkeyServer) -> None:
    with house.worker("-n", "one@%h"), house.worker("-n", "two@%h", "-P", "prefork", "-c", "2"):
        send(house, 20)
        wait_until(lambda: successes() == 20, SOON)
    assert statistics.percentiles(measure="run")["count"] == 20
    assert statistics.totals().outcomes == {
        ("app.tasks.sms_tasks.send_booking_confirmation_sms", "successful"): 20
    }


def test_forked_children_tell_before_they_end(house: House, redis_server: ValkeyServer) -> None:
    with house.worker("-P", "prefork", "-c", "1", "--max-tasks-per-child", "1"):
        send(house, 3)
        wait_until(lambda: successes() == 3, SOON)


@pytest.mark.parametrize("pool", ["threads", "prefork", "solo"])
def test_a_worker_that_stops_tells_all_it_knows(house: House, redis_server: ValkeyServer, pool: str) -> None:
    with house.worker("-P", pool):
        send_booking_confirmation_sms.delay(**data.sms()).get(timeout=SOON)
    assert successes() == 1


def test_a_killed_child_is_told_of_by_its_parent(house: House, redis_server: ValkeyServer) -> None:
    house.sms.script.append(slow(20))
    with house.worker("-P", "prefork", "-c", "1") as worker:
        result = send_booking_confirmation_sms.delay(**data.sms())
        wait_until(lambda: running() == 1, SOON)
        for child in psutil.Process(worker.pid).children():
            if "spawn" not in " ".join(child.cmdline()):
                child.kill()
        wait_until(lambda: (statistics.status(result.id) or {})["retry_count"] == 1, SOON)


@pytest.mark.parametrize(
    ("way", "error"), [("overtime", "TimeLimitExceeded"), ("memory", "Memory"), ("kill", "WorkerLostError")]
)
def test_a_child_that_can_not_tell_has_failed(
    house: House, redis_server: ValkeyServer, tmp_path: Path, way: str, error: str
) -> None:
    with house.worker("-P", "prefork", "-c", "1", "-I", "tests.faults.crashing"):
        sent = crashing.start(way, tmp_path / "starts")
        wait_until(lambda: (statistics.status(sent.id) or {}).get("status") == "failed", SOON)
    assert error in (statistics.status(sent.id) or {})["error"]
    assert statistics.failure_rate()["failed_tasks"] == 1
    assert (statistics.status(sent.id) or {})["retry_count"] == crashing.STARTS[way] - 1


def test_a_killed_worker_runs_nothing_any_more(house: House, redis_server: ValkeyServer) -> None:
    house.sms.script.append(slow(SOON))
    with house.worker() as worker:
        send_booking_confirmation_sms.delay(**data.sms())
        wait_until(lambda: running() == 1, SOON)
        time.sleep(BELIEVED)
        assert running() == 1
        worker.kill()
        wait_until(lambda: running() == 0, SOON)


def test_it_can_be_turned_off(house: House, redis_server: ValkeyServer) -> None:
    with house.worker(TRACKER="false"):
        result = send_booking_confirmation_sms.delay(**data.sms())
        result.get(timeout=SOON)
    assert statistics.status(result.id) is None


def test_a_wake_up_that_came_twice_is_one_acceptance(house: House, redis_server: ValkeyServer) -> None:
    with house.worker():
        message = submit.accept_now(KINDS["booking_confirmation_sms"], data.sms())
        wait_until(lambda: successes() == 1, SOON)
        send_booking_confirmation_sms.apply_async(task_id=str(message), retries=1)
        wait_until(lambda: successes() == 2, SOON)
    assert statistics.percentiles(measure="accepted", task="confirmation")["count"] == 1
