"""Claiming a message and recording its outcome, with 10 million rows in `notifications` and with 10 thousand.

The rows lie in the last ten days, today among them. One claims and records at a time.
"""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import partial
from uuid import UUID

import psycopg

from app.core import migrations
from app.core.database import statement
from app.maintenance.partitions import NOTIFICATIONS
from app.notifications import store
from app.notifications.status import Status
from bench.databases import using
from bench.measure import Figures, Row, at_most, compare, in_turn, percentile, rounds_of
from bench.sending import accept_texts
from tests import past
from tests.house import House

MANY, FEW = "among many rows", "among few"
P50, P99 = "ms, p50", "ms, p99"
DAYS = 10

#: As a text that was sent leaves it; the ids' times are spread over the days before this moment.
_FILL = """
    INSERT INTO notifications (id, kind, status, priority, payload, booking_reference, valid_until, attempt,
                               provider_id, result, created_at, finished_at)
    SELECT uuidv7(-(%(span)s * n / %(rows)s * interval '1 second')), 'booking_confirmation_sms', 'sent', 3,
           jsonb_build_object('phone_number', '+2348031234567', 'user_name', 'Ada Obi', 'booking_data',
               jsonb_build_object('booking_reference', 'PF' || n, 'origin', 'Lagos', 'destination', 'Abuja',
                                  'seats', '["12", "13"]'::jsonb, 'total_amount', '30000.00', 'currency', 'NGN')),
           'PF' || n, now(), 1, 'sms-' || n, '{"success": true}', now(), now()
    FROM generate_series(1, %(rows)s) AS n
"""


def measure(house: House, smoke: bool) -> list[Row]:
    """Milliseconds of a claim and a record together."""
    many, few, messages = (20_000, 1_000, 100) if smoke else (10_000_000, 10_000, 3_000)
    ways = {}
    for name, rows in ((MANY, many), (FEW, few)):
        url = house.postgres.create_database(f"with_{rows}")
        _fill(url, rows)
        ways[name] = partial(_run, url, messages)
    runs = in_turn(ways, rounds_of(smoke))
    return [compare(runs, MANY, FEW, P99, target=at_most(1.3)), compare(runs, MANY, FEW, P50)]


def _fill(url: str, rows: int) -> None:
    with using(url):
        migrations.upgrade()
        for days in range(DAYS + 1):
            past.partition(NOTIFICATIONS, past.day_ago(days))
    now = datetime.now(UTC)
    span = (now - timedelta(days=DAYS)).replace(hour=0, minute=0, second=1)
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(_FILL, {"span": (now - span).total_seconds(), "rows": rows})
        # As days that are past lie there: nothing of them is still to be written or looked through.
        connection.execute("VACUUM (ANALYZE, FREEZE) notifications")
        connection.execute("CHECKPOINT")


def _run(url: str, messages: int) -> Figures:
    with using(url), ThreadPoolExecutor(1) as pool:  # whose threads have their own way to the database
        ids = [UUID(wake_up.id) for wake_up in accept_texts(messages)]
        took = [seconds * 1000 for seconds in pool.map(_claim_and_record, ids)]
    return {P50: percentile(took, 50), P99: percentile(took, 99)}


def _claim_and_record(message_id: UUID) -> float:
    """Seconds, in two statements that commit themselves, as a worker does it."""
    started = time.perf_counter()
    with statement() as connection:
        held = store.claim(connection, message_id)
    if held is None:
        raise RuntimeError("a new message could not be claimed")
    with statement() as connection:
        store.finish(connection, held, Status.SENT, wipe=False, result={"success": True}, provider_id="sms-1")
    return time.perf_counter() - started
