"""What operators are told of tasks and of the house, by real workers on a real Valkey."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core import redis
from app.core.celery_app import celery_app
from app.monitoring import keys, statistics
from app.tasks.base import DeliveryFailed
from app.tasks.sms_tasks import send_booking_confirmation_sms, send_otp_sms, send_trip_departure_sms
from app.utils.task_monitoring import task_monitor
from sandbox.standins.script import answer, slow
from tests import data
from tests.house import House, wait_until
from tests.tasks import SOON

REFUSED = answer(400, {"error": "not a number"})
SMS = "app.tasks.sms_tasks.send_booking_confirmation_sms"
OTP = "app.tasks.sms_tasks.send_otp_sms"


@pytest.fixture(scope="class", params=[(), ("-P", "prefork", "-c", "2")], ids=["threads", "prefork"])
def either_pool(whole_house: House, request: pytest.FixtureRequest) -> Iterator[None]:
    """The plain command's worker, then one whose children are forked."""
    whole_house.clean()
    with whole_house.worker(*request.param):
        yield


@pytest.fixture(autouse=True)
def no_history(house: House) -> Iterator[None]:
    """Nothing is known of earlier tasks."""
    house.valkey_client(0).flushdb()
    return iter([None])


def record(task_id: str) -> dict[str, Any]:
    """The task's record, by the public name; empty while there is none."""
    return asyncio.run(task_monitor.get_task_status(task_id)) or {}


def wait_for(task_id: str, status: str) -> dict[str, Any]:
    """The record, once it has that status."""
    wait_until(lambda: record(task_id).get("status") == status, SOON)
    return record(task_id)


def lifetime(task_id: str) -> timedelta:
    """How long the record is still kept."""
    return timedelta(seconds=redis.client().ttl(keys.record(task_id)))


def everything_kept(house: House) -> bytes:
    """All names and values that monitoring has in Redis."""
    client = house.valkey_client(0)
    return b"\n".join(part for key in client.scan_iter() for part in (key, client.dump(key)))


@pytest.mark.usefixtures("either_pool")
class TestARecord:
    def test_of_a_sent_message_says_when_where_and_how_long_for_a_day(self) -> None:
        before = datetime.now(UTC)
        sent = send_booking_confirmation_sms.delay(**data.sms())
        found = wait_for(sent.id, "success")
        assert (found["task_id"], found["task_name"], found["queue"]) == (sent.id, SMS, "sms")
        assert (
            before <= datetime.fromisoformat(found["started_at"]) <= datetime.fromisoformat(found["completed_at"])
        )
        assert 0 < found["execution_time_seconds"] < SOON
        assert (found["failed_at"], found["error"], found["retry_count"]) == (None, None, 0)
        assert timedelta(hours=23) < lifetime(sent.id) <= timedelta(hours=24)

    def test_of_a_failure_says_why_for_a_week_and_is_listed_newest_first(self, house: House) -> None:
        house.sms.script.extend([REFUSED, REFUSED])
        failed = [send_booking_confirmation_sms.delay(**data.sms()) for _ in range(2)]
        for result in failed:
            with pytest.raises(DeliveryFailed):
                result.get(timeout=SOON)
            assert "DeliveryFailed: " in wait_for(result.id, "failed")["error"]
            assert timedelta(days=6) < lifetime(result.id) <= timedelta(days=7)
        listed = asyncio.run(task_monitor.get_failed_tasks(hours=1))
        assert {f["task_id"] for f in listed} == {f.id for f in failed}
        assert listed == sorted(listed, key=lambda f: str(f["failed_at"]), reverse=True)
        assert [record(f["task_id"]) for f in listed] == listed

    def test_of_a_retry_counts_it_and_becomes_a_success(self, house: House) -> None:
        # Longer than the second between two writes: else it may be told of as a success at once.
        house.sms.script.append(answer(503, {"error": "later"}, headers={"Retry-After": "2"}))
        result = send_booking_confirmation_sms.delay(**data.sms())
        retrying = wait_for(result.id, "retrying")
        assert retrying["retry_count"] == 1
        assert retrying["error"]
        assert asyncio.run(task_monitor.get_task_statistics())["retrying_tasks"] == 1
        assert wait_for(result.id, "success")["error"] is None
        assert asyncio.run(task_monitor.get_task_statistics())["retrying_tasks"] == 0

    def test_of_a_message_rightly_not_sent_says_why(self) -> None:
        gone = data.sms(departure_time=(datetime.now(UTC) - timedelta(hours=2)).isoformat())
        result = send_trip_departure_sms.delay(gone["phone_number"], gone["user_name"], gone["booking_data"])
        assert wait_for(result.id, "success")["skipped"] == "expired"
        assert asyncio.run(task_monitor.get_task_statistics())["skipped_tasks"] == 1

    def test_of_an_unknown_task_is_none(self) -> None:
        assert asyncio.run(task_monitor.get_task_status("of-nobody")) is None

    def test_and_all_else_hold_nothing_personal(self, house: House) -> None:
        house.sms.script.append(answer(400, {"error": "no such number: +2348031234567"}))
        failed = send_booking_confirmation_sms.delay(**data.sms())
        wait_for(failed.id, "failed")  # first, or one of the others meets the refusal
        code = send_otp_sms.delay(**data.otp("493817"))
        foreign = celery_app.send_task(OTP, kwargs=data.otp("837261"), queue="sms")
        for task_id in (code.id, foreign.id):
            wait_for(task_id, "success")
        kept = everything_kept(house)
        assert failed.id.encode() in kept
        for secret in (b"8031234567", b"Ada", b"493817", b"837261"):
            assert secret not in kept


@pytest.mark.usefixtures("either_pool")
class TestStatistics:
    def test_count_every_task_by_name_and_average_what_they_took(self, house: House) -> None:
        house.sms.script.append(REFUSED)
        results = [send_booking_confirmation_sms.delay(**data.sms())]
        wait_for(results[0].id, "failed")  # first: of several at once, any may meet the refusal
        results += [send_booking_confirmation_sms.delay(**data.sms()) for _ in range(3)]
        results.append(send_otp_sms.delay(**data.otp()))
        wait_until(lambda: all(record(r.id).get("status") in ("success", "failed") for r in results), SOON)
        for hours in (0.5, 1, 24, 168):
            found = asyncio.run(task_monitor.get_task_statistics(hours=hours))
            counts = ("total_tasks", "successful_tasks", "failed_tasks", "retrying_tasks", "running_tasks")
            assert [found[name] for name in counts] == [5, 4, 1, 0, 0]
            assert found["period_hours"] == hours
            assert {name: of["total"] for name, of in found["task_types"].items()} == {SMS: 4, OTP: 1}
            assert found["task_types"][SMS]["failed"] == 1
            took = [record(r.id)["execution_time_seconds"] for r in results]
            assert found["average_execution_time"] == pytest.approx(sum(took) / 5, abs=1e-5)
        assert statistics.failure_rate()["failure_rate_percent"] == 20
        minutes = statistics.per_minute()
        assert len(minutes) == 60
        assert (sum(m["successful"] for m in minutes), sum(m["failed"] for m in minutes)) == (4, 1)

    def test_tell_how_long_tasks_run_and_wait_and_passengers_wait(self, house: House) -> None:
        house.sms.script.append(slow(1.5))
        code = send_otp_sms.delay(**data.otp())
        wait_for(code.id, "success")
        run, wait = statistics.percentiles(task=OTP), statistics.percentiles(task=OTP, measure="wait")
        accepted = statistics.percentiles(task="otp", measure="accepted")
        assert run["count"] == wait["count"] == accepted["count"] == 1
        assert run["p50"] is not None
        assert run["p50"] > 1
        assert accepted["p50"] is not None
        assert accepted["p50"] > 1
        assert statistics.percentiles(task="confirmation", measure="accepted")["count"] == 0

    def test_show_a_task_while_it_runs(self, house: House) -> None:
        house.sms.script.append(slow(4))
        result = send_booking_confirmation_sms.delay(**data.sms())
        assert wait_for(result.id, "started")["started_at"]
        assert asyncio.run(task_monitor.get_task_statistics())["running_tasks"] == 1
        wait_for(result.id, "success")
        assert asyncio.run(task_monitor.get_task_statistics())["running_tasks"] == 0

    @pytest.mark.parametrize("hours", [0, -1, float("nan"), 169, "24", True, None])
    def test_refuse_a_window_there_can_not_be(self, hours: Any) -> None:
        for question in (task_monitor.get_task_statistics, task_monitor.get_failed_tasks):
            with pytest.raises(ValueError, match="hours: must be a number above 0 and at most 168"):
                asyncio.run(question(hours=hours))


def test_a_task_that_runs_elsewhere_can_be_noted() -> None:
    async def notes() -> None:
        await task_monitor.log_task_start("elsewhere", "import.timetable")
        assert (await task_monitor.get_task_statistics())["running_tasks"] == 1
        await task_monitor.log_task_retry("elsewhere", "import.timetable", TimeoutError("ada@example.com is slow"))
        retrying = await task_monitor.get_task_status("elsewhere") or {}
        assert (retrying["status"], retrying["error"]) == ("retrying", "TimeoutError: [email] is slow")
        await task_monitor.log_task_start("elsewhere", "import.timetable")
        await task_monitor.log_task_success("elsewhere", "import.timetable", execution_time_seconds=2.5)
        await task_monitor.log_task_failure("another", "import.timetable", "no such file")

    asyncio.run(notes())
    done = record("elsewhere")
    assert (done["status"], done["execution_time_seconds"], done["retry_count"]) == ("success", 2.5, 1)
    [failed] = asyncio.run(task_monitor.get_failed_tasks())
    assert (failed["task_id"], failed["error"]) == ("another", "no such file")
    found = asyncio.run(task_monitor.get_task_statistics())
    assert (found["total_tasks"], found["running_tasks"], found["average_execution_time"]) == (2, 0, 2.5)


def test_a_failure_that_was_sent_after_all_is_none_any_more() -> None:
    async def notes() -> None:
        await task_monitor.log_task_failure("mended", "import.timetable", "no such file")
        assert len(await task_monitor.get_failed_tasks()) == 1
        await task_monitor.log_task_success("mended", "import.timetable")
        assert await task_monitor.get_failed_tasks() == []
        assert redis.client().zcard(keys.FAILED) == 0  # what alerts count

    asyncio.run(notes())
