"""What stands in a task's `…_data`: the trip, the booking or the payment that a message speaks of."""

from __future__ import annotations

from typing import Self

import orjson
from pydantic import Field, model_validator

from app.messages.bulk import MAX_CONTENT, Body, PushData, UserTokens
from app.messages.fields import (
    Amount,
    BusInfo,
    Eta,
    Identifier,
    Latitude,
    Longitude,
    Minutes,
    Moment,
    Reference,
    Seats,
    Status,
    Text,
)
from app.messages.payloads import Details


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


class PaymentMade(Details):
    """One payment; `status` is completed, pending, failed, refunded or "to be refunded".

    Another word is shown as it is.
    """

    transaction_id: Identifier
    booking_reference: Reference
    amount: Amount
    payment_method: Text
    payment_date: Moment
    status: Status


class BookingOnPhone(Booking):
    """A booking as a push tells it; the ids open the app's screen."""

    booking_id: Identifier | None = None
    trip_id: Identifier | None = None


class Delay(Details):
    """A trip that leaves later: by `delay_minutes`, at `new_departure_time`."""

    booking_reference: Reference
    delay_minutes: Minutes
    new_departure_time: Moment


class Arrival(Details):
    """A bus that comes to its destination in `eta_minutes`."""

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
    """How a payment stands: `status` is completed, failed, refunded or needs_refund.

    Another word gives a general update.
    """

    status: Status
    amount: Amount
    booking_reference: Reference
    payment_id: Identifier | None = None


class Promotion(Details):
    """An offer; after `valid_until` it is not sent any more."""

    message: Text
    title: Text = "🎁 An offer from Pafar"
    promotion_id: Identifier | None = None
    discount_code: Reference | None = None
    valid_until: Moment | None = None


class BulkContent(Details):
    """What a bulk push says; `data` is for the app."""

    title: Text
    body: Body
    data: PushData = Field(default_factory=dict)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        content = {"notification": {"title": self.title, "body": self.body}, "data": self.data}
        if (size := len(orjson.dumps(content))) > MAX_CONTENT:
            raise ValueError(f"title, body and data have {size} bytes together, of {MAX_CONTENT} allowed")
        return self


class Bulk(BulkContent):
    """What a bulk push says, and to whom: user → tokens."""

    user_tokens: UserTokens
