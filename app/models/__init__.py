"""Tables. Importing this package registers all of them on `Base.metadata`."""

from app.models.base import Base
from app.models.device import DeviceToken
from app.models.notification import IdempotencyKey, Notification, Outbox, Subject
from app.models.travel import (
    Booking,
    BookingSeat,
    BookingStatus,
    Bus,
    Payment,
    Route,
    Terminal,
    Trip,
    TripLocation,
    User,
)

__all__ = [
    "Base",
    "Booking",
    "BookingSeat",
    "BookingStatus",
    "Bus",
    "DeviceToken",
    "IdempotencyKey",
    "Notification",
    "Outbox",
    "Payment",
    "Route",
    "Subject",
    "Terminal",
    "Trip",
    "TripLocation",
    "User",
]
