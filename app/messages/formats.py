"""How a message writes money (by locale), times, seats and routes (Unicode CLDR, through Babel)."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from decimal import Decimal
from functools import lru_cache
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_datetime
from babel.numbers import NumberPattern, format_currency, format_decimal, get_currency_precision, parse_pattern

#: The templates' language: a French month in an English sentence would read wrong.
LANGUAGE = Locale("en")

#: Amounts and times, as written, that are kept: the passengers of a trip share them.
REMEMBERED = 1024

_OFFSET = re.compile(r"[+-]\d\d:\d\d", re.ASCII)
_LETTER_BEFORE_DIGIT = re.compile(r"(?<=[^\W\d_])(?=\d)")


@dataclass(frozen=True, slots=True)
class PaymentWords:
    """How a payment's status is told. `tone`: "good", "bad" or "open"; `receipt`: money was received."""

    headline: str
    sentence: str  #: about {amount} and {booking}
    tone: str = "open"
    receipt: bool = False

    def about(self, amount: str, booking: str) -> str:
        """The sentence for one payment."""
        return self.sentence.format(amount=amount, booking=booking)

    @property
    def attached(self) -> str:
        """What the document is."""
        return "The receipt is attached." if self.receipt else "Details are attached."


_PAYMENTS = {
    "completed": PaymentWords(
        "Payment received", "We have received your payment of {amount} for booking {booking}.", "good", True
    ),
    "pending": PaymentWords(
        "Payment pending", "Your payment of {amount} for booking {booking} is not complete yet."
    ),
    "failed": PaymentWords(
        "Payment failed",
        "Your payment of {amount} for booking {booking} failed. No money was received.",
        "bad",
    ),
    "refunded": PaymentWords(
        "Payment refunded", "Your payment of {amount} for booking {booking} has been refunded.", receipt=True
    ),
    "to be refunded": PaymentWords(
        "Payment to be refunded",
        "Your payment of {amount} could not be used for booking {booking} and will be refunded.",
        receipt=True,
    ),
}


@lru_cache(maxsize=256)  # passengers share few, and looking one up takes as long as writing a date
def locale_named(name: str) -> Locale:
    """The locale that CLDR knows by this name ("en_NG"). Raises ValueError, UnknownLocaleError."""
    return Locale.parse(name)


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


@lru_cache(maxsize=REMEMBERED)
def money(amount: Decimal, currency: str, locale: str) -> str:
    """As the locale writes it: "₦15,000.00" (en_NG), "NGN 15,000.00" (en)."""
    text = format_currency(amount, currency, locale=locale_named(locale))
    # CLDR puts a space between a currency's letters and the digits (UTS 35, currencySpacing); Babel doesn't.
    return _LETTER_BEFORE_DIGIT.sub("\u00a0", text)


@lru_cache(maxsize=REMEMBERED)
def plain_money(amount: Decimal, currency: str, locale: str) -> str:
    """The ISO 4217 code and the number, without a fraction of zero: "NGN 15,000". Few symbols are in GSM-7."""
    digits = 0 if amount == amount.to_integral_value() else get_currency_precision(currency)
    return f"{currency} {format_decimal(amount, _plain_number(digits), locale=locale_named(locale))}"


@lru_cache
def _plain_number(digits: int) -> NumberPattern:
    return parse_pattern(f"#,##0.{'0' * digits}" if digits else "#,##0")


def date_time(moment: datetime, zone_name: str) -> str:
    """The local time with its zone: "Mon 15 Jan 2024, 10:00 WAT"."""
    return _written(moment.astimezone(UTC), zone_name, "EEE d MMM y, HH:mm")


def short_date_time(moment: datetime, zone_name: str) -> str:
    """As `date_time`, shorter: "15 Jan 10:00 WAT"."""
    return _written(moment.astimezone(UTC), zone_name, "d MMM HH:mm")


@lru_cache(maxsize=REMEMBERED)
def _written(utc: datetime, zone_name: str, pattern: str) -> str:
    # The month as a word and 24 hours: nobody can misread it.
    local = utc.astimezone(zone(zone_name))
    return f"{format_datetime(local, pattern, tzinfo=local.tzinfo, locale=LANGUAGE)} {_zone_name(local)}"


def _zone_name(local: datetime) -> str:
    """The tz database's abbreviation ("WAT"); zones without one have numbers there and get "UTC+03:00"."""
    name = local.tzname() or ""
    return name if name.isalpha() else timezone(local.utcoffset() or timedelta()).tzname(None)


def seat_list(seats: Sequence[str]) -> str:
    """ "12A, 12B" """
    return ", ".join(seats)


def payment(status: str) -> PaymentWords:
    """How a status is told; one of another's making as it stands: "Payment on hold"."""
    about = "There is news about your payment of {amount} for booking {booking}."
    return _PAYMENTS.get(status) or PaymentWords(f"Payment {status}", about)


def duration(minutes: int) -> str:
    """ "45 min", "2 h 15 min", "24 h" """
    hours, rest = divmod(minutes, 60)
    return " ".join([f"{hours} h"] * bool(hours) + [f"{rest} min"] * bool(rest or not hours))


def route(origin: str, destination: str) -> str:
    """ "Lagos → Abuja" """
    return f"{_isolated(origin)} → {_isolated(destination)}"


def _isolated(name: str) -> str:
    # Two right-to-left names would swap places around the arrow (UAX 9); isolates keep the order.
    right_to_left = any(unicodedata.bidirectional(c) in {"R", "AL"} for c in name)
    return f"\u2068{name}\u2069" if right_to_left else name
