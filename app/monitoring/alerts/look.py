"""Takes the snapshot that the rules judge: four looks at once, each with its time limit."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Any

from app.core import redis
from app.core.broker import Broker
from app.core.migrations import newest
from app.monitoring import canary, cleanups, keys, queues, statistics, workers
from app.monitoring.alerts.homes import connection
from app.monitoring.alerts.snapshot import BROKER, DATABASE, REDIS, Share, Snapshot
from app.monitoring.histogram import bucket
from app.monitoring.looks import NoAnswer, look
from app.monitoring.objectives import OBJECTIVES
from app.monitoring.runs import ACCEPTED, SUM

NEVER = float("inf")
#: Minutes of one-time codes that are judged, the one that runs included.
CODES_MINUTES = 15

#: Of the snapshot: what one look has found.
Part = dict[str, Any]

_broker = Broker(connect_timeout=1.0, reply_timeout=1.0, cool_down=0.0)


async def take() -> Snapshot:
    """The house as it is now, within two seconds whatever hangs; what hangs is not known."""
    servers = {DATABASE: _database, BROKER: _waiting, REDIS: _noted}
    parts = await asyncio.gather(*(_or_unhealthy(server, read) for server, read in servers.items()), _overdue())
    unhealthy = {server: why for part in parts for server, why in part.pop("unhealthy", {}).items()}
    return Snapshot(unhealthy=unhealthy, **{name: value for part in parts for name, value in part.items()})


async def _or_unhealthy(server: str, read: Callable[[], Part]) -> Part:
    try:
        return await look(server, read)
    except NoAnswer as error:
        return {"unhealthy": {server: str(error)}}


async def _overdue() -> Part:
    """Apart from whether the database is well: it asks by the pool, whose connections may hang by themselves."""
    try:
        found = await look(DATABASE, cleanups.read)
    except NoAnswer:
        return {}
    return {"overdue_cleanups": frozenset(cleanup.task for cleanup in found if cleanup.overdue)}


def _database() -> Part:
    """Whether bookings and messages can be written."""
    state = "SELECT current_setting('transaction_read_only')::bool, (SELECT version_num FROM alembic_version)"
    with connection() as session:
        [(read_only, revision)] = session.execute(state).fetchall()
    if read_only:
        return {"unhealthy": {DATABASE: f"{DATABASE} takes no writes"}}
    if revision != newest():
        return {"unhealthy": {DATABASE: f"{DATABASE} lacks migrations: run pafar migrate"}}
    return {}


def _waiting() -> Part:
    """What the broker holds, and whether it might lose it."""
    holdings = queues.read(_broker)
    part: Part = {
        "queue_lengths": {name: queue.length for name, queue in holdings.queues.items()},
        "queue_ages": {
            name: queue.oldest_seconds
            for name, queue in holdings.queues.items()
            if queue.oldest_seconds is not None
        },
    }
    server = holdings.server
    if server is not None and server.write_error:
        part["unhealthy"] = {BROKER: f"{BROKER} can't write to its disk"}
    elif server is not None and server.policy != "noeviction":
        part["unhealthy"] = {BROKER: f"{BROKER} may drop messages: maxmemory-policy is {server.policy}"}
    return part


def _noted() -> Part:
    """What workers, beat, canaries and the tracker have noted in Redis."""
    client, now = redis.client(), time.time()
    there, _ = workers.read(client)
    beat: Any = client.get(keys.BEAT)
    rate = statistics.failure_rate(hours=1)
    disks: dict[str, float] = {}
    for worker in there:
        host = worker.name.rpartition("@")[2]
        disks[host] = min(worker.temp_free_percent, disks.get(host, 100.0))
    return {
        "workers": len(there),
        "canary_ages": {
            queue: NEVER if flight.arrived_at is None else now - flight.arrived_at
            for queue, flight in canary.read(client).items()
        },
        "beat_age": NEVER if beat is None else now - float(beat),
        "open_breakers": frozenset(channel for worker in there for channel in worker.circuits_open),
        "failed_tasks": Share(rate["failed_tasks"], rate["total_tasks"]),
        "dead_letters": int(client.zcount(keys.FAILED, now - keys.HOUR, "+inf")),
        "late_codes": _late_codes(client, now),
        "disk_free": disks,
    }


def _late_codes(client: Any, now: float) -> Share:
    """One-time codes that were accepted too late, or never."""
    pipe = client.pipeline(transaction=False)
    last = int(now // 60)
    for number in range(last - CODES_MINUTES + 1, last + 1):
        pipe.hgetall(keys.times(keys.minute(number)))
    bad = total = 0
    in_time = bucket(OBJECTIVES["otp"].seconds)
    for field, number in ((field.decode(), int(n)) for found in pipe.execute() for field, n in found.items()):
        objective, measure, place = field.rsplit("|", 2)
        if (objective, measure) == ("otp", ACCEPTED) and place != SUM:
            total += number
            bad += number if int(place) > in_time else 0
    return Share(bad, total)
