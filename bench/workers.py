"""Whether workers add up: texts through a gateway that takes 100 ms (nginx), by one, two and four workers.

Two threads each, so that the waits are the limit and not the two cores, on which the servers run as well. How full
these are is measured too.
"""

from __future__ import annotations

from contextlib import ExitStack
from functools import partial

import psutil

from bench.measure import Figures, Row, alone, at_least, compare, in_turn, rounds_of
from bench.nginx import Nginx
from bench.sending import send_texts
from tests.house import House

LATENCY, THREADS, SHARE = 0.1, 2, 0.9
NAMES = {1: "one worker", 2: "two workers", 4: "four workers"}
BUSY = "% of all cores busy"


def measure(house: House, smoke: bool) -> list[Row]:
    """Sends a second beside one worker's."""
    messages = 10 if smoke else 150
    names = {1: NAMES[1], 2: NAMES[2]} if smoke else NAMES
    with Nginx(house.folder / "nginx", wait=LATENCY) as server:
        ways = {name: partial(_run, house, server, number, messages * number) for number, name in names.items()}
        runs = in_turn(ways, rounds_of(smoke))
    rows = []
    for workers, name in list(names.items())[1:]:
        limit = f"{workers * THREADS} threads that only wait would send {workers * THREADS / LATENCY:.0f} a second"
        rows.append(compare(runs, name, NAMES[1], "sends/s", target=at_least(SHARE * workers), limit=limit))
    return rows + [alone(runs, name, BUSY) for name in names.values()]


def _run(house: House, server: Nginx, workers: int, messages: int) -> Figures:
    house.clean()
    options = ("-c", str(THREADS), "-P", "threads")
    to_nginx = partial(house.worker, *options, SMS_API_URL=f"{server.url}/messages")
    with ExitStack() as stack:
        pids = [stack.enter_context(to_nginx("-n", f"bench{number}@%h")).pid for number in range(workers)]
        psutil.cpu_percent()
        figures = send_texts(server, messages, pids)
        return {**figures, BUSY: psutil.cpu_percent()}
