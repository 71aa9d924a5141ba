"""Is this process alive, and could it do its work now?"""

from __future__ import annotations

from fastapi import APIRouter, Response
from fastapi.responses import JSONResponse

from app.core.errors import DatabaseUnavailable, SettingsError
from app.core.migrations import revisions

router = APIRouter(prefix="/health", tags=["health"])


@router.get("/live", status_code=204)
async def live() -> Response:
    """This process answers."""
    return Response(status_code=204)


@router.get("/ready")
def ready() -> JSONResponse:
    """The database answers and is at the newest revision. The broker may be away: rows wait for it."""
    try:
        current, newest = revisions()
    except (DatabaseUnavailable, SettingsError) as error:
        return JSONResponse({"ready": False, "reason": str(error)}, 503)
    if current != newest:
        return JSONResponse({"ready": False, "reason": "migrations are missing: run pafar migrate"}, 503)
    return JSONResponse({"ready": True})
