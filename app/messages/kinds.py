"""Every kind of message and its rules; a new kind is an entry here, a payload and its templates."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypedDict, Unpack

from pydantic import BaseModel

from app.messages import payload_types as types
from app.messages import subjects, validity
from app.messages.base import LAST, URGENT, Channel, Kind, Validity

_MODULES = {
    Channel.EMAIL: "email_tasks",
    Channel.SMS: "sms_tasks",
    Channel.PUSH: "push_notification_tasks",
}
_QUEUES = {Channel.EMAIL: "email", Channel.SMS: "sms", Channel.PUSH: "notifications"}


class _Rules(TypedDict, total=False):
    """What a kind may say besides; Kind tells what each means, and what holds without it."""

    priority: int
    template: str
    result_keys: tuple[str, ...]
    sensitive: bool
    subject: Callable[[Any], str]
    chunks: str
    urgent: Callable[[Any], bool]
    offer: bool


def _kind(
    name: str,
    payload: type[BaseModel],
    loses_point: Callable[[Any], Validity],
    *,
    resend_unknown: bool,
    **rules: Unpack[_Rules],
) -> Kind:
    """A kind whose task, queue and template follow from its name: "trip_delay_sms"."""
    template, _, channel = name.removesuffix("_notification").rpartition("_")
    rules.setdefault("template", template)
    return Kind(
        name=name,
        task=f"app.tasks.{_MODULES[Channel(channel)]}.send_{name}",
        channel=Channel(channel),
        queue=_QUEUES[Channel(channel)],
        payload=payload,
        validity=loses_point,
        resend_unknown=resend_unknown,
        **rules,
    )


_DAY, _HOUR = timedelta(days=1), timedelta(hours=1)

#: By name. `resend_unknown`: is twice better than perhaps never?
KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        # A second confirmation is harmless, a missing one is not.
        _kind(
            "booking_confirmation_email",
            types.BookingConfirmationEmail,
            validity.until_departure(_DAY),
            resend_unknown=True,
        ),
        _kind(
            "booking_confirmation_sms",
            types.BookingConfirmationSms,
            validity.until_departure(_HOUR),
            resend_unknown=True,
        ),
        _kind(
            "booking_confirmation_push",
            types.BookingConfirmationPush,
            validity.until_departure(_DAY),
            subject=subjects.booking_on_phones,
            resend_unknown=True,
        ),
        _kind(
            "booking_cancellation_email",
            types.BookingCancellationEmail,
            validity.until_departure(validity.REFUND_LIFE),
            priority=URGENT,
            resend_unknown=True,
        ),
        _kind(
            "payment_receipt_email",
            types.PaymentReceiptEmail,
            validity.lasting(validity.RECEIPT_LIFE),
            result_keys=("transaction_id",),
            resend_unknown=True,
        ),
        # Twice is a nuisance, not knowing is a missed bus.
        _kind("trip_departure_sms", types.TripDepartureSms, validity.until_departure(), resend_unknown=True),
        _kind(
            "trip_delay_sms",
            types.TripDelaySms,
            lambda payload: Validity(until=payload.trip_data.new_departure_time),
            subject=subjects.delayed_trip,  # an older delay must not arrive after, or instead of, a newer one
            resend_unknown=True,
        ),
        # A second "in 5 min" some minutes later would be untrue.
        _kind(
            "trip_arrival_sms",
            types.TripArrivalSms,
            lambda payload: validity.until_arrived(payload.trip_data.eta_minutes),
            resend_unknown=False,
        ),
        # Two codes in a row confuse, and an attacker gains by the second.
        _kind(
            "otp_sms",
            types.OtpSms,
            validity.lasting(validity.OTP_LIFE),
            priority=URGENT,
            result_keys=(),
            sensitive=True,
            resend_unknown=False,
        ),
        # Late it would only puzzle: the passenger has long booked anew, or left it.
        _kind(
            "booking_expired_push",
            types.BookingExpiredPush,
            validity.lasting(validity.HOLD_ENDED_LIFE),
            subject=subjects.booking_on_phones,
            resend_unknown=True,
        ),
        # The second takes the first one's place on the phone.
        _kind(
            "trip_status_push",
            types.TripStatusPush,
            validity.of_trip_status,
            subject=subjects.trip_on_phones,
            resend_unknown=True,
            urgent=lambda payload: payload.trip_data.status == "cancelled",
        ),
        _kind(
            "location_update_push",
            types.LocationUpdatePush,
            validity.lasting(validity.LOCATION_LIFE),
            result_keys=("trip_id",),
            subject=subjects.location_on_phones,
            resend_unknown=True,
        ),
        _kind(
            "payment_status_push",
            types.PaymentStatusPush,
            validity.lasting(validity.PAYMENT_LIFE),
            result_keys=("payment_id",),
            subject=subjects.payment_on_phones,
            resend_unknown=True,
        ),
        # Nobody misses an offer; twice is spam.
        _kind(
            "promotional_push",
            types.PromotionalPush,
            validity.of_promotion,
            priority=LAST,
            result_keys=("promotion_id",),
            resend_unknown=False,
            offer=True,
        ),
        # The second takes the first one's place on the phone.
        _kind(
            "bulk_push_notification",
            types.BulkPushNotification,
            validity.lasting(validity.PROMOTION_LIFE),
            priority=LAST,
            result_keys=(),
            resend_unknown=True,
            chunks="bulk_chunk_push",
        ),
        _kind(
            "bulk_chunk_push",
            types.BulkChunkPush,
            validity.lasting(validity.PROMOTION_LIFE),
            priority=LAST,
            result_keys=(),
            resend_unknown=True,
            template="bulk",
        ),
    )
}
#: Kinds whose rows are campaigns, and what no caller may send: it comes from a campaign alone.
CAMPAIGNS = frozenset(kind.name for kind in KINDS.values() if kind.chunks)
CHUNKS = frozenset(kind.chunks for kind in KINDS.values() if kind.chunks)
_BY_TASK = {kind.task: kind for kind in KINDS.values()}


def kind_for_task(task_name: str) -> Kind:
    """The kind that a task sends. Raises KeyError naming the tasks that there are."""
    if task_name not in _BY_TASK:
        raise KeyError(f"{task_name} sends no kind of message; these do: {', '.join(sorted(_BY_TASK))}")
    return _BY_TASK[task_name]
