"""What the benches of sending share: messages accepted, woken all at once, and taken by a worker to the last."""

from __future__ import annotations

import time
from collections.abc import Callable

from sqlalchemy import text

from app.core.broker import WakeUp, broker
from app.core.database import transaction
from app.messages.kinds import KINDS
from app.notifications import outbox, store, submit
from bench.measure import Figures, cpu_seconds
from bench.nginx import Nginx
from tests import data
from tests.house import wait_until

#: Seconds within which a run must come to its end.
PATIENCE = 600
#: Texts for each worker that open what is kept open.
WARM = 40


def accept_texts(number: int) -> list[WakeUp]:
    """So many booking confirmations by SMS, whose wake-ups are to be published within the grace.

    Accepted one by one, thousands take longer than that: the relay would publish them a second time.
    """
    kind = KINDS["booking_confirmation_sms"]
    with transaction() as connection:
        ids = submit.accept_many(connection, kind, [data.sms()] * number)
        now: float = connection.execute(text("SELECT extract(epoch FROM clock_timestamp())::float8")).scalar_one()
        outbox.move_on(connection, [(message_id, store.GRACE, now) for message_id in ids], published=True)
    return [WakeUp(str(message_id), kind.task, kind.queue, kind.priority, now) for message_id in ids]


def send_texts(
    server: Nginx, number: int, pids: list[int], make: Callable[[int], list[WakeUp]] = accept_texts
) -> Figures:
    """What so many texts cost, once the first have opened what is kept open: `send_all`'s figures."""
    server.forget()
    send_all(make(WARM * len(pids)), lambda: server.count() >= WARM * len(pids), [])
    wake_ups = make(number)
    server.forget()
    return send_all(wake_ups, lambda: server.count() >= number, pids)


def send_all(wake_ups: list[WakeUp], all_taken: Callable[[], bool], pids: list[int]) -> Figures:
    """Publish them all at once, and wait until all are taken; `pids` are the workers'."""
    before = sum(map(cpu_seconds, pids))
    started = time.monotonic()
    broker.publish(wake_ups)
    wait_until(all_taken, PATIENCE)
    seconds = time.monotonic() - started
    spent = sum(map(cpu_seconds, pids)) - before
    number = len(wake_ups)
    return {"sends/s": number / seconds, "CPU ms a send": spent / number * 1000}
