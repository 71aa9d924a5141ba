"""A message's life as its row tells it: what happened, what it waits for, and when it loses its point.

Each step of a message is one statement, so there is no line for every attempt: the row has their number, the
newest one's reason, and the tracker the newest one's start.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.dashboard.audit import Action, Done
from app.notifications.status import FINAL, Status

_PRESSED = {
    Action.REPLAY: "Put back to be sent again",
    Action.REVEAL: "Recipient shown",
    Action.FIND: "Found by its recipient",
}
_ENDED = {
    Status.SENT: "Accepted by the provider",
    Status.SKIPPED: "Rightly not sent",
    Status.FAILED: "Failed for good",
    Status.UNKNOWN: "Handed over, and no answer came",
}


@dataclass(frozen=True, slots=True)
class Event:
    """One line; `at` is None where the time is not kept. `tone` is a status, for its colour."""

    at: datetime | None
    what: str
    note: str = ""
    tone: str = ""


def timeline(message: Mapping[str, Any], actions: Sequence[Done], *, claimed_at: datetime | None) -> list[Event]:
    """Oldest first. `message` is overview.detail's; `claimed_at` when a worker last began, if that is known."""
    past = [Event(message["created_at"], "Accepted", "written with its to-do line")]
    past += [Event(a.created_at, _PRESSED.get(a.action, a.action), f"by {a.operator}") for a in actions]
    if message["attempt"]:
        past.append(_claimed(message, claimed_at))
    ended = message["finished_at"]
    if ended:
        note = message["reason"] or (f"its id there: {message['provider_id']}" if message["provider_id"] else "")
        past.append(Event(ended, _ENDED[message["status"]], note, message["status"]))
    return _in_order(past) + _now(message)


def _claimed(message: Mapping[str, Any], claimed_at: datetime | None) -> Event:
    attempt, unknown = message["attempt"], message["unknown_attempts"]
    note = f"handed over without an answer: {unknown}" if unknown else ""
    return Event(
        claimed_at, "Taken by a worker" if attempt == 1 else f"Taken by a worker, {attempt} times so far", note
    )


def _in_order(events: list[Event]) -> list[Event]:
    """By time; what has none comes right after the acceptance, which was before everything."""
    return sorted(events, key=lambda event: event.at or events[0].at or datetime.max.replace(tzinfo=UTC))


def _now(message: Mapping[str, Any]) -> list[Event]:
    """What goes on, and what comes next."""
    status = message["status"]
    if status in FINAL:
        return []
    loses = Event(message["valid_until"], "Loses its point", "not sent after that")
    if status == Status.SENDING:
        note = "another worker takes it if nothing was heard by then"
        return [
            Event(message["lease_until"], f"Being sent, attempt {message['attempt']}: held until", note, status),
            loses,
        ]
    what = f"Postponed: {message['reason']}. Next attempt" if message["reason"] else "Waits for a worker since"
    handed = message["published_at"]
    note = "its wake-up is in the broker" if handed else "the relay publishes its wake-up when its time comes"
    return [Event(message["not_before"], what, note, Status.QUEUED), loses]
