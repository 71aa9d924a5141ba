"""The payment receipt: one page, and the same bytes whenever it is made for the same payment."""

from __future__ import annotations

from app.messages import formats
from app.messages.documents.typesetting import typeset
from app.messages.payload_types import PaymentReceiptEmail


def receipt(payload: PaymentReceiptEmail) -> bytes:
    """The PDF of one payment, dated as the payment."""
    payment = payload.payment_data
    amount = formats.money(payment.amount, payment.currency, payment.locale)
    values = {
        "title": f"Payment receipt {payment.transaction_id}",
        "description": f"Payment of {amount} for booking {payment.booking_reference}",
        "headline": formats.payment_headline(payment.status),
        "went_through": payment.status == formats.PAID,
        "amount": amount,
        "facts": [
            ["Date", formats.date_time(payment.payment_date, payment.timezone)],
            ["Method", payment.payment_method],
            ["Status", payment.status],
            ["Transaction", payment.transaction_id],
            ["Booking", payment.booking_reference],
            ["For", payload.user_name],
        ],
        "footer": "Keep this receipt for your records.",
    }
    return typeset("receipt.typ", values, made_at=payment.payment_date)
