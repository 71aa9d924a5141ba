"""The state machine, and that the statements keep to it."""

from __future__ import annotations

from app.notifications.status import FINAL, TRANSITIONS, Status


def test_every_status_has_its_transitions() -> None:
    assert set(TRANSITIONS) == set(Status)


def test_nothing_leaves_a_final_status_but_a_dead_letter() -> None:
    assert all(not TRANSITIONS[status] for status in FINAL - {Status.FAILED})
    assert TRANSITIONS[Status.FAILED] == {Status.QUEUED}


def test_every_status_but_the_first_can_be_reached() -> None:
    reachable = set().union(*TRANSITIONS.values())
    assert reachable == set(Status)
