"""Alerts: what each rule calls amiss, and how an alert lives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.core.config import Settings
from app.monitoring.alerts.rules import RULES, Breaches, judge
from app.monitoring.alerts.snapshot import BROKER, DATABASE, REDIS, Share, Snapshot
from app.monitoring.alerts.state import CLEAR, LISTED, Alert, Event, advance

NEVER = float("inf")
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
REPEAT = timedelta(hours=4)
#: Everything known, and well.
WELL: dict[str, Any] = {
    "workers": 2,
    "queue_lengths": {"email": 999, "sms": 0},
    "queue_ages": {"email": 600.0},
    "canary_ages": {"email": 120.0, "sms": 3.0},
    "beat_age": 120.0,
    "open_breakers": frozenset[str](),
    "failed_tasks": Share(9, 100),
    "dead_letters": 9,
    "late_codes": Share(9, 100),
    "overdue_cleanups": frozenset[str](),
    "disk_free": {"a": 10.0},
}
#: (rule, what is amiss, its subject, a figure that its sentence names)
AMISS = [
    ("database_unhealthy", {"unhealthy": {DATABASE: "It takes no writes"}}, "", "It takes no writes"),
    ("broker_unhealthy", {"unhealthy": {BROKER: "It did not answer"}}, "", "It did not answer"),
    ("redis_unhealthy", {"unhealthy": {REDIS: "It did not answer"}}, "", "It did not answer"),
    ("no_worker", {"workers": 0}, "", "No worker"),
    ("no_canary", {"canary_ages": {"email": 1.0, "sms": 121.0}}, "sms", "121 s"),
    ("no_canary", {"canary_ages": {"sms": NEVER}}, "sms", "sms"),
    ("no_beat", {"beat_age": 121.0}, "", "121 s"),
    ("otp_late", {"late_codes": Share(10, 100)}, "", "10 of 100"),
    ("breaker_open", {"open_breakers": frozenset({"push"})}, "push", "push"),
    ("queue_too_long", {"queue_lengths": {"email": 1000, "sms": 999}}, "email", "1000"),
    ("queue_too_old", {"queue_ages": {"email": 601.0}}, "email", "601 s"),
    ("failure_rate", {"failed_tasks": Share(10, 100)}, "", "10 of 100"),
    ("dead_letters", {"dead_letters": 10}, "", "10"),
    ("cleanup_overdue", {"overdue_cleanups": frozenset({"clean"})}, "clean", "clean has not succeeded"),
    ("disk_low", {"disk_free": {"a": 9.4, "b": 50.0}}, "a", "9 %"),
]


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The defaults."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return Settings()


def test_a_house_that_is_well_breaks_no_rule(settings: Settings) -> None:
    assert judge(Snapshot(**WELL), settings) == {rule: {} for rule in RULES}


@pytest.mark.parametrize(("rule", "what", "subject", "figure"), AMISS)
def test_each_rule_finds_what_is_amiss_and_no_other_does(
    settings: Settings, rule: str, what: dict[str, Any], subject: str, figure: str
) -> None:
    found = judge(Snapshot(**(WELL | what)), settings)
    assert {name for name, breaches in found.items() if breaches} == {rule}
    [(about, sentence)] = (found[rule] or {}).items()
    assert about == subject
    assert figure in sentence
    assert sentence.endswith(".")


def test_every_rule_has_a_case() -> None:
    assert {rule for rule, *_ in AMISS} == set(RULES)


def test_thresholds_are_settings(settings: Settings) -> None:
    strict = settings.model_copy(update={"alert_queue_length": 5, "alert_otp_late_percent": 5})
    snapshot = Snapshot(**(WELL | {"queue_lengths": {"sms": 5}}))
    assert {name for name, breaches in judge(snapshot, strict).items() if breaches} == {
        "queue_too_long",
        "otp_late",
    }


def test_a_share_of_few_says_nothing(settings: Settings) -> None:
    found = judge(Snapshot(**(WELL | {"late_codes": Share(4, 4), "failed_tasks": Share(4, 5)})), settings)
    assert not found["otp_late"]
    assert not found["failure_rate"]


def test_what_is_not_known_is_not_judged(settings: Settings) -> None:
    found = judge(Snapshot(), settings)
    assert {name for name, breaches in found.items() if breaches is not None} == {
        "database_unhealthy",
        "broker_unhealthy",
        "redis_unhealthy",
    }


class House:
    """Alerts over time; every rule but those told of finds nothing amiss."""

    def __init__(self) -> None:
        self.alerts: dict[str, Alert] = {}

    def at(self, seconds: float, **found: Breaches | None) -> list[Event]:
        everything: dict[str, Breaches | None] = {rule: {} for rule in RULES} | found
        self.alerts, events = advance(self.alerts, everything, START + timedelta(seconds=seconds), REPEAT)
        return events


HOLD = RULES["queue_too_old"].hold
OLD: Breaches = {"sms": "601 s"}


def fired() -> House:
    house = House()
    assert house.at(0, queue_too_old=OLD) == []
    [event] = house.at(HOLD, queue_too_old=OLD)
    assert event.type == "alert.raised"
    return house


def test_it_is_raised_once_and_only_when_it_held() -> None:
    house = House()
    assert house.at(0, queue_too_old=OLD) == []
    assert [alert.status for alert in house.alerts.values()] == ["pending"]
    assert house.at(HOLD - 1, queue_too_old=OLD) == []
    [event] = house.at(HOLD, queue_too_old={"sms": "660 s"})
    assert (event.type, event.alert.key, event.alert.summary) == ("alert.raised", "queue_too_old:sms", "660 s")
    assert event.alert.since == START
    assert house.at(HOLD + 15, queue_too_old=OLD) == []


def test_what_passes_before_it_held_is_forgotten() -> None:
    house = House()
    house.at(0, queue_too_old=OLD)
    assert house.at(15) == []
    assert house.at(15 + CLEAR.total_seconds()) == []
    assert house.alerts == {}
    assert house.at(30 + CLEAR.total_seconds(), queue_too_old=OLD) == []


def test_what_comes_and_goes_is_raised_too() -> None:
    house = House()
    seen = [house.at(15 * n, breaker_open={} if n % 3 else {"sms": "open"}) for n in range(8)]
    assert [event.type for events in seen for event in events] == ["alert.raised"]


def test_it_is_repeated_while_it_lasts() -> None:
    house = fired()
    later = HOLD + REPEAT.total_seconds()
    assert house.at(later - 1, queue_too_old=OLD) == []
    assert [event.type for event in house.at(later, queue_too_old=OLD)] == ["alert.repeated"]
    assert house.at(later + 15, queue_too_old=OLD) == []


def test_it_is_resolved_once_when_it_was_well_for_a_while() -> None:
    house = fired()
    assert house.at(HOLD + 15) == []
    [event] = house.at(HOLD + 15 + CLEAR.total_seconds())
    assert (event.type, event.alert.status) == ("alert.resolved", "resolved")
    assert house.at(HOLD + 30 + CLEAR.total_seconds()) == []
    assert [alert.status for alert in house.alerts.values()] == ["resolved"]
    house.at(HOLD + 15 + CLEAR.total_seconds() + LISTED.total_seconds())
    assert house.alerts == {}


def test_what_hovers_about_its_threshold_is_one_alert() -> None:
    house = fired()
    hovering = [house.at(HOLD + 15 * n, queue_too_old=OLD if n % 3 else {}) for n in range(1, 60)]
    assert not any(hovering)


def test_it_comes_back_as_a_new_one() -> None:
    house = fired()
    house.at(200)
    house.at(200 + CLEAR.total_seconds())
    assert house.at(1000, queue_too_old=OLD) == []
    [event] = house.at(1000 + HOLD, queue_too_old=OLD)
    assert (event.type, event.alert.resolved_at) == ("alert.raised", None)
    assert event.alert.since == START + timedelta(seconds=1000)


def test_what_is_not_known_any_more_changes_nothing() -> None:
    house = fired()
    before = house.alerts
    assert house.at(5000, queue_too_old=None) == []
    assert house.alerts == before


def test_each_queue_has_an_alert_of_its_own() -> None:
    house = fired()
    both = OLD | {"email": "700 s"}
    assert house.at(100, queue_too_old=both) == []
    assert [event.alert.subject for event in house.at(100 + HOLD, queue_too_old=both)] == ["email"]
    house.at(200, queue_too_old=OLD)
    [event] = house.at(200 + CLEAR.total_seconds(), queue_too_old=OLD)
    assert (event.type, event.alert.subject) == ("alert.resolved", "email")


@pytest.mark.parametrize("cause", [{"workers": 0}, {"unhealthy": {BROKER: "It did not answer"}}])
def test_one_cause_is_one_alert(settings: Settings, cause: dict[str, Any]) -> None:
    found = judge(Snapshot(**(WELL | {"canary_ages": {"email": 500.0, "sms": NEVER}} | cause)), settings)
    assert found["no_canary"] is None


def test_without_beat_no_cleanup_is_called_overdue_besides(settings: Settings) -> None:
    found = judge(Snapshot(**(WELL | {"overdue_cleanups": frozenset({"clean"}), "beat_age": NEVER})), settings)
    assert found["cleanup_overdue"] is None
    assert found["no_beat"]
