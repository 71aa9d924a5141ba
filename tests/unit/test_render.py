"""What passengers read: e-mail, text message and push, from friendly and hostile data."""

from __future__ import annotations

import re
from dataclasses import astuple
from datetime import datetime
from decimal import Decimal
from html.parser import HTMLParser
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from jinja2 import TemplateError, UndefinedError

from app.messages import formats
from app.messages.base import Channel
from app.messages.inlining import inline
from app.messages.kinds import KINDS
from app.messages.payloads import Defaults, validate
from app.messages.render import TEMPLATES, RenderedEmail, RenderedPush, render_email, render_push, render_sms

DEFAULTS = Defaults(currency="NGN", locale="en_NG", timezone="Africa/Lagos", phone_region=None)
BOOKING: dict[str, Any] = {
    "booking_reference": "PF7K2Q",
    "origin": "Lagos",
    "destination": "Abuja",
    "departure_time": "2024-01-15 10:00:00",
    "seats": ["12A", "12B"],
    "total_amount": 15000,
}
HOSTILE = '<b>Zoë & "Co"</b> {{ 7 * 7 }} {% x %}'
NBSP = "\u00a0"
#: Which class of the page stands on which.
GROUNDS = dict.fromkeys(["route", "value", "lead", "badge"], "card") | {"label": "stub", "reference": "stub"}
GROUNDS |= {"footer": "page", "advice": "advice", "band": "band", "cancelled": "card", "pending": "card"}


def payload(channel: str, name: str = "Ada Obi", **changes: Any) -> Any:
    arguments = {
        "user_email": "ada@example.com",
        "phone_number": "+2348031234567",
        "device_tokens": ["token"],
        "user_name": name,
        "booking_data": {**BOOKING, **changes},
    }
    return validate(KINDS[f"booking_confirmation_{channel}"], arguments, DEFAULTS)


def email(name: str = "Ada Obi", **changes: Any) -> RenderedEmail:
    return render_email(KINDS["booking_confirmation_email"], payload("email", name, **changes))


def sms(**changes: Any) -> str:
    return render_sms(KINDS["booking_confirmation_sms"], payload("sms", **changes))


def push(**changes: Any) -> RenderedPush:
    return render_push(KINDS["booking_confirmation_push"], payload("push", **changes))


class Page(HTMLParser):
    """The words of a page without head and comments, and its tags."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.words, self.tags = "", set[str]()
        self.feed(html.partition("</head>")[2])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.words += data


def test_the_email_says_everything_twice() -> None:
    message = email(arrival_time="2024-01-15 20:30:00", bus_info={"plate": "ABC-1", "model": "G8"})
    assert message.subject == "Booking confirmed: Lagos → Abuja, Mon 15 Jan 2024, 10:00 WAT (PF7K2Q)"
    facts = ["Ada Obi", "PF7K2Q", "Lagos → Abuja", "Mon 15 Jan 2024, 10:00 WAT", "Mon 15 Jan 2024, 20:30 WAT"]
    facts += ["12A, 12B", "ABC-1 · G8", "₦15,000.00", "30 minutes before departure", "an ID", "Seats", "Arrives"]
    for fact in facts:
        assert fact in message.text
        assert fact in Page(message.html).words


def test_what_is_missing_is_left_out() -> None:
    message = email(seats=["7"])
    for text in (message.text, Page(message.html).words):
        assert "Arrives" not in text
        assert "Bus" not in text
        assert re.search(r"Seat:? ?7", text)


def test_the_page_is_fit_for_mail_programs() -> None:
    html = email().html
    assert '<html lang="en"' in html
    assert len(html.encode()) < 60_000
    assert "prefers-color-scheme: dark" in html
    assert 'name="color-scheme"' in html
    assert re.search(r'class="route" style="[^"]*font-size', html)
    assert not Page(html).tags & {"img", "script", "link", "iframe"}
    assert "http" not in html
    assert "jinja" not in html


def luminance(colour: str) -> float:
    """WCAG 2.2, relative luminance of "#rrggbb"."""
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("word", GROUNDS)
@pytest.mark.parametrize("dark", [False, True])
def test_words_stand_out_from_their_ground(word: str, dark: bool) -> None:
    css = (TEMPLATES / "email/style.css").read_text()
    if dark:
        css += (TEMPLATES / "email/layout.html").read_text().partition("color-scheme: dark)")[2]

    def last(name: str, rule: str) -> float:
        found = re.findall(rf"\.{name}\b[^{{}}]*{{[^}}]*?(?<![-\w]){rule}: (#\w{{6}})", css)
        return luminance(found[-1])

    light, deep = sorted([last(word, "color"), last(GROUNDS[word], "background-color")], reverse=True)
    assert (light + 0.05) / (deep + 0.05) >= 4.5


@pytest.mark.parametrize("name", [HOSTILE, "x" * 200, "عمر", "<!--", "a]]>b", "None"])
def test_hostile_names_stay_words(name: str) -> None:
    message = email(name, origin=name)
    assert f"Hello {name}," in message.text
    assert f"Hello {name}," in Page(message.html).words
    assert Page(message.html).tags == Page(email().html).tags
    assert len(message.subject.splitlines()) == 1


def test_right_to_left_names_keep_their_order_around_the_arrow() -> None:
    assert formats.route("عدن", "Lagos") == "\u2068عدن\u2069 → Lagos"
    assert "\u2068عدن\u2069 → \u2068مكة\u2069" in email(origin="عدن", destination="مكة").html


def test_a_push() -> None:
    message = push(booking_id=5)
    assert (message.title, message.body) == ("🎫 Booking confirmed", "Lagos → Abuja. Reference PF7K2Q.")
    assert message.data == {"type": "booking_confirmation", "booking_reference": "PF7K2Q", "booking_id": "5"}
    assert message.tag == "booking-PF7K2Q"


def test_nobody_reads_none() -> None:
    shown = [*astuple(email()), sms(), *astuple(push())]
    assert not any("None" in str(text) for text in shown)


def test_a_missing_value_is_an_error_never_a_word() -> None:
    complete = payload("push")
    holed = complete.booking_data.model_copy(update={"booking_reference": None})
    with pytest.raises(TemplateError, match="optional value that is missing"):
        render_push(KINDS["booking_confirmation_push"], complete.model_copy(update={"booking_data": holed}))
    with pytest.raises(UndefinedError, match="is undefined"):
        render_sms(KINDS["booking_confirmation_sms"], complete)


def test_a_repr_shows_nothing_personal() -> None:
    assert "Ada" not in f"{payload('email')!r} {email()!r}"
    assert "PF7K2Q" not in f"{push()!r}"


@pytest.mark.parametrize(
    ("amount", "currency", "locale", "text"),
    [
        ("15000", "NGN", "en_NG", "₦15,000.00"),
        ("15000", "NGN", "en", f"NGN{NBSP}15,000.00"),
        ("9.5", "USD", "en", "$9.50"),
        ("15000", "XOF", "fr", f"15\u202f000{NBSP}F\u202fCFA"),
        ("0.125", "KWD", "en", f"KWD{NBSP}0.125"),
    ],
)
def test_money(amount: str, currency: str, locale: str, text: str) -> None:
    assert formats.money(Decimal(amount), currency, locale) == text


@pytest.mark.parametrize(
    ("given", "zone", "text"),
    [
        ("2024-07-15 10:00:00", "Europe/London", "Mon 15 Jul 2024, 10:00 BST"),
        ("2024-01-15 10:00:00", "Europe/London", "Mon 15 Jan 2024, 10:00 GMT"),
        ("2024-03-31 02:30:00", "Europe/Paris", "Sun 31 Mar 2024, 03:30 CEST"),
        ("2024-01-15T23:30:00Z", "Africa/Lagos", "Tue 16 Jan 2024, 00:30 WAT"),
        ("2024-01-15T10:00:00-03:30", None, "Mon 15 Jan 2024, 10:00 UTC-03:30"),
        ("2024-01-15 10:00:00", "Asia/Dubai", "Mon 15 Jan 2024, 10:00 UTC+04:00"),
    ],
)
def test_times_carry_their_zone(given: str, zone: str | None, text: str) -> None:
    assert text in email(departure_time=given, timezone=zone).text


def test_the_hour_that_a_clock_change_repeats_is_told_apart() -> None:
    first = datetime(2024, 10, 27, 1, 30, tzinfo=ZoneInfo("Europe/London"))
    second = first.replace(fold=1)  # which Python takes for the same
    assert formats.short_date_time(first, "Europe/London") == "27 Oct 01:30 BST"
    assert formats.short_date_time(second, "Europe/London") == "27 Oct 01:30 GMT"
    assert formats.date_time(first, "UTC") == "Sun 27 Oct 2024, 00:30 UTC"
    assert formats.date_time(second, "UTC") == "Sun 27 Oct 2024, 01:30 UTC"


def test_every_kind_has_its_templates() -> None:
    files = {
        Channel.EMAIL: ["email/{}/subject.txt", "email/{}/body.txt", "email/{}/body.html"],
        Channel.SMS: ["sms/{}.txt"],
        Channel.PUSH: ["push/{}.title.txt", "push/{}.body.txt", "push/{}.tag.txt"],
    }
    wanted = {file.format(kind.template) for kind in KINDS.values() for file in files[kind.channel]}
    present = {str(path.relative_to(TEMPLATES)) for path in TEMPLATES.rglob("*") if path.is_file()}
    documents = {"pdf/page.typ", "pdf/ticket.typ", "pdf/receipt.typ"}
    assert present == wanted | documents | {"email/layout.html", "email/reference.html", "email/style.css"}


def test_inlining_keeps_jinja_as_it_is() -> None:
    source = (
        '<table>{% if a < 1 %}<tr><td class="x" title="{{ b|f("q") }}">{{ c > "d" }}</td></tr>{% endif %}</table>'
    )
    styled = inline(source, ".x { color: red }")
    for piece in ("<table>{% if a < 1 %}", '{{ b|f("q") }}', '{{ c > "d" }}', "</tr>{% endif %}", "color: red"):
        assert piece in styled
    with pytest.raises(ValueError, match="inlining moved or lost"):
        inline("<p {% if a %}class='x'{% endif %}>", "")
