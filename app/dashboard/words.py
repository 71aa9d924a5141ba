"""How a page says times, spans, numbers and names: figures with units, moments in UTC."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from babel.numbers import format_decimal

#: Between a figure and its unit, where no line may break.
NBSP = "\u00a0"
#: Words of kinds' names that are said letter by letter.
LETTERS = {"sms": "SMS", "otp": "OTP"}


def moment(at: datetime) -> str:
    """24 Nov 00:20:02; with the year when it is another one."""
    at = at.astimezone(UTC)
    year = "" if at.year == datetime.now(UTC).year else " %Y"
    return at.strftime(f"%d %b{year} %H:%M:%S")


def time(at: str | float) -> datetime:
    """From ISO 8601, or seconds since 1970."""
    return datetime.fromisoformat(at) if isinstance(at, str) else datetime.fromtimestamp(at, UTC)


#: Seconds, from the largest down.
_UNITS = ((86400, "d"), (3600, "h"), (60, "min"), (1, "s"))


def relative(at: datetime) -> str:
    """“3 min ago”, “in 2 h”, “now”."""
    seconds = round((at - datetime.now(UTC)).total_seconds())
    if seconds == 0:
        return "now"
    size, name = next(unit for unit in _UNITS if abs(seconds) >= unit[0])
    count = f"{abs(seconds) // size}{NBSP}{name}"
    return f"in{NBSP}{count}" if seconds > 0 else f"{count}{NBSP}ago"


def span(seconds: float) -> str:
    """As people say it: 35 ms, 2.4 s, 3 min 20 s, 5 h 10 min, 3 d 4 h."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}{NBSP}ms"
    if seconds < 60:
        return f"{seconds:.1f}{NBSP}s" if seconds < 10 else f"{seconds:.0f}{NBSP}s"
    whole = round(seconds)
    n = next(n for n, (size, _) in enumerate(_UNITS) if whole >= size)
    (size, name), (below, smaller) = _UNITS[n : n + 2]
    rest = whole % size // below
    return f"{whole // size}{NBSP}{name}" + (f" {rest}{NBSP}{smaller}" if rest else "")


def number(value: float) -> str:
    """1,234; 12.5: at most one digit behind the point."""
    return format_decimal(value, "#,##0.#", locale="en")


def size(count: int) -> str:
    """Bytes as 143 MB."""
    return f"{count / 1e6:,.0f}{NBSP}MB"


def percent(value: float) -> str:
    """As 1.2 %."""
    return f"{number(value)}{NBSP}%"


def kind(name: str) -> str:
    """booking_confirmation_sms → booking confirmation SMS; a task without its module."""
    plain = name.rpartition(".")[2].removeprefix("send_")
    return " ".join(LETTERS.get(word, word) for word in plain.split("_"))


FILTERS: dict[str, Callable[[Any], Any]] = {
    "time": time,
    "moment": moment,
    "relative": relative,
    "span": span,
    "number": number,
    "size": size,
    "percent": percent,
    "kind": kind,
}
