"""The broker: does it answer, does it keep what it holds, is its clock ours? And do the other Redis answer?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from typing import Any

from app.core import redis, transport
from app.core.broker import Broker
from app.core.celery_app import celery_app
from app.core.errors import BrokerUnavailable
from app.monitoring import queues
from app.monitoring.looks import NoAnswer, look
from app.monitoring.setup.findings import ERROR, OK, WARNING, Finding, clock

#: Seconds that the broker gets to connect, and for each reply.
TIMEOUT = 2.0
#: Redis's major version from which on this is tested; Valkey began at 7.
OLDEST_VERSION = 7
#: Share of its memory limit from which on the broker is nearly full.
NEARLY_FULL = 0.8

#: RabbitMQ's version from which its quorum queues know urgent from ordinary.
PRIORITIES_VERSION = 4

_CLI = 'redis-cli -u "$CELERY_BROKER_URL"'
#: What mends a broker that is not reached; it is then the only finding.
START = "start the broker, and set CELERY_BROKER_URL to where it is"


def broker() -> Iterator[Finding]:
    """Every finding; one alone when it does not answer."""
    patient = Broker(connect_timeout=TIMEOUT, reply_timeout=TIMEOUT, cool_down=0.0)
    try:
        yield from (_redis if transport.current().has_lists else _rabbit)(patient)
    except BrokerUnavailable as error:
        yield Finding("broker", ERROR, str(error).removeprefix("the broker "), START)


def _redis(patient: Broker) -> Iterator[Finding]:
    with patient.redis() as client:
        info = client.info()
        asked = time.time()
        seconds, microseconds = client.time()
        answered = time.time()
    yield _server(info)
    yield from _keeping(queues.server(info))
    yield clock("broker", seconds + microseconds / 1e6 - (asked + answered) / 2, (answered - asked) / 2)


def others() -> Iterator[Finding]:
    """The Redis of sessions and statistics, and that of results."""
    backend: Any = celery_app.backend
    for what, setting, client in (
        ("sessions and statistics", "REDIS_URL", redis.client),
        ("results", "CELERY_RESULT_BACKEND", lambda: backend.client),
    ):
        try:
            asyncio.run(look(setting, client().ping))
            yield Finding(what, OK, f"Redis at {setting} answers")
        except NoAnswer:
            yield Finding(what, ERROR, f"Redis at {setting} does not answer", f"start it, or set {setting}")


def _rabbit(patient: Broker) -> Iterator[Finding]:
    """RabbitMQ tells its version to everybody, and the rest to its administrators alone."""
    told = patient.server_properties()
    name = f"{told.get('product')} {told.get('version')}"
    if int(str(told.get("version")).partition(".")[0]) < PRIORITIES_VERSION:
        words = f"{name} answers; its quorum queues know no priorities: codes wait behind promotions"
        yield Finding("broker", WARNING, words, f"upgrade to RabbitMQ {PRIORITIES_VERSION}")
    else:
        yield Finding("broker", OK, f"{name} answers")


def _server(info: dict[str, Any]) -> Finding:
    name = f"{'Valkey' if 'valkey_version' in info else 'Redis'} {queues.server(info).version}"
    if info.get("role") == "slave":
        mend = "set CELERY_BROKER_URL to the primary"
        return Finding("broker", ERROR, f"{name} answers, but is a replica: it takes no writes", mend)
    if int(str(info["redis_version"]).partition(".")[0]) < OLDEST_VERSION:
        mend = f"upgrade to Redis {OLDEST_VERSION} or Valkey"
        return Finding("broker", WARNING, f"{name} answers; this is tested from {OLDEST_VERSION} on", mend)
    return Finding("broker", OK, f"{name} answers")


def _keeping(server: queues.Server) -> Iterator[Finding]:
    """Whether it keeps what it was given: when it is full, after a crash, and for how long there is room."""
    if server.policy == "noeviction":
        yield Finding("broker's policy", OK, "noeviction")
    else:
        words = f"maxmemory-policy is {server.policy}: when it is full, waiting messages vanish without a word"
        yield Finding("broker's policy", ERROR, words, f"{_CLI} config set maxmemory-policy noeviction")
    if server.write_error:
        mend = "make room on the broker's disk, and look at its log"
        yield Finding("broker's persistence", ERROR, "it could not write to its disk", mend)
    elif server.persistent:
        yield Finding("broker's persistence", OK, "what it holds outlives a crash")
    else:
        words = "none: after a crash what waited is published again from the database, and results are lost"
        yield Finding("broker's persistence", WARNING, words, f"{_CLI} config set appendonly yes")
    used = server.used_bytes / server.max_bytes if server.max_bytes else 0.0
    if used > NEARLY_FULL:
        words = f"{used:.0%} of maxmemory are used; when full, it takes no messages"
        yield Finding("broker's memory", WARNING, words, f"{_CLI} config set maxmemory {2 * server.max_bytes}")
