"""`pafar doctor` on real servers: everything right, and each thing that can be wrong, with its mend."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from app.core.database import transaction
from app.maintenance import partitions
from app.monitoring.setup.findings import ERROR, OK, WARNING, clock
from tests.doctor import doctor, findings
from tests.house import ROOT, House, wait_until
from tests.rows import change

SOON = 30.0


@pytest.fixture(autouse=True)
def _partitions_ahead(house: House) -> Iterator[None]:
    with transaction() as connection:
        partitions.ensure_ahead(connection)
    yield
    with transaction() as connection:
        partitions.ensure_ahead(connection)


def test_with_everything_there_nothing_must_be_mended(house: House) -> None:
    with house.worker():
        examined = doctor(house)
    assert examined.returncode == 0, examined.stdout
    assert "✗" not in examined.stdout
    for right in ("settings", "email", "sms", "push", "database", "migrations", "broker", "workers", "versions"):
        assert f"✓ {right}: " in examined.stdout


def test_with_nothing_there_each_says_how_to_mend_it(house: House) -> None:
    away = "redis://127.0.0.1:1/1"
    examined = doctor(
        house, DATABASE_URL="", CELERY_BROKER_URL=away, REDIS_URL=away, CELERY_RESULT_BACKEND=away, SMS_API_KEY=""
    )
    assert examined.returncode == 1
    for said in ("✗ settings", "✗ database", "✗ broker", "✗ sessions", "✗ results", "✗ workers", "! sms"):
        assert said in examined.stdout
    assert "export SMS_API_KEY=…" in examined.stdout
    assert "Traceback" not in examined.stdout + examined.stderr


def test_a_malformed_setting_is_named_and_nothing_can_be_told(house: House) -> None:
    examined = doctor(house, SMTP_PORT="many")
    assert examined.returncode == 2
    assert "SMTP_PORT" in examined.stderr


def test_a_frozen_broker_holds_the_doctor_for_seconds_only(house: House) -> None:
    process = psutil.Process(house.valkey.pid)
    process.suspend()
    started = time.monotonic()
    try:
        found = findings(house)
        took = time.monotonic() - started
    finally:
        process.resume()
    assert took < SOON
    assert found["broker"]["words"] == "did not answer"
    assert found["database"]["state"] == OK


def test_a_broker_that_may_forget_must_be_mended(house: House) -> None:
    with house.broker_with(maxmemory_policy="allkeys-lru"):
        found = findings(house)
    assert found["broker's policy"]["state"] == ERROR
    assert found["broker's policy"]["mend"].endswith("config set maxmemory-policy noeviction")
    assert findings(house)["broker's policy"]["state"] == OK


def test_a_broker_that_keeps_nothing_or_is_nearly_full_is_said(house: House) -> None:
    assert findings(house)["broker's persistence"]["state"] == OK
    used = house.valkey_client(1).info("memory")["used_memory"]
    with house.broker_with(appendonly="no", maxmemory=used * 20 // 19):
        found = findings(house)
    assert found["broker's persistence"]["state"] == WARNING
    assert found["broker's memory"]["state"] == WARNING


def test_a_replica_takes_no_writes(house: House) -> None:
    broker = house.valkey_client(1)
    broker.replicaof("127.0.0.1", "1")
    try:
        found = findings(house)
    finally:
        broker.replicaof("NO", "ONE")
    assert found["broker"]["state"] == ERROR
    assert "replica" in found["broker"]["words"]


def test_a_database_that_is_behind_names_the_command(house: House) -> None:
    found = findings(house, DATABASE_URL=house.postgres.create_database("empty"))
    assert found["migrations"]["state"] == ERROR
    assert found["migrations"]["mend"] == "python -m app.cli migrate"
    assert "partitions" not in found


def test_partitions_that_run_out_are_said_in_time(house: House) -> None:
    assert findings(house)["partitions"]["words"] == "made for 7 days ahead"
    drop(*(partitions.NOTIFICATIONS.partition(today() + timedelta(days=n)) for n in range(2, 8)))
    assert findings(house)["partitions"]["state"] == WARNING
    drop(partitions.NOTIFICATIONS.partition(today()))
    assert findings(house)["partitions"]["state"] == ERROR


def test_a_key_that_everybody_may_read_is_said(house: House, tmp_path: Path) -> None:
    key = tmp_path / "service account.json"
    key.write_bytes(Path(os.environ["FIREBASE_CREDENTIALS_PATH"]).read_bytes())
    key.chmod(0o644)
    found = findings(house, FIREBASE_CREDENTIALS_PATH=str(key))
    assert found["credentials"]["mend"] == f"chmod o= '{key}'"
    subprocess.run(found["credentials"]["mend"], shell=True, check=True)
    assert findings(house, FIREBASE_CREDENTIALS_PATH=str(key))["credentials"]["state"] == OK


def test_a_queue_that_nobody_consumes_is_named_with_the_command(house: House) -> None:
    with house.worker("-Q", "email,sms,cleanup"):
        found = findings(house)
    assert found["workers"]["state"] == ERROR
    assert found["workers"]["mend"].endswith("-Q notifications")


def test_beat_is_seen_to_tick_and_to_stand_still(house: House, tmp_path: Path) -> None:
    statistics = house.valkey_client(0)
    statistics.delete("pafar:beat")
    assert findings(house)["beat"]["state"] == WARNING
    command = [sys.executable, "-m", "celery", "-A", "app.core.celery_app", "beat", "--loglevel=info"]
    with (tmp_path / "log").open("wb") as log:
        beat = subprocess.Popen(
            command, env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path, stdout=log, stderr=log
        )
        try:
            wait_until(lambda: statistics.exists("pafar:beat"), SOON)
            assert findings(house)["beat"]["state"] == OK
        finally:
            beat.terminate()
            beat.wait(30)
    statistics.set("pafar:beat", datetime.now(UTC).timestamp() - 120)
    assert findings(house)["beat"]["state"] == WARNING


def test_no_secret_is_printed(house: House) -> None:
    examined = doctor(house)
    for secret in ("SMTP_PASSWORD", "SMS_API_KEY", "PAYLOAD_KEYS", "CELERY_BROKER_URL", "DATABASE_URL"):
        assert os.environ[secret] not in examined.stdout + examined.stderr


@pytest.mark.parametrize(
    ("ahead", "doubt", "state"),
    [(0.2, 0.1, OK), (-30.0, 30.0, OK), (5.0, 0.1, WARNING), (-5.0, 0.1, WARNING), (200.0, 1.0, ERROR)],
)
def test_a_clock_is_judged_by_what_is_sure(ahead: float, doubt: float, state: str) -> None:
    assert clock("database", ahead, doubt).state == state


def today() -> Any:
    return datetime.now(UTC).date()


def drop(*tables: str) -> None:
    for table in tables:
        change(f"DROP TABLE {table}")
