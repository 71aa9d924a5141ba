"""The alerts there are: when each is raised, how bad it is, and the sentence that says so."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from app.core.config import Settings
from app.monitoring.alerts.snapshot import BROKER, DATABASE, REDIS, Share, Snapshot
from app.monitoring.objectives import OBJECTIVES

#: critical: passengers are not told, or soon will not be. warning: to be mended today.
Severity = Literal["critical", "warning"]
#: What is amiss: subject (a queue, a channel, a host; "" where there is only one) → a sentence with the figure.
Breaches = dict[str, str]
#: None where nothing is known: what stood, stands.
Check = Callable[[Snapshot, Settings], Breaches | None]

#: Late or failed ones below which a share says nothing: at night one slow code is half of all.
FEW = 5


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of alert, raised when `check` finds it for `hold` seconds."""

    name: str
    severity: Severity
    hold: float
    check: Check


def judge(snapshot: Snapshot, settings: Settings) -> dict[str, Breaches | None]:
    """What each rule finds, by its name."""
    return {rule.name: rule.check(snapshot, settings) for rule in RULES.values()}


def _down(server: str) -> Check:
    """A server that health calls unhealthy, in the words of health."""

    def check(snapshot: Snapshot, _: Settings) -> Breaches | None:
        reason = snapshot.unhealthy.get(server)
        return {} if reason is None else {"": f"{reason}."}

    return check


def _no_worker(snapshot: Snapshot, _: Settings) -> Breaches | None:
    if snapshot.workers is None:
        return None
    return {} if snapshot.workers else {"": "No worker runs: nothing is sent."}


def _no_beat(snapshot: Snapshot, settings: Settings) -> Breaches | None:
    age, most = snapshot.beat_age, settings.alert_beat_seconds
    if age is None:
        return None
    return {"": f"Beat has not ticked for {_seconds(age)}; it should every {most} s."} if age > most else {}


def _no_canary(snapshot: Snapshot, settings: Settings) -> Breaches | None:
    if snapshot.canary_ages is None or not snapshot.workers or BROKER in snapshot.unhealthy:
        return None  # where one of these is the cause, its own alert tells
    return {
        queue: f"No canary came through the queue {queue} for {_seconds(age)}: no worker takes from it in time."
        for queue, age in snapshot.canary_ages.items()
        if age > settings.alert_canary_seconds
    }


def _queue_too_long(snapshot: Snapshot, settings: Settings) -> Breaches | None:
    if snapshot.queue_lengths is None:
        return None
    return {
        queue: f"{length} messages wait in the queue {queue}; {settings.alert_queue_length} are too many."
        for queue, length in snapshot.queue_lengths.items()
        if length >= settings.alert_queue_length
    }


def _queue_too_old(snapshot: Snapshot, settings: Settings) -> Breaches | None:
    if snapshot.queue_ages is None:
        return None
    most = settings.alert_queue_age_seconds
    return {
        queue: f"The oldest message in the queue {queue} has waited {_seconds(age)}; {most} s is the most."
        for queue, age in snapshot.queue_ages.items()
        if age > most
    }


def _failure_rate(snapshot: Snapshot, settings: Settings) -> Breaches | None:
    failed, most = snapshot.failed_tasks, settings.alert_failure_percent
    if failed is None:
        return None
    return _share(failed, most, f"{failed.bad} of {failed.total} tasks of the last hour failed")


def _otp_late(snapshot: Snapshot, settings: Settings) -> Breaches | None:
    late, most = snapshot.late_codes, settings.alert_otp_late_percent
    if late is None:
        return None
    codes = f"{late.bad} of {late.total} one-time codes of the last quarter of an hour"
    return _share(late, most, f"{codes} were not accepted in {OBJECTIVES['otp'].seconds:g} s")


def _breaker_open(snapshot: Snapshot, _: Settings) -> Breaches | None:
    if snapshot.open_breakers is None:
        return None
    return {
        channel: f"The {channel} provider fails and is left alone: its messages wait."
        for channel in snapshot.open_breakers
    }


def _dead_letters(snapshot: Snapshot, settings: Settings) -> Breaches | None:
    dead, most = snapshot.dead_letters, settings.alert_dead_letters
    if dead is None:
        return None
    return {"": f"{dead} tasks failed for good within an hour; {most} are too many."} if dead >= most else {}


def _cleanup_overdue(snapshot: Snapshot, settings: Settings) -> Breaches | None:
    if snapshot.overdue_cleanups is None or (snapshot.beat_age or 0.0) > settings.alert_beat_seconds:
        return None  # where beat is the cause, its own alert tells
    return {task: f"{task} has not succeeded since it was due." for task in snapshot.overdue_cleanups}


def _disk_low(snapshot: Snapshot, settings: Settings) -> Breaches | None:
    if snapshot.disk_free is None:
        return None
    least = settings.alert_disk_free_percent
    return {
        host: f"{free:.0f} % of the disk that holds TEMP_DIR is free on {host}; {least} % is the least."
        for host, free in snapshot.disk_free.items()
        if free < least
    }


def _share(share: Share, most: int, what: str) -> Breaches:
    if share.bad < FEW or share.percent < most:
        return {}
    return {"": f"{what}, {share.percent:.0f} %; {most} % is too much."}


def _seconds(age: float) -> str:
    return f"{age:.0f} s" if age < float("inf") else "as long as anybody knows"


RULES = {
    rule.name: rule
    for rule in (
        # A minute: a restart or a fail-over is no emergency.
        Rule("database_unhealthy", "critical", 60, _down(DATABASE)),
        Rule("broker_unhealthy", "critical", 60, _down(BROKER)),
        Rule("redis_unhealthy", "warning", 60, _down(REDIS)),
        Rule("no_worker", "critical", 60, _no_worker),
        # A minute for these too: after a pause of everything the last signs are old.
        Rule("no_canary", "critical", 60, _no_canary),
        Rule("no_beat", "warning", 60, _no_beat),
        Rule("otp_late", "critical", 60, _otp_late),
        Rule("breaker_open", "critical", 60, _breaker_open),
        Rule("queue_too_long", "warning", 120, _queue_too_long),
        Rule("queue_too_old", "warning", 60, _queue_too_old),
        Rule("failure_rate", "warning", 60, _failure_rate),
        Rule("dead_letters", "warning", 0, _dead_letters),
        # One more run of those that come every five minutes.
        Rule("cleanup_overdue", "warning", 900, _cleanup_overdue),
        Rule("disk_low", "warning", 60, _disk_low),
    )
}
