"""What a passenger hears of a booking and its money, written in the transaction that makes it true."""

from __future__ import annotations

from typing import Any

import structlog
from sqlalchemy.orm import Session

from app.messages.base import InvalidPayload
from app.models import Booking, Payment, PaymentStatus
from app.notifications import devices
from app.tasks.base import MessageTask
from app.tasks.email_tasks import send_booking_confirmation_email, send_payment_receipt_email
from app.tasks.push_notification_tasks import send_booking_confirmation_push, send_payment_status_push
from app.tasks.sms_tasks import send_booking_confirmation_sms

log = structlog.get_logger(__name__)

#: Our word for what became of money → the receipt's.
_ON_RECEIPT = {PaymentStatus.COMPLETED: "completed", PaymentStatus.NEEDS_REFUND: "to be refunded"}


def confirmed(session: Session, booking: Booking, payment: Payment) -> list[str]:
    """Tell that the booking is paid, with the receipt, once the session commits; returns the messages' ids."""
    user, data = booking.user, _booking(booking)
    sent = _write(session, send_booking_confirmation_email, user.email, user.name, data)
    if user.phone:
        sent += _write(session, send_booking_confirmation_sms, user.phone, user.name, data)
    if tokens := _phones(session, booking):
        sent += _write(session, send_booking_confirmation_push, tokens, user.name, data)
    return sent + _receipt(session, booking, payment)


def to_be_refunded(session: Session, booking: Booking, payment: Payment) -> list[str]:
    """Tell that the money got nothing and comes back, once the session commits; returns the messages' ids."""
    sent = _receipt(session, booking, payment)
    if tokens := _phones(session, booking):
        data = {
            "status": payment.status,
            "amount": str(payment.amount),
            "booking_reference": booking.reference,
            **_written_in(booking),
        }
        sent += _write(session, send_payment_status_push, tokens, data)
    return sent


def _receipt(session: Session, booking: Booking, payment: Payment) -> list[str]:
    data = {
        "transaction_id": payment.transaction_id,
        "booking_reference": booking.reference,
        "amount": str(payment.amount),
        "payment_method": payment.method,
        "payment_date": payment.created_at.isoformat(),
        "status": _ON_RECEIPT[PaymentStatus(payment.status)],
        **_written_in(booking),
    }
    return _write(session, send_payment_receipt_email, booking.user.email, booking.user.name, data)


def _write(session: Session, task: MessageTask[Any], *arguments: Any) -> list[str]:
    """The message's id. A passenger's odd data cost the message, not the seats or the record of the money."""
    try:
        return [str(task.delay_in(session, *arguments).id)]
    except InvalidPayload as error:
        log.warning("a passenger can't be told", task=task.name, reason=str(error))
        return []


def _phones(session: Session, booking: Booking) -> list[str]:
    """Those of the booking's passenger that take pushes."""
    phones = devices.of_user(session.connection(), booking.user_id, include_stale=True)
    return [phone.target for phone in phones]


def _written_in(booking: Booking) -> dict[str, Any]:
    """The currency, language and zone of every message about a booking."""
    zone, locale = booking.trip.route.origin.timezone, booking.user.locale
    return {"currency": booking.currency, "timezone": zone, **({"locale": locale} if locale else {})}


def _booking(booking: Booking) -> dict[str, Any]:
    """What a confirmation says of this booking, as the tasks' `booking_data`."""
    trip = booking.trip
    return {
        "booking_reference": booking.reference,
        "booking_id": booking.id,
        "trip_id": trip.id,
        "origin": trip.route.origin.city,
        "destination": trip.route.destination.city,
        "departure_time": trip.departure_time.isoformat(),
        "arrival_time": trip.arrival_time.isoformat() if trip.arrival_time else None,
        "seats": [seat.seat_no for seat in booking.seats],
        "total_amount": str(booking.total_amount),
        "bus_info": f"{trip.bus.model}, {trip.bus.plate}",
        **_written_in(booking),
    }
