"""What a setting may be: types that check a value and say in words what would be right."""

from __future__ import annotations

import os
import re
from base64 import b64decode
from datetime import time, timedelta
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
from babel import Locale, UnknownLocaleError
from babel.numbers import is_currency
from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

#: Where the system keeps what is temporary. Python's tempfile writes a file there to see whether it can: with the
#: disks full, nothing would start.
SYSTEM_TEMP = Path(os.environ.get("TMPDIR", "/tmp"))  # noqa: S108 - nothing is written there, only in a folder of ours


def _starts(value: str, allowed: tuple[str, ...]) -> str:
    if not value.startswith(tuple(f"{scheme}://" for scheme in allowed)):
        raise ValueError(f"must start with {' or '.join(f'{scheme}://' for scheme in allowed)}")
    return value


def _scheme(*allowed: str) -> AfterValidator:
    return AfterValidator(lambda value: _starts(value, allowed))


def _servers(*allowed: str) -> AfterValidator:
    """A URL, or several with ; between them where there are several Sentinels or RabbitMQ nodes to ask."""

    def check(value: str) -> str:
        for part in value.split(";"):
            _starts(part, allowed)
        if ";" in value and not value.startswith(("sentinel", "amqp")):
            raise ValueError("must be a single URL; only sentinel:// and amqp:// may be several")
        if value.startswith("sentinel") and not re.fullmatch(_SENTINELS, value):
            raise ValueError(
                "must be sentinel://:password@host:port/database for each Sentinel, with ; between them and the"
                " same password and database in all: the primary's"
            )
        if re.search(r"[?&]ssl_", value):
            raise ValueError("must have no ssl_ option: certificates are verified, by TLS_CA_FILE if it is set")
        return value

    return AfterValidator(check)


def _like(pattern: str, allowed: str) -> AfterValidator:
    def check(value: str) -> str:
        if not re.fullmatch(pattern, value):
            raise ValueError(f"must be {allowed}")
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


def _addresses(value: str) -> str:
    """E-mail addresses separated by commas, without blanks."""
    addresses = [part.strip() for part in value.split(",")]
    if not all(re.fullmatch(_ADDRESS, address) for address in addresses):
        raise ValueError("must be addresses separated by commas, as ops@pafar.example,duty@pafar.example")
    return ",".join(addresses)


def _webhook_secret(value: SecretStr) -> SecretStr:
    kind, _, key = value.get_secret_value().partition("_")
    try:
        right = kind == "whsec" and 24 <= len(b64decode(key, validate=True)) <= 64
    except ValueError:
        right = False
    if not right:
        raise ValueError("must be whsec_ and 24 to 64 bytes in base64, as Standard Webhooks has it")
    return value


def _readable(value: Path) -> Path:
    if not value.is_file():
        raise ValueError("must be the path of a readable file")
    return value


def _own_folder(value: Path) -> Path:
    """What is cleaned holds nothing of others: it is not the root, a home or the system's temporary folder."""
    if not value.is_absolute() or value in (Path(value.anchor), Path.home(), SYSTEM_TEMP):
        raise ValueError("must be the absolute path of a folder for generated files alone, as /var/tmp/pafar")
    return value


def _schedule(value: str | timedelta | time) -> timedelta | time:
    if not isinstance(value, str):
        return value  # a default
    if re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", value):
        return time.fromisoformat(value)
    if not (re.fullmatch(r"[0-9]{1,5}", value) and 10 <= int(value) <= 86_400):
        raise ValueError("must be seconds from 10 to 86400, as 300, or a time of day in UTC, as 01:10")
    return timedelta(seconds=int(value))


DatabaseUrl = Annotated[str, _scheme("postgresql", "postgres", "postgresql+psycopg")]
_SENTINELS = (
    r"sentinel://(?P<login>([^/@;]*@)?)[^/@:;]+:[0-9]+/(?P<database>[0-9]+)"
    r"(;sentinel://(?P=login)[^/@:;]+:[0-9]+/(?P=database))*"
)
BrokerUrl = Annotated[str, _servers("redis", "rediss", "sentinel", "amqp", "amqps")]
RedisUrl = Annotated[str, _servers("redis", "rediss", "sentinel")]
HttpUrl = Annotated[
    str, _scheme("http", "https"), _like("[!-~]+", "ASCII without blanks: the host as xn--…, the path as %C3%A9…")
]
Port = Annotated[int, Field(ge=1, le=65535)]
Days = Annotated[int, Field(ge=1, le=3650)]
Hours = Annotated[int, Field(ge=1, le=87600)]
HoldMinutes = Annotated[int, Field(ge=1, le=1440)]
Schedule = Annotated[timedelta | time, BeforeValidator(_schedule)]  #: an interval, or a time of day in UTC
Currency = Annotated[str, AfterValidator(_currency)]
LocaleName = Annotated[str, AfterValidator(_locale)]
TimeZone = Annotated[str, AfterValidator(_timezone)]
Country = Annotated[str, AfterValidator(_region)]
Countries = Annotated[str, AfterValidator(_regions)]
FieldName = Annotated[str, _like(r"[A-Za-z0-9_-]{1,40}", "1 to 40 letters, digits, _ or -")]
FieldPath = Annotated[str, _like(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*", "names and list places, as data.0.id")]
KeyHeader = Annotated[str, _like(r"[A-Za-z0-9-]+: [ -~]*\{key\}[ -~]*", "a header such as X-Api-Key: {key}")]
_ADDRESS = r"[!-;=?A-~]+@[!-;=?A-~]+"
Mailbox = Annotated[
    str, _like(rf"{_ADDRESS}|[^<>@\r\n]*<{_ADDRESS}>", "an address such as Pafar <help@pafar.example>, in ASCII")
]
#: Short enough for a one-time code's text to stay one segment.
WebOtpDomain = Annotated[
    str, _like(r"(?=.{4,60}$)([a-z0-9-]+\.)+[a-z][a-z0-9-]+", "a domain of up to 60 characters, as pafar.example")
]
Most = Annotated[int, Field(ge=0)]  #: 0 is no limit
AesKeys = Annotated[SecretStr, AfterValidator(_aes_keys)]
Addresses = Annotated[str, AfterValidator(_addresses)]
WebhookSecret = Annotated[SecretStr, AfterValidator(_webhook_secret)]
Count = Annotated[int, Field(ge=1)]
Percent = Annotated[int, Field(ge=1, le=100)]
ReadableFile = Annotated[Path, AfterValidator(_readable)]
OwnFolder = Annotated[Path, AfterValidator(_own_folder)]
