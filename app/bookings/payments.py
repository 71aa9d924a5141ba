"""Takes in what a payment gateway reports, late, twice or for nothing: money that came is never lost sight of."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import structlog
from sqlalchemy import func, select, text
from sqlalchemy.orm import Session, joinedload

from app.bookings import telling
from app.bookings.confirm import record
from app.bookings.seats import InvalidBooking, SeatsTaken, claim
from app.models import Booking, BookingStatus, Payment, PaymentStatus

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Settlement:
    """What became of a payment: `payment.status` is completed or needs_refund; `messages` are ids."""

    booking: Booking
    payment: Payment
    messages: list[str]


def settle(
    session: Session, *, reference: str, transaction_id: str, method: str, authorized_at: datetime
) -> Settlement:
    """Record a payment that the gateway has taken, and confirm the booking if it is still to be had.

    A payment authorised in time that arrives after the hold's end gets its seats back if they are still free. One
    that gets nothing is recorded as needs_refund, and its passenger is told. A `transaction_id` that is known
    changes nothing. `authorized_at` has a zone. Raises InvalidBooking for a reference that is not known.
    """
    booking = session.scalar(
        select(Booking)
        .where(Booking.reference == reference)
        .with_for_update(key_share=True)  # from here on neither a release nor another payment moves it
        .execution_options(populate_existing=True)
    )
    if booking is None:
        raise InvalidBooking("booking_reference: no such booking")
    known = session.scalar(select(Payment).where(Payment.transaction_id == transaction_id))
    if known is not None:
        if known.booking_id != booking.id:
            raise InvalidBooking("transaction_id: is known as another booking's")
        return Settlement(booking, known, [])
    won = _in_time(session, booking, authorized_at) and _has_seats(session, booking)
    status = PaymentStatus.COMPLETED if won else PaymentStatus.NEEDS_REFUND
    payment = record(session, booking, status, method=method, transaction_id=transaction_id)
    if won:
        booking.status, booking.expires_at = BookingStatus.CONFIRMED, None
        return Settlement(booking, payment, telling.confirmed(session, booking, payment))
    log.warning("payment.needs_refund", booking_reference=reference, booking_status=str(booking.status))
    return Settlement(booking, payment, telling.to_be_refunded(session, booking, payment))


def to_refund(session: Session, *, limit: int = 100) -> list[Payment]:
    """Payments that got nothing and wait for their refund, the oldest first."""
    waiting = select(Payment).where(Payment.status == PaymentStatus.NEEDS_REFUND)
    oldest = waiting.order_by(Payment.created_at).limit(limit).options(joinedload(Payment.booking))
    return list(session.scalars(oldest))


def _in_time(session: Session, booking: Booking, authorized_at: datetime) -> bool:
    """Whether the hold stood when the payment was authorised, and the bus has not left."""
    if booking.status not in (BookingStatus.PENDING, BookingStatus.EXPIRED) or booking.expires_at is None:
        return False  # paid already, or cancelled
    now: datetime = session.scalars(select(func.clock_timestamp())).one()
    # What has arrived was authorised before, whatever the gateway's clock says.
    return min(authorized_at, now) <= booking.expires_at and now < booking.trip.departure_time


def _has_seats(session: Session, booking: Booking) -> bool:
    """Whether the booking has its seats, still or again: claimed as a new hold claims them."""
    if booking.status == BookingStatus.PENDING:
        return True
    seats = sorted(seat.seat_no for seat in booking.seats)
    try:
        with session.begin_nested():
            session.execute(text("DELETE FROM booking_seats WHERE booking_id = :id"), {"id": booking.id})
            claim(session, booking, seats)
    except SeatsTaken:
        return False
    return True
