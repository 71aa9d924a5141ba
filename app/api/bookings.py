"""Trips on sale, and booking seats on them."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from http import HTTPStatus

import structlog
from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from sqlalchemy import func, select
from sqlalchemy.orm import joinedload

from app.api.fields import Key, PaymentMethod
from app.api.security import require_key
from app.bookings.confirm import pay
from app.bookings.seats import hold
from app.core.database import session
from app.models import BookingSeat, Route, Trip

log = structlog.get_logger(__name__)

router = APIRouter(prefix="/api/v1", tags=["bookings"], dependencies=[Depends(require_key)])


class TripOnSale(BaseModel):
    """A trip that has not left yet."""

    id: int
    origin: str
    destination: str
    departure_time: datetime
    timezone: str
    price: Decimal
    currency: str
    available_seats: int
    taken_seats: list[str]
    total_seats: int


class NewHold(BaseModel):
    """Seats on a trip for a passenger."""

    trip_id: Key
    user_id: Key
    seats: list[str] = Field(min_length=1, max_length=20, examples=[["12", "13"]])


class NewBooking(NewHold):
    """Seats on a trip for a passenger, paid at once."""

    payment_method: PaymentMethod = "card"


class Held(BaseModel):
    """Seats that wait for their payment until `expires_at`."""

    booking_reference: str
    expires_at: datetime
    seats: list[str]
    total_amount: Decimal
    currency: str


class Booked(BaseModel):
    """A confirmed booking and the ids of the messages that tell its passenger."""

    booking_reference: str
    status: str
    seats: list[str]
    total_amount: Decimal
    currency: str
    messages: list[str]


@router.get("/trips")
def trips() -> list[TripOnSale]:
    """Trips that have not left yet, the soonest first."""
    with session() as s:
        taken = (
            select(BookingSeat.trip_id, func.array_agg(BookingSeat.seat_no).label("seats"))
            .where(BookingSeat.live)
            .group_by(BookingSeat.trip_id)
            .subquery()
        )
        places = joinedload(Trip.route).options(joinedload(Route.origin), joinedload(Route.destination))
        found = s.execute(
            select(Trip, taken.c.seats)
            .outerjoin(taken, taken.c.trip_id == Trip.id)
            .where(Trip.departure_time > func.clock_timestamp())
            .order_by(Trip.departure_time)
            .limit(100)
            .options(places)
        )
        return [_on_sale(trip, seats or []) for trip, seats in found]


@router.post("/bookings", status_code=HTTPStatus.CREATED)
def book(new: NewBooking) -> Booked:
    """Book and pay; the passenger is told once this has committed."""
    with session() as s:
        booking = hold(s, trip_id=new.trip_id, user_id=new.user_id, seats=new.seats)
        messages = pay(s, booking, method=new.payment_method)
    log.info("accepted", message_ids=messages)
    return Booked(
        booking_reference=booking.reference,
        status=booking.status,
        seats=sorted(new.seats, key=int),
        total_amount=booking.total_amount,
        currency=booking.currency,
        messages=messages,
    )


@router.post("/holds", status_code=HTTPStatus.CREATED)
def hold_seats(new: NewHold) -> Held:
    """Hold seats until `expires_at`; a payment turns the hold into a booking."""
    with session() as s:
        booking = hold(s, trip_id=new.trip_id, user_id=new.user_id, seats=new.seats)
        return Held(
            booking_reference=booking.reference,
            expires_at=booking.expires_at,
            seats=sorted(new.seats, key=int),
            total_amount=booking.total_amount,
            currency=booking.currency,
        )


def _on_sale(trip: Trip, taken: list[str]) -> TripOnSale:
    return TripOnSale(
        id=trip.id,
        origin=trip.route.origin.city,
        destination=trip.route.destination.city,
        departure_time=trip.departure_time,
        timezone=trip.route.origin.timezone,
        price=trip.price,
        currency=trip.currency,
        available_seats=trip.available_seats,
        taken_seats=sorted(taken, key=int),
        total_seats=trip.total_seats,
    )
