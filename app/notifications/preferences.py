"""What passengers want to be told: offers go only to those who have not refused them."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import String

from app.core.database import transaction
from app.notifications.devices import UnknownUser
from app.providers.fcm_message import FID

_SET = text("""
    UPDATE users
    SET offers_refused_at = CASE WHEN NOT :offers THEN coalesce(offers_refused_at, clock_timestamp()) END
    WHERE id = :user_id
    RETURNING id
""")


def set_offers(connection: Connection, user_id: int, *, offers: bool) -> None:
    """Note whether the user wants offers. Raises UnknownUser."""
    if connection.execute(_SET, {"user_id": user_id, "offers": offers}).first() is None:
        raise UnknownUser("user_id: there is no such user")


def wants_offers(connection: Connection, user_id: int) -> bool:
    """Whether the user does, as everybody who has not refused. Raises UnknownUser."""
    found = connection.scalar(
        text("SELECT offers_refused_at IS NULL FROM users WHERE id = :user_id"), {"user_id": user_id}
    )
    if found is None:
        raise UnknownUser("user_id: there is no such user")
    return bool(found)


_REFUSING = text("""
    SELECT token FROM device_tokens JOIN users ON users.id = user_id
    WHERE token = ANY(:tokens) AND offers_refused_at IS NOT NULL
""").bindparams(bindparam("tokens", type_=ARRAY(String)))


def taking_offers(targets: Sequence[str]) -> list[str]:
    """Those of the targets whose users have not refused offers, or are not known. Raises DatabaseUnavailable."""
    tokens = {target: target.removeprefix(FID) for target in targets}
    with transaction() as connection:
        refusing = set(connection.scalars(_REFUSING, {"tokens": list(tokens.values())}))
    return [target for target, token in tokens.items() if token not in refusing]
