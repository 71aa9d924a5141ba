"""Settings: every bad one is named at once, in one message, without its value."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.core.config import Settings, get_settings, missing_for
from app.core.errors import SettingsError
from app.core.startup import check_startup


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    get_settings.cache_clear()
    yield
    get_settings.cache_clear()


@pytest.fixture
def empty(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """An environment without any of our variables."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch


def test_the_documented_defaults(empty: pytest.MonkeyPatch) -> None:
    settings = get_settings()
    assert settings.redis_url == "redis://localhost:6379/0"
    assert settings.celery_broker_url == "redis://localhost:6379/1"
    assert settings.celery_result_backend == "redis://localhost:6379/2"
    assert (settings.smtp_port, settings.smtp_security) == (587, "starttls")
    assert (settings.sms_sender, settings.default_currency) == ("Pafar", "USD")
    assert (settings.default_locale, settings.default_timezone) == ("en", "UTC")
    assert settings.task_events is True
    assert settings.default_phone_region is None
    assert settings.reservation_hold_minutes == 10
    assert (settings.location_retention_days, settings.notification_retention_days) == (7, 30)
    assert (settings.session_retention_days, settings.temp_file_retention_hours) == (30, 24)


def test_every_malformed_setting_is_named_and_none_is_repeated(empty: pytest.MonkeyPatch) -> None:
    bad = {
        "DATABASE_URL": "mysql://root:hunter2@db/pafar",
        "SMTP_PORT": "99999",
        "SMTP_SECURITY": "maybe",
        "DEFAULT_CURRENCY": "NAIRA",
        "DEFAULT_TIMEZONE": "Nowhere",
        "DEFAULT_LOCALE": "klingon",
        "DEFAULT_PHONE_REGION": "Nigeria",
        "FIREBASE_CREDENTIALS_PATH": "/no/such/file.json",
        "SMS_API_URL": "ftp://gateway",
        "SMS_AUTH_HEADER": "Bearer token",
        "SMS_TO_FIELD": "to number",
        "SMS_VALIDITY_FIELD": "valid for",
        "SMS_ID_PATH": "data..id",
        "SMS_ALLOWED_COUNTRIES": "Atlantis",
        "OTP_LIMIT_PER_DAY": "-17",
        "RESERVATION_HOLD_MINUTES": "1441",
        "WEB_OTP_DOMAIN": "https://pafar.example",
    }
    for name, value in bad.items():
        empty.setenv(name, value)
    with pytest.raises(SettingsError) as error:
        get_settings()
    for name, value in bad.items():
        assert name in str(error.value)
        assert value not in str(error.value)
    assert "hunter2" not in repr(error.value.__context__)


def test_a_start_without_a_database_is_refused(empty: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match="DATABASE_URL is missing"):
        check_startup(get_settings())


def test_production_refuses_what_people_leave_behind(empty: pytest.MonkeyPatch) -> None:
    empty.setenv("ENVIRONMENT", "production")
    empty.setenv("DATABASE_URL", "postgresql://pafar:password@db/pafar")
    empty.setenv("SMTP_HOST", "smtp.example.com")
    empty.setenv("SMTP_PASSWORD", "changeme")
    empty.setenv("SMS_API_KEY", "your-api-key")
    empty.setenv("SMTP_SECURITY", "none")
    with pytest.raises(SettingsError) as error:
        check_startup(get_settings())
    for name in ("DATABASE_URL", "SMTP_HOST", "SMTP_PASSWORD", "SMS_API_KEY", "SMTP_SECURITY", "API_KEY"):
        assert name in str(error.value)
    assert "changeme" not in str(error.value)


def test_production_takes_real_values(empty: pytest.MonkeyPatch) -> None:
    empty.setenv("ENVIRONMENT", "production")
    empty.setenv("DATABASE_URL", "postgresql://pafar:Jk2-qv8@db.internal/pafar")
    empty.setenv("API_KEY", "7f0c1e0a52d14a9f7f0c1e0a52d14a9f")
    check_startup(get_settings())


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("API_KEY", "7f0c1e0a52d14a9f7f0c1e0a52d14a9", "API_KEY must have 32 characters"),
        ("CELERY_BROKER_URL", "amqp://guest:guest@rabbit:5672", "CELERY_BROKER_URL is left at an example value"),
        ("DATABASE_URL", "postgresql://pafar:pafar@db/pafar", "DATABASE_URL is left at an example value"),
        ("REDIS_URL", "redis://worker:worker@valkey/0", "REDIS_URL is left at an example value"),
    ],
)
def test_production_refuses_what_is_guessed(empty: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    empty.setenv("ENVIRONMENT", "production")
    empty.setenv("DATABASE_URL", "postgresql://pafar:Jk2-qv8@db.internal/pafar")
    empty.setenv("API_KEY", "7f0c1e0a52d14a9f7f0c1e0a52d14a9f")
    empty.setenv(name, value)
    with pytest.raises(SettingsError, match=said) as error:
        check_startup(get_settings())
    assert value not in str(error.value)


def test_an_unconfigured_channel_names_what_it_needs(empty: pytest.MonkeyPatch) -> None:
    settings = get_settings()
    assert missing_for("email", settings) == ["SMTP_HOST", "SMTP_FROM"]
    assert missing_for("sms", settings) == ["SMS_API_URL", "SMS_API_KEY"]
    assert missing_for("push", settings) == ["FIREBASE_CREDENTIALS_PATH"]


def test_a_login_needs_its_password(empty: pytest.MonkeyPatch) -> None:
    empty.setenv("SMTP_HOST", "smtp.pafar.ng")
    empty.setenv("SMTP_USER", "mailer@pafar.ng")
    assert missing_for("email", get_settings()) == ["SMTP_PASSWORD"]


def test_secrets_do_not_print(empty: pytest.MonkeyPatch, tmp_path: Path) -> None:
    empty.setenv("SMTP_PASSWORD", "hunter2")
    empty.setenv("SMS_API_KEY", "k-123456")
    empty.setenv("DATABASE_URL", "postgresql://pafar:sesame@db/pafar")
    shown = repr(get_settings()) + str(get_settings())
    for secret in ("hunter2", "k-123456", "sesame"):
        assert secret not in shown


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("CELERY_BROKER_URL", "redis://a:6379/1;redis://b:6379/1", "single URL"),
        ("CELERY_BROKER_URL", "rediss://a:6379/1?ssl_cert_reqs=none", "no ssl_ option"),
        ("CELERY_BROKER_URL", "sentinel://a:26379/1;sentinel://b:26379/2", "same password and database"),
        ("REDIS_URL", "sentinel://:hunter2@a:26379/0;sentinel://b:26379/0", "same password and database"),
        ("REDIS_URL", "sentinel://a/0", "host:port/database"),
        ("REDIS_URL", "amqp://a:5672", "redis://"),
    ],
)
def test_a_server_that_would_not_be_found_or_not_be_verified_is_refused(
    empty: pytest.MonkeyPatch, name: str, value: str, said: str
) -> None:
    empty.setenv(name, value)
    with pytest.raises(SettingsError, match=f"{name} .*{said}") as error:
        get_settings()
    assert "hunter2" not in str(error.value)
