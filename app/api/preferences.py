"""What passengers want to be told, over HTTP: the switch in the app's settings."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import APIRouter, Depends, HTTPException
from pydantic import BaseModel, StrictBool

from app.api.fields import Key
from app.api.security import require_key
from app.core.database import transaction
from app.notifications import preferences
from app.notifications.devices import UnknownUser

router = APIRouter(
    prefix="/api/v1/users/{user_id}/preferences", tags=["preferences"], dependencies=[Depends(require_key)]
)


class Preferences(BaseModel):
    """`offers`: whether promotional pushes may be sent to the user's phones."""

    offers: StrictBool


@router.put("")
def change(user_id: Key, wanted: Preferences) -> Preferences:
    """Note what the user wants, on every phone; it holds for offers accepted before, too."""
    try:
        with transaction() as connection:
            preferences.set_offers(connection, user_id, offers=wanted.offers)
    except UnknownUser as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from None
    return wanted


@router.get("")
def of_user(user_id: Key) -> Preferences:
    """What the user wants; offers, unless refused."""
    try:
        with transaction() as connection:
            return Preferences(offers=preferences.wants_offers(connection, user_id))
    except UnknownUser as error:
        raise HTTPException(HTTPStatus.NOT_FOUND, str(error)) from None
