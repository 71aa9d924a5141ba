"""The health report on real servers: it tells the truth, in time, whatever is dead or hangs."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from app.core import redis as core_redis
from app.core.broker import broker
from app.monitoring import canary, keys, workers
from app.tasks.sms_tasks import send_booking_confirmation_sms
from app.utils.task_monitoring import health_checker
from tests import data
from tests.heartbeats import heartbeat
from tests.house import House, wait_until
from tests.operators import KEY, frozen
from tests.tasks import SOON
from tests.web import ask

#: What the contract allows, and what two busy cores may add until a thread whose time is up has its turn.
IN_TIME = 2.0 + 1.5


def report() -> dict[str, Any]:
    """The report, which must come in time."""
    began = time.monotonic()
    found = asyncio.run(health_checker.get_comprehensive_health_report())
    assert time.monotonic() - began < IN_TIME
    return found


def unwell(found: dict[str, Any]) -> set[str]:
    return {name for name, check in found["components"].items() if not check["healthy"]}


@pytest.fixture(autouse=True)
def nothing_noted(house: House) -> None:
    house.valkey_client(0).flushdb()


@contextmanager
def at_work(house: House) -> Iterator[None]:
    """A worker and a beat."""
    with house.worker(), house.beat():
        yield


def test_all_is_well_once_everything_runs(house: House) -> None:
    with at_work(house):
        wait_until(lambda: report()["overall_healthy"], 60)
        found = report()
        assert set(found) == {"timestamp", "overall_healthy", "components", "statistics", "recommendations"}
        assert found["recommendations"] == []
        (worker,) = found["components"]["workers"]["workers"]
        assert worker["pool"] == "thread"
        assert worker["memory_bytes"] > 10_000_000
        assert {"name", "active_tasks", "registered_tasks"} <= set(worker)
        assert set(found["components"]["canary"]["ages"]) == {"email", "sms", "notifications", "cleanup"}


def test_without_a_worker_each_component_says_what_lacks_and_how_to_mend_it(house: House) -> None:
    found = report()
    assert {"workers", "beat", "canary"} <= unwell(found)
    assert found["components"]["workers"]["total_workers"] == 0
    assert any("celery -A app.core.celery_app worker" in advice for advice in found["recommendations"])


def test_lengths_count_every_priority_and_what_is_held(house: House) -> None:
    client = house.valkey_client(1)
    for name, count in (("sms", 3), ("sms\x06\x163", 4), ("sms\x06\x169", 5)):
        client.lpush(name, *[json.dumps({"headers": {}})] * count)
    client.hset("unacked", "tag", json.dumps([{"headers": {}}, "", "sms"]))
    found = asyncio.run(health_checker.check_queue_health())
    assert found["queues"]["sms"]["length"] == 13
    assert found["total_queued_tasks"] == 13
    assert found["healthy"]


def test_a_queue_is_unhealthy_from_a_thousand_on(house: House) -> None:
    client = house.valkey_client(1)
    client.lpush("email", *[json.dumps({"headers": {}})] * 999)
    assert asyncio.run(health_checker.check_queue_health())["healthy"]
    client.lpush("email", json.dumps({"headers": {}}))
    found = asyncio.run(health_checker.check_queue_health())
    assert not found["queues"]["email"]["healthy"]
    assert "email holds 1000" in found["message"]


@pytest.mark.parametrize("hours", [0, -1, float("nan"), "1"])
def test_a_window_that_can_not_be_is_refused(hours: Any) -> None:
    with pytest.raises(ValueError, match="hours"):
        asyncio.run(health_checker.check_task_failure_rate(hours))


@pytest.mark.parametrize(
    ("server", "blind"),
    [("valkey", {"workers", "queues", "failure_rate", "broker", "redis", "beat"}), ("postgres", {"database"})],
)
def test_a_server_that_hangs_is_named_in_time_and_again(house: House, server: str, blind: set[str]) -> None:
    report()  # connections are there, and hang with the server
    with frozen(getattr(house, server).pid):
        for _ in range(3):
            found = report()
            assert blind <= unwell(found)
            assert not found["overall_healthy"]
            message = found["components"][min(blind)]["message"]
            assert "did not answer" in message or "timeout" in message
    wait_until(lambda: not blind - {"workers", "beat"} & unwell(report()), 30)


def test_a_broker_that_may_drop_messages_is_unhealthy(house: House) -> None:
    with house.broker_with(maxmemory_policy="allkeys-lru"):
        check = report()["components"]["broker"]
    assert not check["healthy"]
    assert "allkeys-lru" in check["message"]


def test_a_worker_that_hangs_is_called_that(house: House) -> None:
    with house.worker() as process:
        wait_until(lambda: report()["components"]["workers"]["healthy"], SOON)
        os.kill(process.pid, signal.SIGSTOP)
        try:
            wait_until(lambda: "workers" in unwell(report()), 60)
        finally:
            os.kill(process.pid, signal.SIGCONT)
        wait_until(lambda: report()["components"]["workers"]["healthy"], 60)


def test_a_worker_that_takes_nothing_is_called_that(house: House) -> None:
    client, now = core_redis.client(), time.time()
    workers.write(client, heartbeat(now, last_taken_at=now - 5), {})
    house.valkey_client(1).lpush("sms", json.dumps({"headers": {"published_at": now - 300}}))
    assert asyncio.run(health_checker.check_worker_health())["healthy"]
    workers.write(client, heartbeat(now, last_taken_at=now - 200), {})
    check = asyncio.run(health_checker.check_worker_health())
    assert not check["healthy"]
    assert "idle@host" in check["message"]


def test_heartbeats_of_another_version_blind_nobody() -> None:
    client, now = core_redis.client(), time.time()
    workers.write(client, heartbeat(now, last_taken_at=now), {})
    ours = asdict(heartbeat(now, last_taken_at=now))
    newer = ours | {"name": "newer@host", "queues": [*ours["queues"], "letters"], "moons": 2}
    older = {"name": "older@host", "pid": 1}
    for name, said in (("newer@host", newer), ("older@host", older)):
        client.set(keys.heartbeat(name), json.dumps(said))
        client.zadd(keys.WORKERS, {name: now})
    check = report()["components"]["workers"]
    assert check["healthy"], check["message"]
    assert [worker["name"] for worker in check["workers"]] == ["idle@host", "newer@host"]
    assert check["silent_workers"] == {}


def test_what_is_not_known_is_no_zero(house: House) -> None:
    away = "127.0.0.1:1"
    nowhere = {"DATABASE_URL": f"postgresql://postgres@{away}/pafar", "REDIS_URL": f"redis://{away}/0"}
    with house.api(API_KEY=KEY, **nowhere) as url:
        metrics = ask(f"{url}/metrics", Authorization=f"Bearer {KEY}").text
    told = [line.split()[0] for line in metrics.splitlines() if not line.startswith("#")]
    assert 'pafar_component_healthy{component="database"}' in told
    unknown = ("pafar_outbox", "pafar_tasks", "pafar_runs", "pafar_beat", "pafar_workers")
    assert not [name for name in told if name.startswith(unknown)]


def test_a_canary_that_does_not_come_through_is_missed(house: House) -> None:
    with house.worker("-Q", "email"):
        wait_until(lambda: canary.read(core_redis.client())["email"].arrived_at, 60)
    long_ago = time.time() - 300
    core_redis.client().hset(keys.CANARIES, mapping={"email:arrived": long_ago})
    check = report()["components"]["canary"]
    assert not check["healthy"]
    assert "email" in check["message"]


def test_details_need_the_key_where_one_is_set(house: House) -> None:
    with house.api(API_KEY="sesame-for-the-report") as url:
        without = ask(f"{url}/health/tasks").json
        assert set(without) == {"timestamp", "overall_healthy", "components"}
        assert all(set(check) == {"healthy"} for check in without["components"].values())
        whole = ask(f"{url}/health/tasks", Authorization="Bearer sesame-for-the-report").json
        assert "message" in whole["components"]["workers"]
        assert ask(f"{url}/metrics").status == 401


def test_prometheus_is_told_what_workers_did(house: House) -> None:
    with house.worker(), house.api(API_KEY=KEY) as url:
        send_booking_confirmation_sms.delay(**data.sms()).get(timeout=SOON)

        def told() -> dict[tuple[str, str], float]:
            metrics = ask(f"{url}/metrics", Authorization=f"Bearer {KEY}").text
            families = text_string_to_metric_families(metrics)
            samples = (sample for family in families for sample in family.samples)
            return {(s.name, "|".join(sorted(s.labels.values()))): s.value for s in samples}

        task = "app.tasks.sms_tasks.send_booking_confirmation_sms"
        wait_until(lambda: told().get(("pafar_tasks_total", f"{task}|successful")) == 1, SOON)
        found = told()
        assert found["pafar_workers", ""] == 1
        assert found["pafar_component_healthy", "database"] == 1
        assert found["pafar_accepted_seconds_bucket", "60.0|confirmation"] == 1
        assert found["pafar_queue_length", "sms"] == 0


def test_the_broker_of_callers_is_left_alone() -> None:
    """Health has a connection of its own: a look that fails must not have callers spared a broker that works."""
    assert not broker.breaker.is_open
