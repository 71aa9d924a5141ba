"""Evaluators of alerts for tests: their time and what they see is the test's to say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil
import psycopg

from app.core import redis
from app.core.config import get_settings
from app.core.database import dispose
from app.monitoring import keys
from app.monitoring.alerts.evaluate import Evaluator
from app.monitoring.alerts.rules import RULES
from app.monitoring.alerts.snapshot import Snapshot
from app.providers import registry
from tests.house import House
from tests.receiver import Receiver
from tests.rows import change

#: Nobody listens here: refused at once.
NOWHERE = "127.0.0.1:1"
WELL = Snapshot(workers=1, open_breakers=frozenset(), disk_free={})
NO_WORKER = Snapshot(workers=0, open_breakers=frozenset(), disk_free={})
HOLD = RULES["no_worker"].hold
STEP = 15.0


@dataclass
class Clock:
    """The evaluators' time, which the test moves; and what they see."""

    now: float = field(default_factory=time.time)
    seen: Snapshot = WELL

    def time(self) -> float:
        """Seconds since 1970."""
        return self.now

    def monotonic(self) -> float:
        """Seconds."""
        return self.now


def forget() -> None:
    get_settings.cache_clear()
    redis.client.cache_clear()
    registry.close()
    dispose()


def evaluator(clock: Clock) -> Evaluator:
    async def look() -> Snapshot:
        return clock.seen

    return Evaluator(look)


def next_turn(house: House) -> None:
    """As if the interval had passed: whoever comes next judges."""
    house.valkey_client(0).delete(keys.ALERTS_BUSY)
    with psycopg.connect(house.environment["DATABASE_URL"]) as connection:
        connection.execute("UPDATE alert_state SET busy_until = clock_timestamp()")


def pass_time(house: House, clock: Clock, judges: list[Evaluator], seconds: float) -> None:
    """All try at every step."""
    for _ in range(int(seconds // STEP)):
        clock.now += STEP
        next_turn(house)
        for judge in judges:
            judge.turn()


def types(receiver: Receiver) -> list[str]:
    return [event["type"] for event in receiver.taken]


@contextmanager
def stalling_database(house: House) -> Iterator[None]:
    """Whoever writes how the alerts stand is connected, and then stopped."""
    stall = "CREATE FUNCTION stall() RETURNS trigger LANGUAGE plpgsql AS"
    stall += " $$ BEGIN COPY (SELECT 1) TO PROGRAM 'kill -STOP $PPID'; RETURN NEW; END $$"
    change(stall)
    change("CREATE TRIGGER stall BEFORE INSERT OR UPDATE ON alert_state FOR EACH ROW EXECUTE FUNCTION stall()")
    try:
        yield
    finally:
        for session in psutil.Process(house.postgres.pid).children():
            with suppress(psutil.NoSuchProcess):  # it ended while the others were looked at
                session.resume()
        change("DROP FUNCTION stall CASCADE")
