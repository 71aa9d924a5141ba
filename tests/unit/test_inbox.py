"""The sandbox's inbox lists what is attached to an e-mail, and opens it."""

from __future__ import annotations

import base64
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.demo import Booking
from sandbox.inbox.app import Inbox
from sandbox.standins.ledger import Ledger


def attachment(filename: str, content_type: str, content: bytes) -> dict[str, Any]:
    encoded = base64.b64encode(content).decode()
    return {"filename": filename, "content_type": content_type, "size": len(content), "content_base64": encoded}


FILES = [
    attachment('ticket "PF1" ş.pdf', "application/pdf", b"%PDF-1.7 \xff"),
    attachment("page.html", "text/html", b"<script>alert(1)</script>"),
]


def no_booking() -> Booking:
    raise AssertionError("nobody asked for a booking")


@pytest.fixture
def url(ledger: Ledger) -> Iterator[str]:
    mail = {"to": ["ada@example.com"], "subject": "Your ticket", "text": "Hello", "html": "<p>Hello</p>"}
    ledger.accept("email", **mail, attachments=FILES)
    with Inbox(ledger, book=no_booking, operators="http://127.0.0.1:1/", port=None) as inbox:
        yield inbox.url


def get(url: str) -> tuple[bytes, Any]:
    with urllib.request.urlopen(url, timeout=30) as answer:
        return answer.read(), answer.headers


def test_attachments_are_listed_with_their_size_and_a_link(url: str) -> None:
    page = get(url)[0].decode()
    assert '<a href="/messages/1/attachments/0"' in page
    assert "ticket &#34;PF1&#34; ş.pdf</a>" in page
    assert "10 Bytes" in page


def test_a_pdf_opens_in_the_browser(url: str) -> None:
    content, headers = get(f"{url}/messages/1/attachments/0")
    assert content == b"%PDF-1.7 \xff"
    assert headers["Content-Type"] == "application/pdf"
    assert headers["Content-Disposition"] == "inline; filename*=UTF-8''ticket%20%22PF1%22%20%C5%9F.pdf"


def test_what_might_run_is_only_saved(url: str) -> None:
    _, headers = get(f"{url}/messages/1/attachments/1")
    assert headers["Content-Type"] == "application/octet-stream"
    assert headers["Content-Disposition"].startswith("attachment;")
    assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/messages/1/attachments/2", "/messages/2/attachments/0"])
def test_what_is_not_there_is_not_found(url: str, path: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(url + path)


def test_an_email_can_be_seen_in_a_window_of_its_own(url: str) -> None:
    content, headers = get(f"{url}/messages/1")
    assert content == b"<p>Hello</p>"
    assert "sandbox" in headers["Content-Security-Policy"]
    assert '<a href="/messages/1"' in get(url)[0].decode()


def test_what_is_no_email_is_not_found(url: str) -> None:
    with pytest.raises(urllib.error.HTTPError, match="404"):
        get(f"{url}/messages/2")
