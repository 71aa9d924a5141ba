"""Many messages on their way at once on one SMTP session: what becomes of the others when one meets with harm."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from app.providers.base import Email, Receipt
from app.providers.errors import InvalidRecipient, OutcomeUnknown, ProviderError, Rejected, Transient
from app.providers.smtp import SmtpProvider
from app.providers.smtp_session import CHUNKED_WINDOW, PATIENCE, PIPELINED_WINDOW
from sandbox.standins.smtp import Behaviour, SmtpStandIn
from tests.providers.smtp_bench import CHUNKED, ONE_BY_ONE, PIPELINED, SmtpBench, at_once, email, plain_session

#: Time for the threads to have their messages on the wire.
HOLD = Behaviour(at="MAIL", delay=0.5)
TAKE = Behaviour(at="message", accept=True)
WINDOW = 10


def passengers(count: int, first: int = 1000) -> list[Email]:
    return [email(number, to=f"passenger-{number}@mail.example") for number in range(first, first + count)]


def named(messages: list[Email]) -> list[tuple[str, list[str]]]:
    return [(f"<{message.reference}@pafar.example>", [message.to]) for message in messages]


def own_id(smtp: SmtpBench, message: Email, outcome: Receipt | ProviderError) -> bool:
    """Whether a receipt names what the server took of this message, and of no other."""
    ids = {entry["message_id"]: entry["id"] for entry in smtp.ledger.entries()}
    name = f"<{message.reference}@pafar.example>"
    return not isinstance(outcome, Receipt) or ids.get(name) == outcome.provider_id


def open_wide(smtp: SmtpBench, extensions: tuple[str, ...], **options: Any) -> tuple[SmtpStandIn, SmtpProvider]:
    """A provider whose only session has seen enough to take WINDOW messages at once, and an empty ledger."""
    standin = smtp.serve(extensions=extensions)
    provider = smtp.connect(standin.port, max_sessions=1, **options)
    for number in range(WINDOW):
        provider.send(email(number))
    smtp.ledger.clear()
    return standin, provider


def kinds(outcomes: list[Receipt | ProviderError]) -> Counter[type]:
    return Counter(map(type, outcomes))


def sent(messages: list[Email], outcomes: list[Receipt | ProviderError]) -> list[Email]:
    return [message for message, outcome in zip(messages, outcomes, strict=True) if isinstance(outcome, Receipt)]


@pytest.mark.parametrize(
    "extensions", [CHUNKED, PIPELINED, ONE_BY_ONE], ids=["chunked", "pipelined", "one by one"]
)
@pytest.mark.parametrize(
    ("harm", "meaning"),
    [
        (Behaviour(at="MAIL", reply="451 4.7.1 later"), Transient),
        (Behaviour(at="RCPT", reply="550 5.1.1 unknown"), InvalidRecipient),
        (Behaviour(at="DATA", reply="554 5.5.1 no"), Rejected),
        (Behaviour(at="message", reply="554 5.7.1 looks like spam"), Rejected),
    ],
    ids=["MAIL", "RCPT", "DATA", "message"],
)
def test_a_refusal_in_the_middle_is_one_messages_own(
    smtp: SmtpBench, extensions: tuple[str, ...], harm: Behaviour, meaning: type[ProviderError]
) -> None:
    standin, provider = open_wide(smtp, extensions)
    standin.script.extend([HOLD, *[TAKE] * 4, harm])
    messages = passengers(WINDOW)
    outcomes = at_once(provider, messages)
    assert kinds(outcomes) == {Receipt: WINDOW - 1, meaning: 1}
    assert sorted(smtp.arrived()) == named(sent(messages, outcomes))
    assert standin.connection_count == 1


@pytest.mark.parametrize("taken", [False, True])
def test_a_connection_that_dies_leaves_every_chunk_without_an_answer_unknown(smtp: SmtpBench, taken: bool) -> None:
    standin, provider = open_wide(smtp, CHUNKED)
    standin.script.extend([HOLD, *[TAKE] * 4, Behaviour(at="message", accept=taken, close=True)])
    messages = passengers(WINDOW)
    outcomes = at_once(provider, messages)
    accepted = kinds(outcomes)[Receipt]
    unknown = kinds(outcomes)[OutcomeUnknown]
    assert unknown > 1  # a thread that was late went by the next session
    assert accepted + unknown == WINDOW
    arrived = smtp.arrived()
    assert len(arrived) == accepted + taken
    assert all(name in arrived for name in named(sent(messages, outcomes)))


def test_a_connection_that_dies_takes_no_message_with_it_that_had_not_left(smtp: SmtpBench) -> None:
    standin, provider = open_wide(smtp, PIPELINED)
    standin.script.extend([HOLD, *[TAKE] * 4, Behaviour(at="message", close=True)])
    messages = passengers(WINDOW)
    outcomes = at_once(provider, messages)
    assert kinds(outcomes) == {Receipt: WINDOW - 1, OutcomeUnknown: 1}
    assert sorted(smtp.arrived()) == named(sent(messages, outcomes))
    assert standin.connection_count == 2


@pytest.mark.parametrize(
    "extensions", [CHUNKED, PIPELINED, ONE_BY_ONE], ids=["chunked", "pipelined", "one by one"]
)
@pytest.mark.parametrize(("at", "refused"), [("MAIL", 0), ("message", 1)])
def test_what_lay_behind_a_421_goes_by_another_session(
    smtp: SmtpBench, extensions: tuple[str, ...], at: Any, refused: int
) -> None:
    standin, provider = open_wide(smtp, extensions)
    standin.script.extend([HOLD, *[TAKE] * 4, Behaviour(at=at, reply="421 4.3.2 going down", close=True)])
    messages = passengers(WINDOW)
    outcomes = at_once(provider, messages)
    assert kinds(outcomes) == Counter({Receipt: WINDOW - refused, Transient: refused})
    assert sorted(smtp.arrived()) == named(sent(messages, outcomes))
    assert standin.connection_count == 2


def test_an_answer_that_comes_too_late_is_taken_for_nobody_elses(smtp: SmtpBench) -> None:
    standin, provider = open_wide(smtp, CHUNKED, timeout=1.0)
    standin.script.extend([HOLD, TAKE, Behaviour(at="message", accept=True, delay=1.5)])
    messages = passengers(WINDOW)
    outcomes = at_once(provider, messages)
    assert kinds(outcomes)[OutcomeUnknown] > 1
    assert kinds(outcomes)[Receipt] + kinds(outcomes)[OutcomeUnknown] == WINDOW
    assert all(own_id(smtp, message, outcome) for message, outcome in zip(messages, outcomes, strict=True))


@pytest.mark.parametrize(
    "extensions", [CHUNKED, PIPELINED, ONE_BY_ONE], ids=["chunked", "pipelined", "one by one"]
)
def test_of_many_threads_messages_none_is_lost_or_doubled_or_goes_astray(
    smtp: SmtpBench, extensions: tuple[str, ...]
) -> None:
    standin = smtp.serve(extensions=extensions)
    provider = smtp.connect(standin.port, max_sessions=3)
    refusals = [
        Behaviour(at="RCPT", reply="550 5.1.1 unknown"),
        Behaviour(at="message", reply="451 4.3.0 queue full"),
        Behaviour(at="MAIL", reply="421 4.7.0 enough", close=True),
    ]
    for number in range(24):
        standin.script.extend([*[TAKE] * 5, refusals[number % 3]])
    messages = passengers(320)
    outcomes = [outcome for begin in range(0, 320, 32) for outcome in at_once(provider, messages[begin:][:32])]
    assert kinds(outcomes)[OutcomeUnknown] == 0
    assert kinds(outcomes)[InvalidRecipient] == 8
    assert sorted(smtp.arrived()) == named(sent(messages, outcomes))
    assert all(own_id(smtp, message, outcome) for message, outcome in zip(messages, outcomes, strict=True))


@pytest.mark.parametrize(
    ("extensions", "widest"),
    [(CHUNKED, CHUNKED_WINDOW), (PIPELINED, PIPELINED_WINDOW), (ONE_BY_ONE, 1), (("CHUNKING",), 1)],
)
def test_the_window_opens_with_quick_answers_as_far_as_the_server_allows(
    smtp: SmtpBench, extensions: tuple[str, ...], widest: int
) -> None:
    session = plain_session(smtp.serve(security="none", mechanisms=(), extensions=extensions).port)
    seen = []
    for _ in range(CHUNKED_WINDOW + 2):
        seen.append(session.window)
        session.send("a@pafar.example", "b@mail.example", b"Subject: x\r\n\r\n", session.opened + 3600)
    session.close()
    assert seen == [min(number, widest) for number in range(1, CHUNKED_WINDOW + 3)]


def test_the_window_closes_by_half_when_an_answer_is_slow(smtp: SmtpBench) -> None:
    standin = smtp.serve(security="none", mechanisms=())
    session = plain_session(standin.port)
    session.window = 9
    standin.script.append(Behaviour(at="message", delay=PATIENCE))
    session.send("a@pafar.example", "b@mail.example", b"Subject: x\r\n\r\n", session.opened + 3600)
    session.close()
    assert session.window == 4
