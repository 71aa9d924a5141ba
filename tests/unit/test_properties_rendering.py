"""Whatever a passenger or an operator is called, a message says it, and nothing else happens."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any

import orjson
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from app.messages.base import Channel, InvalidPayload, Kind
from app.messages.kinds import KINDS
from app.messages.payloads import validate
from app.messages.render import RenderedPush, render_email, render_push, render_sms
from app.providers.fcm import MAX_PAYLOAD
from tests.unit.samples import DATA, DEFAULTS, arguments

HOSTILE = [
    "{{ 7 * 7 }}{% for x in y %}{# #}",
    "<script>alert(1)</script><!-- --><b title='",
    "&amp;&lt;]]>\"'`${x}%s%(x)s\\u0041\\",
    "Bcc: all@example.com",
    "Ada\r\nBcc: all@example.com",
    "\u200fعدن\u200e",
    "\u202eevil",
    "👩‍👩‍👧‍👦🎫🇳🇬",
    "🎫" * 200,
    '\\"' * 100,
    "x" * 200,
    "None",
]
#: What people write themselves; the rest is checked to be a reference, a number or a time.
WORDS = [
    "origin",
    "destination",
    "bus_info",
    "landmark",
    "title",
    "message",
    "body",
    "payment_method",
    "user_name",
]
IDS = ["booking_id", "trip_id", "payment_id", "promotion_id", "status"]
REFERENCES = ["booking_reference", "discount_code", "refund_reference"]

texts = (
    st.sampled_from(HOSTILE) | st.text(max_size=200) | st.text(st.sampled_from("<>&\"'{}%\u200f🎫é"), max_size=200)
)
#: Without the one that GSM 03.38 lacks.
references = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="`"), max_size=40)
changes = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(WORDS, texts),
        **dict.fromkeys(IDS, texts.map(lambda text: text[:64])),
        **dict.fromkeys(REFERENCES, references),
    },
)


class Page(HTMLParser):
    """A page's tags, in order, and its words."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(f"{tag} {[name for name, _ in attrs]}")

    def handle_data(self, data: str) -> None:
        self.words += data


def of_channel(channel: Channel) -> list[Kind]:
    return [kind for kind in KINDS.values() if kind.channel is channel]


def payload(kind: Kind, changed: dict[str, Any]) -> BaseModel:
    """The checked payload; an example that is refused, as it should be, counts for nothing."""
    try:
        return validate(kind, arguments(kind, **changed), DEFAULTS)
    except InvalidPayload:
        assume(False)
        raise


def plain(changed: dict[str, Any]) -> dict[str, Any]:
    """The same fields with values that are found again."""
    return {name: f"plain-{name}" for name in changed}


def expect_words(texts: list[str], usual: list[str], changed: dict[str, Any]) -> None:
    """What stands in the usual rendering stands in this one, letter by letter; nobody reads "None"."""
    for name, value in changed.items():
        for text, before in zip(texts, usual, strict=True):
            shown = value.strip().lower() if name == "status" else value.strip()
            assert f"plain-{name}" not in before or shown in text
    assert "None" in str(changed) or not any("None" in text for text in texts)


@pytest.mark.parametrize("kind", of_channel(Channel.EMAIL), ids=lambda kind: kind.name)
@settings(max_examples=40, deadline=None)
@given(changed=changes)
def test_an_email_stays_one_page_with_one_subject(kind: Kind, changed: dict[str, Any]) -> None:
    email, usual = (render_email(kind, payload(kind, given)) for given in (changed, plain(changed)))
    assert len(email.subject.splitlines()) == 1
    page, before = Page(email.html), Page(usual.html)
    assert page.tags == before.tags
    assert "\r" not in email.text
    expect_words([email.subject, email.text, page.words], [usual.subject, usual.text, before.words], changed)


@pytest.mark.parametrize("kind", of_channel(Channel.SMS), ids=lambda kind: kind.name)
@settings(max_examples=40, deadline=None)
@given(changed=changes)
def test_a_text_is_one_line_that_names_the_booking(kind: Kind, changed: dict[str, Any]) -> None:
    text = render_sms(kind, payload(kind, changed))
    assert text
    assert "\r" not in text
    reference = changed.get("booking_reference", DATA["booking_reference"])
    assert reference in text or DATA["booking_reference"] not in render_sms(kind, payload(kind, {}))
    assert "None" in str(changed) or "None" not in text


@pytest.mark.parametrize("kind", of_channel(Channel.PUSH), ids=lambda kind: kind.name)
@settings(max_examples=40, deadline=None)
@given(changed=changes)
def test_a_push_fits_into_what_fcm_takes(kind: Kind, changed: dict[str, Any]) -> None:
    push, usual = (render_push(kind, payload(kind, given)) for given in (changed, plain(changed)))
    assert len(push.title.splitlines()) == 1
    assert _size(push) <= MAX_PAYLOAD
    assert all(isinstance(value, str) for value in push.data.values())
    assert push.data.keys() == usual.data.keys()
    expect_words(_shown(push), _shown(usual), changed)


def _shown(push: RenderedPush) -> list[str]:
    return [push.title, push.body, push.tag, *push.data.values()]


def _size(push: RenderedPush) -> int:
    """Bytes, with the message's id, as the FCM provider counts them."""
    notification = {"title": push.title, "body": push.body}
    return len(orjson.dumps({"notification": notification, "data": {**push.data, "nid": "0" * 36}}))
