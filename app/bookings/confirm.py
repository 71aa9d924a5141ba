"""Turns a hold into a paid booking, and tells the passenger: one transaction for all of it."""

from __future__ import annotations

from secrets import token_hex

from sqlalchemy import update
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import func

from app.bookings import telling
from app.bookings.seats import InvalidBooking
from app.models import Booking, BookingStatus, Payment, PaymentStatus


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
    transaction_id = _own_transaction_id()
    payment = record(session, booking, PaymentStatus.COMPLETED, method=method, transaction_id=transaction_id)
    return telling.confirmed(session, booking, payment)


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
    session.flush()  # its receipt names the moment, which is the database's
    return payment


def _own_transaction_id() -> str:
    # Chance alone: the first half of a UUIDv7 is its millisecond, and two paid in one came out the same.
    return f"TX-{token_hex(8).upper()}"
