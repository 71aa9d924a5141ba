"""The operators' pages: which there are, and what each shows."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from fastapi import Query, Request, Response
from fastapi.staticfiles import StaticFiles

from app.core import redis
from app.dashboard import audit, campaigns, failures, finding, messages, overview, routes, schedule
from app.dashboard.messages import Token
from app.dashboard.rendering import HERE, page
from app.dashboard.sources import ALERTS, HEALTH, REDIS, from_database
from app.monitoring import workers
from app.monitoring.alerts.homes import current
from app.monitoring.alerts.state import Alert
from app.utils.task_monitoring import health_checker

static = StaticFiles(directory=HERE / "static")
router = routes.router()


@router.get("/")
async def show_overview(request: Request, token: Token) -> Response:
    """Does it work, and if not, why?"""
    return await page(request, "overview.html", overview.shown, token=token)


@router.get("/workers")
async def show_workers(request: Request, token: Token) -> Response:
    """Who works, by their heartbeats, and what health makes of that."""

    async def look() -> Mapping[str, Any]:
        found, verdict = await asyncio.gather(
            REDIS.ask(lambda: workers.read(redis.client())), HEALTH.within(health_checker.check_worker_health())
        )
        told = verdict.value["workers"] if verdict.value else []
        stuck = {worker["name"] for worker in told if not worker["healthy"]}
        return {"workers": found, "verdict": verdict, "stuck": stuck}

    return await page(request, "workers.html", look, token=token)


@router.get("/schedule")
async def show_schedule(request: Request, token: Token) -> Response:
    """What beat starts."""

    async def look() -> Mapping[str, Any]:
        return {"entries": await from_database(schedule.entries)}

    return await page(request, "schedule.html", look, token=token)


@router.get("/alerts")
async def show_alerts(request: Request, token: Token) -> Response:
    """What is amiss, what may soon be, and what was."""

    async def look() -> Mapping[str, Any]:
        return {"alerts": await ALERTS.ask(_alerts)}

    return await page(request, "alerts.html", look, token=token)


def _alerts() -> list[Alert]:
    """Those that stand first, and of each sort the newest. Raises AlertsUnknown."""
    newest = sorted(current(), key=lambda alert: alert.since, reverse=True)
    return sorted(newest, key=lambda alert: ("firing", "pending", "resolved").index(alert.status))


@router.get("/actions")
async def show_actions(request: Request, token: Token, before: int | None = Query(default=None, ge=1)) -> Response:
    """What operators did; with `before`, what they did before that line."""

    async def look() -> Mapping[str, Any]:
        done = await from_database(lambda connection: audit.newest(connection, before=before))
        full = done.value and len(done.value) == audit.PAGE
        return {"done": done, "older": f"/actions?before={done.value[-1].id}" if done.value and full else None}

    return await page(request, "actions.html", look, token=token)


router.include_router(finding.router)
router.include_router(messages.router)
router.include_router(failures.router)
router.include_router(campaigns.router)
