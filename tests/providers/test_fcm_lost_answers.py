"""What a push comes to that FCM may have taken without saying so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from app.providers.base import Receipt
from app.providers.errors import OutcomeUnknown
from app.providers.fcm import FcmProvider
from sandbox.standins.fcm import FcmStandIn, fcm_error
from sandbox.standins.ledger import Ledger
from sandbox.standins.script import ACCEPT_THEN_DROP, DROP, HANG, Behaviour, answer
from sandbox.standins.tls import Authority
from tests.providers.fcm_bench import connect, outcome
from tests.providers.suites import PUSH


@pytest.mark.parametrize("behaviour", [ACCEPT_THEN_DROP, DROP])
@pytest.mark.parametrize("warm", [True, False])
def test_a_lost_answer_is_unknown_and_nothing_is_sent_twice(
    provider: FcmProvider, fcm: FcmStandIn, ledger: Ledger, behaviour: Behaviour, warm: bool
) -> None:
    if warm:
        outcome(provider)
    fcm.script.append(behaviour)
    assert type(outcome(provider)) is OutcomeUnknown
    assert len(ledger.entries("push")) == int(warm) + int(behaviour.accept)


def test_a_push_that_may_come_twice_is_sent_again_at_once(
    provider: FcmProvider, fcm: FcmStandIn, ledger: Ledger
) -> None:
    outcome(provider)
    fcm.script.append(ACCEPT_THEN_DROP)
    [result] = provider.send(replace(PUSH, repeatable=True), ["token"])
    assert isinstance(result, Receipt)
    assert result.repeated
    assert len(ledger.entries("push")) == 3


@pytest.mark.parametrize("second", [answer(503, b""), answer(401, b""), fcm_error("UNREGISTERED")])
def test_what_is_refused_the_second_time_may_have_been_taken_the_first(
    provider: FcmProvider, fcm: FcmStandIn, second: Behaviour
) -> None:
    outcome(provider)
    fcm.script.extend([ACCEPT_THEN_DROP, second])
    [result] = provider.send(replace(PUSH, repeatable=True), ["token"])
    assert type(result) is OutcomeUnknown


def test_one_silent_token_does_not_spoil_the_others(fcm: FcmStandIn, authority: Authority, tmp_path: Path) -> None:
    fcm.tokens["silent"] = HANG
    with connect(fcm, authority, tmp_path, timeout=3) as provider:
        first, silent, last = provider.send(PUSH, ["one", "silent", "two"])
    assert isinstance(first, Receipt)
    assert type(silent) is OutcomeUnknown
    assert isinstance(last, Receipt)
