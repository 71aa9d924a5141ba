"""Faults of the database: restarted, cut off, read-only, locked, full; always while messages are being sent."""

from __future__ import annotations

import time
from contextlib import ExitStack

import psycopg

from app.core.errors import DatabaseUnavailable
from app.notifications.store import LEASE
from sandbox.standins.script import slow
from tests.faults import ledger
from tests.faults.catalogue import fault
from tests.faults.disks import tables_on_small_disk
from tests.faults.readiness import DATABASE
from tests.faults.rig import Rig
from tests.faults.workers import SOON

HELD = 4  # texts that the gateway has accepted, and whose answer comes during the harm
ANSWER = 3.0  # seconds after which it comes
LONG = 12.0  # seconds: above those in which an outage must be told


@fault(within=30.0)
def database_cut_before_the_record(rig: Rig) -> float:
    """The way to the database is cut beyond the lease, then silent for 12 s, after a provider accepted."""
    rig.worker()
    readiness = rig.watch_readiness()
    held = _under_way(rig)
    with readiness.lost(DATABASE):
        rig.database_proxy.refuse()
        rig.pause(LEASE + 5.0)
        rig.database_proxy.heal()
    rig.wait(lambda: rig.unfinished() == 0, LEASE + SOON, "all is sent after the cut")
    held += _under_way(rig)
    with readiness.lost(DATABASE):
        rig.database_proxy.silence()
        rig.pause(LONG)
        rig.database_proxy.heal()
    healed = time.time()
    rig.submit_each(10)
    _expect_first_attempt(rig, held)
    return healed


@fault(within=30.0)
def database_restarted(rig: Rig) -> float:
    """The database is restarted in order, then killed and back after 3 s, each time with sends under way."""
    rig.worker()
    readiness = rig.watch_readiness()
    held = _under_way(rig)
    with readiness.lost(DATABASE):
        rig.postgres.restart()
    held += _under_way(rig)
    with readiness.lost(DATABASE):
        rig.postgres.kill()
        rig.pause(3.0)
        rig.postgres.restart()
    back = time.time()
    rig.submit_each(10)
    _expect_first_attempt(rig, held)
    return back


@fault(within=30.0)
def database_connections_killed(rig: Rig) -> float:
    """Three times: pg_terminate_backend on every connection, with sends under way."""
    rig.worker()
    held: list[str] = []
    for _ in range(3):
        held += _under_way(rig)
        _administer(rig, _TERMINATE)
        killed = time.time()
        rig.pause(rig.random.uniform(0.2, 1.0))
    _expect_first_attempt(rig, held)
    return killed


@fault(within=30.0)
def database_read_only(rig: Rig) -> float:
    """The database takes no writes for 12 s, as a standby that is not yet promoted."""
    worker = rig.worker()
    readiness = rig.watch_readiness()
    held = _under_way(rig)
    with readiness.lost(DATABASE):
        _administer(rig, "ALTER SYSTEM SET default_transaction_read_only = on", _RELOAD)
        rig.pause(LONG)
        _administer(rig, "ALTER SYSTEM RESET default_transaction_read_only", _RELOAD)
    writable = time.time()
    rig.pause(0.5)  # a reload reaches every session a little later
    rig.submit_each(10)
    rig.expect(worker.alive, "the worker has ended")
    _expect_first_attempt(rig, held)
    return writable


@fault(within=30.0)
def database_locked(rig: Rig) -> float:
    """The tables are locked for 8 s, and 60 threads wait for one of the pool's 25 connections."""
    rig.worker("-c", "60")
    rig.watch_readiness()  # a lock passes, and a caller may wait for it
    held = _under_way(rig)
    with psycopg.connect(rig.database_url) as connection:
        connection.execute("LOCK TABLE notifications, outbox IN ACCESS EXCLUSIVE MODE")
        rig.pause(8.0)
    unlocked = time.time()
    rig.submit_each(10)
    _expect_first_attempt(rig, held)
    return unlocked


@fault(within=30.0)
def database_connections_used_up(rig: Rig) -> float:
    """Others take every connection that the server has, and each that frees up, for 12 s."""
    rig.worker()
    readiness = rig.watch_readiness()
    with readiness.lost(DATABASE), ExitStack() as taken:
        ours = taken.enter_context(psycopg.connect(rig.postgres.url, autocommit=True))
        count = 1 + _take(rig, taken, 120)
        held = _under_way(rig)
        until = time.monotonic() + LONG
        while time.monotonic() < until:
            count += _take(rig, taken, 200)
            ours.execute(_TERMINATE)
    freed = time.time()
    rig.notes.append(f"{count} connections taken")
    rig.submit_each(10)
    _expect_first_attempt(rig, held)
    return freed


@fault(within=30.0)
def database_disk_full(rig: Rig) -> float:
    """The disk that the tables lie on is full for 12 s, with sends under way; what is accepted then is refused."""
    with tables_on_small_disk(rig.postgres, rig.database_url) as disk:
        worker = rig.worker()
        held = _under_way(rig)
        with disk.full():
            rig.expect(_is_refused(rig), "2,000 messages were accepted on a full disk")
            rig.pause(LONG)
        freed = time.time()
        rig.submit_each(10)
        rig.expect(worker.alive, "the worker has ended")
        _expect_first_attempt(rig, held)
    return freed


def _is_refused(rig: Rig) -> bool:
    """Submit until nothing is accepted any more: the tables' last pages may have room."""
    try:
        for _ in range(100):
            rig.submit(20)
    except DatabaseUnavailable:
        return True
    return False


#: Ends every session of the application's: the workers' and our own.
_TERMINATE = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pafar'"
_RELOAD = "SELECT pg_reload_conf()"


def _under_way(rig: Rig) -> list[str]:
    """Put messages under way on all channels; returns those that are accepted and not recorded for ANSWER s."""
    rig.stand_ins.sms.script.extend([slow(ANSWER)] * HELD)
    held = rig.submit(HELD)
    rig.wait(lambda: rig.accepted(held) == HELD, SOON, "the gateway has accepted the first")
    rig.submit_each(20)
    return held


def _take(rig: Rig, taken: ExitStack, most: int) -> int:
    """Hold up to `most` more of the server's connections; returns how many there were."""
    for count in range(most):
        try:
            taken.enter_context(psycopg.connect(rig.postgres.url))
        except psycopg.OperationalError:  # none is left
            return count
    return most


def _administer(rig: Rig, *statements: str) -> None:
    with psycopg.connect(rig.postgres.url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement.encode())


def _expect_first_attempt(rig: Rig, held: list[str]) -> None:
    """An outcome that could not be written at once is written later, not lost and made up for by a second send."""
    rig.settle()
    rows = ledger.rows(rig.database_url)
    again = [id_ for id_ in held if rows[id_]["attempt"] != 1]
    rig.expect(not again, f"{len(again)} of {len(held)} were tried again, though the provider had answered")
