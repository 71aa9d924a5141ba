"""Turns a hold into a paid booking, and tells the passenger: one transaction for all of it."""

from __future__ import annotations

from secrets import token_hex
from typing import Any

from sqlalchemy import update
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import func

from app.bookings.seats import InvalidBooking
from app.models import Booking, BookingStatus, Payment, PaymentStatus
from app.notifications import devices
from app.tasks.email_tasks import send_booking_confirmation_email
from app.tasks.push_notification_tasks import send_booking_confirmation_push
from app.tasks.sms_tasks import send_booking_confirmation_sms


def pay(session: Session, booking: Booking, *, method: str) -> list[str]:
    """Record the payment, confirm the booking and tell its passenger; returns the messages' ids.

    Nothing is sent unless the session commits. Raises InvalidBooking when the hold has ended.
    """
    confirmed = session.execute(
        update(Booking)
        .where(
            Booking.id == booking.id,
            Booking.status == BookingStatus.PENDING,
            # clock_timestamp(), not now(): a transaction that waited must not pay with its start's time
            Booking.expires_at > func.clock_timestamp(),
        )
        .values(status=BookingStatus.CONFIRMED, expires_at=None)
        .returning(Booking.id)
    ).first()
    if confirmed is None:
        raise InvalidBooking("booking: the hold has ended or is already paid; hold the seats again")
    record(session, booking, PaymentStatus.COMPLETED, method=method, transaction_id=_own_transaction_id())
    return tell(session, booking)


def record(
    session: Session, booking: Booking, status: PaymentStatus, *, method: str, transaction_id: str
) -> Payment:
    """Write down the money that came for a booking."""
    payment = Payment(
        transaction_id=transaction_id,
        booking_id=booking.id,
        amount=booking.total_amount,
        currency=booking.currency,
        method=method,
        status=status,
    )
    session.add(payment)
    return payment


def tell(session: Session, booking: Booking) -> list[str]:
    """Tell the passenger that the booking is confirmed, once the session commits; returns the messages' ids."""
    user, data = booking.user, _describe(booking)
    sent = [send_booking_confirmation_email.delay_in(session, user.email, user.name, data)]
    if user.phone:
        sent.append(send_booking_confirmation_sms.delay_in(session, user.phone, user.name, data))
    if tokens := device_tokens(session, booking):
        sent.append(send_booking_confirmation_push.delay_in(session, tokens, user.name, data))
    return [str(result.id) for result in sent]


def device_tokens(session: Session, booking: Booking) -> list[str]:
    """The phones of the booking's passenger that take pushes."""
    phones = devices.of_user(session.connection(), booking.user_id, include_stale=True)
    return [phone.target for phone in phones]


def _own_transaction_id() -> str:
    # Chance alone: the first half of a UUIDv7 is its millisecond, and two paid in one came out the same.
    return f"TX-{token_hex(8).upper()}"


def _describe(booking: Booking) -> dict[str, Any]:
    """What a confirmation says of this booking, as CONTRACT's `booking_data`."""
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
        "currency": booking.currency,
        "bus_info": f"{trip.bus.model}, {trip.bus.plate}",
        "timezone": trip.route.origin.timezone,
        **({"locale": booking.user.locale} if booking.user.locale else {}),
    }
