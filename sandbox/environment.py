"""What the real commands are told: the environment that leads them to the sandbox's servers."""

from __future__ import annotations

import base64
import os
import secrets
from contextlib import ExitStack
from pathlib import Path
from typing import Self

from sandbox.standins.fcm import FcmStandIn
from sandbox.standins.ledger import Ledger
from sandbox.standins.sms import SmsStandIn
from sandbox.standins.smtp import SmtpStandIn
from sandbox.standins.tls import issue

ROOT = Path(__file__).resolve().parents[1]

#: What of our own environment a command may see; nothing else of it can lead one astray.
_INHERITED = ("PATH", "HOME", "LANG", "TMPDIR")


class StandIns:
    """The mail server, SMS gateway and FCM of the sandbox, running inside `with`; keys and files in `folder`."""

    def __init__(self, folder: Path, ledger: Ledger) -> None:
        self._folder = folder
        self._ledger = ledger

    def __enter__(self) -> Self:
        authority = issue(self._folder)
        self._ca_file = authority.ca_file
        self._password, self._api_key = secrets.token_urlsafe(), secrets.token_urlsafe()
        with ExitStack() as undo:
            self.smtp = undo.enter_context(
                SmtpStandIn(self._ledger, authority, user="pafar", password=self._password)
            )
            self.sms = undo.enter_context(SmsStandIn(self._ledger, api_key=self._api_key))
            self.fcm = undo.enter_context(FcmStandIn(self._ledger, authority))
            self._service_account = self._folder / "service-account.json"
            self.fcm.write_service_account(self._service_account)
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    @property
    def summary(self) -> str:
        """Where they listen."""
        return f"SMTP 127.0.0.1:{self.smtp.port}, SMS {self.sms.url}, FCM {self.fcm.url}"

    @property
    def environment(self) -> dict[str, str]:
        """The settings of the three channels."""
        return {
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.smtp.port),
            "SMTP_USER": "pafar",
            "SMTP_PASSWORD": self._password,
            "SMTP_SECURITY": "starttls",
            "SMTP_CA_FILE": str(self._ca_file),
            "SMTP_FROM": "Pafar <tickets@pafar.example>",
            "SMS_API_URL": self.sms.url,
            "SMS_API_KEY": self._api_key,
            "FIREBASE_CREDENTIALS_PATH": str(self._service_account),
            "FCM_BASE_URL": self.fcm.url,
            "HTTP_CA_FILE": str(self._ca_file),
        }


def payload_key(folder: Path) -> str:
    """The key that seals one-time codes in the database, which outlives a run: kept in `folder`."""
    file = folder / "payload.key"
    if not file.exists():
        file.touch(mode=0o600)
        file.write_text(base64.b64encode(secrets.token_bytes(32)).decode())
    return file.read_text()


def environment(*, database_url: str, valkey_url: str, stand_ins: StandIns, payload_keys: str) -> dict[str, str]:
    """All variables that a command of the platform gets."""
    return {
        **{name: os.environ[name] for name in _INHERITED if name in os.environ},
        "PYTHONPATH": str(ROOT),
        "DATABASE_URL": database_url,
        "REDIS_URL": f"{valkey_url}/0",
        "CELERY_BROKER_URL": f"{valkey_url}/1",
        "CELERY_RESULT_BACKEND": f"{valkey_url}/2",
        "PAYLOAD_KEYS": payload_keys,
        "DEFAULT_CURRENCY": "NGN",
        "DEFAULT_TIMEZONE": "Africa/Lagos",
        **stand_ins.environment,
    }
