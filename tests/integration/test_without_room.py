"""Disks without room: a limit on the size of a process's files stands for them (tests/faults fills real ones)."""

from __future__ import annotations

import os
import resource
import shelve
import subprocess
import sys
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from app.core import redis
from app.core.celery_app import celery_app
from app.core.config import get_settings
from app.monitoring import workers
from app.worker.pulse import Pulse
from app.worker.scheduler import TellingScheduler
from app.worker.vitals import About, Vitals
from sandbox.environment import ROOT
from tests.house import House
from tests.rlimits import limited

TASK, NOT_WRITTEN = "cleanup_temporary_files", "beat's schedule file not written"


def scheduler(file: Path) -> TellingScheduler:
    return TellingScheduler(app=celery_app, schedule_filename=str(file), lazy=True)


def no_room() -> AbstractContextManager[None]:
    return limited(resource.RLIMIT_FSIZE, 0)


# Celery leaves the file that it could not write open.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_beat_has_its_schedule_without_room_for_the_file(house: House, tmp_path: Path) -> None:
    beat = scheduler(tmp_path / "schedule")
    with no_room(), capture_logs() as logs:
        beat.setup_schedule()
        assert TASK in beat.schedule
        beat.sync()
        beat.close()
    assert [(line["event"], line["reason"]) for line in logs] == [(NOT_WRITTEN, "File too large")]


def test_what_had_no_room_is_written_once_there_is_some(house: House, tmp_path: Path) -> None:
    file, ran_at = tmp_path / "schedule", datetime(2026, 11, 1, 12, tzinfo=UTC)
    beat = scheduler(file)
    beat.setup_schedule()
    beat.schedule[TASK].last_run_at = ran_at
    with no_room(), capture_logs() as logs:
        beat.sync()
    assert [line["event"] for line in logs] == [NOT_WRITTEN]
    beat.close()
    with shelve.open(str(file)) as kept:
        assert kept["entries"][TASK].last_run_at == ran_at


def test_a_schedule_file_in_no_folder_is_an_error(house: House, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="No such file"):
        scheduler(tmp_path / "nowhere" / "schedule").setup_schedule()


def test_the_api_starts_without_room_for_temporary_files(house: House) -> None:
    command = f'ulimit -f 0; exec {sys.executable} -c "from app.main import create_app; create_app()"'
    environment = os.environ | house.environment
    done = subprocess.run(
        ["sh", "-c", command], env=environment, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr


def test_a_heartbeat_reaches_redis_though_its_file_can_t_be_written(
    house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HEARTBEAT_FILE", str(tmp_path / "nowhere" / "heartbeat"))
    get_settings.cache_clear()
    about = About(
        name="roomless@host", pid=os.getpid(), pool="threads", concurrency=1, registered_tasks=1, started_at=0
    )
    pulse = Pulse()
    pulse.turn(set())
    try:
        with capture_logs() as logs:
            Vitals(about, pulse.shared).beat()
        told = {worker.name for worker in workers.read(redis.client())[0]}
    finally:
        workers.goodbye(redis.client(), about.name)
        get_settings.cache_clear()
    assert about.name in told
    assert [line["event"] for line in logs] == ["heartbeat file not touched"]
