"""The trip as a calendar entry (RFC 5545), told and taken back by e-mail (RFC 5546, 3.2.1 and 3.2.5)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from icalendar import Alarm, Calendar, Event, vCalAddress

from app.messages import formats
from app.messages.payload_details import CancelledBooking, PaidBookingWithBus

#: Before departure: time to get ready and to the terminal.
REMINDER = timedelta(hours=3)

#: A cancellation is newer than any confirmation; of confirmations, the later stamp is.
_CONFIRMED, _CANCELLED = 0, 1


def confirmed(booking: PaidBookingWithBus, *, organizer: str | None) -> bytes:
    """The entry, to be put into the calendar (METHOD:PUBLISH). `organizer` is the operator's e-mail address.

    Without a time of arrival, or with one before the departure, it has no end.
    """
    event = _event(booking, organizer, sequence=_CONFIRMED, status="CONFIRMED")
    if booking.arrival_time and booking.arrival_time > booking.departure_time:
        event.add("dtend", booking.arrival_time)
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("trigger", -REMINDER)
    alarm.add("description", event["summary"])
    event.add_component(alarm)
    return _calendar("PUBLISH", event)


def cancelled(booking: CancelledBooking, *, organizer: str | None) -> bytes:
    """The same entry, to be taken out (METHOD:CANCEL). `organizer` as in `confirmed`."""
    return _calendar("CANCEL", _event(booking, organizer, sequence=_CANCELLED, status="CANCELLED"))


def _event(
    booking: PaidBookingWithBus | CancelledBooking, organizer: str | None, *, sequence: int, status: str
) -> Event:
    event = Event()
    event.add("uid", f"{booking.booking_reference}@pafar")
    event.add("sequence", sequence)
    event.add("status", status)
    event.add("dtstamp", datetime.now(UTC))
    event.add("dtstart", booking.departure_time)
    event.add("summary", f"Bus {formats.route(booking.origin, booking.destination)}")
    event.add("location", booking.origin)
    event.add("description", _description(booking))
    if organizer:
        address = vCalAddress(f"mailto:{organizer}")
        address.params["CN"] = "Pafar"
        event.add("organizer", address)
    return event


def _description(booking: PaidBookingWithBus | CancelledBooking) -> str:
    seats = "Seats" if len(booking.seats) > 1 else "Seat"
    lines = [
        f"Booking reference: {booking.booking_reference}",
        f"Departs: {formats.date_time(booking.departure_time, booking.timezone)}",
        f"{seats}: {formats.seat_list(booking.seats)}",
    ]
    if isinstance(booking, PaidBookingWithBus):
        lines += [f"Bus: {booking.bus_info}"] if booking.bus_info else []
        lines.append("Be at the terminal 30 minutes before departure, with your ticket and an ID.")
    else:
        lines.append("This booking is cancelled.")
    return "\n".join(lines)


def _calendar(method: str, event: Event) -> bytes:
    calendar = Calendar()
    calendar.add("prodid", "-//Pafar//Trips//EN")
    calendar.add("version", "2.0")
    calendar.add("method", method)
    calendar.add_component(event)
    content: bytes = calendar.to_ical()
    return content
