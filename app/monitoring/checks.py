"""What health looks at, each by itself: a function a server, which may hang, and what its answer means.

A check is a dictionary with healthy and message (a sentence with the figure), and what else it tells.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from app.core import redis
from app.core.broker import Broker
from app.core.celery_app import QUEUES
from app.core.config import get_settings, missing_for
from app.core.database import transaction
from app.core.migrations import newest
from app.messages.base import Channel
from app.monitoring import canary, handed, keys, queues, samples, workers
from app.monitoring.alerts.homes import connection
from app.monitoring.alerts.rules import FEW
from app.monitoring.canary import Flight
from app.monitoring.cleanups import Cleanup
from app.monitoring.handed import Handed
from app.monitoring.queues import Holdings
from app.monitoring.samples import Rates
from app.monitoring.workers import Heartbeat
from app.notifications import overview

Check = dict[str, Any]

#: From so many waiting messages on a queue is unhealthy.
LONG = 1000
#: Seconds without a turn of its main loop after which a worker hangs; of silence, after which a beat or the
#: canaries of a queue are missed; that a message may be overdue for the relay.
HANGS, MISSED_BEAT, MISSED_CANARY, OVERDUE = 30.0, 60.0, 120.0, 60.0
#: Seconds for which messages may wait beside a worker that has room and takes none.
IDLE = 60.0
#: Percent of its messages that a provider accepts at the most when something is wrong, if it refused FEW or more.
POOR = 90.0
#: Share of its memory limit above which a broker is nearly full.
FULL = 0.9

_broker = Broker(connect_timeout=0.5, reply_timeout=0.8, cool_down=0.0)

_STATE = "SELECT current_setting('transaction_read_only')::bool, (SELECT version_num FROM alembic_version)"


def holdings() -> Holdings:
    """What the broker holds. Raises BrokerUnavailable."""
    return queues.read(_broker)


def heartbeats() -> tuple[list[Heartbeat], dict[str, float]]:
    """As `workers.read`. Raises RedisError."""
    return workers.read(redis.client())


def rates() -> dict[str, Rates]:
    """As `samples.rates`. Raises RedisError."""
    raw: Any = redis.client().lrange(keys.SAMPLES, 0, keys.SAMPLES_KEPT - 1)
    return samples.rates(samples.parse(raw))


def canaries() -> dict[str, Flight]:
    """As `canary.read`. Raises RedisError."""
    return canary.read(redis.client())


def beat_age() -> float | None:
    """Seconds since beat last looked at its schedule, None: never. Raises RedisError."""
    at: Any = redis.client().get(keys.BEAT)
    return None if at is None else max(0.0, time.time() - float(at))


def providers() -> tuple[list[Heartbeat], dict[Channel, Handed]]:
    """The workers that are there, and what providers made of the last hour's messages. Raises RedisError."""
    return workers.read(redis.client())[0], handed.by_channel()


def backlog() -> dict[str, Any]:
    """As `overview.backlog`. Raises DatabaseUnavailable."""
    with transaction() as session:
        return overview.backlog(session)


def database() -> Check:
    """Whether messages can be written: on a connection of its own, as those of the pool hang with the server."""
    with connection() as session:
        [(read_only, revision)] = session.execute(_STATE).fetchall()
    if read_only:
        return unhealthy("PostgreSQL takes no writes")
    if revision != newest():
        return unhealthy("PostgreSQL lacks migrations: run pafar migrate")
    return healthy(f"PostgreSQL takes writes, at revision {revision}", revision=revision)


def of_cleanups(found: Sequence[Cleanup]) -> Check:
    """Whether each scheduled cleanup ran when it was due, and did what it had to."""
    never = [cleanup.task for cleanup in found if cleanup.last is None]
    told = {"runs": {cleanup.task: cleanup.told() for cleanup in found}, "never_ran": never}
    if missed := [cleanup.task for cleanup in found if not cleanup.begun_in_time]:
        return unhealthy(f"not run when due: {', '.join(missed)}", **told)
    if failed := [cleanup.task for cleanup in found if cleanup.last and cleanup.last.error]:
        return unhealthy(f"failed at its last run: {', '.join(failed)}", **told)
    if killed := [cleanup.task for cleanup in found if cleanup.overdue]:  # each time before it could fail
        return unhealthy(f"has not succeeded since it was due: {', '.join(killed)}", **told)
    words = f"; not yet run at all: {', '.join(never)}" if never else ""
    return healthy(f"{len(found) - len(never)} of {len(found)} cleanups have run, none late{words}", **told)


def of_workers(found: tuple[list[Heartbeat], dict[str, float]], held: Holdings | None) -> Check:
    """Who works; one that answers and consumes nothing is named. `held` None: not known."""
    there, silent = found
    stuck = [worker.name for worker in there if _hangs(worker) or (held and _takes_nothing(worker, held))]
    told = [
        {"name": w.name, "active_tasks": w.active_tasks, "registered_tasks": w.registered_tasks}
        | {"pool": w.pool, "concurrency": w.concurrency, "memory_bytes": w.memory_bytes, "queues": w.queues}
        | {"temp_free_ratio": w.temp_free_percent / 100}
        | {"healthy": w.name not in stuck, "last_taken_at": w.last_taken_at}
        for w in there
    ]
    more = {"workers": told, "total_workers": len(there), "silent_workers": silent}
    if not there:
        return unhealthy("no worker is there", **more)
    if stuck:
        return unhealthy(f"there, but consume nothing: {', '.join(stuck)}", **more)
    if unread := [queue for queue in QUEUES if not any(queue in w.queues for w in there)]:
        return unhealthy(f"nobody consumes {', '.join(unread)}", **more)
    return healthy(f"{len(there)} at work, on all queues", **more)


def of_queues(found: Holdings, speeds: Mapping[str, Rates]) -> Check:
    """What waits where; `length` has what waits over all priorities and, where it is known, what workers hold."""
    told = {
        name: {
            "length": queue.length + (queue.held or 0),
            "healthy": queue.length + (queue.held or 0) < LONG,
            "waiting": queue.length,
            "held": queue.held,
            "delayed": queue.delayed,
            "oldest_seconds": queue.oldest_seconds,
            **(asdict(speeds[name]) if name in speeds else {}),
        }
        for name, queue in found.queues.items()
    }
    total = sum(queue["length"] for queue in told.values())
    if long := [f"{name} holds {queue['length']}" for name, queue in told.items() if not queue["healthy"]]:
        return unhealthy(f"too much waits: {', '.join(long)}", queues=told, total_queued_tasks=total)
    return healthy(f"{total} in all queues", queues=told, total_queued_tasks=total)


def of_broker(found: Holdings) -> Check:
    """Whether the broker may lose what it holds."""
    server = found.server
    if server is None:
        return healthy("answers, and tells nothing of itself")
    told = asdict(server)
    if server.write_error:
        return unhealthy("the broker can't write to its disk", **told)
    if server.policy != "noeviction":
        return unhealthy(f"the broker may drop messages: maxmemory-policy is {server.policy}", **told)
    if server.max_bytes and server.used_bytes > FULL * server.max_bytes:
        return unhealthy(f"{100 * server.used_bytes / server.max_bytes:.0f} % of its memory is in use", **told)
    kept = "" if server.persistent else "; it keeps nothing over a restart, the relay publishes again"
    return healthy(f"answers, {server.used_bytes / 2**20:.0f} MiB in use{kept}", **told)


def of_canaries(flights: Mapping[str, Flight]) -> Check:
    """Whether a task that goes into a queue comes out of it, how long ago one did, and how long it took."""
    now = time.time()
    ages = {queue: None if f.arrived_at is None else now - f.arrived_at for queue, f in flights.items()}
    told = {"ages": ages, "seconds": {queue: flight.seconds for queue, flight in flights.items()}}
    if late := {queue: age for queue, age in ages.items() if age is not None and age > MISSED_CANARY}:
        return unhealthy(f"no canary came through {', '.join(late)} for {max(late.values()):.0f} s", **told)
    if never := [queue for queue, age in ages.items() if age is None]:
        return unhealthy(f"no canary has come through {', '.join(never)} yet", **told)
    return healthy("canaries come through every queue", **told)


def of_beat(age: float | None) -> Check:
    """Whether the schedule is kept."""
    if age is None:
        return unhealthy("beat has never looked at its schedule", age_seconds=None)
    words = f"beat looked at its schedule {age:.0f} s ago"
    return (healthy if age <= MISSED_BEAT else unhealthy)(words, age_seconds=age)


def of_relay(found: Mapping[str, Any]) -> Check:
    """Whether what is due is published."""
    late = found["oldest_seconds"] or 0.0
    words = f"{found['waiting']} to do, " + (f"one for {late:.0f} s overdue" if late > 0 else "nothing overdue")
    return (healthy if late <= OVERDUE else unhealthy)(words, waiting=found["waiting"], overdue_seconds=late)


def of_providers(found: tuple[list[Heartbeat], Mapping[Channel, Handed]]) -> Check:
    """Which channels are configured, whose provider is left alone for a while, and what each accepted of late."""
    there, handed = found
    broken = {channel for worker in there for channel in worker.circuits_open}
    told = {
        channel.value: {
            "missing_settings": missing_for(channel, get_settings()),
            "circuit_open": channel in broken,
        }
        | asdict(of)
        | {"success_rate_percent": of.success_percent}
        for channel, of in handed.items()
    }
    refused = {n: of for n, of in handed.items() if of.failed >= FEW and (of.success_percent or 0.0) <= POOR}
    if broken:
        return unhealthy(f"left alone for a while, as it fails: {', '.join(sorted(broken))}", channels=told)
    if refused:
        each = (f"{name} failed {of.failed} of {of.accepted + of.failed}" for name, of in refused.items())
        return unhealthy(f"of the last hour's messages, {', '.join(each)}", channels=told)
    silent = [name for name, channel in told.items() if channel["missing_settings"]]
    if get_settings().payload_keys is None:
        silent.append("one-time codes (PAYLOAD_KEYS)")
    known = [f"{name} {of.success_percent:.1f} %" for name, of in handed.items() if of.success_percent is not None]
    words = f"; of the last hour's messages accepted: {', '.join(known)}" if known else ""
    return healthy((f"unconfigured: {', '.join(silent)}" if silent else "all in use") + words, channels=told)


def healthy(message: str, **more: Any) -> Check:
    """A check that found nothing wrong."""
    return {"healthy": True, "message": message, **more}


def unhealthy(message: str, **more: Any) -> Check:
    """A check that found a fault, or could not look."""
    return {"healthy": False, "message": message, **more}


def _hangs(worker: Heartbeat) -> bool:
    return not worker.queues or (worker.loop_seconds > HANGS and worker.pool != "solo")


def _takes_nothing(worker: Heartbeat, held: Holdings) -> bool:
    """It has room, messages wait in its queues, and it takes none of them."""
    waits = any(
        (held.queues[queue].oldest_seconds or 0.0) > IDLE for queue in worker.queues if queue in held.queues
    )
    last = worker.last_taken_at or worker.started_at
    return waits and worker.active_tasks < worker.concurrency and worker.at - last > IDLE
