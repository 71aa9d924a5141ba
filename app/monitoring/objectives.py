"""What passengers may expect of time: how soon after it was asked for a message is accepted by a provider."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from app.messages.kinds import KINDS


@dataclass(frozen=True, slots=True)
class Objective:
    """A `share` (0 to 1) of the messages of `kinds` is accepted within `seconds`."""

    seconds: float
    share: float
    kinds: tuple[str, ...]


OBJECTIVES = {
    "otp": Objective(5.0, 0.99, ("otp_sms",)),
    "confirmation": Objective(
        60.0, 0.995, ("booking_confirmation_email", "booking_confirmation_sms", "booking_confirmation_push")
    ),
}

_OF_TASK = {KINDS[kind].task: name for name, objective in OBJECTIVES.items() for kind in objective.kinds}


def objective_of(task_name: str) -> str | None:
    """The objective's name in OBJECTIVES that a task's messages come under, if any."""
    return _OF_TASK.get(task_name)


def asked_at(task_id: str) -> float | None:
    """When the message was asked for, in seconds since 1970; None where another program chose the id.

    A message's id is a UUIDv7, which begins with its millisecond (RFC 9562, 5.7): no retry, lost wake-up or
    outage in between makes it younger.
    """
    try:
        message_id = UUID(task_id)
    except ValueError:
        return None
    return (message_id.int >> 80) / 1000 if message_id.version == 7 else None
