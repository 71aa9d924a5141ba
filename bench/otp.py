"""How long a one-time code takes while 100,000 bulk pushes and 10,000 texts wait, through one plain worker.

From the request to the moment when the gateway's yes is recorded, beside an idle house. The gateway takes 100 ms
and FCM 50.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from functools import partial

from app.core.database import transaction
from app.messages.kinds import KINDS
from app.notifications import submit
from app.tasks.sms_tasks import send_otp_sms
from bench import push
from bench.measure import Figures, Row, at_most, compare, in_turn, percentile, rounds_of
from bench.nginx import Nginx
from sandbox.standins.script import slow
from tests import data
from tests.house import House, wait_until
from tests.rows import row

BUSY, IDLE = "a code while others wait", "on an idle house"
P50, P95 = "ms, p50", "ms, p95"
GATEWAY, FCM = 0.1, 0.05  #: seconds
PAUSE = 0.05  #: seconds between two codes
FIRST_SENT = 20  #: texts after which the crowd is being served


def measure(house: House, smoke: bool) -> list[Row]:
    """The 95th percentile of both."""
    codes, pushes, texts = (5, 1_000, 500) if smoke else (200, 100_000, 10_000)
    with Nginx(house.folder / "nginx", authority=house.authority, wait=FCM) as server:
        ways = {
            BUSY: partial(_run, house, server, codes, pushes, texts),
            IDLE: partial(_run, house, server, codes, 0, 0),
        }
        runs = in_turn(ways, rounds_of(smoke))
    limit = f"{GATEWAY * 1000:.0f} ms of both are the gateway's"
    return [compare(runs, BUSY, IDLE, P95, target=at_most(2), limit=limit), compare(runs, BUSY, IDLE, P50)]


def _run(house: House, server: Nginx, codes: int, pushes: int, texts: int) -> Figures:
    house.clean()
    house.sms.script.extend([slow(GATEWAY)] * (texts + codes + 1))
    path = str(push.account(house, server))
    with house.worker(FCM_BASE_URL=server.url, FIREBASE_CREDENTIALS_PATH=path):
        _send_code()  # opens what is kept open
        if pushes:
            _crowd(house, pushes, texts)
        took = []
        for _ in range(codes):
            took.append(_send_code() * 1000)
            time.sleep(PAUSE)
        if texts and len(house.ledger.entries("sms")) >= texts:
            raise RuntimeError("the crowd was served before the last code; it is to be larger")
    return {P95: percentile(took, 95), P50: percentile(took, 50)}


def _crowd(house: House, pushes: int, texts: int) -> None:
    submit.accept_now(KINDS["bulk_push_notification"], push.bulk(pushes))
    each = [data.sms(booking_reference=f"PF{number:06}") for number in range(texts)]
    with transaction() as connection:
        submit.accept_many(connection, KINDS["booking_confirmation_sms"], each)
    wait_until(lambda: len(house.ledger.entries("sms")) > FIRST_SENT, 60)


def _send_code() -> float:
    """Seconds, by one machine's clock."""
    requested = datetime.now(UTC)
    task_id = send_otp_sms.delay(**data.otp()).id
    wait_until(lambda: (row(task_id) or {})["status"] == "sent", 60)
    return float(((row(task_id) or {})["finished_at"] - requested).total_seconds())
