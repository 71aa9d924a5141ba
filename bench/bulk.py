"""Accepting for many: one call for 100,000 texts beside a loop of `.delay`, and a bulk push to a million."""

from __future__ import annotations

import time
from functools import partial

from app.core.database import transaction
from app.messages.kinds import KINDS
from app.notifications import submit
from app.tasks.sms_tasks import send_booking_confirmation_sms
from bench.measure import Figures, Row, alone, at_least, compare, in_turn, rounds_of
from bench.push import bulk
from tests import data
from tests.house import House

MANY, LOOP, BULK = "one call for many texts", "a loop of `.delay`", "accepting a bulk push"
RATE = "messages/s"


def measure(house: House, smoke: bool) -> list[Row]:
    """Messages a second that a caller gets rid of."""
    many, few, given = (1_000, 50, 2_000) if smoke else (100_000, 1_000, 1_000_000)
    ways = {
        MANY: partial(_at_once, house, many),
        LOOP: partial(_one_by_one, house, few),
        BULK: partial(_bulk, house, given),
    }
    runs = in_turn(ways, rounds_of(smoke))
    return [compare(runs, MANY, LOOP, RATE, target=at_least(10)), alone(runs, BULK, "tokens/s")]


def _at_once(house: House, number: int) -> Figures:
    house.clean()
    each = [data.sms(booking_reference=f"PF{n:06}") for n in range(number)]
    started = time.perf_counter()
    with transaction() as connection:
        submit.accept_many(connection, KINDS["booking_confirmation_sms"], each)
    return {RATE: number / (time.perf_counter() - started)}


def _one_by_one(house: House, number: int) -> Figures:
    house.clean()
    started = time.perf_counter()
    for n in range(number):
        send_booking_confirmation_sms.delay(**data.sms(booking_reference=f"PF{n:06}"))
    return {RATE: number / (time.perf_counter() - started)}


def _bulk(house: House, tokens: int) -> Figures:
    """How long the call holds its caller."""
    house.clean()
    arguments = bulk(tokens)
    started = time.perf_counter()
    submit.accept_now(KINDS["bulk_push_notification"], arguments)
    return {"tokens/s": tokens / (time.perf_counter() - started)}
