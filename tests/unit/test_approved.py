"""What each kind of message says, against the files in tests/approved that somebody has read and approved."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from app.messages.base import Channel, Kind
from app.messages.kinds import KINDS
from app.messages.payloads import validate
from app.messages.render import render_email, render_push, render_sms
from tests.unit.samples import DEFAULTS, arguments

APPROVED = Path(__file__).parents[1] / "approved"


def statuses(*words: str) -> dict[str, dict[str, Any]]:
    """A rendering for each status, by its word."""
    return {word: {"status": word} for word in words}


#: What a kind says besides, in other words: by name, what changes in its arguments.
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "booking_cancellation_email": {"no refund": {"refund_amount": 0, "refund_reference": None}},
    "payment_receipt_email": statuses("failed", "pending", "refunded", "to be refunded", "on hold"),
    "otp_sms": {purpose: {"purpose": purpose} for purpose in ("verification", "password_reset")},
    "trip_delay_sms": {"of hours": {"delay_minutes": 135}},
    "trip_status_push": statuses("departed", "delayed", "arriving", "cancelled", "boarding")
    | {"delayed by hours": {"status": "delayed", "delay_minutes": 150}},
    "payment_status_push": statuses("failed", "refunded", "needs_refund", "pending"),
}
#: Elements that have no end tag (HTML Living Standard, 13.1.2).
VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class Outline(HTMLParser):
    """A page as an indented list of its tags and words: `lines`. Styles are left out, as pictures show them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.lines: list[str] = []
        self._inside: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        shown = [name if value is None else f'{name}="{value}"' for name, value in attrs if name != "style"]
        self._write(f"<{' '.join([tag, *shown])}>")
        if tag not in VOID:
            self._inside.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._inside.pop() == tag

    def handle_data(self, data: str) -> None:
        if data.strip() and self._inside[-1:] != ["style"]:
            self._write(re.sub(r"[ \n]+", " ", data.strip("\n ")))

    def _write(self, line: str) -> None:
        self.lines.append("  " * len(self._inside) + line)


def parts(kind: Kind, **changes: Any) -> Iterator[tuple[str, str]]:
    """What the passenger gets, piece by piece: (name, text)."""
    payload = validate(kind, arguments(kind, **changes), DEFAULTS)
    if kind.channel is Channel.EMAIL:
        email = render_email(kind, payload)
        yield from (("subject", email.subject), ("text", email.text))
        yield "html", "\n".join(Outline(email.html).lines)
    elif kind.channel is Channel.SMS:
        yield "text", render_sms(kind, payload)
    else:
        push = render_push(kind, payload)
        data = "\n".join(f"{name}: {value}" for name, value in push.data.items())
        yield from (("title", push.title), ("body", push.body), ("data", data), ("tag", push.tag))


def as_file(kind: Kind) -> str:
    """All renderings of the kind, one below the other."""
    pieces = []
    for variant, changes in {"": {}, **VARIANTS.get(kind.name, {})}.items():
        for name, text in parts(kind, **changes):
            pieces.append(f"--- {name}{f' ({variant})' if variant else ''} ---\n{text.rstrip()}\n")
    return "\n".join(pieces)


@pytest.mark.parametrize("kind", KINDS.values(), ids=KINDS)
def test_a_kind_reads_as_approved(kind: Kind, request: pytest.FixtureRequest) -> None:
    file = APPROVED / f"{kind.name}.txt"
    if request.config.getoption("--approve"):
        file.write_text(as_file(kind), encoding="utf-8")
    approved = file.read_text(encoding="utf-8") if file.exists() else ""
    assert as_file(kind) == approved, "it reads otherwise than approved; if that is right: make approve"


def test_nothing_is_approved_that_is_not_sent() -> None:
    assert {file.stem for file in APPROVED.iterdir()} == set(KINDS)
