"""The only reader of the environment: names and defaults are those of README's table."""

from __future__ import annotations

import re
from base64 import b64decode
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

import phonenumbers
from babel import Locale, UnknownLocaleError
from babel.numbers import is_currency
from pydantic import AfterValidator, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from app.core.errors import SettingsError

#: What people leave behind when they copy an example; refused in production.
EXAMPLE = re.compile(
    r"change[-_ ]?me|your[-_]|example\.(com|org|net)"
    r"|^(secret|password|test|x{3,}|todo)$|:(secret|password|postgres)@",
    re.I,
)


class Environment(StrEnum):
    """Where the code runs."""

    DEVELOPMENT = "development"  #: missing channels are only reported
    PRODUCTION = "production"  #: example values, open doors and missing essentials stop the start


def _scheme(*allowed: str) -> AfterValidator:
    def check(value: str) -> str:
        if not value.startswith(tuple(f"{scheme}://" for scheme in allowed)):
            raise ValueError(f"must start with {' or '.join(f'{scheme}://' for scheme in allowed)}")
        return value

    return AfterValidator(check)


DatabaseUrl = Annotated[str, _scheme("postgresql", "postgres", "postgresql+psycopg")]
BrokerUrl = Annotated[str, _scheme("redis", "rediss", "sentinel", "amqp", "amqps")]
RedisUrl = Annotated[str, _scheme("redis", "rediss", "sentinel")]
HttpUrl = Annotated[str, _scheme("http", "https")]
Port = Annotated[int, Field(ge=1, le=65535)]

Problems = list[tuple[tuple[int | str, ...], str]]  #: (where, what is wrong) for each setting


class Settings(BaseSettings):
    """Every setting. A field's name in capitals is its variable; secrets never print."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True, env_ignore_empty=True)

    environment: Environment = Environment.DEVELOPMENT
    database_url: DatabaseUrl | None = Field(default=None, repr=False)
    redis_url: RedisUrl = Field(default="redis://localhost:6379/0", repr=False)
    celery_broker_url: BrokerUrl = Field(default="redis://localhost:6379/1", repr=False)
    celery_result_backend: RedisUrl = Field(default="redis://localhost:6379/2", repr=False)
    task_events: bool = True

    smtp_host: str | None = None
    smtp_port: Port = 587
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_ca_file: Path | None = None
    smtp_from: str | None = None

    sms_api_key: SecretStr | None = None
    sms_api_url: HttpUrl | None = None
    sms_sender: str = "Pafar"

    firebase_credentials_path: Path | None = None
    fcm_base_url: HttpUrl = "https://fcm.googleapis.com"
    http_ca_file: Path | None = None

    default_currency: str = "USD"
    default_locale: str = "en"
    default_timezone: str = "UTC"
    default_phone_region: str | None = None

    api_key: SecretStr | None = None
    payload_keys: SecretStr | None = None

    @field_validator("default_currency")
    @classmethod
    def _currency(cls, value: str) -> str:
        if not is_currency(value):
            raise ValueError("must be an ISO 4217 code such as USD or NGN")
        return value

    @field_validator("default_locale")
    @classmethod
    def _locale(cls, value: str) -> str:
        try:
            return str(Locale.parse(value.replace("-", "_")))
        except (UnknownLocaleError, ValueError) as error:
            raise ValueError("must be a locale such as en, en_NG or fr") from error

    @field_validator("default_timezone")
    @classmethod
    def _timezone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError("must be an IANA time zone such as Africa/Lagos")
        return ZoneInfo(value).key

    @field_validator("default_phone_region")
    @classmethod
    def _region(cls, value: str | None) -> str | None:
        if value is not None and value not in phonenumbers.SUPPORTED_REGIONS:
            raise ValueError("must be an ISO 3166 country code such as NG")
        return value

    @field_validator("payload_keys")
    @classmethod
    def _aes_keys(cls, value: SecretStr | None) -> SecretStr | None:
        for part in value.get_secret_value().split(",") if value else ():
            try:
                right = len(b64decode(part, validate=True)) == 32
            except ValueError:
                right = False
            if not right:
                raise ValueError("must be keys of 32 bytes in base64, newest first, separated by commas")
        return value

    @field_validator("smtp_ca_file", "firebase_credentials_path", "http_ca_file")
    @classmethod
    def _readable(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError("must be the path of a readable file")
        return value


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once.

    Raises SettingsError naming every malformed variable, without the values given: they may be secret.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(_explain([(e["loc"], e["msg"]) for e in error.errors()])) from None


def missing_for(channel: str, settings: Settings) -> list[str]:
    """The variables that `channel` (email, sms, push) still needs, empty when it is configured."""
    needs: dict[str, dict[str, Any]] = {
        "email": {"SMTP_HOST": settings.smtp_host, "SMTP_FROM": settings.smtp_from or settings.smtp_user},
        "sms": {"SMS_API_URL": settings.sms_api_url, "SMS_API_KEY": settings.sms_api_key},
        "push": {"FIREBASE_CREDENTIALS_PATH": settings.firebase_credentials_path},
    }
    if settings.smtp_user is not None:
        needs["email"]["SMTP_PASSWORD"] = settings.smtp_password
    return [name for name, value in needs[channel].items() if value is None]


def check_startup(settings: Settings) -> None:
    """Stop a process that can't do its work, in one message that names every setting to mend.

    Raises SettingsError. A channel without settings is no reason: its tasks fail by themselves and say so.
    """
    wrong: Problems = []
    if settings.database_url is None:
        wrong.append((("database_url",), "is missing; e.g. postgresql://user:password@host:5432/pafar"))
    if settings.environment is Environment.PRODUCTION:
        wrong += _unfit_for_production(settings)
    if wrong:
        raise SettingsError(_explain(wrong))


def _unfit_for_production(settings: Settings) -> Problems:
    wrong: Problems = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        if value is not None and EXAMPLE.search(text):
            wrong.append(((name,), "is left at an example value; set the real one"))
    if settings.api_key is None:
        wrong.append((("api_key",), "is missing; without it anyone could send messages through the API"))
    if settings.smtp_security == "none":
        wrong.append((("smtp_security",), "is none; mail and password would travel in clear, use starttls or tls"))
    return wrong


def _explain(problems: Problems) -> str:
    lines = [
        f"  {'.'.join(map(str, where)).upper()} {what.removeprefix('Value error, ')}" for where, what in problems
    ]
    return "Settings to mend:\n" + "\n".join(lines)
