"""The web application: `uvicorn --factory app.main:create_app`."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI

from app.api import bookings, health, notifications, problems
from app.api.security import require_operator
from app.core.config import get_settings
from app.core.database import dispose
from app.core.errors import SettingsError
from app.core.logging import configure
from app.core.startup import check_startup
from app.dashboard import pages


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    yield
    dispose()


def create_app() -> FastAPI:
    """Routes, pages and error handlers; exits with one message that names every setting to mend."""
    try:
        check_startup(get_settings())
    except SettingsError as error:
        raise SystemExit(str(error)) from None
    configure()
    app = FastAPI(title="Pafar tasks", lifespan=_lifespan)
    problems.install(app)
    for router in (health.router, notifications.router, bookings.router):
        app.include_router(router)
    app.include_router(pages.router, dependencies=[Depends(require_operator)])
    app.mount("/static", pages.static)
    return app
