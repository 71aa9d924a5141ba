"""The SMTP provider against the stand-in mail server: delivery, kept sessions, what a server announces."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from app.providers.base import Attachment, Receipt
from app.providers.errors import InvalidRecipient, Rejected, Transient
from app.providers.smtp import SmtpProvider
from sandbox.standins.smtp import Behaviour, SmtpStandIn
from tests.providers.smtp_bench import ADDRESS, CHUNKED, ONE_BY_ONE, PIPELINED, SmtpBench, email
from tests.providers.suites import EmailSuite


@pytest.mark.parametrize("security", ["starttls", "tls", "none"])
@pytest.mark.parametrize("mechanisms", [("PLAIN",), ("LOGIN",)])
def test_a_message_arrives_as_it_was_written(smtp: SmtpBench, security: str, mechanisms: tuple[str]) -> None:
    ticket = Attachment(filename="Билет.pdf", content_type="application/pdf", content=b"%PDF-1.7")
    message = email(subject="Ankara → İzmir", text="Merhaba\n.\nAyşe", attachments=(ticket,))
    standin = smtp.serve(security=security, mechanisms=mechanisms)
    receipt = smtp.connect(standin.port, security=security).send(message)

    (entry,) = smtp.ledger.entries("email")
    assert receipt == Receipt(entry["id"])
    assert (entry["sender"], entry["to"]) == ("no-reply@pafar.example", [ADDRESS])
    assert (entry["subject"], entry["text"], entry["html"]) == (message.subject, message.text, message.html)
    assert entry["message_id"] == "<0192e4c0-0001@pafar.example>"
    assert entry["headers"]["From"] == "Pafar Otobüs <no-reply@pafar.example>"
    assert entry["headers"]["Auto-Submitted"] == "auto-generated"
    assert [(a["filename"], a["size"]) for a in entry["attachments"]] == [("Билет.pdf", 8)]
    assert (entry["tls"], entry["user"]) == (security != "none", "pafar")


@pytest.mark.parametrize(
    ("limits", "expected"),
    [
        ({}, [1, 1, 1, 1, 1]),
        ({"max_messages": 2}, [1, 1, 2, 2, 3]),
        ({"max_age": 0.0}, [1, 2, 3, 4, 5]),
        ({"max_idle": 0.0}, [1, 2, 3, 4, 5]),
    ],
)
def test_a_session_serves_many_messages_within_its_limits(
    smtp: SmtpBench,
    limits: dict[str, Any],
    expected: list[int],
) -> None:
    provider = smtp.connect(smtp.serve().port, **limits)
    for number in range(5):
        provider.send(email(number))
    assert smtp.sessions() == expected


@pytest.mark.parametrize("farewell", [None, "421 4.4.2 idle for too long"])
def test_a_session_that_the_server_closed_is_replaced(smtp: SmtpBench, farewell: str | None) -> None:
    standin = smtp.serve()
    provider = smtp.connect(standin.port)
    provider.send(email(1))
    standin.disconnect(farewell)
    provider.send(email(2))
    assert smtp.sessions() == [1, 2]


def test_a_kept_session_ended_at_mail_is_replaced_once(smtp: SmtpBench) -> None:
    standin = smtp.serve()
    provider = smtp.connect(standin.port)
    provider.send(email(1))
    goodbye = Behaviour(at="MAIL", reply="421 4.7.0 enough for one connection", close=True)
    standin.script.append(goodbye)
    provider.send(email(2))
    standin.script.extend([goodbye, goodbye])
    with pytest.raises(Transient) as caught:
        provider.send(email(3))
    assert caught.value.code == "421 4.7.0"
    assert smtp.sessions() == [1, 2]


def test_sending_goes_on_after_the_server_restarted(smtp: SmtpBench) -> None:
    standin = smtp.serve()
    provider = smtp.connect(standin.port)
    provider.send(email(1))
    standin.stop()
    with pytest.raises(Transient):
        provider.send(email(2))
    standin.start()
    provider.send(email(3))
    assert smtp.sessions() == [1, 2]


def test_many_threads_share_a_few_sessions(smtp: SmtpBench) -> None:
    standin = smtp.serve()
    provider = smtp.connect(standin.port, max_sessions=3)
    with ThreadPoolExecutor(8) as threads:
        receipts = list(threads.map(lambda number: provider.send(email(number)), range(80)))
    assert len({receipt.provider_id for receipt in receipts}) == 80
    assert len({entry["message_id"] for entry in smtp.ledger.entries("email")}) == 80
    assert standin.connection_count <= 3


@pytest.mark.parametrize(
    "extensions", [CHUNKED, PIPELINED, ONE_BY_ONE], ids=["chunked", "pipelined", "one by one"]
)
class TestSmtp(EmailSuite):
    @pytest.fixture
    def standin(self, smtp: SmtpBench, extensions: tuple[str, ...]) -> SmtpStandIn:
        return smtp.serve(extensions=extensions)

    @pytest.fixture
    def provider(self, smtp: SmtpBench, standin: SmtpStandIn) -> SmtpProvider:
        return smtp.connect(standin.port)

    @pytest.fixture
    def rate_limit(self, standin: SmtpStandIn) -> Callable[[float], None]:
        return lambda _: standin.script.append(Behaviour(at="RCPT", reply="450 4.7.1 too many of yours"))


def test_waiting_for_a_free_session_ends_at_the_deadline(smtp: SmtpBench) -> None:
    provider = smtp.connect(smtp.serve().port, max_sessions=0, deadline=0.1)
    with pytest.raises(Transient, match="busy"):
        provider.send(email())


def test_a_forked_process_uses_connections_of_its_own(smtp: SmtpBench) -> None:
    provider = smtp.connect(smtp.serve().port)
    provider.send(email(1))
    child = os.fork()
    if child == 0:
        try:
            provider.send(email(2))
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    provider.send(email(3))
    assert smtp.sessions() == [1, 2, 1]


@pytest.mark.parametrize(
    ("said", "provider_id"),
    [
        ("250 2.0.0 Ok: queued as 4CkF5q2Zz", "4CkF5q2Zz"),
        ("250 OK id=1rQ2aB-0001-Cd", "1rQ2aB-0001-Cd"),
        ("250 2.0.0 OK 1700000000 a1-b2 - gsmtp", "OK 1700000000 a1-b2 - gsmtp"),
        ("250 2.0.0 OK", "<0192e4c0-0001@pafar.example>"),
        (f"250 2.1.5 {ADDRESS} takes 1 message", "<0192e4c0-0001@pafar.example>"),
    ],
)
def test_the_provider_id_is_what_the_server_calls_the_message(
    smtp: SmtpBench, said: str, provider_id: str
) -> None:
    standin = smtp.serve()
    standin.script.append(Behaviour(at="message", accept=True, reply=said))
    assert smtp.connect(standin.port).send(email(1)) == Receipt(provider_id)


@pytest.mark.parametrize(
    "extensions", [CHUNKED, PIPELINED, ONE_BY_ONE], ids=["chunked", "pipelined", "one by one"]
)
def test_what_the_server_can_not_take_is_refused_before_it_is_sent(
    smtp: SmtpBench, extensions: tuple[str, ...]
) -> None:
    provider = smtp.connect(smtp.serve(max_size=2000, extensions=extensions).port)
    with pytest.raises(Rejected, match="octets"):
        provider.send(email(1, text="x" * 2000))
    with pytest.raises(InvalidRecipient, match="SMTPUTF8"):
        provider.send(email(2, to="ayşe@mail.example"))
    provider.send(email(3, to="ayse@bücher.example"))
    assert [entry["to"] for entry in smtp.ledger.entries()] == [["ayse@xn--bcher-kva.example"]]
    assert smtp.sessions() == [1]


def test_a_local_part_in_another_script_goes_by_smtputf8(smtp: SmtpBench) -> None:
    smtp.connect(smtp.serve().port).send(email(to="ayşe@mail.example"))
    (entry,) = smtp.ledger.entries()
    assert (entry["to"], entry["headers"]["To"]) == (["ayşe@mail.example"], "ayşe@mail.example")


def test_a_server_that_wants_no_login_and_names_no_size_is_served(smtp: SmtpBench) -> None:
    standin = smtp.serve(mechanisms=(), max_size=None, extensions=ONE_BY_ONE)
    smtp.connect(standin.port, user=None, password=None).send(email(text="x" * 100_000))
    (entry,) = smtp.ledger.entries()
    assert (entry["text"], entry["user"]) == ("x" * 100_000, None)
