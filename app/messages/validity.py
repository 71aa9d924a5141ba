"""When each kind of message loses its point."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from pydantic import BaseModel

from app.messages import payload_types as types
from app.messages.base import Validity
from app.messages.payloads import details

#: What the text of a one-time code says, and NIST SP 800-63B-4 allows at most.
OTP_LIFE = timedelta(minutes=10)
#: Where a bus is is soon untrue; an ETA is then wrong by no more than this.
LOCATION_LIFE = timedelta(minutes=3)
#: That one's seats are on sale again is news for those who may still want them.
HOLD_ENDED_LIFE = timedelta(minutes=30)
#: After a bus was due, "arrives in 5 min" helps nobody.
ARRIVAL_GRACE = timedelta(minutes=30)
#: How a trip stands changes by the hour; that it is cancelled, and what became of one's money, stays true.
STATUS_LIFE = timedelta(hours=2)
CANCELLED_LIFE = PAYMENT_LIFE = timedelta(hours=24)
#: A refund is of interest after the bus has left.
REFUND_LIFE = timedelta(days=3)
#: Who looks for a receipt after that asks for it again.
RECEIPT_LIFE = timedelta(days=3)
PROMOTION_LIFE = timedelta(hours=24)


def lasting(life: timedelta) -> Callable[[BaseModel], Validity]:
    """So long after it was accepted, whatever it says."""
    return lambda _: Validity(at_least=life)


def until_departure(at_least: timedelta = timedelta(0)) -> Callable[[BaseModel], Validity]:
    """Until the bus leaves, and `at_least` so long: a ticket is still wanted at the bus door."""
    return lambda payload: Validity(until=getattr(details(payload), "departure_time", None), at_least=at_least)


def until_arrived(eta_minutes: int) -> Validity:
    """Until the bus has long been there."""
    return Validity(at_least=timedelta(minutes=eta_minutes) + ARRIVAL_GRACE)


def of_trip_status(payload: types.TripStatusPush) -> Validity:
    """By the status: an arrival is soon over, a cancellation stays true."""
    trip = payload.trip_data
    if trip.status == "arriving":
        return until_arrived(trip.eta_minutes or 0)
    return Validity(at_least=CANCELLED_LIFE if trip.status == "cancelled" else STATUS_LIFE)


def of_promotion(payload: types.PromotionalPush) -> Validity:
    """Until the offer ends, where it says when."""
    until = payload.promotion_data.valid_until
    return Validity(until=until) if until else Validity(at_least=PROMOTION_LIFE)
