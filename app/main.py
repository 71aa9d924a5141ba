"""The web application: `uvicorn --factory app.main:create_app`."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi.telemetry import TelemetryConfig

from app.api import (
    alerts,
    bookings,
    campaigns,
    devices,
    health,
    metrics,
    notifications,
    payments,
    preferences,
    problems,
)
from app.api.headers import SecurityHeaders
from app.api.limits import BodyLimit
from app.api.request_id import RequestId
from app.api.security import require_operator
from app.core import tracing
from app.core.config import get_settings
from app.core.database import dispose
from app.core.errors import SettingsError
from app.core.logging import configure
from app.core.startup import check_startup
from app.dashboard import pages
from app.monitoring.alerts.evaluate import Evaluator
from app.providers import registry

#: Of FastAPI's own telemetry, a span for each request, where `tracing` has said where to: its logs quote errors.
_SPANS_ALONE: TelemetryConfig = {
    "metrics": False,
    "logs": False,
    "operation_spans": False,
    "auto_configure": False,
}


@asynccontextmanager
async def _lifespan(_: FastAPI) -> AsyncIterator[None]:
    stopped = threading.Event()
    # Here as well as in workers: that no worker is left must be told too.
    threading.Thread(target=Evaluator().run, args=(stopped,), name="alerts", daemon=True).start()
    yield
    stopped.set()
    registry.close()
    dispose()
    tracing.stop()  # uvicorn ends by the signal that it was sent, and so without what is registered for the end


def create_app() -> FastAPI:
    """Routes, pages and error handlers; exits with one message that names every setting to mend."""
    try:
        check_startup(get_settings())
        tracing.check()
    except SettingsError as error:
        raise SystemExit(str(error)) from None
    tracing.configure("pafar-api")
    configure(log_format=get_settings().log_format)
    app = FastAPI(title="Pafar tasks", lifespan=_lifespan, telemetry=_SPANS_ALONE, docs_url=None, redoc_url=None)
    for middleware in (BodyLimit, SecurityHeaders, RequestId):  # the outermost last
        app.add_middleware(middleware)
    problems.install(app)
    for router in (
        health.router,
        metrics.router,
        notifications.router,
        campaigns.router,
        devices.router,
        preferences.router,
        bookings.router,
        payments.router,
        alerts.router,
    ):
        app.include_router(router)
    app.include_router(pages.router, dependencies=[Depends(require_operator)])
    app.mount("/static", pages.static)
    return app
