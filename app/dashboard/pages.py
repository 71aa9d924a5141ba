"""The operators' page: how many messages stand where, what waits, and the newest of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import APIRouter, Query, Request, Response
from fastapi.staticfiles import StaticFiles
from fastapi.templating import Jinja2Templates

from app.core.broker import broker
from app.core.celery_app import QUEUES
from app.core.database import transaction
from app.core.errors import BrokerUnavailable
from app.notifications import overview
from app.notifications.status import Status

HERE = Path(__file__).parent
#: Nothing from elsewhere, and no script but our own file.
POLICY = "default-src 'self'; frame-ancestors 'none'; base-uri 'none'; form-action 'self'"

router = APIRouter(include_in_schema=False)
static = StaticFiles(directory=HERE / "static")
_templates = Jinja2Templates(directory=HERE / "templates")
_templates.env.globals["statuses"] = list(Status)


@router.get("/")
def show(request: Request, reference: str = Query(default="", max_length=40)) -> Response:
    """The page; with `reference`, only that booking's messages."""
    reference = reference.strip().upper()
    with transaction() as connection:
        counts = overview.counts(connection)
        backlog = overview.backlog(connection)
        newest = overview.newest(connection, booking_reference=reference or None)
    page = {
        "kinds": _by_kind(counts),
        "backlog": backlog,
        "queues": _queues(),
        "newest": newest,
        "reference": reference,
        "hours": overview.WINDOW_HOURS,
    }
    response = _templates.TemplateResponse(request, "overview.html", page)
    response.headers["Content-Security-Policy"] = POLICY
    return response


def _by_kind(counts: list[dict[str, Any]]) -> dict[str, dict[str, int]]:
    table: dict[str, dict[str, int]] = {}
    for row in counts:
        table.setdefault(row["kind"], {})[row["status"]] = row["count"]
    return table


def _queues() -> dict[str, int] | None:
    """Lengths by queue, None while the broker is away: that is not the same as empty."""
    try:
        return broker.lengths(QUEUES)
    except BrokerUnavailable:
        return None
