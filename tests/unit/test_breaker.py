"""The circuit breaker: one caller pays for a failure, the next are spared."""

from __future__ import annotations

import time

from app.core.breaker import Breaker


def test_closed_until_a_failure_then_open_until_it_has_cooled_down() -> None:
    breaker = Breaker(cool_down=0.2)
    assert breaker.allow()
    breaker.failed()
    assert breaker.is_open
    assert not breaker.allow()
    time.sleep(0.25)
    assert not breaker.is_open


def test_after_the_cool_down_one_caller_tries_for_all() -> None:
    breaker = Breaker(cool_down=0.2)
    breaker.failed()
    time.sleep(0.25)
    assert [breaker.allow() for _ in range(3)] == [True, False, False]
    breaker.succeeded()
    assert breaker.allow()


def test_a_threshold_takes_that_many_failures_in_a_row() -> None:
    breaker = Breaker(cool_down=60, threshold=3)
    for failures in (2, 2):
        for _ in range(failures):
            breaker.failed()
        assert breaker.allow()
        breaker.succeeded()
    for _ in range(3):
        breaker.failed()
    assert not breaker.allow()
    assert 59 < breaker.remaining <= 60


def test_a_trip_opens_at_once() -> None:
    breaker = Breaker(cool_down=60, threshold=5)
    breaker.trip()
    assert not breaker.allow()
