"""Pushes to passengers' phones: each task takes 1 to 500 `device_tokens`, a bulk push up to 1,000,000."""

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
def send_booking_expired_push(
    self: MessageTask[Any], device_tokens: list[str], booking_data: dict[str, Any]
) -> Result:
    """Tell a passenger, on every phone of theirs, that the time to pay is over and the seats are on sale again.

    `booking_data`: booking_reference, origin, destination and, if known, booking_id and trip_id. Returns
    success, message, booking_reference, sent_count, failed_count. Raises InvalidPayload, DeliveryFailed.
    """
    return self.send_now(device_tokens=device_tokens, booking_data=booking_data)


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
    """Make an offer, after everything that matters more: never twice, and not to users who have refused offers.

    `promotion_data`: message (up to 200 characters) and, if known, title, promotion_id, discount_code,
    valid_until. Returns success, message, promotion_id, sent_count, failed_count. Raises InvalidPayload,
    DeliveryFailed, OutcomeNotKnown.
    """
    return self.send_now(device_tokens=device_tokens, promotion_data=promotion_data)


@message_task
def send_bulk_push_notification(self: MessageTask[Any], notification_data: dict[str, Any]) -> Result:
    """Push the same to many: a campaign, which can be watched, paused, resumed and cancelled under the task's id.

    `notification_data`: user_tokens ({user: [tokens]}, up to 1,000,000 tokens; one given twice is sent to once),
    title, body (up to 1,000 characters) and, if wanted, data for the app. RETRY while it goes on; then returns
    success, message, total_users, total_tokens, success_count, failure_count: tokens as given, and the last two
    make up all. Raises InvalidPayload, DeliveryFailed if no token was reached, DatabaseUnavailable.
    """
    return self.send_now(notification_data=notification_data)


@message_task
def send_bulk_chunk_push(self: MessageTask[Any]) -> Result:
    """Push to one chunk of a bulk push, whose row holds everything; it is called by its campaign alone.

    Returns success, message, sent_count, failed_count. Raises DeliveryFailed, InvalidPayload.
    """
    return self.send_now()
