"""Pushes to passengers' phones."""

from __future__ import annotations

from typing import Any

from app.tasks.base import MessageTask, Result, message_task


@message_task
def send_booking_confirmation_push(
    self: MessageTask[Any], device_tokens: list[str], user_name: str, booking_data: dict[str, Any]
) -> Result:
    """Tell a passenger, on every phone of theirs, that the booking is confirmed.

    `booking_data`: booking_reference, origin, destination and, if known, booking_id and trip_id. Returns
    success, message, booking_reference, sent_count, failed_count. Raises InvalidPayload, DeliveryFailed.
    """
    return self.send_now(device_tokens=device_tokens, user_name=user_name, booking_data=booking_data)
