"""What the SMTP provider makes of refusals, lost connections and bad settings."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trustme

from app.providers.errors import (
    InvalidRecipient,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    RecipientBusy,
    Rejected,
    Transient,
)
from sandbox.standins.smtp import Behaviour
from sandbox.standins.tls import Authority
from tests.providers.smtp_bench import ADDRESS, CHUNKED, ONE_BY_ONE, PIPELINED, SmtpBench, at_once, email


@pytest.mark.parametrize(
    "extensions", [CHUNKED, PIPELINED, ONE_BY_ONE], ids=["chunked", "pipelined", "one by one"]
)
@pytest.mark.parametrize(
    ("at", "reply", "meaning"),
    [
        ("AUTH", "454 4.7.0 try later", Transient),
        ("AUTH", "535 5.7.8 wrong password", Misconfigured),
        ("MAIL", "421 4.7.0 too busy", Transient),
        ("MAIL", "451 4.7.1 greylisted", Transient),
        ("MAIL", "530 5.7.0 log in first", Misconfigured),
        ("MAIL", "553 5.7.1 not your sender address", Misconfigured),
        ("MAIL", "550 no", Misconfigured),
        ("MAIL", "501 5.1.7 bad sender address", Misconfigured),
        ("MAIL", "552 5.3.4 too big", Rejected),
        ("MAIL", "555 5.5.4 unknown parameter", Rejected),
        ("RCPT", "450 4.2.1 busy", RecipientBusy),
        ("RCPT", "452 4.2.2 mailbox full", RecipientBusy),
        ("RCPT", "451 4.7.1 greylisted", RecipientBusy),
        ("RCPT", "450 later", RecipientBusy),
        ("RCPT", "451 4.3.0 queue full", Transient),
        ("RCPT", "450 4.1.8 sender's domain not found", Transient),
        ("RCPT", "421 4.7.0 too many", Transient),
        ("RCPT", f"550 5.1.1 <{ADDRESS}> is unknown", InvalidRecipient),
        ("RCPT", "550 5.1.7 the sender is unknown", Misconfigured),
        ("RCPT", "550 5.1.8 the sender's domain is unknown", Misconfigured),
        ("RCPT", "550 5.7.1 policy", Rejected),
        ("RCPT", "550 no", Rejected),
        ("DATA", "452 4.3.1 disk full", Transient),
        ("DATA", "554 5.5.1 no", Rejected),
        ("message", "421 4.3.2 going down", Transient),
        ("message", "451 4.3.0 queue full", Transient),
        ("message", "554 5.7.1 looks like spam", Rejected),
    ],
)
def test_a_refusal_has_its_meaning_and_the_next_message_goes(
    smtp: SmtpBench,
    extensions: tuple[str, ...],
    at: Any,
    reply: str,
    meaning: type[ProviderError],
) -> None:
    standin = smtp.serve(extensions=extensions)
    standin.script.append(Behaviour(at=at, reply=reply))
    provider = smtp.connect(standin.port)
    with pytest.raises(ProviderError) as caught:
        provider.send(email(1))
    assert type(caught.value) is meaning
    assert caught.value.code == reply[: 9 if reply[4].isdigit() else 3]
    assert ADDRESS not in str(caught.value)
    assert caught.value.retry_after == (300 if meaning is RecipientBusy else None)

    provider.send(email(2))
    assert smtp.sessions() == [2 if at == "AUTH" or reply.startswith("421") else 1]


@pytest.mark.parametrize(
    ("extensions", "behaviour", "meaning", "arrived"),
    [
        (PIPELINED, Behaviour(at="MAIL", close=True), Transient, 0),
        (PIPELINED, Behaviour(at="DATA", close=True), Transient, 0),
        (PIPELINED, Behaviour(at="DATA", delay=60), Transient, 0),
        (PIPELINED, Behaviour(at="message", close=True), OutcomeUnknown, 0),
        (PIPELINED, Behaviour(at="message", accept=True, close=True), OutcomeUnknown, 1),
        (PIPELINED, Behaviour(at="message", accept=True, delay=60), OutcomeUnknown, 1),
        # A chunk leaves with its commands, so nobody knows how far the server read.
        (CHUNKED, Behaviour(at="MAIL", close=True), OutcomeUnknown, 0),
        (CHUNKED, Behaviour(at="message", close=True), OutcomeUnknown, 0),
        (CHUNKED, Behaviour(at="message", accept=True, close=True), OutcomeUnknown, 1),
        (CHUNKED, Behaviour(at="message", accept=True, delay=60), OutcomeUnknown, 1),
    ],
)
def test_a_lost_connection_is_unknown_once_the_whole_message_has_left(
    smtp: SmtpBench,
    extensions: tuple[str, ...],
    behaviour: Behaviour,
    meaning: type[ProviderError],
    arrived: int,
) -> None:
    standin = smtp.serve(extensions=extensions)
    standin.script.append(behaviour)
    provider = smtp.connect(standin.port, timeout=2.0)
    with pytest.raises(ProviderError) as caught:
        provider.send(email(1))
    assert type(caught.value) is meaning
    assert len(smtp.ledger.entries()) == arrived


def test_a_refused_login_is_tried_by_one_of_those_who_wait_for_it(smtp: SmtpBench) -> None:
    standin = smtp.serve()
    standin.script.append(Behaviour(at="AUTH", delay=2.0, reply="535 5.7.8 wrong password"))
    outcomes = at_once(smtp.connect(standin.port), [email(number) for number in range(16)])
    assert sorted(type(outcome).__name__ for outcome in outcomes) == ["Misconfigured", *["Transient"] * 15]
    assert standin.connection_count == 1


def test_a_certificate_by_an_unknown_authority_is_refused(smtp: SmtpBench) -> None:
    provider = smtp.connect(smtp.serve().port, ca_file=None)
    with pytest.raises(Misconfigured, match="certificate"):
        provider.send(email())
    assert smtp.ledger.entries() == []


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_a_certificate_for_another_host_is_refused(smtp: SmtpBench, tmp_path: Path, security: str) -> None:
    ca = trustme.CA()
    elsewhere = ca.issue_cert("mail.elsewhere.example")
    smtp.authority = Authority(tmp_path / "ca.pem", tmp_path / "cert.pem", tmp_path / "key.pem")
    ca.cert_pem.write_to_path(str(smtp.authority.ca_file))
    elsewhere.cert_chain_pems[0].write_to_path(str(smtp.authority.cert_file))
    elsewhere.private_key_pem.write_to_path(str(smtp.authority.key_file))
    provider = smtp.connect(smtp.serve(security=security).port, security=security)
    with pytest.raises(Misconfigured, match="certificate"):
        provider.send(email())
    assert smtp.ledger.entries() == []


def test_tls_where_the_server_speaks_plain_text_is_misconfigured(smtp: SmtpBench) -> None:
    provider = smtp.connect(smtp.serve().port, security="tls")
    with pytest.raises(Misconfigured):
        provider.send(email())


@pytest.mark.parametrize("mechanisms", [("PLAIN",), ("LOGIN",)])
def test_a_wrong_password_is_misconfigured_and_not_repeated(smtp: SmtpBench, mechanisms: tuple[str, ...]) -> None:
    provider = smtp.connect(smtp.serve(mechanisms=mechanisms).port, password="not-it")
    with pytest.raises(Misconfigured) as caught:
        provider.send(email())
    assert caught.value.code == "535 5.7.8"
    assert "not-it" not in str(caught.value)


def test_a_server_with_no_login_we_speak_is_misconfigured(smtp: SmtpBench) -> None:
    provider = smtp.connect(smtp.serve(mechanisms=()).port)
    with pytest.raises(Misconfigured, match="AUTH PLAIN"):
        provider.send(email())


def test_a_server_that_wants_a_login_and_gets_none_is_misconfigured(smtp: SmtpBench) -> None:
    provider = smtp.connect(smtp.serve().port, user=None, password=None)
    with pytest.raises(Misconfigured) as caught:
        provider.send(email())
    assert caught.value.code == "530 5.7.0"


def test_a_server_that_is_away_is_transient(smtp: SmtpBench) -> None:
    standin = smtp.serve()
    standin.stop()
    provider = smtp.connect(standin.port)
    with pytest.raises(Transient, match="refused"):
        provider.send(email())
    standin.start()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("security", "ssl"),
        ("password", None),
        ("sender", "Pafar"),
        ("sender", "Pafar <no-reply@pafar.example>\r\nBcc: all@mail.example"),
        ("ca_file", "/nonexistent/ca.pem"),
        ("ca_file", __file__),
    ],
)
def test_a_bad_setting_is_named(smtp: SmtpBench, field: str, value: str | None) -> None:
    with pytest.raises(Misconfigured, match=field):
        smtp.connect(25, **{field: value})
