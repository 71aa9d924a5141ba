"""What every page's route shares: a refusal is a page too, with a way back."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from http import HTTPStatus
from typing import Any
from urllib.parse import urlsplit

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi.routing import APIRoute

from app.core.errors import DatabaseUnavailable
from app.dashboard.rendering import whole
from app.dashboard.sources import Answer


class PageRoute(APIRoute):
    """A route whose refusals people read; the question for name and key stays what the browser knows."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """FastAPI's own, with refusals as pages."""
        handle = super().get_route_handler()

        async def handle_for_people(request: Request) -> Response:
            try:
                return await handle(request)
            except HTTPException as error:
                if error.status_code == HTTPStatus.UNAUTHORIZED:
                    raise
                return _refused(request, error)
            except DatabaseUnavailable as error:  # the caller's key could not be looked up
                why = f"{error}: only API_KEY opens this page meanwhile"
                return _refused(request, HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, why))

        return handle_for_people


def _refused(request: Request, error: HTTPException) -> Response:
    # Only the path, and with one slash: where a reader came from may be any site, and after two there is a host.
    back = "/" + urlsplit(request.headers.get("referer", "")).path.lstrip("/\\")
    title = HTTPStatus(error.status_code).phrase
    shown = {"title": title, "reason": error.detail, "back": back}
    answer = whole("refused.html", shown, token=None, status=error.status_code)
    answer.headers.update(error.headers or {})  # how long to wait, after too many requests
    return answer


def router() -> APIRouter:
    """Pages, which are no part of the API."""
    return APIRouter(include_in_schema=False, route_class=PageRoute)


def done(answer: Answer[Any]) -> Any:
    """What an action gave. Raises 503 when nobody knows whether it was done."""
    if answer.away:
        raise HTTPException(
            HTTPStatus.SERVICE_UNAVAILABLE,
            f"{answer.away[:1].upper()}{answer.away[1:]}. Look whether it was done after all.",
        )
    return answer.value


def not_found(what: str) -> HTTPException:
    """A 404 in words."""
    return HTTPException(HTTPStatus.NOT_FOUND, f"There is no such {what}.")
