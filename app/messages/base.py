"""What a kind of message is: one entry for each sending task, the single place where its rules stand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from pydantic import BaseModel

#: Priorities: one-time codes and cancellations first, promotions last.
URGENT, ORDINARY, LAST = 0, 3, 9


class Channel(StrEnum):
    """How a message travels."""

    EMAIL = "email"  #: one address
    SMS = "sms"  #: one number, E.164
    PUSH = "push"  #: any number of device tokens


class InvalidPayload(ValueError):
    """A task's arguments can't be sent; the text names every bad field, never a value that was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Validity:
    """How long a message has a point: until the later of the two."""

    until: datetime | None = None  #: a moment in the payload, as the departure
    at_least: timedelta = timedelta(0)  #: from its acceptance, by the database's clock


@dataclass(frozen=True, slots=True)
class Kind:
    """The rules of one kind of message. `name` is the task's function name without `send_`."""

    name: str  #: "booking_confirmation_email"
    task: str  #: "app.tasks.email_tasks.send_booking_confirmation_email"
    channel: Channel
    queue: str  #: one of core.celery_app.QUEUES
    payload: type[BaseModel]  #: the task's parameters, by name
    template: str  #: "booking_confirmation": the folder or file stem under templates/<channel>/
    validity: Callable[[Any], Validity]  #: payload → when it loses its point
    resend_unknown: bool  #: send again when a send got no answer? A confirmation yes, a one-time code never
    priority: int = ORDINARY  #: URGENT (first) to 9, as Celery on Redis has it
    #: Keys of the payload's `…_data` that the task's result repeats.
    result_keys: tuple[str, ...] = ("booking_reference",)
    sensitive: bool = False  #: its payload is encrypted in the row, and wiped when it is final
    #: payload → what it is about and for whom; a newer message of the same subject supersedes an older unsent
    #: one. None: every message of this kind stands for itself.
    subject: Callable[[Any], str] | None = None
    #: The kind of the chunks it is cut into: its own row, a campaign, only sums them up. None: it is sent itself.
    chunks: str | None = None
    #: payload → whether it goes first whatever its priority; None: never
    urgent: Callable[[Any], bool] | None = None
    offer: bool = False  #: nobody waits for it: it wakes no phone, and passengers may silence all of them

    def priority_of(self, payload: BaseModel) -> int:
        """The priority of one message of this kind."""
        return URGENT if self.urgent and self.urgent(payload) else self.priority
