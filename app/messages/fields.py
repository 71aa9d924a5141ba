"""The fields that payloads are made of: each type checks one thing, cleans it, and says what is allowed.

No error text repeats a value: it may be a passenger's name, address or number.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache, partial
from typing import Annotated, Literal

from babel import UnknownLocaleError
from babel.numbers import is_currency
from pydantic import BeforeValidator, ValidationInfo

from app.messages.formats import locale_named, zone

TEXT_LIMIT = 200
MAX_SEATS = 60  #: about as many as a coach has
MAX_AMOUNT = 10**12

#: Control characters, line and paragraph separators, bidi overrides and isolates (they can make a text read
#: otherwise than it stands), and lone surrogates (no encoding carries them).
_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_REFERENCE = re.compile(r"[!-~]{1,40}")
_MINUTES = re.compile(r"0|[1-9][0-9]{0,3}")
_OTP_CODE = re.compile(r"[0-9]{4,10}")
_AMOUNT = re.compile(r"[0-9]{1,12}(\.[0-9]{1,20})?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(:\d\d([.,]\d{1,6})?)?([Zz]|[+-]\d\d:?\d\d)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Defaults:
    """What a message is written in when its data doesn't say."""

    currency: str  #: ISO 4217
    locale: str  #: as Babel has it, "en_NG"
    timezone: str  #: IANA, "Africa/Lagos"
    phone_region: str | None  #: ISO 3166-1 alpha-2; None refuses numbers without + or 00
    phone_countries: frozenset[str] = frozenset()  #: as phone_region; whose numbers are taken, empty: everybody's
    stored: bool = False  #: comes from a row, so it was checked when it was accepted


def cleaned(value: object, limit: int = TEXT_LIMIT) -> str | None:
    """`value` without outer white space; None if it is no text that a message can carry."""
    if not isinstance(value, str):
        return None
    text = value.strip()
    return text if 0 < len(text) <= limit and not _FORBIDDEN.search(text) else None


def _text(value: object) -> str:
    if (text := cleaned(value)) is None:
        raise ValueError(f"must be text of 1 to {TEXT_LIMIT} characters without control characters")
    return text


def _status(value: object) -> str:
    return _text(value.lower() if isinstance(value, str) else value)


def _reference(value: object) -> str:
    # It goes into FCM's tag and APNs' collapse id (64 bytes at most), so it is short and plain.
    text = cleaned(value)
    if text is None or not _REFERENCE.fullmatch(text):
        raise ValueError("must be 1 to 40 printable ASCII characters without spaces")
    return text


def _label(value: object, limit: int) -> str | None:
    """A whole number or a short text, as text; None if it is neither."""
    if isinstance(value, int) and not isinstance(value, bool):
        value = str(value) if abs(value) < 10**limit else None
    return cleaned(value, limit)


def _identifier(value: object) -> str:
    if (label := _label(value, 64)) is None:
        raise ValueError("must be a whole number or text of 1 to 64 characters without control characters")
    return label


def _seats(value: object) -> tuple[str, ...]:
    labels = [_label(seat, 10) for seat in value] if isinstance(value, list | tuple) else []
    seats = tuple(label for label in labels if label is not None)
    if not 0 < len(seats) == len(labels) <= MAX_SEATS:
        raise ValueError(f"must be a list of 1 to {MAX_SEATS} seats, each a number or 1 to 10 characters")
    return seats


def _amount(value: object) -> Decimal:
    number = Decimal("NaN")
    if isinstance(value, str) and _AMOUNT.fullmatch(value.strip()):
        number = Decimal(value.strip())
    elif isinstance(value, Decimal):
        number = value
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < MAX_AMOUNT:
        number = Decimal(str(value))
    if number.is_finite() and 0 <= number < MAX_AMOUNT:
        number = round(abs(number), 4)  # no currency has more decimals (ISO 4217); no negative zero
    if not number.is_finite() or not 0 <= number < MAX_AMOUNT:
        raise ValueError("must be a number or a decimal string such as 15000.00, from 0 to below 10^12")
    return number


#: Babel puts CLDR's list together anew for each look.
_is_currency = lru_cache(maxsize=512)(is_currency)


def _currency(value: object) -> str:
    code = cleaned(value)
    if code is None or not _is_currency(code.upper()):
        raise ValueError("must be an ISO 4217 code such as NGN")
    return code.upper()


@lru_cache(maxsize=256)
def _locale_name(name: str) -> str:
    return str(locale_named(name))


def _locale(value: object) -> str:
    try:
        return _locale_name((cleaned(value) or "").replace("-", "_"))
    except (ValueError, UnknownLocaleError):
        raise ValueError("must be a locale known to CLDR, such as en_NG") from None


def _timezone(value: object) -> str:
    try:
        name = cleaned(value) or ""
        zone(name)
    except LookupError:
        raise ValueError("must be an IANA time zone such as Africa/Lagos, or an offset such as +01:00") from None
    return name


def _parsed(value: object) -> datetime | None:
    text = value.isoformat() if isinstance(value, datetime) else value
    if not isinstance(text, str) or not _MOMENT.fullmatch(text := text.strip()):
        return None
    try:
        moment = datetime.fromisoformat(text.upper().replace(",", "."))
    except ValueError:
        return None
    return moment if 1 < moment.year < 9999 else None  # the outermost can't be moved to UTC


def zone_shown(values: Iterable[object], default: str) -> str:
    """The zone for data that names none: the offset that its times carry themselves, such as "+01:00".

    `default` it is when that says the same, when a time has no offset, or when all are in UTC: that is how
    databases write times, so it tells nothing about where the bus is.
    """
    times = [moment for value in values if (moment := _parsed(value))]
    local = next((moment for moment in times if moment.utcoffset()), None)
    if local is None or any(moment.tzinfo is None for moment in times):
        return default
    same = local.utcoffset() == local.astimezone(zone(default)).utcoffset()
    return default if same else local.isoformat()[-6:]


def _moment(value: object, info: ValidationInfo) -> datetime:
    """In UTC. A local time that a clock change skips or repeats is read with the offset before the change."""
    moment = _parsed(value)
    if moment and moment.tzinfo is None:
        # The zone is missing here only if it was refused; then nothing is sent, and any will do.
        moment = moment.replace(tzinfo=zone(info.data.get("timezone", "UTC")))
    utc = moment.astimezone(UTC) if moment else None
    if utc is None or not 2000 <= utc.year < 2100:
        raise ValueError(
            "must be a date and time in ISO 8601, such as 2024-01-15T10:00:00+01:00, from 2000 to 2099"
        )
    return utc


def _bus_info(value: object) -> str | None:
    if isinstance(value, Mapping):
        given = [value.get(key) for key in ("plate", "license_plate", "model", "operator")]
        value = " · ".join(_text(part) for part in given if part is not None) or None
    return None if value is None else _text(value)


def _minutes(value: object, *, least: int) -> int:
    whole = isinstance(value, int | str) and not isinstance(value, bool) and _MINUTES.fullmatch(str(value))
    if not whole or int(str(value)) < least:
        raise ValueError(f"must be a whole number of minutes from {least} to 9999")
    return int(str(value))


def _degrees(value: object, *, limit: int) -> float:
    given = isinstance(value, int | float | str) and not isinstance(value, bool)
    try:
        degrees = float(str(value)) if given else math.nan
    except ValueError:
        degrees = math.nan
    if not -limit <= degrees <= limit:  # so is what is no number
        raise ValueError(f"must be a number of degrees from {-limit} to {limit}, such as 6.5244")
    return degrees


def _otp_code(value: object) -> str:
    if not isinstance(value, str) or not _OTP_CODE.fullmatch(value):
        raise ValueError("must be a string of 4 to 10 digits")
    return value


Text = Annotated[str, BeforeValidator(_text)]
Status = Annotated[str, BeforeValidator(_status)]  #: how things stand, in small letters
Reference = Annotated[str, BeforeValidator(_reference)]
Minutes = Annotated[int, BeforeValidator(partial(_minutes, least=1))]
Eta = Annotated[int, BeforeValidator(partial(_minutes, least=0))]  #: minutes until arrival; 0 is now
Latitude = Annotated[float, BeforeValidator(partial(_degrees, limit=90))]
Longitude = Annotated[float, BeforeValidator(partial(_degrees, limit=180))]
OtpCode = Annotated[str, BeforeValidator(_otp_code)]
OtpPurpose = Literal["verification", "password_reset", "login"]
Identifier = Annotated[str, BeforeValidator(_identifier)]
Seats = Annotated[tuple[str, ...], BeforeValidator(_seats)]
Amount = Annotated[Decimal, BeforeValidator(_amount)]
Currency = Annotated[str, BeforeValidator(_currency)]
LocaleName = Annotated[str, BeforeValidator(_locale)]
Timezone = Annotated[str, BeforeValidator(_timezone)]
Moment = Annotated[datetime, BeforeValidator(_moment)]
BusInfo = Annotated[str | None, BeforeValidator(_bus_info)]
