"""Whether workers add up: texts through a gateway that takes 100 ms, by one, two and four workers of 4 threads.

Four threads each, so that the waits are the limit and not the cores.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

from bench.measure import Figures, Row, at_least, compare, in_turn, rounds_of
from bench.sending import send_texts
from tests.house import House

LATENCY, THREADS, SHARE = 0.1, 4, 0.9
NAMES = {1: "one worker", 2: "two workers", 4: "four workers"}


def measure(house: House, smoke: bool) -> list[Row]:
    """Sends a second beside one worker's."""
    messages = 10 if smoke else 150
    names = {1: NAMES[1], 2: NAMES[2]} if smoke else NAMES
    ways = {name: partial(_run, house, workers, messages * workers) for workers, name in names.items()}
    runs = in_turn(ways, rounds_of(smoke))
    rows = []
    for workers, name in list(names.items())[1:]:
        limit = f"{workers * THREADS} threads that only wait would send {workers * THREADS / LATENCY:.0f} a second"
        rows.append(compare(runs, name, NAMES[1], "sends/s", target=at_least(SHARE * workers), limit=limit))
    return rows


def _run(house: House, workers: int, messages: int) -> Figures:
    house.clean()
    with ExitStack() as stack:
        started = [
            stack.enter_context(house.worker("-c", str(THREADS), "-P", "threads", "-n", f"bench{number}@%h"))
            for number in range(workers)
        ]
        return send_texts(house, messages, LATENCY, [worker.pid for worker in started])
