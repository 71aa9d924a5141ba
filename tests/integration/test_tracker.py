"""The tracker and its statistics: bounded, never stuck, cheap to read, and silent about persons."""

from __future__ import annotations

import time
import uuid
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest
import uuid_utils.compat

from app.core import redis
from app.core.errors import DatabaseUnavailable
from app.monitoring import histogram, keys, runs, statistics
from app.monitoring.runs import FAILED, RETRYING, STARTED, SUCCESS, Run
from app.monitoring.signals import ERROR_LENGTH, explain
from app.monitoring.tracker import BATCH, BUFFER, Tracker
from sandbox.servers.valkey import ValkeyServer

SOON = 60.0
NAME = "import.timetable"
OTP = "app.tasks.sms_tasks.send_otp_sms"


@pytest.fixture
def tracker(redis_server: ValkeyServer) -> Iterator[Tracker]:
    tracker = Tracker()
    yield tracker
    tracker.stop()


def ended(task_id: str | None = None, **changes: Any) -> Run:
    """A run that took a tenth of a second and has just ended."""
    now = time.time()
    values: dict[str, Any] = {"task_name": NAME, "status": SUCCESS, "started_at": now - 0.1, "ended_at": now}
    return Run(task_id=task_id or uuid.uuid4().hex, **{**values, "seconds": 0.1, **changes})


def begun(task_id: str | None = None) -> Run:
    """A run that goes on."""
    return Run(task_id=task_id or uuid.uuid4().hex, task_name=NAME, started_at=time.time())


def running() -> int:
    return int(statistics.statistics()["running_tasks"])


def successes() -> int:
    return int(statistics.statistics()["successful_tasks"])


def test_beyond_the_buffer_runs_are_dropped_and_counted(redis_server: ValkeyServer, tracker: Tracker) -> None:
    redis_server.stop()
    tracker.flush()
    for _ in range(BUFFER + BATCH + 500):
        tracker.record(ended())
    redis_server.restart()
    tracker.flush()
    kept = successes()
    assert BUFFER <= kept <= BUFFER + BATCH  # one batch may have been on its way
    assert statistics.totals().dropped == BUFFER + BATCH + 500 - kept


def test_stopping_writes_what_has_gathered(tracker: Tracker) -> None:
    tracker.record(ended())
    tracker.stop()
    assert successes() == 1


def test_a_run_that_can_not_be_written_does_not_stop_the_others(tracker: Tracker) -> None:
    tracker.record(ended("\ud800"))  # a lone surrogate, which another program may send as an id
    tracker.flush()
    tracker.record(ended())
    tracker.flush()
    assert successes() == 1
    assert statistics.totals().dropped == 1


def test_what_was_dropped_before_a_batch_that_can_not_be_written_is_still_counted(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.monitoring.tracker.BUFFER", 1)
    for task_id in ("\ud800", "one too many"):
        tracker.record(ended(task_id))
    tracker.flush()
    tracker.flush()
    assert statistics.totals().dropped == 2


def test_a_run_that_ends_while_it_is_written_is_counted_once(
    tracker: Tracker, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = begun()
    tracker.began(run)

    def write_late(pipe: Any, written: list[Run]) -> None:
        if run.ended_at is None:
            run.status, run.ended_at = SUCCESS, time.time()
            tracker.ended(run)
        runs.write(pipe, written)

    monkeypatch.setattr("app.monitoring.tracker.write", write_late)
    tracker.flush()
    tracker.flush()
    assert (successes(), running()) == (1, 0)


@pytest.mark.parametrize("status", [STARTED, SUCCESS])
def test_a_run_in_the_very_moment_of_its_end_costs_no_other(tracker: Tracker, status: str) -> None:
    run = begun()
    tracker.began(run)
    tracker.record(ended())
    run.status, run.ended_at = status, time.time()
    tracker.flush()
    run.status = SUCCESS
    tracker.ended(run)
    tracker.flush()
    assert successes() == 2
    assert statistics.totals().dropped == 0


def test_a_wake_up_too_many_takes_no_end_away(tracker: Tracker) -> None:
    """Its worker writes that it began after another has written how the message ended."""
    too_many = begun("message")
    tracker.record(ended("message", status=FAILED, error="DeliveryFailed: Rejected: spam"))
    tracker.flush()
    tracker.began(too_many)
    tracker.flush()
    tracker.ended(too_many)  # Busy: it came to nothing
    assert [(f["task_id"], f["error"]) for f in statistics.failed()] == [
        ("message", "DeliveryFailed: Rejected: spam")
    ]
    assert running() == 0


@pytest.mark.parametrize("status", [FAILED, SUCCESS, RETRYING])
def test_what_is_sent_again_has_started_again(tracker: Tracker, status: str) -> None:
    tracker.record(ended("message", status=status))
    tracker.flush()
    tracker.began(begun("message"))
    tracker.flush()
    assert (statistics.status("message") or {})["status"] == STARTED
    assert running() == 1


def test_killed_runs_are_forgotten_after_a_day(tracker: Tracker) -> None:
    redis.client().zadd(keys.RUNNING, {"killed": time.time() - keys.RECORD_LIFETIME - 1})
    tracker.record(ended())
    tracker.flush()
    assert redis.client().zcard(keys.RUNNING) == 0


def test_many_runs_are_written_in_one_round_trip(tracker: Tracker) -> None:
    for number in range(BATCH - 1):
        tracker.record(ended(status=(SUCCESS, FAILED, RETRYING)[number % 3]))
    for _ in range(50):
        tracker.began(begun())
    client = redis.client()
    client.config_resetstat()
    tracker.flush()
    stats: Any = client.info("commandstats")
    assert (stats["cmdstat_multi"]["calls"], stats["cmdstat_exec"]["calls"]) == (1, 1)
    assert successes() == (BATCH - 1) // 3
    assert running() == 50


def test_reading_costs_the_same_however_many_tasks_there_were(tracker: Tracker) -> None:
    def commands() -> Counter[str]:
        client = redis.client()
        client.config_resetstat()
        statistics.statistics(24)
        statistics.failure_rate(1)
        statistics.percentiles(24)
        stats: Any = client.info("commandstats")
        return Counter({name.removeprefix("cmdstat_"): of["calls"] for name, of in stats.items()})

    for _ in range(10):
        tracker.record(ended())
    tracker.flush()
    few = commands()
    for _ in range(5_000):
        tracker.record(ended(seconds=time.time() % 3))
    tracker.flush()
    many = commands()
    assert few["hgetall"] == many["hgetall"] <= 24 + 1 + 61 + 24 + 1
    assert not {"keys", "scan"} & set(many)


def test_only_the_newest_failures_are_listed(tracker: Tracker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runs, "FAILED_AT_MOST", 20)
    for number in range(30):
        tracker.record(ended(str(number), status=FAILED, ended_at=time.time() + number / 1000))
    tracker.flush()
    assert [f["task_id"] for f in statistics.failed()] == [str(n) for n in reversed(range(10, 30))]
    assert [f["task_id"] for f in statistics.failed(limit=2)] == ["29", "28"]


def test_what_was_never_accepted_counts_against_the_objective(tracker: Tracker) -> None:
    accepted, late, refused, dead = (str(uuid_utils.compat.uuid7()) for _ in range(4))
    tracker.record(ended(accepted, task_name=OTP))
    tracker.record(ended(late, task_name=OTP, skipped="expired"))
    tracker.record(ended(refused, task_name=OTP, status=FAILED, error="DeliveryFailed: Rejected: spam"))
    number = "DeliveryFailed: InvalidRecipient: the gateway refused the number"
    tracker.record(ended(dead, task_name=OTP, status=FAILED, error=number))  # faster would not have reached it
    tracker.record(ended(str(uuid_utils.compat.uuid7()), task_name=OTP, skipped="opted out"))
    tracker.record(ended("of-another-program", task_name=OTP))  # nobody knows when it was asked for
    tracker.flush()
    counts = statistics.totals().histograms["otp", "accepted"]
    assert counts[histogram.NEVER] == 2
    assert counts.total() == 3


def test_a_sensitive_tasks_error_is_only_named_unless_it_is_ours() -> None:
    assert explain(OTP, ValueError("not a code: 493817")) == "ValueError"
    assert explain(OTP, "the code 493817 was refused") == "not told"
    assert explain(OTP, DatabaseUnavailable("the database is away")) == "DatabaseUnavailable: the database is away"
    assert explain(NAME, ValueError("ask ada@example.com")) == "ValueError: ask [email]"
    assert len(explain(NAME, ValueError("very long " * 1000))) == ERROR_LENGTH


@pytest.mark.parametrize("share", [0.5, 0.95, 0.99])
def test_a_percentile_is_at_most_a_third_off(share: float) -> None:
    values = sorted(1.7**n * 0.0011 for n in range(25))
    counts = Counter(histogram.bucket(value) for value in values)
    found = histogram.percentile(counts, share)
    assert found == pytest.approx(values[int(len(values) * share)], rel=0.34)


def test_the_objectives_bounds_are_exact() -> None:
    assert histogram.BOUNDS[histogram.bucket(5.0)] == 5.0
    assert histogram.BOUNDS[histogram.bucket(60.0)] == 60.0
    assert histogram.bucket(5.001) == histogram.bucket(5.0) + 1
    assert histogram.percentile({}, 0.5) is None
    assert histogram.percentile({histogram.NEVER: 1}, 0.5) == histogram.BOUNDS[-1]
