"""Is this process alive, and could it do its work now?"""

from __future__ import annotations

import asyncio
from typing import Any

import psycopg
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from psycopg import AsyncConnection, errors
from psycopg.conninfo import make_conninfo

from app.api.security import may_see_all
from app.core.database import CONNECT_ARGS, database_url
from app.core.errors import SettingsError
from app.core.migrations import newest
from app.utils.task_monitoring import health_checker

router = APIRouter(prefix="/health", tags=["health"])

#: Seconds in which the database answers, or counts as away: a prober waits little longer.
LIMIT = 2.0


@router.get("/live", status_code=204)
async def live() -> Response:
    """This process answers."""
    return Response(status_code=204)


@router.get("/ready")
async def ready() -> JSONResponse:
    """Messages can be accepted: the database takes writes and is at the newest revision.

    The broker may be away: rows wait for it. 503 with the `reason` otherwise, within LIMIT seconds.
    """
    # Not a timeout around the look: that would wait for the end of what it cancels.
    look = asyncio.create_task(_why_not())
    done, _ = await asyncio.wait({look}, timeout=LIMIT)
    look.cancel()
    reason = look.result() if done else f"the database did not answer within {LIMIT:g} s"
    return JSONResponse({"ready": False, "reason": reason}, 503) if reason else JSONResponse({"ready": True})


_STATE = "SELECT current_setting('transaction_read_only')::bool, (SELECT version_num FROM alembic_version)"


async def _why_not() -> str | None:
    """Why no message could be accepted now, None if one could.

    On a connection of its own, and without a thread: those of the pool, and the threads that wait for them, hang
    with the database; only connecting has a time limit on our side.
    """
    try:
        target = make_conninfo(database_url(), **CONNECT_ARGS)
        async with await AsyncConnection.connect(target, autocommit=True) as connection:
            [(read_only, revision)] = await (await connection.execute(_STATE)).fetchall()
    except SettingsError as error:
        return str(error)
    except errors.UndefinedTable:
        read_only, revision = False, None
    except psycopg.Error:
        return "the database can't be reached or refused the work"
    if read_only:
        return "the database takes no writes now"
    return None if revision == newest() else "migrations are missing: run pafar migrate"


@router.get("/tasks")
async def tasks(request: Request) -> dict[str, Any]:
    """The whole report. Without an operator's key, where one is set: whether each component is well, no more."""
    asked = asyncio.create_task(may_see_all(request))  # meanwhile: each may take as long as the whole may
    report = await health_checker.get_comprehensive_health_report()
    if await asked:
        return report
    return {
        "timestamp": report["timestamp"],
        "overall_healthy": report["overall_healthy"],
        "components": {name: {"healthy": check["healthy"]} for name, check in report["components"].items()},
    }
