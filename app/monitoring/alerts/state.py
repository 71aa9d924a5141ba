"""How alerts live: an alert is pending, raised once, repeated while it lasts, resolved once. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Literal

from pydantic import BaseModel, ConfigDict

from app.monitoring.alerts.rules import RULES, Breaches, Rule, Severity

#: What hovers about its threshold is one alert: it is resolved, or forgotten if it was only pending, when it was
#: well for so long. A breaker that opens again and again is closed for some seconds in between.
CLEAR = timedelta(seconds=60)
#: How long a resolved alert is still listed.
LISTED = timedelta(days=7)

Status = Literal["pending", "firing", "resolved"]
EventType = Literal["alert.raised", "alert.repeated", "alert.resolved"]


class Alert(BaseModel):
    """One alert, or what may become one. `summary` is the newest sentence about it."""

    model_config = ConfigDict(frozen=True)

    name: str  #: the rule's, as "queue_too_long"
    subject: str  #: a queue, a channel, a host; "" where there is only one
    severity: Severity
    summary: str
    since: datetime  #: first seen
    raised_at: datetime | None = None  #: None while it is only pending
    told_at: datetime | None = None  #: raised or repeated last
    well_since: datetime | None = None  #: no longer seen since
    resolved_at: datetime | None = None

    @property
    def key(self) -> str:
        """What tells it from every other."""
        return f"{self.name}:{self.subject}" if self.subject else self.name

    @property
    def status(self) -> Status:
        """Where it stands."""
        if self.resolved_at:
            return "resolved"
        return "firing" if self.raised_at else "pending"


class Event(BaseModel):
    """Something that operators are told of an alert."""

    model_config = ConfigDict(frozen=True)

    type: EventType
    at: datetime
    alert: Alert


def advance(
    alerts: Mapping[str, Alert], found: Mapping[str, Breaches | None], now: datetime, repeat: timedelta
) -> tuple[dict[str, Alert], list[Event]]:
    """(the alerts after `found`, which `rules.judge` gave; what is to be told of them).

    A rule that found None knows nothing: its alerts stay as they are.
    """
    after: dict[str, Alert] = {}
    events: list[Event] = []
    for rule in RULES.values():
        breaches = found[rule.name]
        known = {alert.subject: alert for alert in alerts.values() if alert.name == rule.name}
        for subject in sorted(known.keys() | (breaches or {}).keys()):
            alert, event = known.get(subject), None
            if breaches is not None and subject in breaches:
                alert, event = _amiss(rule, subject, alert, breaches[subject], now, repeat)
            elif breaches is not None and alert is not None:
                alert, event = _well(alert, now)
            if alert is not None:
                after[alert.key] = alert
            if alert is not None and event is not None:
                events.append(Event(type=event, at=now, alert=alert))
    return after, events


def _amiss(
    rule: Rule, subject: str, alert: Alert | None, summary: str, now: datetime, repeat: timedelta
) -> tuple[Alert, EventType | None]:
    if alert is None or alert.status == "resolved":
        alert = Alert(name=rule.name, subject=subject, severity=rule.severity, summary=summary, since=now)
    alert = alert.model_copy(update={"summary": summary, "well_since": None})
    if alert.told_at is None:
        if now - alert.since < timedelta(seconds=rule.hold):
            return alert, None
        return alert.model_copy(update={"raised_at": now, "told_at": now}), "alert.raised"
    if now - alert.told_at < repeat:
        return alert, None
    return alert.model_copy(update={"told_at": now}), "alert.repeated"


def _well(alert: Alert, now: datetime) -> tuple[Alert | None, EventType | None]:
    if alert.resolved_at is not None:
        return (alert if now - alert.resolved_at < LISTED else None), None
    well_since = alert.well_since or now
    if now - well_since < CLEAR:
        return alert.model_copy(update={"well_since": well_since}), None
    if alert.raised_at is None:
        return None, None
    return alert.model_copy(update={"well_since": well_since, "resolved_at": now}), "alert.resolved"
