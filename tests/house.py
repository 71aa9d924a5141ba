"""The whole house on real servers, for one test run: database, broker, stand-in providers, and a worker."""

from __future__ import annotations

import base64
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import psycopg
import redis

from app.core.celery_app import QUEUES
from sandbox.ports import free_port
from sandbox.servers.postgres import PostgresServer
from sandbox.servers.valkey import ValkeyServer
from sandbox.standins.fcm import FcmStandIn
from sandbox.standins.ledger import Ledger
from sandbox.standins.sms import SmsStandIn
from sandbox.standins.smtp import SmtpStandIn
from sandbox.standins.tls import issue

ROOT = Path(__file__).resolve().parents[1]
USER, PASSWORD, API_KEY = "pafar", "a-password-for-tests-only", "a-key-for-tests-only"
#: Seconds in which a command is up, also on a machine that is busy with other tests.
START = 90
PAYLOAD_KEY = base64.b64encode(b"thirty-two-bytes-for-tests-only!").decode()


class House:
    """Its `environment` is to be set before the application first reads its own."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pafar-tests-"))
        self.folder.chmod(0o755)
        self._stack = ExitStack()
        self.authority = issue(self.folder / "tls")
        self.ledger = Ledger()
        self.postgres = self._stack.enter_context(PostgresServer(self.folder / "postgres", durable=False))
        self.valkey = self._stack.enter_context(ValkeyServer(self.folder / "valkey", durable=False))
        self.smtp = self._stack.enter_context(
            SmtpStandIn(self.ledger, self.authority, user=USER, password=PASSWORD)
        )
        self.sms = self._stack.enter_context(SmsStandIn(self.ledger, api_key=API_KEY))
        self.fcm = self._stack.enter_context(FcmStandIn(self.ledger, self.authority))
        self.environment = self._environment()

    def _environment(self) -> dict[str, str]:
        account = self.folder / "service-account.json"
        self.fcm.write_service_account(account)
        return {
            "DATABASE_URL": self.postgres.create_database("pafar"),
            "REDIS_URL": f"{self.valkey.url}/0",
            "CELERY_BROKER_URL": f"{self.valkey.url}/1",
            "CELERY_RESULT_BACKEND": f"{self.valkey.url}/2",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(self.smtp.port),
            "SMTP_USER": USER,
            "SMTP_PASSWORD": PASSWORD,
            "SMTP_CA_FILE": str(self.authority.ca_file),
            "SMTP_FROM": "Pafar <tickets@pafar.test>",
            "SMS_API_URL": self.sms.url,
            "SMS_API_KEY": API_KEY,
            "FIREBASE_CREDENTIALS_PATH": str(account),
            "FCM_BASE_URL": self.fcm.url,
            "HTTP_CA_FILE": str(self.authority.ca_file),
            "PAYLOAD_KEYS": PAYLOAD_KEY,
            "OTP_LIMIT_PER_10_MINUTES": "0",  # all codes go to Ada
            "OTP_LIMIT_PER_DAY": "0",
            "DEFAULT_CURRENCY": "NGN",
            "DEFAULT_TIMEZONE": "Africa/Lagos",
        }

    def clean(self) -> None:
        """Forget every message, booking and captured message, and what the stand-ins were told to do."""
        with psycopg.connect(self.environment["DATABASE_URL"], autocommit=True) as connection:
            connection.execute(
                "TRUNCATE notifications, outbox, idempotency_keys, subjects, campaigns, otp_sends, cleanup_runs,"
                " trip_locations, users, terminals, buses RESTART IDENTITY CASCADE"
            )
        self.valkey_client(1).flushall()
        self.ledger.clear()
        for standin in (self.smtp, self.sms, self.fcm):
            standin.script.clear()
        self.fcm.tokens.clear()
        self.fcm.grant_script.clear()

    def valkey_client(self, database: int) -> Any:
        """A client of one of Valkey's databases: 1 is the broker's, 2 has the results."""
        return redis.Redis.from_url(f"{self.valkey.url}/{database}")

    @contextmanager
    def broker_with(self, **settings: object) -> Iterator[None]:
        """The broker's server under other settings inside the block, as `maxmemory_policy="allkeys-lru"`."""
        client, names = self.valkey_client(1), {name: name.replace("_", "-") for name in settings}
        before = {name: client.config_get(name)[name] for name in names.values()}
        try:
            for name, value in settings.items():
                client.config_set(names[name], value)
            yield
        finally:
            for name, value in before.items():
                client.config_set(name, value)

    def is_idle(self) -> bool:
        """Whether no message waits in the broker and no worker holds one."""
        broker = self.valkey_client(1)
        return not broker.hlen("unacked") and not any(broker.keys(f"{queue}*") for queue in QUEUES)

    @contextmanager
    def worker(
        self, *options: str, app: str = "app.core.celery_app", **environment: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A real worker, started by the documented command, ready when the block begins."""
        command = ["celery", "-A", app, "worker", "--loglevel=info", *options]
        with self._command(command, environment, ready=" ready.") as process:
            yield process

    @contextmanager
    def beat(self, **environment: str) -> Iterator[subprocess.Popen[bytes]]:
        """A real beat, started by the documented command."""
        command = ["celery", "-A", "app.core.celery_app", "beat", "--loglevel=info"]
        with self._command(command, environment, ready="beat: Starting") as process:
            yield process

    @contextmanager
    def api(self, **environment: str) -> Iterator[str]:
        """The real web application, ready when the block begins: its URL."""
        port = free_port()
        command = [
            "uvicorn",
            "--factory",
            "--no-server-header",
            "app.main:create_app",
            "--host",
            "127.0.0.1",
            "--port",
            str(port),
        ]
        with self._command(command, environment, ready="Uvicorn running"):
            yield f"http://127.0.0.1:{port}"

    @contextmanager
    def _command(
        self, command: list[str], environment: dict[str, str], *, ready: str
    ) -> Iterator[subprocess.Popen[bytes]]:
        log = self.folder / f"{command[0]}-{time.monotonic_ns()}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, "-m", *command],
                stdout=output,
                stderr=output,
                cwd=self.folder,
                env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
            )
        try:
            wait_until(lambda: ready in log.read_text() or process.poll() is not None, START)
            assert process.poll() is None, log.read_text()
            yield process
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise

    def stop(self) -> None:
        """Stop every server and remove their folder."""
        self._stack.close()
        self.ledger.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def wait_until(what: Any, seconds: float) -> Any:
    """Wait for `what()` to be true, and return it; fails after `seconds`."""
    deadline = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < deadline, f"not within {seconds} s"
        time.sleep(0.02)
    return value
