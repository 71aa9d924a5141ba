"""The alerts over HTTP: what is amiss now, and what was within a week."""

from __future__ import annotations

from datetime import datetime
from http import HTTPStatus

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel

from app.api.security import require_operator_key
from app.monitoring.alerts import homes
from app.monitoring.alerts.rules import Severity
from app.monitoring.alerts.state import Status

router = APIRouter(prefix="/api/v1/alerts", tags=["alerts"], dependencies=[Depends(require_operator_key)])


class ListedAlert(BaseModel):
    """One alert; `subject` is the queue, channel or host that it is about, "" where there is only one."""

    name: str
    subject: str
    severity: Severity
    status: Status
    summary: str
    since: datetime
    raised_at: datetime | None
    resolved_at: datetime | None


@router.get("")
def current() -> list[ListedAlert]:
    """Alerts that fire, may soon (pending), or were resolved within a week."""
    try:
        alerts = homes.current()
    except homes.AlertsUnknown as error:
        raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, str(error)) from None
    return [ListedAlert(status=alert.status, **alert.model_dump(include=_FIELDS)) for alert in alerts]


_FIELDS = set(ListedAlert.model_fields) - {"status"}
