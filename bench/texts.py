"""What the platform adds to a text: the whole path (validate, claim, render, send, record, track), beside a bare
task on the same worker that only POSTs through the same client; the gateway (nginx) answers at once.

Tracking is a part of the whole path, so the worker of the bare task has it switched off; with it on, as a worker
comes, the bare task is measured too. Our worker gathers Celery's events and keeps kombu's clients, which speeds up
the bare task more than the whole path: so both stand beside that task on Celery's own worker as well, with as many
threads, and events too.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from uuid import uuid4

from app.core.broker import WakeUp
from bench import tasks
from bench.measure import Figures, Row, at_least, compare, in_turn, rounds_of
from bench.nginx import Nginx
from bench.sending import accept_texts, send_texts
from tests.house import House

Start = Callable[[], AbstractContextManager[subprocess.Popen[bytes]]]

WHOLE, BARE, TRACKED = "a text, whole path", "a bare Celery task", "a bare task, tracked"
STOCK = "a bare task on Celery's own worker"
THREADS = ("-P", "threads", "-c", "32", "-Q", "sms")


def measure(house: House, smoke: bool) -> list[Row]:
    """Sends a second and CPU of both."""
    number = 50 if smoke else 3_000
    with Nginx(house.folder / "nginx") as server:
        ours = partial(house.worker, "-I", "bench.tasks", SMS_API_URL=f"{server.url}/messages")
        ways = {
            WHOLE: partial(_run, house, server, number, partial(ours, TRACKER="true"), accept_texts),
            BARE: partial(_run, house, server, number, partial(ours, TRACKER="false"), _bare),
        }
        ways[TRACKED] = partial(_run, house, server, number, partial(ours, TRACKER="true"), _bare)
        ways[STOCK] = partial(_run, house, server, number, partial(ours, *THREADS, "-E", app="bench.bare"), _bare)
        runs = in_turn(ways, rounds_of(smoke))
    return [
        compare(runs, WHOLE, BARE, "sends/s", target=at_least(0.6)),
        compare(runs, WHOLE, TRACKED, "sends/s"),
        compare(runs, WHOLE, STOCK, "sends/s"),
        compare(runs, BARE, STOCK, "sends/s"),
        compare(runs, WHOLE, BARE, "CPU ms a send"),
        compare(runs, WHOLE, STOCK, "CPU ms a send"),
    ]


def _run(house: House, server: Nginx, number: int, start: Start, make: Callable[[int], list[WakeUp]]) -> Figures:
    house.clean()
    with start() as worker:
        return send_texts(server, number, [worker.pid], make)


def _bare(number: int) -> list[WakeUp]:
    return [WakeUp(str(uuid4()), tasks.BARE_TEXT, "sms", 3, time.time()) for _ in range(number)]
