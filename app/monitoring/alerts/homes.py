"""Where the state of the alerts is kept: in PostgreSQL and in Redis, a full copy in each.

The alerts that matter most say that one of the two is away; so either is enough alone, and the newer copy is true.
With both away a process has only what it last knew, and each process raises its own alerts.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from socket import SHUT_RDWR, socket
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb
from pydantic import BaseModel, ConfigDict, ValidationError
from redis.exceptions import RedisError

from app.core import redis
from app.core.database import CONNECT_ARGS, database_url
from app.core.errors import PafarError, SettingsError
from app.monitoring import keys
from app.monitoring.alerts.notify import Delivery
from app.monitoring.alerts.rules import RULES
from app.monitoring.alerts.state import Alert

#: Seconds to connect, and those for all that is then asked; a server that stalls is given up.
CONNECT_TIMEOUT, REPLY_TIMEOUT = 2, 2.0

_CLAIM = """
INSERT INTO alert_state AS held (id, busy_until, document)
VALUES (1, clock_timestamp() + make_interval(secs => %(seconds)s), '{}')
ON CONFLICT (id) DO UPDATE SET busy_until = excluded.busy_until WHERE held.busy_until <= clock_timestamp()
RETURNING document
"""
# A process that slept over its lease must not write what is old.
_SAVE = """
UPDATE alert_state SET document = %(document)s, revision = %(revision)s,
    busy_until = clock_timestamp() + make_interval(secs => %(seconds)s)
WHERE id = 1 AND revision < %(revision)s
"""
_READ = "SELECT document FROM alert_state WHERE id = 1"
_SAVE_IN_REDIS = """
if tonumber(redis.call('HGET', KEYS[1], 'revision') or '-1') < tonumber(ARGV[1]) then
    redis.call('HSET', KEYS[1], 'revision', ARGV[1], 'document', ARGV[2])
    redis.call('EXPIRE', KEYS[1], ARGV[4])
    redis.call('SET', KEYS[2], '1', 'PX', ARGV[3])
end
"""

#: What a home that is away raises, or one whose copy another version of this code has written.
AWAY = (psycopg.Error, RedisError, SettingsError, ValidationError)


class AlertsUnknown(PafarError):
    """Neither PostgreSQL nor Redis can say how the alerts stand."""


class State(BaseModel):
    """Everything about the alerts; of two copies the one with the higher `revision` is the newer."""

    model_config = ConfigDict(frozen=True)

    revision: int = 0
    alerts: dict[str, Alert] = {}
    deliveries: list[Delivery] = []


class PostgresHome:
    """The row in `alert_state`. Every call connects anew, for some seconds: those of the pool hang with a server.

    Raises psycopg.Error and SettingsError.
    """

    def claim(self, seconds: float) -> State | None:
        """The state, if nobody judges now; nobody else may, for so long."""
        with connection() as session:
            found = session.execute(_CLAIM, {"seconds": seconds}).fetchone()
        return State.model_validate(found[0]) if found else None

    def save(self, state: State, seconds: float) -> None:
        """Keep the state; nobody else may judge for so long."""
        values = {"document": Jsonb(state.model_dump(mode="json")), "revision": state.revision, "seconds": seconds}
        with connection() as session:
            session.execute(_SAVE, values)

    def read(self) -> State:
        """The state."""
        with connection() as session:
            found = session.execute(_READ).fetchone()
        return State.model_validate(found[0]) if found else State()


class RedisHome:
    """The copy at REDIS_URL. Raises RedisError."""

    def claim(self, seconds: float) -> State | None:
        """The state, if nobody judges now; nobody else may, for so long."""
        if not redis.client().set(keys.ALERTS_BUSY, "1", nx=True, px=_milliseconds(seconds)):
            return None
        return self.read()

    def save(self, state: State, seconds: float) -> None:
        """Keep the state; nobody else may judge for so long."""
        document, lifetime = state.model_dump_json(), keys.ALERTS_LIFETIME
        arguments: tuple[Any, ...] = (state.revision, document, _milliseconds(seconds), lifetime)
        redis.client().eval(_SAVE_IN_REDIS, 2, keys.ALERTS, keys.ALERTS_BUSY, *arguments)

    def read(self) -> State:
        """The state."""
        document = redis.client().hget(keys.ALERTS, "document")
        return State.model_validate_json(document) if document else State()


HOMES: tuple[PostgresHome | RedisHome, ...] = (PostgresHome(), RedisHome())


class Homes:
    """Both, seen by one process, which remembers what it last saved."""

    def __init__(self) -> None:
        self._last = State()

    def claim(self, seconds: float) -> State | None:
        """The newest state, None if another process judges now or did a moment ago."""
        states = [self._last]
        for home in HOMES:  # all claim in this order: of two processes one gets both
            try:
                state = home.claim(seconds)
            except AWAY:
                continue
            if state is None:
                return None  # a claim that we have elsewhere runs out by itself
            states.append(state)
        return max(states, key=lambda state: state.revision)

    def save(self, state: State, seconds: float) -> State:
        """Keep the state under the next revision wherever that can be done, and return it."""
        self._last = state.model_copy(update={"revision": state.revision + 1})
        for home in HOMES:
            with suppress(*AWAY):
                home.save(self._last, seconds)
        return self._last


def current() -> list[Alert]:
    """The alerts that fire or are pending, and those resolved within a week, in the order of the rules.

    Raises AlertsUnknown.
    """
    known: State | None = None
    for home in reversed(HOMES):  # Redis is the faster one, and after each judgement as new as the other
        if known is None or known.revision == 0:
            with suppress(*AWAY):
                known = home.read()
    if known is None:
        raise AlertsUnknown("PostgreSQL and Redis are both away")
    alerts = sorted(known.alerts.values(), key=lambda alert: alert.subject)  # PostgreSQL's JSON keeps no order
    return [alert for rule in RULES for alert in alerts if alert.name == rule]


@contextmanager
def connection() -> Iterator[psycopg.Connection[Any]]:
    """A connection of its own, on which every statement commits by itself. Raises psycopg.Error, SettingsError.

    It ends REPLY_TIMEOUT after it began.
    """
    arguments = CONNECT_ARGS | {"connect_timeout": CONNECT_TIMEOUT}
    with (
        psycopg.connect(make_conninfo(database_url(), **arguments), autocommit=True) as session,
        _cut_off(session.fileno(), REPLY_TIMEOUT),
    ):
        yield session


@contextmanager
def _cut_off(connected: int, seconds: float) -> Iterator[None]:
    """Shut the socket down after so many seconds: libpq waits for ever, and a server that stalls keeps no time."""
    # A number of our own: the other may be another's once psycopg has closed it.
    with socket(fileno=os.dup(connected)) as wire:

        def cut() -> None:
            with suppress(OSError):
                wire.shutdown(SHUT_RDWR)

        timer = threading.Timer(seconds, cut)
        timer.daemon = True
        timer.start()
        try:
            yield
        finally:
            timer.cancel()


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
