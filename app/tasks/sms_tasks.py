"""Texts to passengers."""

from __future__ import annotations

from typing import Any

from app.tasks.base import MessageTask, Result, message_task


@message_task
def send_booking_confirmation_sms(
    self: MessageTask[Any], phone_number: str, user_name: str, booking_data: dict[str, Any]
) -> Result:
    """Tell a passenger in one text that the booking is confirmed.

    `booking_data`: booking_reference, origin, destination, departure_time, seats, total_amount. Returns
    success, message, booking_reference, sms_id. Raises InvalidPayload, DeliveryFailed.
    """
    return self.send_now(phone_number=phone_number, user_name=user_name, booking_data=booking_data)
