"""Idle sessions in Redis: `session:*`, JSON with the ISO 8601 time of its `last_activity`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import cast

import orjson
from redis import Redis

from app.maintenance.batches import Budget
from app.maintenance.batches import done as batch_done

#: Keys read at once: Redis serves nobody else meanwhile, for a third of a millisecond.
PAGE = 500
#: Seconds for one run; a million sessions take ten.
BUDGET = 480.0
#: Keys looked at for an estimate: it is then right to three parts in a hundred, in five milliseconds.
SAMPLE = 5_000

# A session that was touched since it was read is somebody's again, and stays.
_UNLINK_UNCHANGED = "return redis.call('GET', KEYS[1]) == ARGV[1] and redis.call('UNLINK', KEYS[1]) or 0"


class BrokenSession(ValueError):
    """Nobody can say how old this session is; the text says why."""


@dataclass(slots=True)
class Sweep:
    """What a run did. `broken`: reason → how many were left for it; `complete`: every session was looked at."""

    checked: int = 0
    cleaned: int = 0
    broken: Counter[str] = field(default_factory=Counter)
    complete: bool = False


def sweep(redis: Redis, *, cutoff: datetime, dry_run: bool = False, seconds: float = BUDGET) -> Sweep:
    """Delete the sessions whose last activity lies before `cutoff` (with a zone), for `seconds` at most.

    A broken one is counted and left. A dry run only counts. A key that Redis moves while it is scanned may be
    counted twice. Raises redis.RedisError.
    """
    budget = Budget(seconds)
    done, cursor = Sweep(), 0
    while not budget.is_spent():
        cursor, page = cast("tuple[int, list[bytes]]", redis.scan(cursor, match="session:*", count=PAGE))
        if page:
            _sweep_page(redis, page, cutoff, done, dry_run=dry_run)
        if cursor == 0:
            done.complete = True
            break
    return done


def estimate(redis: Redis) -> int:
    """How many sessions there are: by their share of SAMPLE keys, which SCAN gives by their hash, so at random.

    Exact where there are fewer keys. Raises redis.RedisError.
    """
    seen, found, cursor = 0, 0, 0
    while seen < SAMPLE:
        cursor, page = cast("tuple[int, list[bytes]]", redis.scan(cursor, count=PAGE))
        seen += len(page)
        found += sum(key.startswith(b"session:") for key in page)
        if cursor == 0:
            return found
    return round(redis.dbsize() * found / seen)


def last_activity(value: bytes | None) -> datetime:
    """When the session was last active; a time without a zone is UTC. Raises BrokenSession."""
    if value is None:
        raise BrokenSession("not a string")
    try:
        session = orjson.loads(value)
    except orjson.JSONDecodeError:
        raise BrokenSession("not JSON") from None
    if not isinstance(session, dict) or session.get("last_activity") is None:
        raise BrokenSession("no last_activity")
    try:
        moment = datetime.fromisoformat(session["last_activity"])
    except (TypeError, ValueError):
        raise BrokenSession("last_activity is no ISO 8601 time") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _sweep_page(redis: Redis, page: Sequence[bytes], cutoff: datetime, done: Sweep, *, dry_run: bool) -> None:
    values = cast("list[bytes | None]", redis.mget(page))
    idle: list[tuple[bytes, bytes]] = []
    for key, value in zip(page, values, strict=True):
        if value is None and redis.type(key) == b"none":
            continue  # gone since the scan
        done.checked += 1
        try:
            if last_activity(value) < cutoff and value is not None:
                idle.append((key, value))
        except BrokenSession as broken:
            done.broken[str(broken)] += 1
    cleaned = len(idle) if dry_run else _unlink(redis, idle)
    done.cleaned += cleaned
    batch_done(cleaned)


def _unlink(redis: Redis, sessions: Sequence[tuple[bytes, bytes]]) -> int:
    pipeline = redis.pipeline(transaction=False)  # others take their turns between the commands
    for key, value in sessions:
        pipeline.eval(_UNLINK_UNCHANGED, 1, key, value)
    return sum(pipeline.execute())
