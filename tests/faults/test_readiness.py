"""The judge of what an API says of itself."""

from __future__ import annotations

import pytest

from tests.faults.readiness import BROKER, WORKERS, Outage, Sample, truthful, turns

WELL = [Sample(float(at), True) for at in range(100)]
LONG, SHORT = Outage(20.0, 35.0), Outage(20.0, 23.0)


def said(unready: range, *, what: bool | None = False) -> list[Sample]:
    return [Sample(float(at), what if at in unready else True) for at in range(100)]


def test_an_outage_that_is_told_and_whose_end_is_told_is_no_breach() -> None:
    samples = said(range(25, 38))
    assert turns(samples, LONG) == (5.0, 3.0)
    assert not truthful(samples, [LONG])


def test_a_short_outage_may_pass_unseen() -> None:
    assert not truthful(WELL, [SHORT])
    assert not truthful(said(range(21, 25)), [SHORT])


@pytest.mark.parametrize(
    ("samples", "outages"),
    [
        (WELL, [LONG]),  # never told
        (said(range(31, 38)), [LONG]),  # too late
        (said(range(25, 52)), [LONG]),  # its end too late
        (said(range(25, 100)), [LONG]),  # its end never
        (said(range(70, 72)), [SHORT]),  # nothing was broken then
        (said(range(70, 72), what=None), []),  # it said nothing
    ],
)
def test_an_untruth_is_seen(samples: list[Sample], outages: list[Outage]) -> None:
    assert {breach.rule for breach in truthful(samples, outages)} == {"I6"}


def test_that_no_worker_is_left_may_be_told_when_its_heartbeat_is_over() -> None:
    outage = Outage(20.0, 50.0)
    samples = said(range(37, 53))
    assert not truthful(samples, [outage], WORKERS)
    assert truthful(samples, [outage], BROKER)
    assert truthful(said(range(41, 53)), [outage], WORKERS)
    assert truthful(said(range(37, 80)), [outage], WORKERS)


def test_a_component_s_look_that_was_cut_short_is_no_untruth() -> None:
    assert not truthful(said(range(70, 72)), [SHORT], BROKER)
    assert truthful(said(range(70, 72), what=None), [SHORT], BROKER)  # but no answer is


def test_once_is_never() -> None:
    assert not truthful(said(range(70, 71)), [])
