"""E-mails to passengers."""

from __future__ import annotations

from typing import Any

from app.tasks.base import MessageTask, Result, message_task


@message_task
def send_booking_confirmation_email(
    self: MessageTask[Any], user_email: str, user_name: str, booking_data: dict[str, Any]
) -> Result:
    """Tell a passenger that the booking is confirmed: route, times, seats, amount.

    `booking_data`: booking_reference, origin, destination, departure_time, seats (list), total_amount, and, if
    known, arrival_time and bus_info. Returns success, message, booking_reference. Raises InvalidPayload,
    DeliveryFailed.
    """
    return self.send_now(user_email=user_email, user_name=user_name, booking_data=booking_data)


@message_task
def send_booking_cancellation_email(
    self: MessageTask[Any], user_email: str, user_name: str, booking_data: dict[str, Any]
) -> Result:
    """Tell a passenger that the booking is cancelled, and what comes back.

    `booking_data`: booking_reference, origin, destination, departure_time, seats (list), refund_amount (0 for no
    refund) and, if known, refund_reference. Returns success, message, booking_reference. Raises InvalidPayload,
    DeliveryFailed.
    """
    return self.send_now(user_email=user_email, user_name=user_name, booking_data=booking_data)


@message_task
def send_payment_receipt_email(
    self: MessageTask[Any],
    user_email: str,
    user_name: str,
    payment_data: dict[str, Any],
    receipt_attachment: bytes | str | None = None,
) -> Result:
    """Send a passenger the receipt of a payment, as a PDF.

    `payment_data`: transaction_id, booking_reference, amount, payment_method, payment_date, status (completed,
    pending, failed, refunded). `receipt_attachment` is the PDF itself, as bytes or in base64, of at most 10 MB;
    without it one is made. Returns success, message, transaction_id. Raises InvalidPayload, DeliveryFailed.
    """
    return self.send_now(
        user_email=user_email,
        user_name=user_name,
        payment_data=payment_data,
        receipt_attachment=receipt_attachment,
    )
