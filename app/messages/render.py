"""Turns a checked payload into what the passenger reads, from the templates beside this file."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FunctionLoader, StrictUndefined, TemplateRuntimeError, select_autoescape
from pydantic import BaseModel

from app.messages import formats, sms_text
from app.messages.base import Kind
from app.messages.inlining import inline
from app.messages.payloads import details

TEMPLATES = Path(__file__).parent / "templates"

#: What the phone app needs to open the right screen and fill it.
_SCREEN_KEYS = (
    "booking_reference",
    "booking_id",
    "trip_id",
    "payment_id",
    "promotion_id",
    "discount_code",
    "status",
    "latitude",
    "longitude",
)


#: What a text message can do without, least needed first; "wording" makes sentences of facts.
_SPARE = ("greeting", "courtesy", "brand", "wording")
#: Which of it a text keeps, step by step: all, all but the first, and so on to none.
_SHORTER = [{part: step <= place for place, part in enumerate(_SPARE)} for step in range(len(_SPARE) + 1)]


@dataclass(frozen=True, slots=True)
class RenderedEmail:
    """`subject` is one line; `text` and `html` say the same."""

    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class RenderedPush:
    """`data` is for the app; a newer push with the same `tag` replaces this one."""

    title: str = field(repr=False)
    body: str = field(repr=False)
    data: dict[str, str] = field(repr=False)
    tag: str = field(repr=False)


def render_email(kind: Kind, payload: BaseModel) -> RenderedEmail:
    """The e-mail's parts. Raises jinja2.TemplateError if the template uses what the payload lacks."""
    context = _context(payload)
    folder = f"email/{kind.template}"
    subject = _render(f"{folder}/subject.txt", context)
    return RenderedEmail(
        subject=subject,
        text=_render(f"{folder}/body.txt", context) + "\n",
        html=_render(f"{folder}/body.html", {**context, "subject": subject}),
    )


def render_sms(kind: Kind, payload: BaseModel, *, web_otp_domain: str | None = None) -> str:
    """The fullest text among those that cost least, in GSM-7 where that is possible. Raises as `render_email`.

    With `web_otp_domain` a one-time code ends in the line by which that site's page fills it in (WICG, WebOTP).
    """
    context = _context(payload) | {"web_otp_domain": web_otp_domain}
    template = f"sms/{kind.template}.txt"
    texts = (sms_text.friendly(_render(template, context | kept)) for kept in _SHORTER)
    fullest = _cheapest(texts)
    return fullest[:1].upper() + fullest[1:]


def _cheapest(texts: Iterable[str]) -> str:
    """The first of those that cost least; what comes after one segment is not looked at, as nothing costs less."""
    best, least = "", float("inf")
    for text in texts:
        if (segments := sms_text.size(text).segments) < least:
            best, least = text, segments
        if least == 1:
            break
    return best


def render_push(kind: Kind, payload: BaseModel) -> RenderedPush:
    """The push's parts. Raises as `render_email`."""
    context = _context(payload)
    links = {key: str(context[key]) for key in _SCREEN_KEYS if context.get(key) is not None}
    return RenderedPush(
        title=_render(f"push/{kind.template}.title.txt", context),
        body=_render(f"push/{kind.template}.body.txt", context),
        data={"type": kind.template, **links, **context.get("data", {})},
        tag=_render(f"push/{kind.template}.tag.txt", context),
    )


def _context(payload: BaseModel) -> dict[str, Any]:
    """The parameters and the keys of the data, side by side, and how to write them."""
    data = details(payload)
    if data is None:
        return vars(payload)
    return {
        **vars(payload),
        **vars(data),
        "money": partial(formats.money, currency=data.currency, locale=data.locale),
        "plain_money": partial(formats.plain_money, currency=data.currency, locale=data.locale),
        "date_time": partial(formats.date_time, zone_name=data.timezone),
        "short_date_time": partial(formats.short_date_time, zone_name=data.timezone),
        "seat_list": formats.seat_list,
        "route": formats.route,
        "duration": formats.duration,
        "payment": formats.payment,
    }


def _render(name: str, context: dict[str, Any]) -> str:
    return _ENVIRONMENT.get_template(name).render(context).strip()


def _load(name: str) -> str:
    source = (TEMPLATES / name).read_text(encoding="utf-8")
    if not name.endswith(".html"):
        return source
    return inline(source, (TEMPLATES / "email/style.css").read_text(encoding="utf-8"))


def _never_none(value: object) -> object:
    if value is None:
        raise TemplateRuntimeError("a template prints an optional value that is missing; ask with {% if %} first")
    return value


_ENVIRONMENT = Environment(
    loader=FunctionLoader(_load),
    autoescape=select_autoescape(enabled_extensions=("html",), default=False),
    undefined=StrictUndefined,
    finalize=_never_none,
    trim_blocks=True,
    lstrip_blocks=True,
    auto_reload=False,
)
