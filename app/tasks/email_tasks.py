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
