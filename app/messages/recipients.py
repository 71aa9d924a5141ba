"""Whom a message goes to: each type checks one kind of address, in the manner of `fields`."""

from __future__ import annotations

import re
from typing import Annotated, Any, cast

import phonenumbers
from email_validator import EmailNotValidError, validate_email
from phonenumbers import PhoneNumberType
from pydantic import BeforeValidator, ValidationInfo

from app.messages.fields import Defaults, cleaned

MAX_TOKENS = 500  #: what one push row may hold
MAX_TOKEN_LENGTH = 4096

_TOKEN = re.compile(rf"[!-~]{{1,{MAX_TOKEN_LENGTH}}}")
#: No letters: the parser would find a number in the middle of a sentence.
_DIALABLE = re.compile(r"\+?[0-9 ().\-/\u00a0]{3,40}")
_MOBILE = {PhoneNumberType.MOBILE, PhoneNumberType.FIXED_LINE_OR_MOBILE}


def _email_address(value: object) -> str:
    try:
        # No look-up: a DNS server that is away must not refuse a passenger.
        return validate_email(cleaned(value, 320) or "", check_deliverability=False).normalized
    except EmailNotValidError:
        raise ValueError("must be an e-mail address such as name@example.com") from None


def _phone_number(value: object, info: ValidationInfo) -> str:
    text = cleaned(value) or ""
    region = cast(Defaults, info.context).phone_region
    if _DIALABLE.fullmatch(text) and not text.startswith("+") and region is None:
        raise ValueError("must start with + and the country code, as DEFAULT_PHONE_REGION is not set")
    try:
        number = phonenumbers.parse(text if _DIALABLE.fullmatch(text) else "", region)
    except phonenumbers.NumberParseException:
        number = None
    if not number or not phonenumbers.is_valid_number(number) or phonenumbers.number_type(number) not in _MOBILE:
        raise ValueError("must be a valid mobile number such as +2348031234567")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _device_tokens(value: object) -> tuple[str, ...]:
    tokens = dict.fromkeys(value) if isinstance(value, list | tuple) and _are_tokens(value) else {}
    if not 0 < len(tokens) <= MAX_TOKENS:
        raise ValueError(
            f"must be a list of 1 to {MAX_TOKENS} tokens, each 1 to {MAX_TOKEN_LENGTH} printable characters"
        )
    return tuple(tokens)


def _are_tokens(values: list[Any] | tuple[Any, ...]) -> bool:
    return all(isinstance(value, str) and _TOKEN.fullmatch(value) for value in values)


EmailAddress = Annotated[str, BeforeValidator(_email_address)]
PhoneNumber = Annotated[str, BeforeValidator(_phone_number)]
DeviceTokens = Annotated[tuple[str, ...], BeforeValidator(_device_tokens)]
