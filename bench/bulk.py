"""Accepting for many, and pushing to many: `python -m bench.bulk`.

Prints, and writes to bench/results/bulk.json: how much faster one call for MANY texts is than as many `.delay`
(measured on LOOP of them), how long accepting a bulk push holds its caller, and the rate and CPU of pushing to
PUSHED tokens through rows, claims and records, on a plain worker and a stand-in FCM of 50 ms latency over TLS
and HTTP/2 (in this process, beside which it shares the machine).
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import time
from pathlib import Path
from typing import Any

import psutil

from app.core import migrations
from app.core.database import transaction
from app.messages.kinds import KINDS
from app.notifications import campaign_store, submit
from app.tasks.sms_tasks import send_booking_confirmation_sms
from sandbox.standins.script import slow
from tests import data
from tests.house import House, wait_until

MANY, LOOP, GIVEN, PUSHED, ROUNDS, LATENCY = 100_000, 1_000, 1_000_000, 100_000, 3, 0.05
RESULTS = Path(__file__).parent / "results" / "bulk.json"


def main() -> None:
    """Run everything ROUNDS times, in turn, and report medians."""
    house = House()
    os.environ.update(house.environment)
    migrations.upgrade()
    runs: list[dict[str, float]] = []
    try:
        for _ in range(ROUNDS):
            runs.append(_accept_texts(house) | _accept_bulk(house) | _push(house))
    finally:
        house.stop()
    figures = {name: statistics.median(run[name] for run in runs) for name in runs[0]}
    _report(figures | {"accepting_ratio": figures["loop_ms_each"] / figures["many_ms_each"]})


def _accept_texts(house: House) -> dict[str, float]:
    """Milliseconds a message: many in one call, and one by one."""
    house.clean()
    each = [data.sms(booking_reference=f"PF{number:06}") for number in range(MANY)]
    started = time.perf_counter()
    with transaction() as connection:
        submit.accept_many(connection, KINDS["booking_confirmation_sms"], each)
    many = time.perf_counter() - started
    house.clean()
    started = time.perf_counter()
    for arguments in each[:LOOP]:
        send_booking_confirmation_sms.delay(**arguments)
    loop = time.perf_counter() - started
    return {"many_ms_each": many / MANY * 1000, "loop_ms_each": loop / LOOP * 1000, "many_seconds": many}


def _accept_bulk(house: House) -> dict[str, float]:
    """Seconds for which a bulk push to GIVEN tokens holds its caller."""
    house.clean()
    bulk = _bulk(GIVEN)
    started = time.perf_counter()
    submit.accept_now(KINDS["bulk_push_notification"], bulk)
    return {"accept_a_million_seconds": time.perf_counter() - started}


def _push(house: House) -> dict[str, float]:
    """Tokens a second from the call to the result, and the worker's and the database's CPU for a thousand."""
    house.clean()
    house.fcm.script.extend([slow(LATENCY)] * PUSHED)
    with house.worker() as process:
        worker, database = psutil.Process(process.pid), psutil.Process(house.postgres.pid)
        before, before_database = _cpu(worker), _cpu(database)
        started = time.perf_counter()
        campaign = submit.accept_now(KINDS["bulk_push_notification"], _bulk(PUSHED))
        wait_until(lambda: _finished(campaign), 600)
        seconds = time.perf_counter() - started
        assert len(house.ledger.entries("push")) == PUSHED
        return {
            "tokens_a_second": PUSHED / seconds,
            "worker_cpu_seconds_a_thousand": (_cpu(worker) - before) / PUSHED * 1000,
            "database_cpu_seconds_a_thousand": (_cpu(database) - before_database) / PUSHED * 1000,
        }


def _finished(campaign: Any) -> bool:
    time.sleep(0.2)
    with transaction() as connection:
        return campaign_store.progress(connection, campaign).finished


def _bulk(tokens: int) -> dict[str, Any]:
    """Tokens as long as FCM's."""
    users = {str(n): [f"{n:022}:APA91b{n:0134}"] for n in range(tokens)}
    return {"notification_data": {"user_tokens": users, "title": "News", "body": "A strike is announced."}}


def _cpu(process: psutil.Process) -> float:
    """Of the process and its children, those that have ended too."""
    family = [process, *process.children(recursive=True)]
    return sum(sum(member.cpu_times()) for member in family)


def _report(figures: dict[str, float]) -> None:
    sys.stdout.write("".join(f"{name:<36}{value:>12.3f}\n" for name, value in figures.items()))
    RESULTS.parent.mkdir(exist_ok=True)
    counts = {"many": MANY, "loop": LOOP, "given": GIVEN, "pushed": PUSHED, "latency_s": LATENCY, "rounds": ROUNDS}
    RESULTS.write_text(json.dumps(counts | figures, indent=1) + "\n")


if __name__ == "__main__":
    main()
