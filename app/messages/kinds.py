"""Every kind of message and its rules; a new kind is an entry here, a payload and its templates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from pydantic import BaseModel

from app.messages.base import Channel, Kind, Validity
from app.messages.payloads import (
    BookingConfirmationEmail,
    BookingConfirmationPush,
    BookingConfirmationSms,
    OtpSms,
    TripDelaySms,
    details,
)

#: Priorities: one-time codes and cancellations first, promotions (9) last.
URGENT, TRIP, CONFIRMATION = 0, 3, 3

#: What the text of a one-time code says, and NIST SP 800-63B-4 allows at most.
OTP_LIFE = timedelta(minutes=10)

_MODULES = {
    Channel.EMAIL: "email_tasks",
    Channel.SMS: "sms_tasks",
    Channel.PUSH: "push_notification_tasks",
}
_QUEUES = {Channel.EMAIL: "email", Channel.SMS: "sms", Channel.PUSH: "notifications"}


def _until_departure(at_least: timedelta) -> Callable[[BaseModel], Validity]:
    """Until the bus leaves, and `at_least` so long: a ticket is still wanted at the bus door."""

    def validity(payload: BaseModel) -> Validity:
        return Validity(until=getattr(details(payload), "departure_time", None), at_least=at_least)

    return validity


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
        sensitive=False,
        subject=None,
        validity=_until_departure(at_least),
    )


def _delayed_trip(payload: TripDelaySms) -> str:
    return f"trip_delay:{payload.trip_data.booking_reference}:{payload.phone_number}"


TRIP_DELAY_SMS = Kind(
    name="trip_delay_sms",
    task="app.tasks.sms_tasks.send_trip_delay_sms",
    channel=Channel.SMS,
    queue="sms",
    priority=TRIP,
    payload=TripDelaySms,
    template="trip_delay",
    result_keys=("booking_reference",),
    resend_unknown=True,  # twice is a nuisance, not knowing is a missed bus
    sensitive=False,
    subject=_delayed_trip,  # an older delay must not arrive after, or instead of, a newer one
    validity=lambda payload: Validity(until=payload.trip_data.new_departure_time),
)

OTP_SMS = Kind(
    name="otp_sms",
    task="app.tasks.sms_tasks.send_otp_sms",
    channel=Channel.SMS,
    queue="sms",
    priority=URGENT,
    payload=OtpSms,
    template="otp",
    result_keys=(),
    resend_unknown=False,  # two codes in a row confuse, and an attacker gains by the second
    sensitive=True,
    subject=None,
    validity=lambda _: Validity(at_least=OTP_LIFE),
)


#: By name.
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        _booking_confirmation(Channel.EMAIL, BookingConfirmationEmail, timedelta(hours=24)),
        _booking_confirmation(Channel.SMS, BookingConfirmationSms, timedelta(hours=1)),
        _booking_confirmation(Channel.PUSH, BookingConfirmationPush, timedelta(hours=24)),
        TRIP_DELAY_SMS,
        OTP_SMS,
    )
}
_BY_TASK = {kind.task: kind for kind in KINDS.values()}


def kind_for_task(task_name: str) -> Kind:
    """The kind that a task sends. Raises KeyError naming the tasks that there are."""
    if task_name not in _BY_TASK:
        raise KeyError(f"{task_name} sends no kind of message; these do: {', '.join(sorted(_BY_TASK))}")
    return _BY_TASK[task_name]
