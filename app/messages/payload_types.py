"""What each sending task takes: its parameters as a model, named after the task."""

from __future__ import annotations

from pydantic import Field

from app.messages.documents.given import PdfFile
from app.messages.fields import Identifier, OtpCode, OtpPurpose, Text
from app.messages.payload_details import (
    Arrival,
    BookedSeats,
    BookingOnPhone,
    Bulk,
    BulkContent,
    CancelledBooking,
    Delay,
    Location,
    PaidBooking,
    PaidBookingWithBus,
    PaymentMade,
    PaymentStatus,
    Promotion,
    TripStatus,
)
from app.messages.payloads import Payload
from app.messages.recipients import DeviceTokens, EmailAddress, PhoneNumber


class ByEmail(Payload):
    """To one person by e-mail."""

    user_email: EmailAddress
    user_name: Text


class BySms(Payload):
    """To one person by text message."""

    phone_number: PhoneNumber
    user_name: Text


class ByPush(Payload):
    """To the phones of one person: registration tokens, or `fid:` and an installation id."""

    device_tokens: DeviceTokens


class BookingConfirmationEmail(ByEmail):
    """The e-mail with the ticket, after the payment."""

    booking_data: PaidBookingWithBus


class BookingCancellationEmail(ByEmail):
    """The e-mail that says a booking is no more, and what comes back."""

    booking_data: CancelledBooking


class PaymentReceiptEmail(ByEmail):
    """The e-mail with the receipt of one payment."""

    payment_data: PaymentMade
    receipt_attachment: PdfFile = None  #: the receipt as the caller made it; None: it is made here


class BookingConfirmationSms(BySms):
    """The text that confirms a booking, after the payment."""

    booking_data: PaidBooking


class TripDepartureSms(BySms):
    """The text before departure."""

    trip_data: BookedSeats


class TripDelaySms(BySms):
    """The text of a delay; a newer one of the same booking takes its place."""

    trip_data: Delay


class TripArrivalSms(BySms):
    """The text before arrival."""

    trip_data: Arrival


class OtpSms(Payload):
    """A one-time code, which lives for 10 minutes; `purpose` chooses the wording."""

    phone_number: PhoneNumber
    otp_code: OtpCode
    purpose: OtpPurpose = "verification"


class BookingConfirmationPush(ByPush):
    """The push after the payment."""

    user_name: Text
    booking_data: BookingOnPhone


class BookingExpiredPush(ByPush):
    """The push that says an unpaid hold has ended."""

    booking_data: BookingOnPhone


class TripStatusPush(ByPush):
    """The push of a trip's departure, delay, arrival, end or cancellation."""

    trip_data: TripStatus


class LocationUpdatePush(ByPush):
    """The push of where the bus is, and in how many minutes it comes."""

    location_data: Location


class PaymentStatusPush(ByPush):
    """The push of a payment's outcome."""

    payment_data: PaymentStatus


class PromotionalPush(ByPush):
    """The push of an offer."""

    promotion_data: Promotion


class BulkPushNotification(Payload):
    """One text for up to 1,000,000 tokens; chunks of up to 500 carry it."""

    notification_data: Bulk


class BulkChunkPush(Payload):
    """Up to 500 tokens of a bulk push, which lie in the row; `times` has those that were given more than once."""

    notification_data: BulkContent
    campaign: Identifier | None = None
    times: dict[str, int] = Field(default_factory=dict)
    token_count: int = 0  # as given
