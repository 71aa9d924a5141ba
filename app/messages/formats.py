"""How a message writes money (by locale), times, seats and routes (Unicode CLDR, through Babel)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from zoneinfo import ZoneInfo

from babel.dates import format_datetime
from babel.numbers import format_currency

#: The templates' language: a French month in an English sentence would read wrong.
LANGUAGE = "en"

_OFFSET = re.compile(r"[+-]\d\d:\d\d", re.ASCII)
_LETTER_BEFORE_DIGIT = re.compile(r"(?<=[^\W\d_])(?=\d)")

#: A payment that went through, in our words; what other statuses are called.
PAID = "completed"
_PAYMENTS = {
    PAID: "Payment received",
    "pending": "Payment pending",
    "failed": "Payment failed",
    "refunded": "Payment refunded",
}


def zone(name: str) -> tzinfo:
    """The zone of an IANA name ("Africa/Lagos") or of an ISO 8601 offset ("+01:00").

    Raises LookupError for anything else.
    """
    try:
        if _OFFSET.fullmatch(name):
            return datetime.strptime(name, "%z").tzinfo or UTC
        return ZoneInfo(name)
    except (LookupError, ValueError, OSError):  # OSError: the name of a folder, or one too long for a file
        raise LookupError("not a time zone") from None


def money(amount: Decimal, currency: str, locale: str) -> str:
    """As the locale writes it: "₦15,000.00" (en_NG), "NGN 15,000.00" (en)."""
    text = format_currency(amount, currency, locale=locale)
    # CLDR puts a space between a currency's letters and the digits (UTS 35, currencySpacing); Babel doesn't.
    return _LETTER_BEFORE_DIGIT.sub("\u00a0", text)


def plain_money(amount: Decimal, currency: str, locale: str) -> str:
    """The ISO 4217 code and the number, without a fraction of zero: "NGN 15,000". Few symbols are in GSM-7."""
    whole = amount == amount.to_integral_value()
    return format_currency(amount, currency, "¤¤ #,##0", locale=locale, currency_digits=not whole)


def date_time(moment: datetime, zone_name: str) -> str:
    """The local time with its zone: "Mon 15 Jan 2024, 10:00 WAT"."""
    return _written(moment, zone_name, "EEE d MMM y, HH:mm")


def short_date_time(moment: datetime, zone_name: str) -> str:
    """As `date_time`, shorter: "15 Jan 10:00 WAT"."""
    return _written(moment, zone_name, "d MMM HH:mm")


def _written(moment: datetime, zone_name: str, pattern: str) -> str:
    # The month as a word and 24 hours: nobody can misread it.
    local = moment.astimezone(zone(zone_name))
    return f"{format_datetime(local, pattern, tzinfo=local.tzinfo, locale=LANGUAGE)} {_zone_name(local)}"


def _zone_name(local: datetime) -> str:
    """The tz database's abbreviation ("WAT"); zones without one have numbers there and get "UTC+03:00"."""
    name = local.tzname() or ""
    return name if name.isalpha() else timezone(local.utcoffset() or timedelta()).tzname(None)


def seat_list(seats: Sequence[str]) -> str:
    """ "12A, 12B" """
    return ", ".join(seats)


def payment_headline(status: str) -> str:
    """ "Payment received"; for a status of another's making "Payment on hold" """
    return _PAYMENTS.get(status, f"Payment {status}")


def route(origin: str, destination: str) -> str:
    """ "Lagos → Abuja" """
    return f"{_isolated(origin)} → {_isolated(destination)}"


def _isolated(name: str) -> str:
    # Two right-to-left names would swap places around the arrow (UAX 9); isolates keep the order.
    right_to_left = any(unicodedata.bidirectional(c) in {"R", "AL"} for c in name)
    return f"\u2068{name}\u2069" if right_to_left else name
