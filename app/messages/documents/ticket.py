"""The e-ticket: one page, with a QR code that holds the booking reference."""

from __future__ import annotations

from datetime import UTC, datetime

import zxingcpp

from app.messages import formats
from app.messages.documents.typesetting import typeset
from app.messages.payload_details import PaidBookingWithBus
from app.messages.payload_types import BookingConfirmationEmail


def ticket(payload: BookingConfirmationEmail) -> bytes:
    """The PDF of what was booked."""
    booking = payload.booking_data
    reference = booking.booking_reference
    values = {
        "title": f"E-ticket {reference}",
        "description": f"Bus from {booking.origin} to {booking.destination}, booking {reference}",
        "headline": "Booking confirmed",
        "origin": booking.origin,
        "destination": booking.destination,
        "facts": [["Passenger", payload.user_name], *_facts(booking)],
        "reference": reference,
        "code": qr_code(reference),
        "code_says": f"QR code of the booking reference, {reference}",
        "advice": "Be at the terminal 30 minutes before departure. Show this page, on paper or phone, and an ID.",
        "footer": "One page for all seats of this booking.",
    }
    return typeset("ticket.typ", values, made_at=datetime.now(UTC))


def qr_code(text: str) -> str:
    """An SVG picture of `text` as a QR code (ISO/IEC 18004), with its quiet zone; it bears 15 % of damage."""
    code = zxingcpp.create_barcode(text, zxingcpp.BarcodeFormat.QRCode, ec_level="M")
    svg: str = code.to_svg(add_quiet_zones=True)
    return svg


def _facts(booking: PaidBookingWithBus) -> list[list[str]]:
    def at(moment: datetime) -> str:
        return formats.date_time(moment, booking.timezone)

    facts = {
        "Departs": at(booking.departure_time),
        "Arrives": at(booking.arrival_time) if booking.arrival_time else None,
        "Seats" if len(booking.seats) > 1 else "Seat": formats.seat_list(booking.seats),
        "Bus": booking.bus_info,
        "Paid": formats.money(booking.total_amount, booking.currency, booking.locale),
    }
    return [[label, value] for label, value in facts.items() if value is not None]
