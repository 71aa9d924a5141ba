"""Every kind of message and its rules; a new kind is an entry here, a payload and its templates."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from app.messages import payload_types as types
from app.messages.base import Channel, Kind, Validity
from app.messages.payloads import details

#: Priorities: one-time codes and cancellations first, promotions last.
URGENT, ORDINARY, LAST = 0, 3, 9

#: What the text of a one-time code says, and NIST SP 800-63B-4 allows at most.
OTP_LIFE = timedelta(minutes=10)
#: Where a bus is is soon untrue; an ETA is then wrong by no more than this.
LOCATION_LIFE = timedelta(minutes=3)
#: After a bus was due, "arrives in 5 min" helps nobody.
ARRIVAL_GRACE = timedelta(minutes=30)
#: How a trip stands changes by the hour; that it is cancelled, and what became of one's money, stays true.
STATUS_LIFE = timedelta(hours=2)
CANCELLED_LIFE = PAYMENT_LIFE = timedelta(hours=24)
#: A refund is of interest after the bus has left.
REFUND_LIFE = timedelta(days=3)
PROMOTION_LIFE = timedelta(hours=24)

_MODULES = {
    Channel.EMAIL: "email_tasks",
    Channel.SMS: "sms_tasks",
    Channel.PUSH: "push_notification_tasks",
}
_QUEUES = {Channel.EMAIL: "email", Channel.SMS: "sms", Channel.PUSH: "notifications"}


def _kind(
    name: str,
    payload: type[BaseModel],
    validity: Callable[[Any], Validity],
    *,
    resend_unknown: bool,
    priority: int = ORDINARY,
    result_keys: tuple[str, ...] = ("booking_reference",),
    sensitive: bool = False,
    subject: Callable[[Any], str] | None = None,
) -> Kind:
    """A kind whose task, queue and template follow from its name: "trip_delay_sms"."""
    template, _, channel = name.rpartition("_")
    return Kind(
        name=name,
        task=f"app.tasks.{_MODULES[Channel(channel)]}.send_{name}",
        channel=Channel(channel),
        queue=_QUEUES[Channel(channel)],
        priority=priority,
        payload=payload,
        template=template,
        result_keys=result_keys,
        resend_unknown=resend_unknown,
        sensitive=sensitive,
        subject=subject,
        validity=validity,
    )


def _for(life: timedelta) -> Callable[[BaseModel], Validity]:
    return lambda _: Validity(at_least=life)


def _until_departure(at_least: timedelta = timedelta(0)) -> Callable[[BaseModel], Validity]:
    """Until the bus leaves, and `at_least` so long: a ticket is still wanted at the bus door."""
    return lambda payload: Validity(until=getattr(details(payload), "departure_time", None), at_least=at_least)


def _until_arrived(eta_minutes: int) -> Validity:
    return Validity(at_least=timedelta(minutes=eta_minutes) + ARRIVAL_GRACE)


def _status_validity(payload: types.TripStatusPush) -> Validity:
    trip = payload.trip_data
    if trip.status == "arriving":
        return _until_arrived(trip.eta_minutes or 0)
    return Validity(at_least=CANCELLED_LIFE if trip.status == "cancelled" else STATUS_LIFE)


def _promotion_validity(payload: types.PromotionalPush) -> Validity:
    until = payload.promotion_data.valid_until
    return Validity(until=until) if until else Validity(at_least=PROMOTION_LIFE)


def _subject(about: str, *recipients: str) -> str:
    """What a message is about and for whom; recipients are hashed, for subjects outlive the messages."""
    return f"{about}:{hashlib.sha256(' '.join(sorted(recipients)).encode()).hexdigest()}"


def _delayed_trip(payload: types.TripDelaySms) -> str:
    return _subject(f"trip_delay:{payload.trip_data.booking_reference}", payload.phone_number)


def _on_phones(about: str, payload: types.ByPush) -> str:
    """What is replaced on the phones by its tag: an older push must not come late and take a newer one's place."""
    return _subject(about, *payload.device_tokens)


def _trip_on_phones(payload: types.TripStatusPush) -> str:
    return _on_phones(f"trip:{payload.trip_data.booking_reference}", payload)


def _payment_on_phones(payload: types.PaymentStatusPush) -> str:
    return _on_phones(f"payment:{payload.payment_data.booking_reference}", payload)


def _location_on_phones(payload: types.LocationUpdatePush) -> str:
    where = payload.location_data
    return _on_phones(f"location:{where.trip_id or where.booking_reference or ''}", payload)


_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)

#: By name. `resend_unknown`: is twice better than perhaps never?
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        # A second confirmation is harmless, a missing one is not.
        _kind(
            "booking_confirmation_email",
            types.BookingConfirmationEmail,
            _until_departure(_DAY),
            resend_unknown=True,
        ),
        _kind(
            "booking_confirmation_sms", types.BookingConfirmationSms, _until_departure(_HOUR), resend_unknown=True
        ),
        _kind(
            "booking_confirmation_push", types.BookingConfirmationPush, _until_departure(_DAY), resend_unknown=True
        ),
        _kind(
            "booking_cancellation_email",
            types.BookingCancellationEmail,
            _until_departure(REFUND_LIFE),
            priority=URGENT,
            resend_unknown=True,
        ),
        # Twice is a nuisance, not knowing is a missed bus.
        _kind("trip_departure_sms", types.TripDepartureSms, _until_departure(), resend_unknown=True),
        _kind(
            "trip_delay_sms",
            types.TripDelaySms,
            lambda payload: Validity(until=payload.trip_data.new_departure_time),
            subject=_delayed_trip,  # an older delay must not arrive after, or instead of, a newer one
            resend_unknown=True,
        ),
        # A second "in 5 min" some minutes later would be untrue.
        _kind(
            "trip_arrival_sms",
            types.TripArrivalSms,
            lambda payload: _until_arrived(payload.trip_data.eta_minutes),
            resend_unknown=False,
        ),
        # Two codes in a row confuse, and an attacker gains by the second.
        _kind(
            "otp_sms",
            types.OtpSms,
            _for(OTP_LIFE),
            priority=URGENT,
            result_keys=(),
            sensitive=True,
            resend_unknown=False,
        ),
        # The second takes the first one's place on the phone.
        _kind(
            "trip_status_push",
            types.TripStatusPush,
            _status_validity,
            subject=_trip_on_phones,
            resend_unknown=True,
        ),
        _kind(
            "location_update_push",
            types.LocationUpdatePush,
            _for(LOCATION_LIFE),
            result_keys=("trip_id",),
            subject=_location_on_phones,
            resend_unknown=True,
        ),
        _kind(
            "payment_status_push",
            types.PaymentStatusPush,
            _for(PAYMENT_LIFE),
            result_keys=("payment_id",),
            subject=_payment_on_phones,
            resend_unknown=True,
        ),
        # Nobody misses an offer; twice is spam.
        _kind(
            "promotional_push",
            types.PromotionalPush,
            _promotion_validity,
            priority=LAST,
            result_keys=("promotion_id",),
            resend_unknown=False,
        ),
    )
}
_BY_TASK = {kind.task: kind for kind in KINDS.values()}


def kind_for_task(task_name: str) -> Kind:
    """The kind that a task sends. Raises KeyError naming the tasks that there are."""
    if task_name not in _BY_TASK:
        raise KeyError(f"{task_name} sends no kind of message; these do: {', '.join(sorted(_BY_TASK))}")
    return _BY_TASK[task_name]
