"""What each sending task takes: its parameters as a model, named after the task, and the data inside it."""

from __future__ import annotations

from app.messages.fields import (
    Amount,
    BusInfo,
    Eta,
    Identifier,
    Latitude,
    Longitude,
    Minutes,
    Moment,
    OtpCode,
    OtpPurpose,
    Reference,
    Seats,
    Status,
    Text,
)
from app.messages.payloads import Details, Payload
from app.messages.recipients import DeviceTokens, EmailAddress, PhoneNumber


class Booking(Details):
    """What every message about a booking names."""

    booking_reference: Reference
    origin: Text
    destination: Text


class BookedSeats(Booking):
    """A booking and what it holds on the bus."""

    departure_time: Moment
    seats: Seats


class PaidBooking(BookedSeats):
    """A booking as a text message tells it."""

    total_amount: Amount


class PaidBookingWithBus(PaidBooking):
    """A booking as an e-mail tells it."""

    arrival_time: Moment | None = None
    bus_info: BusInfo = None


class CancelledBooking(BookedSeats):
    """A booking that is no more; a refund of 0 says that nothing comes back."""

    refund_amount: Amount
    refund_reference: Reference | None = None


class BookingOnPhone(Booking):
    """A booking as a push tells it; the ids open the app's screen."""

    booking_id: Identifier | None = None
    trip_id: Identifier | None = None


class Delay(Details):
    booking_reference: Reference
    delay_minutes: Minutes
    new_departure_time: Moment


class Arrival(Details):
    booking_reference: Reference
    destination: Text
    eta_minutes: Eta = 5


class TripStatus(Details):
    """How a trip stands.

    `status` is departed, delayed, arriving, completed or cancelled; another word gives a general update.
    """

    status: Status
    booking_reference: Reference
    trip_id: Identifier | None = None
    delay_minutes: Minutes | None = None
    eta_minutes: Eta | None = None
    timestamp: Moment | None = None


class Location(Details):
    """Where a bus is; the coordinates (WGS 84) are for the app's map."""

    landmark: Text
    eta_minutes: Eta
    trip_id: Identifier | None = None
    booking_reference: Reference | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None


class PaymentStatus(Details):
    """How a payment stands: `status` is completed, failed or refunded; another word gives a general update."""

    status: Status
    amount: Amount
    booking_reference: Reference
    payment_id: Identifier | None = None


class Promotion(Details):
    message: Text
    title: Text = "🎁 An offer from Pafar"
    promotion_id: Identifier | None = None
    discount_code: Reference | None = None
    valid_until: Moment | None = None


class ByEmail(Payload):
    user_email: EmailAddress
    user_name: Text


class BySms(Payload):
    phone_number: PhoneNumber
    user_name: Text


class ByPush(Payload):
    device_tokens: DeviceTokens


class BookingConfirmationEmail(ByEmail):
    booking_data: PaidBookingWithBus


class BookingCancellationEmail(ByEmail):
    booking_data: CancelledBooking


class BookingConfirmationSms(BySms):
    booking_data: PaidBooking


class TripDepartureSms(BySms):
    trip_data: BookedSeats


class TripDelaySms(BySms):
    trip_data: Delay


class TripArrivalSms(BySms):
    trip_data: Arrival


class OtpSms(Payload):
    phone_number: PhoneNumber
    otp_code: OtpCode
    purpose: OtpPurpose = "verification"


class BookingConfirmationPush(ByPush):
    user_name: Text
    booking_data: BookingOnPhone


class TripStatusPush(ByPush):
    trip_data: TripStatus


class LocationUpdatePush(ByPush):
    location_data: Location


class PaymentStatusPush(ByPush):
    payment_data: PaymentStatus


class PromotionalPush(ByPush):
    promotion_data: Promotion
