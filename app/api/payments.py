"""What the payment gateway reports, and what must be paid back."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal

import structlog
from fastapi import APIRouter, Depends
from pydantic import AwareDatetime, BaseModel, Field

from app.api.fields import PLAIN, PaymentMethod
from app.api.security import require_key
from app.bookings.payments import settle, to_refund
from app.core.database import session

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/api/v1", tags=["payments"], dependencies=[Depends(require_key)])


class NewPayment(BaseModel):
    """Money that the gateway has taken for a booking; `authorized_at` is by the gateway's clock."""

    booking_reference: str = Field(max_length=40, pattern=PLAIN)
    transaction_id: str = Field(max_length=100, pattern=PLAIN)
    authorized_at: AwareDatetime
    method: PaymentMethod = "card"


class Settled(BaseModel):
    """`status`: completed, or needs_refund. `messages`: ids of what tells the passenger."""

    transaction_id: str
    status: str
    booking_reference: str
    booking_status: str
    messages: list[str]


class Refund(BaseModel):
    """A payment that got nothing and must be paid back."""

    transaction_id: str
    booking_reference: str
    amount: Decimal
    currency: str
    method: str
    received_at: datetime


@router.post("/payments")
def take_payment(new: NewPayment) -> Settled:
    """Confirm the booking if it is still to be had, else note that the money must go back.

    The same `transaction_id` again changes nothing.
    """
    with session() as s:
        settled = settle(
            s,
            reference=new.booking_reference,
            transaction_id=new.transaction_id,
            method=new.method,
            authorized_at=new.authorized_at,
        )
    log.info("accepted", message_ids=settled.messages)
    return Settled(
        transaction_id=settled.payment.transaction_id,
        status=settled.payment.status,
        booking_reference=settled.booking.reference,
        booking_status=settled.booking.status,
        messages=settled.messages,
    )


@router.get("/refunds")
def refunds() -> list[Refund]:
    """The hundred payments that have waited longest for their refund."""
    with session() as s:
        return [
            Refund(
                transaction_id=payment.transaction_id,
                booking_reference=payment.booking.reference,
                amount=payment.amount,
                currency=payment.currency,
                method=payment.method,
                received_at=payment.created_at,
            )
            for payment in to_refund(s)
        ]
