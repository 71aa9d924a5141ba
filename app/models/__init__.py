"""Tables. Importing this package registers all of them on `Base.metadata`."""

from app.models.alert import AlertState
from app.models.api_key import ApiKey
from app.models.base import Base
from app.models.device import DeviceToken
from app.models.limits import OtpSend
from app.models.maintenance import CleanupRun, NotificationSummary
from app.models.notification import Campaign, IdempotencyKey, Notification, Outbox, Subject
from app.models.operator import OperatorAction
from app.models.travel import (
    Booking,
    BookingSeat,
    BookingStatus,
    Bus,
    Payment,
    PaymentStatus,
    Route,
    Terminal,
    Trip,
    TripLocation,
    User,
)

__all__ = [
    "AlertState",
    "ApiKey",
    "Base",
    "Booking",
    "BookingSeat",
    "BookingStatus",
    "Bus",
    "Campaign",
    "CleanupRun",
    "DeviceToken",
    "IdempotencyKey",
    "Notification",
    "NotificationSummary",
    "OperatorAction",
    "OtpSend",
    "Outbox",
    "Payment",
    "PaymentStatus",
    "Route",
    "Subject",
    "Terminal",
    "Trip",
    "TripLocation",
    "User",
]
