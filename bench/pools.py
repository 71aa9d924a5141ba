"""How a worker that sends is best started: texts through a gateway that takes 100 ms (nginx), on two cores.

As deploy.md has it, a worker of threads for each core and held there; the plain command; and other pools.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial

import psutil

from bench.measure import Figures, Row, at_least, compare, in_turn, rounds_of
from bench.nginx import Nginx
from bench.sending import send_texts
from tests.house import House

LATENCY = 0.1
#: As in docs/howto/deploy.md.
DEPLOYED = ("-Q", "sms", "-P", "threads", "-c", "32", "--without-gossip", "--without-mingle")
A_CORE_EACH, PLAIN, DEFAULT = (
    "as deployed: two workers, a core each",
    "plain command (threads -c 32)",
    "prefork -c 2 (Celery's default here)",
)
#: Way -> its workers' options; of several, each has a core of its own.
POOLS: dict[str, list[tuple[str, ...]]] = {
    A_CORE_EACH: [DEPLOYED, DEPLOYED],
    PLAIN: [()],
    DEFAULT: [("-P", "prefork", "-c", "2")],
    "threads -c 16": [("-P", "threads", "-c", "16")],
    "prefork -c 16": [("-P", "prefork", "-c", "16")],
}
#: Some twelve seconds' worth of each.
TEXTS = {A_CORE_EACH: 2_500, DEFAULT: 200}


def measure(house: House, smoke: bool) -> list[Row]:
    """Sends, CPU and memory of each beside Celery's own choice."""
    cores = sorted(os.sched_getaffinity(0))
    names = [name for name in list(POOLS)[: 3 if smoke else None] if len(POOLS[name]) <= len(cores)]
    with Nginx(house.folder / "nginx", wait=LATENCY) as server:
        texts = {name: 20 if smoke else TEXTS.get(name, 1_500) for name in names}
        runs = in_turn(
            {name: partial(_run, house, server, POOLS[name], cores, texts[name]) for name in names},
            rounds_of(smoke),
        )
    limit = f"64 threads that only wait would send {64 / LATENCY:.0f} a second, two children {2 / LATENCY:.0f}"
    others = [name for name in names if name != DEFAULT]
    rows = [compare(runs, name, DEFAULT, unit) for unit in ("sends/s", "CPU ms a send", "MB") for name in others]
    if A_CORE_EACH in names:
        rows[0] = compare(runs, A_CORE_EACH, DEFAULT, "sends/s", target=at_least(12), limit=limit)
    return rows


def _run(house: House, server: Nginx, workers: list[tuple[str, ...]], cores: list[int], texts: int) -> Figures:
    house.clean()
    with ExitStack() as stack:
        pids = list[int]()
        for options, core in zip(workers, cores, strict=False):
            with _held(set(cores) if len(workers) == 1 else {core}):
                started = house.worker(*options, "-n", f"{core}@%h", SMS_API_URL=f"{server.url}/messages")
                pids.append(stack.enter_context(started).pid)
        figures = send_texts(server, texts, pids)
        family = [child for pid in pids for child in psutil.Process(pid).children(recursive=True)]
        family += [psutil.Process(pid) for pid in pids]
        return {**figures, "MB": sum(member.memory_full_info().pss for member in family) / 1e6}


@contextmanager
def _held(cores: set[int]) -> Iterator[None]:
    """What is started inside runs on these alone, as under `taskset`."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, cores)
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)
