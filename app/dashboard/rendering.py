"""How every page comes: whole, or as a stream of its live part; with its headers, filters and menu."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from hashlib import sha256
from http import HTTPStatus
from pathlib import Path
from typing import Any

import orjson
from fastapi import Request, Response
from fastapi.responses import HTMLResponse, StreamingResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from app.dashboard import words

HERE = Path(__file__).parent

#: Nothing from elsewhere, no script but our own files, and nothing kept by a browser or a proxy.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}

#: Seconds between two looks of a stream; more after one that took long, at most SLOWEST. So a page that is dear
#: to its servers costs each open tab at most a SHARE of their time, and the browser hears of it all the same.
PACE, SLOWEST, SHARE = 2.0, 8.0, 0.1
#: Seconds that a stream lives; the browser opens the next by itself. A server that is to stop waits for no longer.
STREAM_LIFE = 5.0
#: Milliseconds after which it does when the stream broke; one that ended says when.
RECONNECT = 500

MENU = (
    ("/", "Overview"),
    ("/messages", "Messages"),
    ("/failures", "Failures"),
    ("/workers", "Workers"),
    ("/schedule", "Schedule"),
    ("/campaigns", "Campaigns"),
    ("/alerts", "Alerts"),
    ("/actions", "Actions"),
)

#: What a template is filled with, looked up anew each time.
Look = Callable[[], Awaitable[Mapping[str, Any]]]

_environment = Environment(
    loader=FileSystemLoader(HERE / "templates"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_environment.filters.update(words.FILTERS)
_environment.globals.update(menu=MENU, parts=_environment.get_template("parts.html").module)


async def page(request: Request, template: str, look: Look, *, token: str | None) -> Response:
    """The page; for who accepts only `text/event-stream`, its live part whenever that has changed."""
    if request.headers.get("accept") == "text/event-stream":
        # The first look comes before the answer begins: what is not there is a 404, and no broken stream.
        first = await _timed(look)
        stream = _changes(template, look, first, token, request.headers.get("last-event-id", ""))
        return StreamingResponse(stream, media_type="text/event-stream", headers=HEADERS)
    source = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    return whole(template, await look(), token=token, source=source)


def whole(
    template: str,
    shown: Mapping[str, Any],
    *,
    token: str | None,
    source: str | None = None,
    status: int = HTTPStatus.OK,
) -> Response:
    """A page; `source` is where its live part comes from, None for one that stays as it is."""
    text = _environment.get_template(template).render(**shown, token=token, source=source)
    return HTMLResponse(text, status, HEADERS)


async def _timed(look: Look) -> tuple[Mapping[str, Any], float]:
    """What it found, and the seconds until the next look."""
    began = time.monotonic()
    shown = await look()
    return shown, min(SLOWEST, max(PACE, (time.monotonic() - began) / SHARE))


async def _changes(
    template: str, look: Look, found: tuple[Mapping[str, Any], float], token: str | None, last: str
) -> AsyncIterator[bytes]:
    """Server-sent events (HTML standard, 9.2): each has the live part, and as id what tells it from others."""
    end = time.monotonic() + STREAM_LIFE
    yield b"retry: %d\n\n" % RECONNECT
    while True:
        shown, pause = found
        live = _live_part(template, {**shown, "token": token})
        digest = sha256(live.encode()).hexdigest()[:16]
        event = b"id: %s\ndata: %s\n\n" % (digest.encode(), orjson.dumps(live))
        yield event if digest != last else b": no change\n\n"
        last = digest
        if time.monotonic() + pause > end:
            yield b"retry: %d\n\n" % (pause * 1000)
            return
        await asyncio.sleep(pause)
        found = await _timed(look)


def _live_part(name: str, shown: Mapping[str, Any]) -> str:
    template = _environment.get_template(name)
    return "".join(template.blocks["live"](template.new_context(dict(shown))))
