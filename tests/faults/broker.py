"""Faults of the broker's server and of the way to it: killed, frozen, cut off, silent, out of memory or disk."""

from __future__ import annotations

import os
import signal
import time

from app.bookings.confirm import pay
from app.bookings.seats import hold
from app.core.database import session
from tests import data
from tests.faults.catalogue import fault
from tests.faults.readiness import BROKER
from tests.faults.rig import Rig

#: Seconds that a booking may wait for a broker that is away: above what a busy machine adds.
BOOKING_PATIENCE = 5.0


@fault(within=30.0)
def broker_killed(rig: Rig) -> float:
    """SIGKILL to the broker at work, back after 5 s; meanwhile bookings are made and told."""
    rig.worker()
    readiness = rig.watch_readiness()  # rows wait for the broker: the API stays ready
    trip, user = data.make_trip()
    rig.submit_each(50)
    with readiness.lost(BROKER):
        rig.valkey.kill()
        for seat in range(1, 6):
            _book(rig, trip, user, [str(seat)])
        rig.pause(5.0)
        rig.valkey.restart()
    back = time.time()
    rig.submit_each(10)
    return back


@fault(within=30.0)
def broker_frozen(rig: Rig) -> float:
    """SIGSTOP to the broker for 30 s; meanwhile bookings are made and told."""
    rig.worker()
    readiness = rig.watch_readiness()
    trip, user = data.make_trip()
    rig.submit_each(50)
    with readiness.lost(BROKER):
        os.kill(rig.valkey.pid, signal.SIGSTOP)
        for seat in range(1, 6):
            _book(rig, trip, user, [str(seat)])
        rig.pause(30.0)
        os.kill(rig.valkey.pid, signal.SIGCONT)
    back = time.time()
    rig.submit_each(10)
    return back


@fault(within=30.0)
def broker_connections_cut(rig: Rig) -> float:
    """Five times: CLIENT KILL of every normal and every pub/sub connection, then resets on the wire."""
    rig.worker()
    client = rig.broker_client()
    for _ in range(5):
        rig.submit_each(10)
        for kind in ("normal", "pubsub"):
            client.client_kill_filter(_type=kind, skipme=True)
        rig.pause(rig.random.uniform(0.2, 1.0))
        rig.submit_each(10)
        rig.broker_proxy.reset()
        rig.pause(rig.random.uniform(0.2, 1.0))
    cut = time.time()
    rig.broker_proxy.cut_after(rig.random.randrange(200, 2000), "to_client")
    rig.submit_each(10)
    return cut


@fault(within=30.0)
def broker_silent(rig: Rig) -> float:
    """The way to the broker is a black hole for 15 s: connections stay open, and nothing comes."""
    rig.worker()
    readiness = rig.watch_readiness()
    rig.submit_each(50)
    with readiness.lost(BROKER):
        rig.broker_proxy.silence()
        rig.submit_each(50)
        rig.pause(15.0)
        rig.broker_proxy.heal()
    healed = time.time()
    rig.submit_each(10)
    return healed


@fault(within=30.0)
def broker_full(rig: Rig) -> float:
    """The broker's memory is full for 10 s, and it refuses every write."""
    worker = rig.worker()
    client = rig.broker_client()
    rig.submit_each(50)
    client.config_set("maxmemory", 1)
    rig.submit_each(50)
    rig.pause(10.0)
    client.config_set("maxmemory", 0)
    freed = time.time()
    rig.submit_each(10)
    rig.settle()
    rig.expect(worker.alive, "the worker has ended")
    return freed


@fault(within=30.0)
def broker_disk_full(rig: Rig) -> float:
    """The broker's append-only file can't grow for 10 s, and it refuses every write."""
    worker = rig.worker()
    readiness = rig.watch_readiness()
    rig.submit_each(50)
    with readiness.lost(BROKER), rig.valkey.disk_full():
        rig.submit_each(50)
        rig.pause(10.0)
        state = rig.broker_client().info("persistence")["aof_last_write_status"]
        rig.expect(state == "err", f"the broker says that its last write was {state}")
    freed = time.time()
    rig.submit_each(10)
    rig.settle()
    rig.expect(worker.alive, "the worker has ended")
    return freed


def _book(rig: Rig, trip: int, user: int, seats: list[str]) -> None:
    """Book and pay as a passenger does: it succeeds at once, whatever the broker does."""
    began = time.monotonic()
    with session() as s:
        ids = pay(s, hold(s, trip_id=trip, user_id=user, seats=seats), method="card")
    took = time.monotonic() - began
    rig.expect(took < BOOKING_PATIENCE, f"a booking took {took:.1f} s, allowed {BOOKING_PATIENCE:g} s")
    rig.intend(ids)
