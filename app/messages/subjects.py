"""What a message is about and for whom: a newer one of the same subject supersedes an older unsent one."""

from __future__ import annotations

import hashlib

from app.messages import payload_types as types


def _subject(about: str, *recipients: str) -> str:
    """What a message is about and for whom; recipients are hashed, for subjects outlive the messages."""
    return f"{about}:{hashlib.sha256(' '.join(sorted(recipients)).encode()).hexdigest()}"


def delayed_trip(payload: types.TripDelaySms) -> str:
    """A booking's delay, for one number."""
    return _subject(f"trip_delay:{payload.trip_data.booking_reference}", payload.phone_number)


def _on_phones(about: str, payload: types.ByPush) -> str:
    """What is replaced on the phones by its tag: an older push must not come late and take a newer one's place."""
    return _subject(about, *payload.device_tokens)


def booking_on_phones(payload: types.BookingConfirmationPush | types.BookingExpiredPush) -> str:
    """That a hold has ended is untrue once a late payment got the seats back."""
    return _on_phones(f"booking:{payload.booking_data.booking_reference}", payload)


def trip_on_phones(payload: types.TripStatusPush) -> str:
    """How a booking's trip stands, on these phones."""
    return _on_phones(f"trip:{payload.trip_data.booking_reference}", payload)


def payment_on_phones(payload: types.PaymentStatusPush) -> str:
    """How a booking's payment stands, on these phones."""
    return _on_phones(f"payment:{payload.payment_data.booking_reference}", payload)


def location_on_phones(payload: types.LocationUpdatePush) -> str:
    """Where a trip's bus is, on these phones."""
    where = payload.location_data
    return _on_phones(f"location:{where.trip_id or where.booking_reference or ''}", payload)
