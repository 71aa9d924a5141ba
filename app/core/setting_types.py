"""What a setting may be: types that check a value and say in words what would be right."""

from __future__ import annotations

from base64 import b64decode
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
from babel import Locale, UnknownLocaleError
from babel.numbers import is_currency
from pydantic import AfterValidator, Field, SecretStr


def _scheme(*allowed: str) -> AfterValidator:
    def check(value: str) -> str:
        if not value.startswith(tuple(f"{scheme}://" for scheme in allowed)):
            raise ValueError(f"must start with {' or '.join(f'{scheme}://' for scheme in allowed)}")
        return value

    return AfterValidator(check)


def _currency(value: str) -> str:
    if not is_currency(value):
        raise ValueError("must be an ISO 4217 code such as USD or NGN")
    return value


def _locale(value: str) -> str:
    try:
        return str(Locale.parse(value.replace("-", "_")))
    except (UnknownLocaleError, ValueError) as error:
        raise ValueError("must be a locale such as en, en_NG or fr") from error


def _timezone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError("must be an IANA time zone such as Africa/Lagos")
    return ZoneInfo(value).key


def _region(value: str) -> str:
    if value not in phonenumbers.SUPPORTED_REGIONS:
        raise ValueError("must be an ISO 3166 country code such as NG")
    return value


def _regions(value: str) -> str:
    """Countries separated by commas, in capitals and without blanks."""
    countries = [part.strip().upper() for part in value.split(",")]
    if wrong := [country for country in countries if country not in phonenumbers.SUPPORTED_REGIONS]:
        raise ValueError(f"must be ISO 3166 country codes separated by commas, as NG,GH; not {', '.join(wrong)}")
    return ",".join(countries)


def _aes_keys(value: SecretStr) -> SecretStr:
    for part in value.get_secret_value().split(","):
        try:
            right = len(b64decode(part, validate=True)) == 32
        except ValueError:
            right = False
        if not right:
            raise ValueError("must be keys of 32 bytes in base64, newest first, separated by commas")
    return value


def _readable(value: Path) -> Path:
    if not value.is_file():
        raise ValueError("must be the path of a readable file")
    return value


DatabaseUrl = Annotated[str, _scheme("postgresql", "postgres", "postgresql+psycopg")]
BrokerUrl = Annotated[str, _scheme("redis", "rediss", "sentinel", "amqp", "amqps")]
RedisUrl = Annotated[str, _scheme("redis", "rediss", "sentinel")]
HttpUrl = Annotated[str, _scheme("http", "https")]
Port = Annotated[int, Field(ge=1, le=65535)]
Currency = Annotated[str, AfterValidator(_currency)]
LocaleName = Annotated[str, AfterValidator(_locale)]
TimeZone = Annotated[str, AfterValidator(_timezone)]
Country = Annotated[str, AfterValidator(_region)]
Countries = Annotated[str, AfterValidator(_regions)]
AesKeys = Annotated[SecretStr, AfterValidator(_aes_keys)]
ReadableFile = Annotated[Path, AfterValidator(_readable)]
