"""Whom a message goes to: each type checks one kind of address, in the manner of `fields`."""

from __future__ import annotations

import re
import unicodedata
from typing import Annotated, Any, cast

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from phonenumbers import PhoneNumberType
from pydantic import BeforeValidator, ValidationInfo

from app.messages.fields import Defaults, cleaned

MAX_TOKENS = 500  #: what one push row may hold
MAX_TOKEN_LENGTH = 4096

_TOKEN = re.compile(rf"[!-~]{{1,{MAX_TOKEN_LENGTH}}}")
#: No letters: the parser would find a number in the middle of a sentence. Blanks and dashes as phones copy them.
_DIALABLE = re.compile(r"\(?\+?[0-9 ().\-/\u00a0\u2009\u202f\u2010-\u2015]{3,40}")
_E164 = re.compile(r"\+[1-9][0-9]{6,14}")
_MOBILE = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}
#: What else a number can be, where the plan tells: none of these takes texts at an ordinary price.
_NOT_MOBILE = {
    PhoneNumberType.FIXED_LINE: "a fixed line",
    PhoneNumberType.PREMIUM_RATE: "a premium-rate number",
    PhoneNumberType.SHARED_COST: "a shared-cost number",
    PhoneNumberType.TOLL_FREE: "a toll-free number",
    PhoneNumberType.VOIP: "an internet telephone",
    PhoneNumberType.PAGER: "a pager",
}
_WORLD = "001"  #: the library's region for satellite and international networks, a favourite of SMS fraud


def _email_address(value: object) -> str:
    try:
        # No look-up: a DNS server that is away must not refuse a passenger.
        return validate_email(cleaned(value, 320) or "", check_deliverability=False).normalized
    except EmailNotValidError:
        raise ValueError("must be an e-mail address such as name@example.com") from None


def _phone_number(value: object, info: ValidationInfo) -> str:
    defaults = cast(Defaults, info.context)
    if defaults.stored and not defaults.phone_countries and isinstance(value, str) and _E164.fullmatch(value):
        return value  # looking it up again would take as long as checking all the rest
    dialled = _dialled(cleaned(_visible(value)) or "")
    if dialled and not dialled.startswith("+") and defaults.phone_region is None:
        raise ValueError("must start with + and the country code, as DEFAULT_PHONE_REGION is not set")
    try:
        number = phonenumbers.parse(dialled, defaults.phone_region)
    except phonenumbers.NumberParseException:
        number = phonenumbers.PhoneNumber()
    _demand_mobile(number)
    allowed = defaults.phone_countries
    if allowed and phonenumbers.region_code_for_number(number) not in allowed:
        raise ValueError(f"must be a number of {', '.join(sorted(allowed))}, as SMS_ALLOWED_COUNTRIES says")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _visible(value: object) -> object:
    """Without the marks of writing direction that phones put around a number they copy."""
    if not isinstance(value, str):
        return value
    return "".join(c for c in value if unicodedata.category(c) != "Cf")


def _dialled(text: str) -> str:
    """The digits of a number, with + for 00 before a country's code; "" for what is no number."""
    digits = re.sub(r"[^0-9+]", "", text) if _DIALABLE.fullmatch(text) else ""
    return re.sub(r"^00", "+", digits)


def _demand_mobile(number: phonenumbers.PhoneNumber) -> None:
    """Raise ValueError unless `number` exists in its country's plan and takes texts."""
    region = phonenumbers.region_code_for_number(number)  # None for a number that is not valid
    kind = phonenumbers.number_type(number)
    if region in (None, _WORLD) or kind not in _MOBILE:
        is_not = f", not {_NOT_MOBILE[kind]}" if kind in _NOT_MOBILE else ""
        raise ValueError(f"must be a valid mobile number such as +2348031234567{is_not}")


def _device_tokens(value: object) -> tuple[str, ...]:
    tokens = dict.fromkeys(value) if isinstance(value, list | tuple) and are_tokens(value) else {}
    if not 0 < len(tokens) <= MAX_TOKENS:
        raise ValueError(
            f"must be a list of 1 to {MAX_TOKENS} tokens, each 1 to {MAX_TOKEN_LENGTH} printable characters"
        )
    return tuple(tokens)


def are_tokens(values: list[Any] | tuple[Any, ...]) -> bool:
    """Whether each could be a device token."""
    return all(isinstance(value, str) and _TOKEN.fullmatch(value) for value in values)


EmailAddress = Annotated[str, BeforeValidator(_email_address)]
PhoneNumber = Annotated[str, BeforeValidator(_phone_number)]
DeviceTokens = Annotated[tuple[str, ...], BeforeValidator(_device_tokens)]
