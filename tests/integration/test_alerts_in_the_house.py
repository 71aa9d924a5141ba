"""Alerts in the running house: what they see, where they are listed, what stops the start."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from app.core import migrations
from app.core.config import get_settings
from app.core.errors import SettingsError
from app.core.startup import check_startup
from app.monitoring import keys
from app.monitoring.alerts.look import take
from app.monitoring.alerts.snapshot import BROKER, DATABASE, REDIS, Share
from app.monitoring.histogram import bucket
from tests.alerting import NOWHERE, forget
from tests.house import House, wait_until
from tests.receiver import Receiver
from tests.rows import change
from tests.web import ask

pytestmark = pytest.mark.usefixtures("no_alerts")
SOON = 30.0
NEVER = float("inf")


def failures(house: House, number: int) -> None:
    """So many tasks failed for good just now."""
    house.valkey_client(0).zadd(keys.FAILED, {f"failed-{n}": time.time() for n in range(number)})


@pytest.mark.parametrize(
    ("process", "options"), [("api", ()), ("worker", ()), ("worker", ("-P", "prefork", "-c", "2"))]
)
def test_a_process_judges_by_itself(
    house: House, receiver: Receiver, process: str, options: tuple[str, ...]
) -> None:
    failures(house, 3)
    with getattr(house, process)(*options, ALERT_DEAD_LETTERS="3"):
        wait_until(lambda: receiver.taken, SOON)
    [event] = [event for event in receiver.taken if event["data"]["name"] == "dead_letters"]
    assert event["data"]["summary"] == "3 tasks failed for good within an hour; 3 are too many."


def test_a_beat_and_a_worker_that_forks_are_seen(house: House) -> None:
    with house.beat(), house.worker("-P", "prefork", "-c", "2"):
        wait_until(lambda: asyncio.run(take()).workers == 1, SOON)
        wait_until(lambda: (asyncio.run(take()).beat_age or NEVER) < SOON, SOON)
    assert asyncio.run(take()).workers == 0  # it said goodbye
    wait_until(lambda: (asyncio.run(take()).beat_age or 0.0) > 2, SOON)  # nobody ticks


def test_they_are_listed_for_operators(house: House) -> None:
    failures(house, 3)
    with house.api(ALERT_DEAD_LETTERS="3", API_KEY="sesame-for-tests") as url:
        key = {"Authorization": "Bearer sesame-for-tests"}
        assert ask(f"{url}/api/v1/alerts").status == 401

        def listed() -> list[Any]:
            found: list[Any] = ask(f"{url}/api/v1/alerts", **key).json
            return [alert for alert in found if alert["name"] == "dead_letters"]

        [alert] = wait_until(listed, SOON)
        assert (alert["status"], alert["severity"], alert["subject"]) == ("firing", "warning", "")
    nowhere = {"DATABASE_URL": f"postgresql://postgres@{NOWHERE}/pafar", "REDIS_URL": f"redis://{NOWHERE}/0"}
    with house.api(API_KEY="sesame-for-tests", **nowhere) as url:
        assert ask(f"{url}/api/v1/alerts", **key).status == 503


def test_settings_that_could_tell_nobody_stop_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_WEBHOOK_URL", "https://hooks.pafar.test/T0-secret")
    monkeypatch.setenv("ALERT_EMAILS", "duty@pafar.test")
    monkeypatch.delenv("SMTP_HOST")
    get_settings.cache_clear()
    assert "T0-secret" not in repr(get_settings())
    with pytest.raises(SettingsError, match="ALERT_WEBHOOK_SECRET is missing") as error:
        check_startup(get_settings())
    assert "ALERT_EMAILS can't be told without SMTP_HOST" in str(error.value)
    for name, bad in (("ALERT_WEBHOOK_SECRET", "whsec_c2hvcnQ="), ("ALERT_EMAILS", "duty@pafar.test, nobody")):
        monkeypatch.setenv(name, bad)
        get_settings.cache_clear()
        with pytest.raises(SettingsError, match=name) as error:
            get_settings()
        assert bad not in str(error.value)


def test_the_look_sees_what_is_there(house: House) -> None:
    failures(house, 2)
    client, now = house.valkey_client(0), time.time()
    minute = keys.times(keys.minute(int(now // 60) - 3))
    # In time, too late by a little, never; the sum of their seconds; and another objective.
    client.hset(minute, mapping={f"otp|accepted|{bucket(seconds)}": 2 for seconds in (0.3, 5.0, 5.1, 1e9)})
    client.hset(minute, mapping={"otp|accepted|us": 77, f"confirmation|accepted|{bucket(70)}": 5})
    client.set(keys.BEAT, now - 40)
    client.hset(keys.CANARIES, mapping={"cleanup:sent": now - 91, "cleanup:arrived": now - 90})
    house.valkey_client(1).lpush("sms\x06\x163", *["{}"] * 3)
    with house.worker("-Q", "email"):
        wait_until(lambda: asyncio.run(take()).workers, SOON)
        seen = asyncio.run(take())
    assert (seen.unhealthy, seen.workers, seen.open_breakers) == ({}, 1, frozenset())
    assert (seen.dead_letters, seen.late_codes) == (2, Share(4, 8))
    assert seen.queue_lengths == {"email": 0, "sms": 3, "notifications": 0, "cleanup": 0}
    assert seen.canary_ages is not None
    assert 90 <= seen.canary_ages["cleanup"] < 90 + 4 * SOON
    assert seen.canary_ages["sms"] == float("inf")
    assert seen.beat_age is not None
    assert 40 <= seen.beat_age < 40 + 4 * SOON
    assert seen.disk_free is not None
    assert [0 < free < 100 for free in seen.disk_free.values()] == [True]


def test_the_look_says_what_is_away_and_guesses_nothing(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", house.postgres.create_database("alerts_empty"))
    monkeypatch.setenv("REDIS_URL", f"redis://{NOWHERE}/0")
    forget()
    seen = asyncio.run(take())
    assert set(seen.unhealthy) == {DATABASE, REDIS}
    assert (seen.workers, seen.beat_age, seen.failed_tasks, seen.late_codes) == (None,) * 4
    house.valkey.kill()
    try:
        seen = asyncio.run(take())
    finally:
        house.valkey.restart()
    assert BROKER in seen.unhealthy
    assert (seen.queue_lengths, seen.queue_ages) == (None, None)


def test_a_database_that_lacks_migrations_is_unhealthy(house: House) -> None:
    newest = migrations.newest()
    change("UPDATE alembic_version SET version_num = '0001'")
    try:
        seen = asyncio.run(take())
    finally:
        change("UPDATE alembic_version SET version_num = :newest", newest=newest)
    assert seen.unhealthy == {DATABASE: "PostgreSQL lacks migrations: run pafar migrate"}


def test_a_broker_that_may_drop_messages_is_unhealthy(house: House) -> None:
    with house.broker_with(maxmemory_policy="allkeys-lru"):
        seen = asyncio.run(take())
    assert seen.unhealthy == {BROKER: "The broker may drop messages: maxmemory-policy is allkeys-lru"}
