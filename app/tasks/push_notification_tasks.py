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


@message_task
def send_trip_status_push(self: MessageTask[Any], device_tokens: list[str], trip_data: dict[str, Any]) -> Result:
    """Tell a passenger how the trip stands; on the phone, and while unsent, a newer status replaces an older one.

    `trip_data`: status (departed, delayed, arriving, completed, cancelled; another word gives a general update),
    booking_reference and, if known, trip_id, delay_minutes, eta_minutes (0 is now), timestamp. Returns success,
    message, booking_reference, sent_count, failed_count. Raises InvalidPayload, DeliveryFailed.
    """
    return self.send_now(device_tokens=device_tokens, trip_data=trip_data)


@message_task
def send_location_update_push(
    self: MessageTask[Any], device_tokens: list[str], location_data: dict[str, Any]
) -> Result:
    """Tell a passenger where the bus is; a newer place replaces an older one, and after 3 minutes it is untrue.

    `location_data`: landmark, eta_minutes (0 is now) and, if known, trip_id, booking_reference, latitude and
    longitude (degrees, WGS 84). Returns success, message, trip_id, sent_count, failed_count. Raises
    InvalidPayload, DeliveryFailed.
    """
    return self.send_now(device_tokens=device_tokens, location_data=location_data)


@message_task
def send_payment_status_push(
    self: MessageTask[Any], device_tokens: list[str], payment_data: dict[str, Any]
) -> Result:
    """Tell a passenger what became of a payment; a newer status of the booking's payment replaces an older one.

    `payment_data`: status (completed, failed, refunded; another word gives a general update), amount,
    booking_reference and, if known, payment_id. Returns success, message, payment_id, sent_count, failed_count.
    Raises InvalidPayload, DeliveryFailed.
    """
    return self.send_now(device_tokens=device_tokens, payment_data=payment_data)


@message_task
def send_promotional_push(
    self: MessageTask[Any], device_tokens: list[str], promotion_data: dict[str, Any]
) -> Result:
    """Make an offer, after everything that matters more. It is never sent twice.

    `promotion_data`: message (up to 200 characters) and, if known, title, promotion_id, discount_code,
    valid_until. Returns success, message, promotion_id, sent_count, failed_count. Raises InvalidPayload,
    DeliveryFailed, OutcomeNotKnown.
    """
    return self.send_now(device_tokens=device_tokens, promotion_data=promotion_data)
