"""Books seats through the API, and tells what becomes of each booking's messages."""

from __future__ import annotations

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import cycle
from typing import Any

from sandbox.api import ApiError
from sandbox.console import Screen
from sandbox.house import House
from sandbox.inbox.messages import CHANNELS, message_id, summary

_LOOK = 0.05  # seconds between two looks at the messages
_PATIENCE = 60.0  # seconds for a booking's messages


@dataclass(frozen=True, slots=True)
class Booking:
    """A committed booking; `description` says who, where, which seats and how much; `messages` are row ids."""

    reference: str
    description: str
    messages: Sequence[str]


class Desk:
    """Sells seats to one passenger after the other."""

    def __init__(self, house: House) -> None:
        self._api = house.api
        self._next = cycle(house.passengers)

    def book(self) -> Booking:
        """Book one or two free seats on some trip. Raises ApiError, also when every trip is full."""
        trips = [trip for trip in self._api.trips() if trip["available_seats"]]
        if not trips:
            raise ApiError("every trip is full; more seats go on sale tomorrow")
        trip, passenger = secrets.choice(trips), next(self._next)
        seats = _choose(trip)
        booked = self._api.book(trip_id=trip["id"], user_id=passenger.id, seats=seats)
        price = f"{booked['currency']} {float(booked['total_amount']):,.0f}"
        places = f"{'seats' if len(seats) > 1 else 'seat'} {', '.join(seats)}"
        return Booking(
            reference=booked["booking_reference"],
            description=f"{passenger.name}, {trip['origin']} → {trip['destination']}, {places}, {price}",
            messages=booked["messages"],
        )


def _choose(trip: dict[str, Any]) -> list[str]:
    """One or two seats that nobody has, side by side where that is possible."""
    taken = set(trip["taken_seats"])
    free = [seat for seat in map(str, range(1, trip["total_seats"] + 1)) if seat not in taken]
    count = min(len(free), 1 + secrets.randbelow(2))
    first = secrets.randbelow(len(free) - count + 1)
    return free[first : first + count]


class Narrator:
    """Tells of bookings as their messages are sent and received."""

    def __init__(self, house: House, screen: Screen) -> None:
        self._house = house
        self._screen = screen

    def tell(self, booking: Booking) -> bool:
        """Follow the booking's messages for up to a minute; return whether each was sent and received.

        Raises ProcessFailed when the platform dies meanwhile.
        """
        self._screen.say(f"booking {booking.reference} committed", booking.description, style="bold")
        self._screen.say(f"  {len(booking.messages)} messages queued")
        waiting = dict.fromkeys(booking.messages, "a message: its row was not found")
        deadline = time.monotonic() + _PATIENCE
        while waiting and time.monotonic() < deadline:
            self._house.check()
            for row in self._rows(booking):
                if row["id"] in waiting:
                    self._look(row, waiting)
            time.sleep(_LOOK)
        for state in waiting.values():
            self._screen.fail(f"after {_PATIENCE:.0f} s: {state}")
        return not waiting

    def _rows(self, booking: Booking) -> list[dict[str, Any]]:
        try:
            return self._house.api.notifications(booking.reference)
        except ApiError:
            return []  # it may answer at the next look

    def _look(self, row: dict[str, Any], waiting: dict[str, str]) -> None:
        """Strike the message off `waiting` once it is there; till then note how it stands."""
        channel = CHANNELS[row["kind"].rpartition("_")[2]]
        received = next((e for e in self._house.ledger.entries() if message_id(e) == row["id"]), None)
        if row["status"] != "sent" or received is None:
            reason = f" ({row['reason']})" if row["reason"] else ""
            waiting[row["id"]] = (
                f"{channel}: {row['status']}{reason}, {'received' if received else 'not received'}"
            )
            return
        del waiting[row["id"]]
        seconds = received["at"] - datetime.fromisoformat(row["created_at"]).timestamp()
        self._screen.say(
            f"  {channel} sent and received", f"after {seconds:.2f} s: {summary(received)}", style="green"
        )
