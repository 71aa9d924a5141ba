"""Every kind of message and its rules; a new kind is an entry here, a payload and its templates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from pydantic import BaseModel

from app.messages.base import Channel, Kind
from app.messages.payloads import (
    BookingConfirmationEmail,
    BookingConfirmationPush,
    BookingConfirmationSms,
    details,
)

#: Priorities: 0 is kept for one-time codes and cancellations, 9 for promotions.
CONFIRMATION = 3

_MODULES = {
    Channel.EMAIL: "email_tasks",
    Channel.SMS: "sms_tasks",
    Channel.PUSH: "push_notification_tasks",
}
_QUEUES = {Channel.EMAIL: "email", Channel.SMS: "sms", Channel.PUSH: "notifications"}


def _until_departure(at_least: timedelta) -> Callable[[BaseModel, datetime], datetime]:
    """Until the bus leaves, and `at_least` so long: a ticket is still wanted at the bus door."""

    def valid_until(payload: BaseModel, accepted: datetime) -> datetime:
        departure: datetime | None = getattr(details(payload), "departure_time", None)
        earliest_end = accepted + at_least
        return max(departure, earliest_end) if departure else earliest_end

    return valid_until


def _booking_confirmation(channel: Channel, payload: type[BaseModel], at_least: timedelta) -> Kind:
    name = f"booking_confirmation_{channel}"
    return Kind(
        name=name,
        task=f"app.tasks.{_MODULES[channel]}.send_{name}",
        channel=channel,
        queue=_QUEUES[channel],
        priority=CONFIRMATION,
        payload=payload,
        template="booking_confirmation",
        result_keys=("booking_reference",),
        resend_unknown=True,  # a second confirmation is harmless, a missing one is not
        valid_until=_until_departure(at_least),
    )


#: By name.
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        _booking_confirmation(Channel.EMAIL, BookingConfirmationEmail, timedelta(hours=24)),
        _booking_confirmation(Channel.SMS, BookingConfirmationSms, timedelta(hours=1)),
        _booking_confirmation(Channel.PUSH, BookingConfirmationPush, timedelta(hours=24)),
    )
}
_BY_TASK = {kind.task: kind for kind in KINDS.values()}


def kind_for_task(task_name: str) -> Kind:
    """The kind that a task sends. Raises KeyError naming the tasks that there are."""
    if task_name not in _BY_TASK:
        raise KeyError(f"{task_name} sends no kind of message; these do: {', '.join(sorted(_BY_TASK))}")
    return _BY_TASK[task_name]
