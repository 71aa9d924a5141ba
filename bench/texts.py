"""What the platform adds to a text: the whole path (validate, claim, render, send, record, track), beside a bare
task on the same worker that only POSTs through the same client; the gateway (nginx) answers at once.
"""

from __future__ import annotations

import time
from functools import partial
from uuid import uuid4

from app.core.broker import WakeUp
from bench import tasks
from bench.measure import Figures, Row, at_least, compare, in_turn, rounds_of
from bench.nginx import Nginx
from bench.sending import accept_texts, send_all
from tests.house import House

#: Texts that open what is kept open.
WARM = 40
WHOLE, BARE = "a text, whole path", "a bare Celery task"


def measure(house: House, smoke: bool) -> list[Row]:
    """Sends a second and CPU of both."""
    number = 50 if smoke else 3_000
    with Nginx(house.folder / "nginx") as server:
        ways = {WHOLE: partial(_run, house, server, number, whole=True)}
        ways[BARE] = partial(_run, house, server, number, whole=False)
        runs = in_turn(ways, rounds_of(smoke))
    return [
        compare(runs, WHOLE, BARE, "sends/s", target=at_least(0.6)),
        compare(runs, WHOLE, BARE, "CPU ms a send"),
    ]


def _run(house: House, server: Nginx, number: int, *, whole: bool) -> Figures:
    house.clean()
    environment = {"SMS_API_URL": f"{server.url}/messages", "TRACKER": str(whole).lower()}
    with house.worker("-I", "bench.tasks", **environment) as worker:
        server.forget()
        send_all(_texts(WARM, whole), lambda: server.count() >= WARM, [])
        wake_ups = _texts(number, whole)
        server.forget()
        return send_all(wake_ups, lambda: server.count() >= number, [worker.pid])


def _texts(number: int, whole: bool) -> list[WakeUp]:
    if whole:
        return accept_texts(number)
    return [WakeUp(str(uuid4()), tasks.BARE_TEXT, "sms", 3, time.time()) for _ in range(number)]
