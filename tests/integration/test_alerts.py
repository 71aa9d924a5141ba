"""Alerts reach operators once: by e-mail and webhook, from several processes, with servers away."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.core.config import get_settings
from app.monitoring import keys
from app.monitoring.alerts import homes, notify
from app.monitoring.alerts.evaluate import Evaluator
from app.monitoring.alerts.notify import FIRST_WAIT
from app.monitoring.alerts.rules import RULES
from app.monitoring.alerts.snapshot import DATABASE, Snapshot
from app.monitoring.alerts.state import CLEAR
from sandbox.standins.smtp import Behaviour
from tests.alerting import (
    HOLD,
    NO_WORKER,
    NOWHERE,
    STEP,
    WELL,
    Clock,
    evaluator,
    forget,
    next_turn,
    pass_time,
    stalling_database,
    types,
)
from tests.house import House
from tests.receiver import Receiver
from tests.rows import change, rows

pytestmark = pytest.mark.usefixtures("no_alerts")
SOON = 30.0


@pytest.fixture
def emails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALERT_EMAILS", "duty@pafar.test, ops@pafar.test")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    moment = Clock()
    monkeypatch.setattr("app.monitoring.alerts.evaluate.time", moment)
    return moment


@pytest.mark.usefixtures("emails")
def test_two_processes_raise_once_and_resolve_once(house: House, clock: Clock, receiver: Receiver) -> None:
    judges = [evaluator(clock), evaluator(clock)]
    clock.seen = NO_WORKER
    pass_time(house, clock, judges, HOLD + 10 * STEP)
    clock.seen = WELL
    pass_time(house, clock, judges, CLEAR.total_seconds() + 10 * STEP)
    assert types(receiver) == ["alert.raised", "alert.resolved"]
    raised, resolved = (event["data"] for event in receiver.taken)
    assert (raised["name"], raised["status"], raised["severity"]) == ("no_worker", "firing", "critical")
    assert raised["summary"] == "No worker runs: nothing is sent."
    assert resolved["status"] == "resolved"
    assert resolved["resolved_at"] > raised["raised_at"] >= raised["since"]
    mails = house.ledger.entries("email")
    assert {address for mail in mails for address in mail["to"]} == {"duty@pafar.test", "ops@pafar.test"}
    assert (
        sorted(mail["subject"] for mail in mails)
        == ["[Pafar] critical: no worker"] * 2 + ["[Pafar] resolved: no worker"] * 2
    )
    assert all("docs/howto/alerts.md" in mail["text"] for mail in mails)
    assert rows() == []  # it is no passenger's message


def test_of_many_who_try_at_once_one_judges(house: House, clock: Clock) -> None:
    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            next_turn(house)
            assert list(pool.map(lambda _: evaluator(clock).turn(), range(8))).count(True) == 1


def test_what_lasts_is_repeated(
    house: House, clock: Clock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ALERT_REPEAT_MINUTES", "10")
    clock.seen = NO_WORKER
    pass_time(house, clock, [evaluator(clock)], HOLD + 20 * 60 + 2 * STEP)
    assert types(receiver) == ["alert.raised", "alert.repeated", "alert.repeated"]
    assert len({event["id"] for event in receiver.taken}) == 3


def test_a_receiver_that_is_down_gets_it_later_in_order_and_under_the_same_id(
    house: House, clock: Clock, receiver: Receiver
) -> None:
    judge = evaluator(clock)
    receiver.statuses.extend([500, 302, 429, 503, 500])  # so long that both wait
    clock.seen = NO_WORKER
    pass_time(house, clock, [judge], HOLD + STEP)
    assert (types(receiver), len(receiver.tried)) == ([], 1)
    clock.seen = WELL
    pass_time(house, clock, [judge], 2**5 * FIRST_WAIT.total_seconds() + CLEAR.total_seconds())
    assert types(receiver) == ["alert.raised", "alert.resolved"]
    assert receiver.tried == [receiver.taken[0]["id"]] * 6 + [receiver.taken[1]["id"]]


@pytest.mark.usefixtures("emails")
def test_one_way_that_fails_does_not_hold_up_the_other(
    house: House, clock: Clock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    house.smtp.script.extend([Behaviour(at="MAIL", reply="451 4.3.0 later")] * 2)
    clock.seen = NO_WORKER
    judge = evaluator(clock)
    pass_time(house, clock, [judge], HOLD + STEP)
    assert types(receiver) == ["alert.raised"]
    assert house.ledger.entries("email") == []
    pass_time(house, clock, [judge], 2 * STEP)
    assert len(house.ledger.entries("email")) == 2

    monkeypatch.setenv("ALERT_WEBHOOK_URL", f"http://{NOWHERE}/hook")
    get_settings.cache_clear()
    clock.seen = WELL
    pass_time(house, clock, [judge], CLEAR.total_seconds() + STEP)
    assert len(house.ledger.entries("email")) == 4


def test_a_receiver_that_is_gone_is_told_nothing_more_of_this(
    house: House, clock: Clock, receiver: Receiver
) -> None:
    receiver.statuses.append(410)
    clock.seen = NO_WORKER
    pass_time(house, clock, [evaluator(clock)], HOLD + 60 * STEP)
    assert (types(receiver), len(receiver.tried)) == ([], 1)


def test_who_dies_after_sending_has_it_sent_again_under_the_same_id(
    house: House, clock: Clock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock.seen = NO_WORKER
    dying = evaluator(clock)
    pass_time(house, clock, [dying], HOLD)

    def send_and_die(*what: Any) -> None:
        notify.send_due(*what)
        raise KeyboardInterrupt

    with monkeypatch.context() as last_moment:
        last_moment.setattr("app.monitoring.alerts.evaluate.send_due", send_and_die)
        with pytest.raises(KeyboardInterrupt):
            pass_time(house, clock, [dying], STEP)
    assert types(receiver) == ["alert.raised"]
    pass_time(house, clock, [evaluator(clock)], 2 * STEP)
    assert types(receiver) == ["alert.raised"] * 2
    assert len({event["id"] for event in receiver.taken}) == 1


@pytest.mark.parametrize(
    ("setting", "away"),
    [("DATABASE_URL", f"postgresql://postgres@{NOWHERE}/pafar"), ("REDIS_URL", f"redis://{NOWHERE}/0")],
)
def test_either_server_may_be_away(
    house: House, clock: Clock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch, setting: str, away: str
) -> None:
    judges = [evaluator(clock), evaluator(clock)]
    clock.seen = NO_WORKER
    pass_time(house, clock, judges, HOLD + STEP)
    assert types(receiver) == ["alert.raised"]
    here = get_settings().model_dump()[setting.lower()]
    monkeypatch.setenv(setting, away)
    forget()
    clock.seen = WELL
    for _ in range(8):
        clock.now += STEP
        next_turn(house)
        assert [judge.turn() for judge in judges] == [True, False]
    assert types(receiver) == ["alert.raised", "alert.resolved"]
    # Back again, with its old copy: the newer one is believed.
    monkeypatch.setenv(setting, here)
    forget()
    clock.seen = NO_WORKER
    pass_time(house, clock, [evaluator(clock)], HOLD)
    assert types(receiver) == ["alert.raised", "alert.resolved"]
    assert [alert.status for alert in homes.current()] == ["pending"]


def test_with_both_servers_away_a_process_still_tells(
    house: House, clock: Clock, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgresql://postgres@{NOWHERE}/pafar")
    monkeypatch.setenv("REDIS_URL", f"redis://{NOWHERE}/0")
    forget()
    clock.seen = Snapshot(unhealthy={DATABASE: "It can't be reached"})
    pass_time(house, clock, [evaluator(clock)], 10 * STEP)
    assert types(receiver) == ["alert.raised"]
    assert receiver.taken[0]["data"]["name"] == "database_unhealthy"
    with pytest.raises(homes.AlertsUnknown):
        homes.current()


def test_who_slept_over_its_lease_overwrites_nothing(house: House, clock: Clock) -> None:
    sleeper, awake = homes.Homes(), evaluator(clock)
    old = sleeper.claim(90)
    assert old is not None
    clock.seen = NO_WORKER
    pass_time(house, clock, [awake], 2 * STEP)
    sleeper.save(old, 90)
    for home in homes.HOMES:
        assert list(home.read().alerts) == ["no_worker"]


def test_a_copy_that_can_not_be_read_stops_nothing(house: House, clock: Clock, receiver: Receiver) -> None:
    change("INSERT INTO alert_state (id, busy_until, document) VALUES (1, clock_timestamp(), '{\"alerts\": 7}')")
    clock.seen = NO_WORKER
    pass_time(house, clock, [evaluator(clock)], HOLD + STEP)
    assert types(receiver) == ["alert.raised"]
    assert [list(home.read().alerts) for home in homes.HOMES] == [["no_worker"]] * 2


def test_a_database_whose_sessions_stall_holds_no_alert_up(house: House, clock: Clock, receiver: Receiver) -> None:
    judge = evaluator(clock)
    clock.seen = NO_WORKER
    with stalling_database(house):
        for _ in range(2):
            house.valkey_client(0).delete(keys.ALERTS_BUSY)
            assert judge.turn()
            clock.now += HOLD
    assert types(receiver) == ["alert.raised"]


def test_a_frozen_database_is_told(house: House, clock: Clock, receiver: Receiver) -> None:
    judge = Evaluator()
    os.kill(house.postgres.pid, signal.SIGSTOP)  # nobody can connect
    try:
        for _ in range(int(RULES["database_unhealthy"].hold // STEP) + 1):
            house.valkey_client(0).delete(keys.ALERTS_BUSY)
            assert judge.turn()
            clock.now += STEP
    finally:
        os.kill(house.postgres.pid, signal.SIGCONT)
    told = [event["data"] for event in receiver.taken if event["data"]["name"] == "database_unhealthy"]
    assert [alert["summary"] for alert in told] == ["PostgreSQL did not answer within 1 s."]
