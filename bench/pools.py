"""Which pool suits a worker that sends: texts through a gateway that takes 100 ms, for each pool."""

from __future__ import annotations

from functools import partial

import psutil

from bench.measure import Figures, Row, at_least, compare, in_turn, rounds_of
from bench.sending import send_texts
from tests.house import House

LATENCY = 0.1
PLAIN, DEFAULT = "plain command (threads -c 32)", "prefork -c 2 (Celery's default here)"
POOLS: dict[str, tuple[str, ...]] = {
    PLAIN: (),
    "threads -c 16": ("-P", "threads", "-c", "16"),
    DEFAULT: ("-P", "prefork", "-c", "2"),
    "prefork -c 16": ("-P", "prefork", "-c", "16"),
}


def measure(house: House, smoke: bool) -> list[Row]:
    """Sends, CPU and memory of each pool beside Celery's own choice."""
    messages = 20 if smoke else 300
    pools = dict(list(POOLS.items())[::2]) if smoke else POOLS
    ways = {name: partial(_run, house, options, messages) for name, options in pools.items()}
    runs = in_turn(ways, rounds_of(smoke))
    target = {PLAIN: at_least(12)}
    others = [name for name in pools if name != DEFAULT]
    limit = f"32 threads that only wait would send {32 / LATENCY:.0f} a second, two children {2 / LATENCY:.0f}"
    rows = [compare(runs, name, DEFAULT, "sends/s", target=target.get(name)) for name in others]
    rows += [compare(runs, name, DEFAULT, unit) for name in others for unit in ("CPU ms a send", "MB")]
    return [compare(runs, PLAIN, DEFAULT, "sends/s", target=at_least(12), limit=limit), *rows[1:]]


def _run(house: House, options: tuple[str, ...], messages: int) -> Figures:
    house.clean()
    with house.worker(*options) as worker:
        figures = send_texts(house, messages, LATENCY, [worker.pid])
        family = [psutil.Process(worker.pid), *psutil.Process(worker.pid).children(recursive=True)]
        return {**figures, "MB": sum(member.memory_full_info().pss for member in family) / 1e6}
