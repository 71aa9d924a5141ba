"""E-mails as bytes: what is on each line, and what is never let in."""

from __future__ import annotations

import time
from email import message_from_bytes
from email.policy import SMTP
from email.utils import parsedate_to_datetime
from typing import Any

import pytest

from app.providers.base import Attachment
from app.providers.errors import InvalidRecipient, Misconfigured, ProviderError, Rejected
from app.providers.mime import build, recipient
from tests.providers.smtp_bench import ADDRESS, USER, SmtpBench, email, plain_session

SENDER = "Pafar Otobüs <no-reply@pafar.example>"


def attached(filename: str = "ticket.pdf", content_type: str = "application/pdf") -> dict[str, Any]:
    return {"attachments": (Attachment(filename=filename, content_type=content_type, content=b"\0\r\n."),)}


def calendar(content_type: str = "text/calendar; method=PUBLISH; charset=utf-8") -> dict[str, Any]:
    return {"calendar": Attachment(filename="trip.ics", content_type=content_type, content=b"BEGIN:VCALENDAR\r\n")}


def test_every_line_ends_in_crlf_and_is_short_ascii() -> None:
    content = build(
        email(subject="İzmir " * 50, text="a\rb\nc" + "x" * 2000, html="ş" * 2000, **attached("ş.pdf")), SENDER
    )
    assert content.isascii()
    lines = content.split(b"\r\n")
    assert not any(b"\r" in line or b"\n" in line for line in lines)
    assert max(map(len, lines)) <= 998


def test_text_has_crlf_before_it_is_encoded_too() -> None:
    parts: Any = message_from_bytes(build(email(text="a\rb\nc\r\nd"), SENDER)).get_payload()
    assert parts[0].get_payload(decode=True) == b"a\r\nb\r\nc\r\nd"


def test_a_message_without_attachments_is_text_and_html_alone() -> None:
    assert b"multipart/mixed" not in build(email(), SENDER)
    assert b"multipart/mixed" in build(email(**attached()), SENDER)


def test_a_calendar_stands_beside_text_and_html_and_is_attached_too() -> None:
    message: Any = message_from_bytes(build(email(**attached(), **calendar()), SENDER))
    alternative, ticket, trip = message.get_payload()
    assert message.get_content_type() == "multipart/mixed"
    assert alternative.get_content_type() == "multipart/alternative"
    shown = alternative.get_payload()
    assert [part.get_content_type() for part in shown] == ["text/plain", "text/html", "text/calendar"]
    for part in (shown[2], trip):
        assert (part.get_param("method"), part.get_content_charset()) == ("PUBLISH", "utf-8")
        assert part.get_payload(decode=True) == b"BEGIN:VCALENDAR\r\n"
    assert "Content-Disposition" not in shown[2]
    assert (ticket.get_filename(), trip.get_filename()) == ("ticket.pdf", "trip.ics")


def test_ten_megabytes_arrive_as_they_are() -> None:
    content = bytes(range(256)) * 40_960
    file = Attachment(filename="r.pdf", content_type="application/pdf", content=content)
    parts: Any = message_from_bytes(build(email(attachments=(file,)), SENDER)).get_payload()
    assert parts[1].get_payload(decode=True) == content


def headers(sender: str = SENDER, **changes: Any) -> dict[str, str]:
    """The decoded headers of one message."""
    return {
        name: str(value)
        for name, value in message_from_bytes(build(email(**changes), sender), policy=SMTP).items()
    }


def test_the_headers_are_these_and_no_more() -> None:
    found = headers(reply_to="Pafar Hilfe für Sie <help@pafar.example>")
    assert set(found) == {
        *("From", "Reply-To", "To", "Subject", "Date", "Message-ID", "Auto-Submitted"),
        *("Content-Type", "MIME-Version"),
    }
    assert found["From"] == SENDER
    assert found["Reply-To"] == "Pafar Hilfe für Sie <help@pafar.example>"
    assert found["Message-ID"] == headers()["Message-ID"] == "<0192e4c0-0001@pafar.example>"
    assert found["Auto-Submitted"] == "auto-generated"
    assert abs(parsedate_to_datetime(found["Date"]).timestamp() - time.time()) < 3600


def test_an_address_alone_is_from_the_operator() -> None:
    assert headers("no-reply@pafar.example")["From"] == "Pafar <no-reply@pafar.example>"
    assert "Reply-To" not in headers()


@pytest.mark.parametrize("reply_to", ["", "help", "help@pafar.example\r\nBcc: all@mail.example", "şa@b.example"])
def test_a_reply_to_that_is_no_address_is_misconfigured(reply_to: str) -> None:
    with pytest.raises(Misconfigured, match="reply_to") as caught:
        build(email(reply_to=reply_to), SENDER)
    assert "mail.example" not in str(caught.value)


@pytest.mark.parametrize("line_break", ["\r\n", "\n", "\r", "\0", "\x0b", "\x85", "\u2028", "\ud800"])
@pytest.mark.parametrize(
    ("changes", "error"),
    [
        (lambda evil: {"to": f"{ADDRESS}{evil}"}, InvalidRecipient),
        (lambda evil: {"to": f"a{evil}{ADDRESS}"}, InvalidRecipient),
        (lambda evil: {"subject": f"Seat{evil}Bcc: all@mail.example"}, Rejected),
        (lambda evil: attached(filename=f"a{evil}b.pdf"), Rejected),
        (lambda evil: attached(content_type=f"text/plain{evil}X: y"), Rejected),
        (lambda evil: calendar(content_type=f"text/calendar{evil}X: y"), Rejected),
        (lambda evil: {"reply_to": f"Help{evil}Bcc: <all@mail.example>"}, Misconfigured),
    ],
    ids=["to", "local part", "subject", "filename", "content_type", "calendar", "reply_to"],
)
def test_a_header_value_with_a_line_break_is_refused(
    line_break: str, changes: Any, error: type[ProviderError]
) -> None:
    with pytest.raises(error) as caught:
        build(email(**changes(line_break)), SENDER)
    assert "mail.example" not in str(caught.value)


def test_a_reference_that_is_no_part_of_a_message_id_is_refused() -> None:
    message = email()
    object.__setattr__(message, "reference", "a b>\r\nX: y")
    with pytest.raises(Rejected, match="reference"):
        build(message, SENDER)


def test_text_that_has_no_utf8_form_is_refused() -> None:
    with pytest.raises(Rejected, match="plain text"):
        build(email(text="\ud800"), SENDER)


@pytest.mark.parametrize(
    "address", ["", "a", "a@", "@b", "a b@c.example", "a@b@c.example", "a,b@c.example", "<a@b>", "a@ü..example"]
)
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(InvalidRecipient):
        recipient(address)


def test_a_domain_in_another_script_is_written_in_ascii_as_idna_2008_has_it() -> None:
    assert recipient("a@Straße.example") == "a@xn--strae-oqa.example"


@pytest.mark.parametrize("sender", ["", "Pafar", "Pafar, Inc <a@b.example>", "Pafar <şa@b.example>"])
def test_a_sender_that_is_no_address_is_misconfigured(sender: str) -> None:
    with pytest.raises(Misconfigured, match="sender"):
        build(email(), sender)


def test_lines_that_begin_with_a_dot_arrive_unchanged(smtp: SmtpBench) -> None:
    text = "..\n.\n.x\n\n. .\n"
    content = b"Subject: dots\r\n\r\n" + text.replace("\n", "\r\n").encode()
    session = plain_session(smtp.serve(security="none").port, user=USER)
    session.send("no-reply@pafar.example", ADDRESS, content, time.monotonic() + 60)
    session.close()
    assert [entry["text"] for entry in smtp.ledger.entries()] == [text]
