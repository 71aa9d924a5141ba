"""Passengers' phones over HTTP: the app reports its target at each start, and logs out.

Targets travel in bodies only: a URL stands in access logs.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Query
from pydantic import BaseModel, Field

from app.api.fields import Key
from app.api.security import require_key
from app.core.database import transaction
from app.notifications import devices

router = APIRouter(prefix="/api/v1/users/{user_id}/devices", tags=["devices"], dependencies=[Depends(require_key)])

#: Tokens have some 160 characters today; PostgreSQL's index takes up to about 2,700 bytes.
MAX_TOKEN = 2000


class SeenDevice(BaseModel):
    """The app's target on this phone; `replaces` is the one that it had before, where that changed."""

    token: str = Field(pattern=rf"^[!-~]{{1,{MAX_TOKEN}}}$", examples=["fcm-registration-token"])
    kind: devices.TargetKind = "token"
    platform: devices.Platform
    replaces: str | None = Field(default=None, pattern=rf"^[!-~]{{1,{MAX_TOKEN}}}$")


@router.put("")
def register(user_id: Key, seen: SeenDevice) -> devices.Device:
    """Register a phone or note that it was seen; asked again it changes nothing else."""
    try:
        with transaction() as connection:
            return devices.register(connection, user_id=user_id, **seen.model_dump())
    except devices.UnknownUser as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from None


@router.get("")
def of_user(user_id: Key, include_stale: Annotated[bool, Query()] = True) -> list[devices.Device]:
    """The user's phones, the one seen last first; their targets are the `device_tokens` of a push."""
    with transaction() as connection:
        return devices.of_user(connection, user_id, include_stale=include_stale)


@router.delete("/{device_id}", status_code=HTTPStatus.NO_CONTENT)
def remove(user_id: Key, device_id: Key) -> None:
    """Log out on a phone; one that is not, or no longer, the user's is left alone and a 404."""
    with transaction() as connection:
        if not devices.remove(connection, user_id=user_id, device_id=device_id):
            raise HTTPException(HTTPStatus.NOT_FOUND, "The user has no such device.")
