"""Secrets out of files, shown nowhere."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.core.config import Settings, get_settings
from app.core.errors import SettingsError
from app.core.startup import check_startup
from app.setup_check import masked
from tests.house import ROOT

SECRETS = {
    "SMTP_PASSWORD": "hunter2-in-a-file",
    "SMS_API_KEY": "gateway-in-a-file",
    "API_KEY": "operator-in-a-file-of-32-letters",
    "PAYLOAD_KEYS": "dGhpcnR5LXR3by1ieXRlcy1mb3ItdGVzdHMtb25seSE=",
    "ALERT_WEBHOOK_SECRET": "whsec_dGhpcnR5LXR3by1ieXRlcy1mb3ItdGVzdHM=",
    "DATABASE_URL": "postgresql://pafar:sesame-in-a-file@127.0.0.1:1/pafar",
    "REDIS_URL": "redis://:valkey-in-a-file@127.0.0.1:1/0",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    """An environment without any of our variables."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    get_settings.cache_clear()
    yield monkeypatch
    monkeypatch.undo()
    get_settings.cache_clear()


@pytest.fixture
def files(environment: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Every secret in a file of its own."""
    for name, secret in SECRETS.items():
        (tmp_path / name).write_text(f"{secret}\n")
        environment.setenv(f"{name}_FILE", str(tmp_path / name))
    return tmp_path


def told(settings: Settings, name: str) -> object:
    value = getattr(settings, name.lower())
    return value.get_secret_value() if isinstance(value, SecretStr) else value


@pytest.mark.usefixtures("files")
def test_every_secret_is_read_from_its_file() -> None:
    settings = get_settings()
    assert {name: told(settings, name) for name in SECRETS} == SECRETS
    assert not [secret for secret in SECRETS.values() if secret in repr(settings)]


def test_a_variable_and_its_file_at_once_are_refused_and_so_is_a_file_that_is_not_there(
    environment: pytest.MonkeyPatch, files: Path
) -> None:
    environment.setenv("SMTP_PASSWORD", "hunter2-in-the-environment")
    environment.setenv("SMS_API_KEY_FILE", str(files / "nothing"))
    with pytest.raises(SettingsError) as refusal:
        get_settings()
    assert "SMTP_PASSWORD is set, and SMTP_PASSWORD_FILE too" in str(refusal.value)
    assert "SMS_API_KEY_FILE must be the path" in str(refusal.value)
    assert "hunter2" not in str(refusal.value)


def test_what_a_file_holds_is_checked_as_the_variable_is(environment: pytest.MonkeyPatch, files: Path) -> None:
    (files / "PAYLOAD_KEYS").write_text("short-secret")
    (files / "DATABASE_URL").write_text("mysql://root:sesame@db/pafar")
    with pytest.raises(SettingsError) as refusal:
        get_settings()
    assert "PAYLOAD_KEYS must be keys of 32 bytes" in str(refusal.value)
    assert "DATABASE_URL must start with postgresql://" in str(refusal.value)
    assert "short-secret" not in str(refusal.value)
    assert "sesame" not in str(refusal.value)


def test_production_refuses_an_example_value_in_a_file(environment: pytest.MonkeyPatch, files: Path) -> None:
    (files / "SMTP_PASSWORD").write_text("changeme\n")
    environment.setenv("ENVIRONMENT", "production")
    with pytest.raises(SettingsError, match="SMTP_PASSWORD is left at an example value"):
        check_startup(get_settings())


@pytest.mark.parametrize(
    "command",
    [
        ("-m", "app.cli", "--help"),
        ("-m", "app.cli", "doctor"),
        ("-m", "app.cli", "migrate"),
        ("test_celery_setup.py",),
        ("-c", "from app.core.config import get_settings as g; print(g()); g().no_such_setting"),
    ],
    ids=lambda command: command[-1][:12],
)
@pytest.mark.usefixtures("files")
def test_no_command_and_no_traceback_shows_one(command: tuple[str, ...]) -> None:
    run = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env=os.environ,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    printed = run.stdout + run.stderr
    assert printed
    secrets = [*SECRETS.values(), "sesame-in-a-file", "valkey-in-a-file"]
    assert not [secret for secret in secrets if secret in printed]


def test_production_refuses_what_would_travel_in_clear(environment: pytest.MonkeyPatch, files: Path) -> None:
    environment.setenv("ENVIRONMENT", "production")
    clear = ("SMS_API_URL", "FCM_BASE_URL", "ALERT_WEBHOOK_URL")
    for name in clear:
        environment.setenv(name, "http://gateway.internal/send")
    with pytest.raises(SettingsError) as refusal:
        check_startup(get_settings())
    assert [name for name in clear if f"{name} is http://" in str(refusal.value)] == list(clear)
    for name in clear:
        environment.setenv(name, "https://gateway.internal/send")
    get_settings.cache_clear()
    check_startup(get_settings())


@pytest.mark.parametrize(
    ("endpoint", "fine"),
    [
        ("http://collector:4318", False),
        ("http://localhost.evil.ng:4318", False),
        ("https://collector:4318", True),
        ("http://127.0.0.1:4318", True),
        ("http://[::1]:4318", True),
        ("http://localhost:4318", True),
    ],
)
@pytest.mark.usefixtures("files")
def test_production_sends_traces_in_clear_to_no_other_host(
    environment: pytest.MonkeyPatch, endpoint: str, fine: bool
) -> None:
    environment.setenv("ENVIRONMENT", "production")
    environment.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)
    if fine:
        check_startup(get_settings())
    else:
        with pytest.raises(SettingsError, match="OTEL_EXPORTER_OTLP_ENDPOINT is http:// to another host"):
            check_startup(get_settings())


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("redis://127.0.0.1:6379/1", "redis://127.0.0.1:6379/1"),
        ("redis://:s3cret@h/0", "redis://********@h/0"),
        ("redis://:s3@cret@h:6379/0", "redis://********@h:6379/0"),
        ("redis://:s3cret/s3cret#s3cret@h", "redis://********@h"),
        ("redis://:s3cret?s3cret@h", "redis://********"),
        (
            "sentinel://:s3cret@h1:26379/0;sentinel://:s3cret@h2:26379/0",
            "sentinel://********@h1:26379/0;sentinel://********@h2:26379/0",
        ),
        ("amqp://h1;amqps://pafar:s3cret@h2/pafar", "amqp://h1;amqps://********@h2/pafar"),
        ("postgresql://h/pafar?user=pafar&password=s3cret", "postgresql://h/pafar"),
        ("postgresql://h/pafar?password=s3@cret", "postgresql://********"),
        ("https://hooks.pafar.ng/services/s3cret?key=s3cret", "https://hooks.pafar.ng"),
        ("https://hooks.pafar.ng?key=s3cret", "https://hooks.pafar.ng"),
    ],
)
def test_of_a_url_only_servers_and_database_are_shown(url: str, shown: str) -> None:
    assert masked(url) == masked(url, private=True) == shown


def test_what_the_settings_do_not_repeat_is_not_shown(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("ALERT_EMAILS", "grace@pafar.ng")
    run = subprocess.run(
        [sys.executable, "test_celery_setup.py"],
        cwd=ROOT,
        env=os.environ | {"DATABASE_URL": "postgresql://127.0.0.1:1/pafar?password=s3cret"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "ALERT_EMAILS" in run.stdout
    assert not [secret for secret in ("grace@", "s3cret") if secret in run.stdout + run.stderr]
