"""The page that shows what passengers received, live; served inside the sandbox's own process."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self
from urllib.parse import quote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from sandbox.api import ApiError
from sandbox.demo import Booking
from sandbox.inbox.messages import CHANNELS, card
from sandbox.standins.ledger import Ledger
from sandbox.standins.serve import StandIn

_HERE = Path(__file__).parent
_FIRST_PORT, _PORTS = 8025, 50  # 8025: where people look for a mail catcher
_NEWEST = 100  # messages that the page holds when it is opened

#: An e-mail's frame inherits these rules: its own styles work, but nothing is fetched and nothing runs.
_HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; img-src data:;"
        " form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}

#: An e-mail in a window of its own, as in its frame.
_ALONE = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'none'"


class Inbox:
    """Serves the page on 127.0.0.1 inside `with`; `url` says where.

    `book` makes another booking; `operators` is the address of the operators' page. `port` None takes the first
    free one from 8025. Entering raises OSError if the port, or each of those, is taken.
    """

    def __init__(self, ledger: Ledger, *, book: Callable[[], Booking], operators: str, port: int | None) -> None:
        self._ledger = ledger
        self._book = book
        self._operators = operators
        self._ports = range(_FIRST_PORT, _FIRST_PORT + _PORTS) if port is None else [port]
        self._outcome = ""
        self._templates = Environment(
            loader=FileSystemLoader(_HERE / "templates"), autoescape=True, undefined=StrictUndefined
        )

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            server = self._listen(undo)
            self.url = server.url
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def _listen(self, undo: ExitStack) -> StandIn:
        routes = [
            Route("/", self._page),
            Route("/messages/after/{n:int}", self._after),
            Route("/messages/{n:int}", self._email),
            Route("/messages/{n:int}/attachments/{number:int}", self._attachment),
            Route("/book", self._post_booking, methods=["POST"]),
            Route("/live.js", _script),
        ]
        for port in self._ports:
            try:
                return undo.enter_context(StandIn(routes, port=port))
            except OSError:
                continue
        raise OSError(f"port {self._ports[0]} is taken; choose a free one with --port")

    def _page(self, request: Request) -> Response:
        entries = self._ledger.entries()
        page = self._templates.get_template("page.html").render(
            cards=self._cards(entries, open_first=True),
            last=_last(entries, 0),
            outcome=self._outcome,
            operators=self._operators,
        )
        return HTMLResponse(page, headers=_HEADERS)

    def _after(self, request: Request) -> Response:
        n = request.path_params["n"]
        entries = self._ledger.entries(after=n)
        added = {"last": _last(entries, n), "cards": self._cards(entries, open_first=False)}
        return JSONResponse(added, headers=_HEADERS)

    def _email(self, request: Request) -> Response:
        """An e-mail's HTML by itself, in a window of any width."""
        for entry in self._ledger.entries("email"):
            if entry["n"] == request.path_params["n"] and entry["html"]:
                return HTMLResponse(entry["html"], headers=_HEADERS | {"Content-Security-Policy": _ALONE})
        return Response("There is no such e-mail.", 404, headers=_HEADERS)

    def _attachment(self, request: Request) -> Response:
        n, number = request.path_params["n"], request.path_params["number"]
        for entry in self._ledger.entries("email"):
            if entry["n"] == n and number < len(entry["attachments"]):
                return _file(entry["attachments"][number])
        return Response("There is no such attachment.", 404, headers=_HEADERS)

    def _post_booking(self, request: Request) -> Response:
        now = time.strftime("%H:%M:%S")
        try:
            booking = self._book()
        except ApiError as error:
            self._outcome = f"{now} Not booked: {error}"
        else:
            self._outcome = f"{now} Booked {booking.reference}: {booking.description}"
        return RedirectResponse("/", 303, headers=_HEADERS)

    def _cards(self, entries: list[dict[str, Any]], *, open_first: bool) -> dict[str, list[Markup]]:
        """Each channel's cards, newest first; `open_first` shows the newest e-mail unfolded."""
        cards: dict[str, list[Markup]] = {channel: [] for channel in CHANNELS}
        for entry in entries[: -_NEWEST - 1 : -1]:
            mine = cards[entry["channel"]]
            template = self._templates.get_template(f"{entry['channel']}.html")
            html = template.render(m=card(entry), unfolded=open_first and not mine)
            mine.append(Markup(html))  # noqa: S704 - the template has escaped it
        return cards


def _last(entries: list[dict[str, Any]], after: int) -> int:
    """The number from which the page goes on."""
    return int(entries[-1]["n"]) if entries else after


def _file(attachment: dict[str, Any]) -> Response:
    """The file; the browser shows a PDF and saves everything else, which might be a page with scripts."""
    pdf = attachment["content_type"] == "application/pdf"
    kind = "application/pdf" if pdf else "application/octet-stream"
    shown = (
        f"{'inline' if pdf else 'attachment'}; filename*=UTF-8''{quote(attachment['filename'] or 'file', safe='')}"
    )
    # Without the page's policy, under which the browser's own PDF viewer would not run.
    headers = _HEADERS | {"Content-Security-Policy": "frame-ancestors 'none'", "Content-Disposition": shown}
    return Response(base64.b64decode(attachment["content_base64"]), media_type=kind, headers=headers)


def _script(request: Request) -> Response:
    return FileResponse(_HERE / "live.js", media_type="text/javascript", headers=_HEADERS)
