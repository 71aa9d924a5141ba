"""The worker as operators run it: every pool, by both commands, stopped and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from app.core.database import transaction
from app.messages.kinds import KINDS
from app.notifications import submit
from app.tasks.sms_tasks import send_booking_confirmation_sms
from sandbox.standins.script import slow
from tests import data
from tests.house import ROOT, House, wait_until
from tests.rows import change, row

SMS = KINDS["booking_confirmation_sms"]
SOON = 30.0


def status(message_id: object) -> str:
    return str((row(str(message_id)) or {})["status"])


@pytest.mark.parametrize("pool", [("-P", "prefork", "-c", "2"), ("-P", "solo"), ("-P", "threads", "-c", "4")])
def test_every_pool_sends_and_publishes_what_the_broker_lost(house: House, pool: tuple[str, ...]) -> None:
    with house.worker(*pool):
        assert send_booking_confirmation_sms.delay(**data.sms()).get(timeout=SOON)["success"] is True
        with transaction() as connection:  # written, never published by us: the relay's work
            message = submit.accept(connection, SMS, data.sms())
        change("UPDATE outbox SET published_at = NULL, due_at = clock_timestamp()")
        wait_until(lambda: status(message.id) == "sent", SOON)
    assert len(house.ledger.entries("sms")) == 2


def test_the_relay_of_a_killed_prefork_parent_ends_itself(house: House) -> None:
    with house.worker("-P", "prefork", "-c", "1") as worker:
        family = psutil.Process(worker.pid).children(recursive=True)
        relay = [p for p in family if "spawn" in " ".join(p.cmdline())]
        assert relay
        worker.kill()
        _, alive = psutil.wait_procs(relay, timeout=15)
        assert not alive
        for process in family:  # the pool's children have no parent to end them
            if process.is_running():
                process.kill()


def test_a_worker_asked_to_stop_finishes_what_it_sends(house: House) -> None:
    house.sms.script.append(slow(2))
    with house.worker() as worker:
        message = submit.accept_now(SMS, data.sms())
        wait_until(lambda: house.ledger.entries("sms"), SOON)
        worker.send_signal(signal.SIGTERM)
        assert worker.wait(60) == 0
    assert status(message) == "sent"
    assert len(house.ledger.entries("sms")) == 1


def test_the_worker_script_starts_from_any_folder_and_passes_arguments_on(house: House, tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    log = tmp_path / "log"
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, str(ROOT / "celery_worker.py"), "-Q", "sms", "-n", "by-script@%h"],
            cwd=tmp_path,
            env=environment,
            stdout=output,
            stderr=output,
        )
    try:
        wait_until(lambda: " ready." in log.read_text(), SOON)
        assert "by-script@" in log.read_text()
        email = submit.accept_now(KINDS["booking_confirmation_email"], data.email())
        sms = submit.accept_now(SMS, data.sms())
        wait_until(lambda: status(sms) == "sent", SOON)
        assert status(email) == "queued"  # -Q sms: nobody reads the other queues
    finally:
        worker.terminate()
        assert worker.wait(60) == 0


def test_garbage_in_a_queue_does_not_end_the_worker(house: House) -> None:
    garbage = [b"not json", b"[" * 100_000, b"\xff\xfe", b'"json, but no message"', b"[1]", b"{}"]
    with house.worker() as worker:
        house.valkey_client(1).lpush("sms", *garbage)
        result = send_booking_confirmation_sms.delay(**data.sms())
        assert result.get(timeout=2 * SOON)["success"] is True
        assert worker.poll() is None


@pytest.mark.parametrize("process", ["worker", "beat"])
def test_without_a_database_setting_a_process_says_what_to_mend(house: House, process: str) -> None:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DATABASE_URL": ""}
    command = [sys.executable, "-m", "celery", "-A", "app.core.celery_app", process]
    ended = subprocess.run(
        command, env=environment, cwd=house.folder, capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "DATABASE_URL is missing" in ended.stderr


def test_beat_starts_and_has_partitions_prepared(house: House, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "celery", "-A", "app.core.celery_app", "beat", "--loglevel=info"]
    with house.worker(), (tmp_path / "log").open("wb") as log:
        beat = subprocess.Popen(
            command, env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path, stdout=log, stderr=log
        )
        try:
            wait_until(lambda: "beat: Starting" in (tmp_path / "log").read_text(), SOON)
            time.sleep(0.5)
            assert beat.poll() is None
        finally:
            beat.terminate()
            beat.wait(30)
