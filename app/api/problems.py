"""Errors as RFC 9457 problems: what was wrong and how to mend it, nothing of our insides."""

from __future__ import annotations

from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from app.api.headers import HEADERS
from app.api.request_id import HEADER
from app.bookings.seats import InvalidBooking, SeatsTaken
from app.core import context
from app.core.errors import DatabaseUnavailable, SettingsError
from app.messages.base import InvalidPayload

log = structlog.get_logger(__name__)

#: Our errors → HTTP status.
STATUS: dict[type[Exception], HTTPStatus] = {
    InvalidPayload: HTTPStatus.UNPROCESSABLE_ENTITY,
    InvalidBooking: HTTPStatus.UNPROCESSABLE_ENTITY,
    SeatsTaken: HTTPStatus.CONFLICT,
    DatabaseUnavailable: HTTPStatus.SERVICE_UNAVAILABLE,
}


#: What a caller is told of a setting of ours that is missing; which one, the log says.
UNCONFIGURED = "This is not configured here: pafar doctor says what is missing."


def problem(status: int, detail: str, *, headers: dict[str, str] | None = None) -> JSONResponse:
    """A problem document (application/problem+json)."""
    title = HTTPStatus(status).phrase
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status, headers=headers, media_type="application/problem+json")


def install(app: FastAPI) -> None:
    """Answer every error of `app` with a problem document."""

    async def ours(_: Request, error: Exception) -> JSONResponse:
        status = STATUS[type(error)]
        headers = {"Retry-After": "5"} if status is HTTPStatus.SERVICE_UNAVAILABLE else None
        return problem(status, str(error), headers=headers)

    for kind in STATUS:
        app.add_exception_handler(kind, ours)
    app.add_exception_handler(SettingsError, _unconfigured)
    app.add_exception_handler(Exception, _unexpected)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        fields = (f"{'.'.join(map(str, e['loc'][1:])) or e['loc'][0]}: {e['msg']}" for e in error.errors())
        return problem(HTTPStatus.UNPROCESSABLE_ENTITY, "; ".join(fields))

    @app.exception_handler(HTTPException)
    async def http(_: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), headers=dict(error.headers or {}))


async def _unconfigured(request: Request, error: Exception) -> JSONResponse:
    log.error("not configured", path=request.url.path, reason=str(error))
    return problem(HTTPStatus.SERVICE_UNAVAILABLE, UNCONFIGURED)


async def _unexpected(request: Request, error: Exception) -> JSONResponse:
    log.error("request failed", path=request.url.path, exc_info=error)
    # This answer is made outside every middleware.
    headers = HEADERS | ({HEADER: request_id} if (request_id := context.request_id()) else {})
    detail = "Something went wrong on our side; it has been logged."
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, detail, headers=headers)
