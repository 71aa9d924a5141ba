"""`pafar`, the set-up check and the migrations, run as an operator runs them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from alembic import command
from alembic.script import ScriptDirectory

from app.core import migrations
from app.core.config import get_settings
from app.core.database import dispose
from tests import data
from tests.house import ROOT, House
from tests.rows import rows


def run(*arguments: str, folder: Path, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def pafar(house: House, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return run("-m", "app.cli", *arguments, folder=house.folder, **environment)


def test_send_follows_a_message_to_its_end(house: House) -> None:
    with house.worker():
        sent = pafar(house, "send", "booking_confirmation_sms", json.dumps(data.sms()))
        assert sent.returncode == 0, sent.stderr
        assert "sent" in sent.stdout
    assert len(house.ledger.entries("sms")) == 1


def test_send_dry_run_sends_nothing(house: House) -> None:
    tried = pafar(house, "send", "booking_confirmation_sms", json.dumps(data.sms()), "--dry-run")
    assert (tried.returncode, rows()) == (0, [])


@pytest.mark.usefixtures("house")
def test_send_names_what_is_wrong(house: House) -> None:
    bad = pafar(house, "send", "booking_confirmation_sms", "{}")
    assert bad.returncode == 1
    for field in ("phone_number", "user_name", "booking_data"):
        assert field in bad.stderr
    assert pafar(house, "send", "booking_confirmation_sms", "not json").returncode == 2
    assert pafar(house, "send", "carrier_pigeon", "{}").returncode == 2


def test_stats_counts_what_waits(house: House) -> None:
    assert pafar(house, "send", "booking_confirmation_sms", json.dumps(data.sms()), "--wait", "0").returncode == 0
    stats = json.loads(pafar(house, "stats", "--json").stdout)
    assert stats["messages"] == [{"kind": "booking_confirmation_sms", "status": "queued", "count": 1}]
    assert stats["queues"]["sms"] == 1
    assert stats["outbox"]["waiting"] == 1
    assert "booking_confirmation_sms" in pafar(house, "stats").stdout


def test_without_a_database_it_says_so_in_one_line(house: House) -> None:
    away = pafar(house, "stats", DATABASE_URL="postgresql://postgres@127.0.0.1:1/x")
    assert away.returncode == 1
    assert "database" in away.stderr
    assert "Traceback" not in away.stderr


def test_the_set_up_check_passes_only_when_everything_is_there(house: House) -> None:
    script = str(ROOT / "test_celery_setup.py")
    alone = run(script, folder=house.folder)
    assert alone.returncode == 1
    assert "✗ workers" in alone.stdout
    with house.worker("-Q", "sms"):
        assert "nobody consumes" in run(script, folder=house.folder).stdout
    with house.worker():
        complete = run(script, folder=house.folder)
    assert complete.returncode == 0, complete.stdout
    assert "send_booking_confirmation_sms" in complete.stdout
    assert "a-password-for-tests-only" not in complete.stdout


def test_the_set_up_check_with_nothing_running_says_what_is_missing(house: House) -> None:
    nothing = {"DATABASE_URL": "", "CELERY_BROKER_URL": "redis://127.0.0.1:1/1"}
    alone = run(str(ROOT / "test_celery_setup.py"), folder=house.folder, **nothing)
    assert alone.returncode == 1
    for missing in ("DATABASE_URL is missing", "✗ database", "✗ broker", "✗ workers"):
        assert missing in alone.stdout


def test_migrations_have_one_head_match_the_models_and_go_back(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DATABASE_URL", house.postgres.create_database("migrations"))
    get_settings.cache_clear()
    dispose()
    try:
        migrations.upgrade()
        assert len(ScriptDirectory.from_config(migrations.config()).get_heads()) == 1
        command.check(migrations.config())  # the models say nothing that no migration does
        command.downgrade(migrations.config(), "base")
        migrations.upgrade()
        current, newest = migrations.revisions()
        assert current == newest
    finally:
        monkeypatch.undo()
        get_settings.cache_clear()
        dispose()
