"""The only reader of the environment: names and defaults are those of README's table."""

from __future__ import annotations

from datetime import time, timedelta
from enum import StrEnum
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from app.core.errors import SettingsError
from app.core.secret_files import SecretFiles
from app.core.setting_types import (
    SYSTEM_TEMP,
    Addresses,
    AesKeys,
    BrokerUrl,
    Count,
    Countries,
    Country,
    Currency,
    DatabaseUrl,
    Days,
    FieldName,
    FieldPath,
    HoldMinutes,
    Hours,
    HttpUrl,
    KeyHeader,
    LocaleName,
    Mailbox,
    Most,
    OwnFolder,
    Percent,
    Port,
    ReadableFile,
    RedisUrl,
    Schedule,
    TimeZone,
    WebhookSecret,
    WebOtpDomain,
)

Problems = list[tuple[tuple[int | str, ...], str]]  #: (where, what is wrong) for each setting


class Environment(StrEnum):
    """Where the code runs."""

    DEVELOPMENT = "development"  #: missing channels are only reported
    PRODUCTION = "production"  #: example values, open doors and missing essentials stop the start


class LogFormat(StrEnum):
    """How log lines are written."""

    CONSOLE = "console"  #: for people
    JSON = "json"  #: an object a line, for programs


class Settings(BaseSettings):
    """Every setting. A field's name in capitals is its variable; secrets never print."""

    model_config = SettingsConfigDict(extra="ignore", hide_input_in_errors=True, env_ignore_empty=True)

    environment: Environment = Environment.DEVELOPMENT
    database_url: DatabaseUrl | None = Field(default=None, repr=False)
    redis_url: RedisUrl = Field(default="redis://localhost:6379/0", repr=False)
    celery_broker_url: BrokerUrl = Field(default="redis://localhost:6379/1", repr=False)
    celery_result_backend: RedisUrl = Field(default="redis://localhost:6379/2", repr=False)
    sentinel_master: str = "mymaster"
    tls_ca_file: ReadableFile | None = None
    task_events: bool = True
    heartbeat_file: Path | None = None
    log_format: LogFormat = LogFormat.CONSOLE
    tracker: bool = True
    otel_exporter_otlp_endpoint: HttpUrl | None = Field(default=None, repr=False)

    smtp_host: str | None = None
    smtp_port: Port = 587
    smtp_user: str | None = None
    smtp_password: SecretStr | None = None
    smtp_security: Literal["starttls", "tls", "none"] = "starttls"
    smtp_ca_file: ReadableFile | None = None
    smtp_from: str | None = None
    smtp_reply_to: Mailbox | None = None

    sms_api_key: SecretStr | None = None
    sms_api_url: HttpUrl | None = None
    sms_sender: str = "Pafar"
    sms_auth_header: KeyHeader = "Authorization: Bearer {key}"
    sms_to_field: FieldName = "to"
    sms_message_field: FieldName = "message"
    sms_from_field: FieldName = "from"
    sms_validity_field: FieldName = "validity_period"  # "none": the gateway takes no such field
    sms_id_path: FieldPath | None = None
    sms_allowed_countries: Countries | None = None
    otp_limit_per_10_minutes: Most = 3
    otp_limit_per_day: Most = 10
    web_otp_domain: WebOtpDomain | None = None

    firebase_credentials_path: ReadableFile | None = None
    fcm_base_url: HttpUrl = "https://fcm.googleapis.com"
    http_ca_file: ReadableFile | None = None

    default_currency: Currency = "USD"
    default_locale: LocaleName = "en"
    default_timezone: TimeZone = "UTC"
    default_phone_region: Country | None = None

    reservation_hold_minutes: HoldMinutes = 10
    location_retention_days: Days = 7
    session_retention_days: Days = 30
    temp_file_retention_hours: Hours = 24
    temp_dir: OwnFolder = SYSTEM_TEMP / "pafar"
    notification_retention_days: Days = 30

    partition_schedule: Schedule = timedelta(hours=1)
    reservation_cleanup_schedule: Schedule = timedelta(minutes=5)
    location_cleanup_schedule: Schedule = timedelta(hours=1)
    # Daily ones go by the clock, in the quiet hours: an interval of a day starts anew with every beat that is
    # started. Messages soon after midnight: the day that is just over is dropped whole, little of the next is old.
    notification_cleanup_schedule: Schedule = time(0, 20)
    session_cleanup_schedule: Schedule = time(1, 10)
    temp_file_cleanup_schedule: Schedule = time(1, 40)
    cleanup_report_schedule: Schedule = time(2, 10)

    alert_emails: Addresses | None = Field(default=None, repr=False)
    alert_webhook_url: HttpUrl | None = Field(default=None, repr=False)
    alert_webhook_secret: WebhookSecret | None = None
    alert_repeat_minutes: Count = 240
    alert_queue_length: Count = 1000
    alert_queue_age_seconds: Count = 600
    alert_failure_percent: Percent = 10
    alert_otp_late_percent: Percent = 10
    alert_canary_seconds: Count = 120
    alert_beat_seconds: Count = 120
    alert_dead_letters: Count = 10
    alert_disk_free_percent: Percent = 10

    api_key: SecretStr | None = None
    api_requests_per_minute: Most = 6000
    payload_keys: AesKeys | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment, and the files that it names."""
        files = SecretFiles(settings_cls, EnvSettingsSource(settings_cls).env_vars)
        return init_settings, env_settings, files


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """The settings of this process, read once.

    Raises SettingsError naming every malformed variable, without the values given: they may be secret.
    """
    try:
        return Settings()
    except ValidationError as error:
        raise SettingsError(explain([(e["loc"], e["msg"]) for e in error.errors()])) from None


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


def explain(problems: Problems) -> str:
    """One message that names every setting to mend."""
    lines = [
        f"  {'.'.join(map(str, where)).upper()} {what.removeprefix('Value error, ')}" for where, what in problems
    ]
    return "Settings to mend:\n" + "\n".join(lines)
