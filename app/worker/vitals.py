"""A worker's heartbeat: how it is, said in Redis and, for probes, by a file's time."""

from __future__ import annotations

import os
import shutil
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import structlog

from app.core import redis
from app.core.config import get_settings
from app.monitoring import workers
from app.worker.pulse import Beat, read

log = structlog.get_logger(__name__)

#: Seconds without a turn of its main loop after which a worker's file is left to grow old. Connecting anew to a
#: broker that hangs takes some ten; a pool without a process or threads of its own turns only between tasks.
STUCK = 60.0
SOLO = "solo"


@dataclass(frozen=True, slots=True)
class About:
    """What does not change in a worker's life. `started_at` is in seconds since 1970."""

    name: str
    pid: int
    pool: str
    concurrency: int
    registered_tasks: int
    started_at: float


class Vitals:
    """Of one worker."""

    def __init__(self, about: About, shared: Any) -> None:
        self._about = about
        self._shared = shared
        self._told: dict[str, int] = {}  # messages taken that Redis knows of
        self._process = psutil.Process(about.pid)

    def beat(self) -> None:
        """Touch the file, then tell Redis. Raises RedisError."""
        beat = read(self._shared)
        stuck = time.time() - beat.turned_at > STUCK and self._about.pool != SOLO
        file = get_settings().heartbeat_file
        if file is not None and not stuck:
            _touch(file)
        news = {queue: number - self._told.get(queue, 0) for queue, number in beat.taken.items()}
        workers.write(redis.client(), self._heartbeat(beat), {queue: n for queue, n in news.items() if n})
        self._told = beat.taken

    def _heartbeat(self, beat: Beat) -> workers.Heartbeat:
        about, now = self._about, time.time()
        disk = shutil.disk_usage(_existing(os.fspath(get_settings().temp_dir)))
        return workers.Heartbeat(
            name=about.name,
            pid=about.pid,
            pool=about.pool,
            concurrency=about.concurrency,
            registered_tasks=about.registered_tasks,
            started_at=about.started_at,
            at=now,
            active_tasks=beat.active,
            last_taken_at=beat.last_taken_at or None,
            loop_seconds=max(0.0, now - beat.turned_at),
            queues=beat.consumed,
            circuits_open={channel: until - now for channel, until in beat.open_until.items() if until > now},
            memory_bytes=self._memory(),
            temp_free_percent=100 * disk.free / disk.total,
        )

    def _memory(self) -> int:
        """Resident bytes of the worker and its children; pages that they share count for each."""
        total = 0
        for process in (self._process, *self._process.children(recursive=True)):
            try:
                total += process.memory_info().rss
            except psutil.NoSuchProcess:
                continue  # a child that ended meanwhile
        return total


def _touch(file: Path) -> None:
    """For probes; a disk without room keeps no heartbeat from Redis."""
    try:
        file.touch()
    except OSError as error:
        log.warning("heartbeat file not touched", reason=error.strerror)


def _existing(folder: str) -> str:
    """The folder, or the nearest above it that is there already: they are on one disk."""
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    return folder
