"""The receipt of a payment, or its details where no money came: the same bytes whenever it is made anew."""

from __future__ import annotations

from app.messages import formats
from app.messages.documents.typesetting import typeset
from app.messages.payload_types import PaymentReceiptEmail


def receipt(payload: PaymentReceiptEmail) -> bytes:
    """The PDF of one payment, dated as the payment."""
    payment = payload.payment_data
    amount = formats.money(payment.amount, payment.currency, payment.locale)
    words = formats.payment(payment.status)
    kind = "Payment receipt" if words.receipt else "Payment details"
    values = {
        "kind": kind,
        "title": f"{kind} {payment.transaction_id}",
        "description": f"Payment of {amount} for booking {payment.booking_reference}",
        "headline": words.headline,
        "tone": words.tone,
        "amount": amount,
        "sentence": words.about(amount, payment.booking_reference),
        "facts": [
            ["Date", formats.date_time(payment.payment_date, payment.timezone)],
            ["Method", payment.payment_method],
            ["Status", payment.status],
            ["Transaction ID", payment.transaction_id],
            ["Booking reference", payment.booking_reference],
            ["Passenger", payload.user_name],
        ],
        "advice": "Quote the transaction ID if you ask about this payment.",
        "footer": "Keep this receipt for your records." if words.receipt else "This is not a receipt.",
    }
    return typeset("receipt.typ", values, made_at=payment.payment_date)
