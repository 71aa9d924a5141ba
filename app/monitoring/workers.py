"""What workers say of themselves: a heartbeat every few seconds, and a goodbye."""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, fields
from typing import Any

from app.monitoring import keys

#: Seconds between two heartbeats.
INTERVAL = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Heartbeat:
    """One worker at one moment. Times are seconds since 1970, memory in bytes, with that of its children."""

    name: str
    pid: int
    pool: str
    concurrency: int
    registered_tasks: int
    started_at: float
    at: float
    active_tasks: int
    last_taken_at: float | None  # None: it has taken no message yet
    loop_seconds: float  # since its main loop last turned
    queues: list[str]
    circuits_open: dict[str, float]  # channel → seconds until its provider is tried again
    memory_bytes: int
    temp_free_percent: float  # of the disk that holds TEMP_DIR


_FIELDS = [field.name for field in fields(Heartbeat)]


def write(client: Any, heartbeat: Heartbeat, taken: dict[str, int]) -> None:
    """Say it; `taken` are the messages taken from each queue since the last one. Raises RedisError."""
    pipe = client.pipeline(transaction=False)
    pipe.set(keys.heartbeat(heartbeat.name), json.dumps(asdict(heartbeat)), ex=keys.HEARTBEAT_LIFETIME)
    pipe.zadd(keys.WORKERS, {heartbeat.name: heartbeat.at})
    pipe.zremrangebyscore(keys.WORKERS, "-inf", heartbeat.at - keys.SILENCE_LIFETIME)
    for queue, number in taken.items():
        pipe.hincrby(keys.TAKEN, queue, number)
    pipe.execute()


def goodbye(client: Any, name: str) -> None:
    """It was stopped: nobody need miss it. Raises RedisError."""
    client.delete(keys.heartbeat(name))
    client.zrem(keys.WORKERS, name)


def read(client: Any) -> tuple[list[Heartbeat], dict[str, float]]:
    """(the workers that are there, by name; {name: seconds of silence} of those that fell silent).

    Raises RedisError.
    """
    seen = [(name.decode(), at) for name, at in client.zrange(keys.WORKERS, 0, -1, withscores=True)]
    said = client.mget([keys.heartbeat(name) for name, _ in seen]) if seen else []
    there = [worker for raw in said if raw and (worker := _parse(raw))]
    now = time.time()
    silent = {name: now - at for (name, at), raw in zip(seen, said, strict=True) if not raw}
    return sorted(there, key=lambda worker: worker.name), silent


def _parse(raw: bytes) -> Heartbeat | None:
    """A heartbeat, whatever it says besides; None where it says too little.

    While a new version is rolled out, each version reads the other's too.
    """
    try:
        said = json.loads(raw)
        return Heartbeat(**{name: said[name] for name in _FIELDS})
    except (ValueError, TypeError, LookupError):
        return None
