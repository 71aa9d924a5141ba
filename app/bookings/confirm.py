"""Turns a hold into a paid booking, and tells the passenger: one transaction for all of it."""

from __future__ import annotations

from typing import Any

import uuid_utils.compat
from sqlalchemy import select, update
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import func

from app.bookings.seats import InvalidBooking
from app.models import Booking, BookingStatus, DeviceToken, Payment
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
    session.add(
        Payment(
            transaction_id=f"TX-{uuid_utils.compat.uuid7().hex[:16].upper()}",
            booking_id=booking.id,
            amount=booking.total_amount,
            currency=booking.currency,
            method=method,
            status="completed",
        )
    )
    return _tell(session, booking)


def _tell(session: Session, booking: Booking) -> list[str]:
    user, data = booking.user, _describe(booking)
    sent = [send_booking_confirmation_email.delay_in(session, user.email, user.name, data)]
    if user.phone:
        sent.append(send_booking_confirmation_sms.delay_in(session, user.phone, user.name, data))
    tokens = list(session.scalars(select(DeviceToken.token).where(DeviceToken.user_id == user.id)))
    if tokens:
        sent.append(send_booking_confirmation_push.delay_in(session, tokens, user.name, data))
    return [str(result.id) for result in sent]


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
