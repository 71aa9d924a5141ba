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


@message_task
def send_trip_departure_sms(
    self: MessageTask[Any], phone_number: str, user_name: str, trip_data: dict[str, Any]
) -> Result:
    """Remind a passenger of the departure; once the bus has left, nothing is sent.

    `trip_data`: booking_reference, origin, destination, departure_time, seats (list). Returns success, message,
    booking_reference, sms_id. Raises InvalidPayload, DeliveryFailed.
    """
    return self.send_now(phone_number=phone_number, user_name=user_name, trip_data=trip_data)


@message_task
def send_trip_delay_sms(
    self: MessageTask[Any], phone_number: str, user_name: str, trip_data: dict[str, Any]
) -> Result:
    """Tell a passenger that the bus leaves later; a newer delay of the same trip supersedes an unsent older one.

    `trip_data`: booking_reference, delay_minutes, new_departure_time. Returns success, message,
    booking_reference, sms_id. Raises InvalidPayload, DeliveryFailed.
    """
    return self.send_now(phone_number=phone_number, user_name=user_name, trip_data=trip_data)


@message_task
def send_trip_arrival_sms(
    self: MessageTask[Any], phone_number: str, user_name: str, trip_data: dict[str, Any]
) -> Result:
    """Tell a passenger that the bus is about to arrive. It is never sent twice.

    `trip_data`: booking_reference, destination and, if known, eta_minutes (5; 0 is now). Returns success,
    message, booking_reference, sms_id. Raises InvalidPayload, DeliveryFailed, OutcomeNotKnown.
    """
    return self.send_now(phone_number=phone_number, user_name=user_name, trip_data=trip_data)


@message_task
def send_otp_sms(
    self: MessageTask[Any], phone_number: str, otp_code: str, purpose: str = "verification"
) -> Result:
    """Tell a person the code that proves who they are. It lives 10 minutes and is never sent twice.

    `purpose`: verification, password_reset or login. The code is encrypted in the row and wiped once the message
    is final. Returns success, message, sms_id. Raises InvalidPayload, DeliveryFailed, OutcomeNotKnown, and
    DatabaseUnavailable, for without its row the code would lie open in the broker.
    """
    return self.send_now(phone_number=phone_number, otp_code=otp_code, purpose=purpose)
