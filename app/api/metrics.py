"""What Prometheus scrapes."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Response
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from app.api.security import require_operator_key
from app.monitoring.metrics import render

router = APIRouter(tags=["health"], dependencies=[Depends(require_operator_key)])


@router.get("/metrics")
async def metrics() -> Response:
    """Queues, workers, tasks, objectives and health, in Prometheus's text form."""
    return Response(await render(), media_type=CONTENT_TYPE_LATEST)
