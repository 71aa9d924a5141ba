"""Things to book and to say, for the tests."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from sqlalchemy.orm import Session

from app.core.database import session
from app.models import Bus, DeviceToken, Route, Terminal, Trip, User

DEPARTURE = (datetime.now(UTC) + timedelta(days=3)).replace(hour=9, minute=0, second=0, microsecond=0)


def booking_data(**changes: Any) -> dict[str, Any]:
    """A complete `booking_data`."""
    return {
        "booking_reference": "PF7K2QXM",
        "origin": "Lagos",
        "destination": "Abuja",
        "departure_time": DEPARTURE.isoformat(),
        "arrival_time": (DEPARTURE + timedelta(hours=10)).isoformat(),
        "seats": ["12", "13"],
        "total_amount": "30000.00",
        "currency": "NGN",
        "timezone": "Africa/Lagos",
        "bus_info": "Yutong ZK6122, LAG-212-XY",
        "trip_id": 7,
        **changes,
    }


def email(**changes: Any) -> dict[str, Any]:
    """Arguments of a booking confirmation by e-mail."""
    return {"user_email": "ada@example.com", "user_name": "Ada Obi", "booking_data": booking_data(**changes)}


def sms(**changes: Any) -> dict[str, Any]:
    """Arguments of a booking confirmation by SMS."""
    return {"phone_number": "+2348031234567", "user_name": "Ada Obi", "booking_data": booking_data(**changes)}


def push(tokens: list[str] | None = None, **changes: Any) -> dict[str, Any]:
    """Arguments of a booking confirmation by push."""
    return {
        "device_tokens": tokens or ["token-of-adas-phone"],
        "user_name": "Ada Obi",
        "booking_data": booking_data(**changes),
    }


def delay(minutes: int = 45, **changes: Any) -> dict[str, Any]:
    """Arguments of a delay by SMS."""
    trip = {
        "booking_reference": "PF7K2QXM",
        "delay_minutes": minutes,
        "new_departure_time": (DEPARTURE + timedelta(minutes=minutes)).isoformat(),
        **changes,
    }
    return {"phone_number": "+2348031234567", "user_name": "Ada Obi", "trip_data": trip}


def otp(code: str = "493817") -> dict[str, Any]:
    """Arguments of a one-time code."""
    return {"phone_number": "+2348031234567", "otp_code": code, "purpose": "login"}


def make_trip(*, seats: int = 40) -> tuple[int, int]:
    """A trip from Lagos to Abuja and a passenger with e-mail, phone and app: (trip id, user id)."""
    with session() as s:
        trip, user = _trip(s, seats), _passenger()
        s.add(user)
        s.flush()
        s.add(DeviceToken(user_id=user.id, token="token-of-adas-phone", platform="android"))
        return trip.id, user.id


def _trip(s: Session, seats: int) -> Trip:
    lagos = Terminal(name="Jibowu", city="Lagos", timezone="Africa/Lagos")
    abuja = Terminal(name="Utako", city="Abuja", timezone="Africa/Lagos")
    bus = Bus(plate="LAG-212-XY", model="Yutong ZK6122", seat_count=seats)
    trip = Trip(
        route=Route(origin=lagos, destination=abuja),
        bus=bus,
        departure_time=DEPARTURE,
        arrival_time=DEPARTURE + timedelta(hours=10),
        price=Decimal(15000),
        currency="NGN",
        total_seats=seats,
        available_seats=seats,
    )
    s.add(trip)
    s.flush()
    return trip


def _passenger() -> User:
    return User(name="Ada Obi", email="ada@example.com", phone="+2348031234567")
