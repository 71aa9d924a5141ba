"""Which documents go with which e-mail."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from pydantic import BaseModel

from app.messages import formats
from app.messages.documents import calendar
from app.messages.documents.receipt import receipt
from app.messages.documents.ticket import ticket
from app.messages.payload_types import BookingCancellationEmail, BookingConfirmationEmail, PaymentReceiptEmail


@dataclass(frozen=True, slots=True)
class Document:
    """A file: `content_type` as in "application/pdf", `content` the raw bytes."""

    filename: str
    content_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Documents:
    """What goes with one e-mail. `calendar` is to be attached too, and shown beside text and HTML."""

    files: tuple[Document, ...] = ()
    calendar: Document | None = None


def documents(payload: BaseModel, *, organizer: str | None) -> Documents:
    """The documents of an e-mail; none for a payload of another kind.

    `organizer` is the operator's e-mail address, for the calendar. Raises typst.TypstError for a fault in a
    template.
    """
    match payload:
        case BookingConfirmationEmail(booking_data=booking):
            entry = calendar.confirmed(booking, organizer=organizer)
            return Documents(
                files=(_pdf("ticket", booking.booking_reference, ticket(payload)),),
                calendar=_entry("PUBLISH", booking.booking_reference, entry),
            )
        case BookingCancellationEmail(booking_data=booking):
            entry = calendar.cancelled(booking, organizer=organizer)
            return Documents(calendar=_entry("CANCEL", booking.booking_reference, entry))
        case PaymentReceiptEmail(payment_data=payment, receipt_attachment=given):
            content = given if given is not None else receipt(payload)
            name = "receipt" if given is not None or formats.payment(payment.status).receipt else "payment"
            return Documents(files=(_pdf(name, payment.transaction_id, content),))
        case _:
            return Documents()


def _pdf(name: str, reference: str, content: bytes) -> Document:
    return Document(f"{name}-{_plain(reference)}.pdf", "application/pdf", content)


def _entry(method: str, reference: str, content: bytes) -> Document:
    return Document(f"trip-{_plain(reference)}.ics", f"text/calendar; method={method}; charset=utf-8", content)


def _plain(reference: str) -> str:
    """`reference` as part of a file name on any system."""
    return re.sub(r"[^A-Za-z0-9_-]+", "-", reference)
