"""`pafar health`, run as an operator or a script runs it: what it prints, and its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.house import ROOT, House, wait_until
from tests.integration.test_commands import pafar

SOON = 120.0


def test_a_house_without_workers_is_not_healthy(house: House) -> None:
    told = pafar(house, "health")
    assert told.returncode == 1, told.stderr
    assert "✗ workers: " in told.stdout
    assert "Not healthy." in told.stdout
    report = json.loads(pafar(house, "health", "--json").stdout)
    assert report["overall_healthy"] is False
    assert report["components"]["workers"]["healthy"] is False


def test_a_house_where_all_work_is_healthy(house: House, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "celery", "-A", "app.core.celery_app", "beat", "--loglevel=info"]
    with house.worker(), (tmp_path / "log").open("wb") as log:
        beat = subprocess.Popen(
            command, env=os.environ | {"PYTHONPATH": str(ROOT)}, cwd=tmp_path, stdout=log, stderr=log
        )
        try:
            wait_until(lambda: pafar(house, "health").returncode == 0, SOON)
            assert pafar(house, "health").stdout.endswith("Healthy.\n")
        finally:
            beat.terminate()
            beat.wait(30)


def test_with_a_malformed_setting_nothing_can_be_told(house: House) -> None:
    told = pafar(house, "health", SMTP_PORT="many")
    assert told.returncode == 2
    assert "SMTP_PORT" in told.stderr
    assert "Traceback" not in told.stderr


def test_with_everything_away_it_says_so(house: House) -> None:
    away = "redis://127.0.0.1:1/0"
    told = pafar(
        house, "health", REDIS_URL=away, CELERY_BROKER_URL=away, DATABASE_URL="postgresql://x@127.0.0.1:1/x"
    )
    assert told.returncode == 1
    assert "✗ database: " in told.stdout
    assert "Traceback" not in told.stderr
