"""The phones that take pushes: registered, refreshed, removed at logout, forgotten when dead or long unseen.

A target is what names one app on one phone to FCM, written as the push tasks take it: a registration token, or
`fid:` and a Firebase installation id.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, Row, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import String

from app.core.database import transaction
from app.core.errors import PafarError
from app.providers.fcm_message import FID

#: Days unseen after which a phone is stale: FCM calls it so when it has not connected for a month.
#: https://firebase.google.com/docs/cloud-messaging/manage-tokens
STALE_AFTER = 30
#: Days unseen after which a phone is dropped: FCM ends an Android registration then.
DROP_AFTER = 270

TargetKind = Literal["token", "fid"]
Platform = Literal["android", "ios", "web"]


class UnknownUser(PafarError):
    """There is no such user."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Device:
    """One app on one phone. `stale`: unseen for STALE_AFTER days, so perhaps gone: worth a try, not an offer."""

    id: int
    target: str = field(repr=False)
    platform: str
    last_seen_at: datetime
    stale: bool


# FOR KEY SHARE: the user can't go before the phone is written.
_REGISTER = text("""
    INSERT INTO device_tokens (user_id, kind, token, platform)
    SELECT id, :kind, :token, :platform FROM users WHERE id = :user_id FOR KEY SHARE
    ON CONFLICT (token) DO UPDATE
    SET user_id = excluded.user_id, kind = excluded.kind, platform = excluded.platform,
        last_seen_at = clock_timestamp()
    RETURNING id, kind, token, platform, last_seen_at, false AS stale
""")


def register(
    connection: Connection,
    *,
    user_id: int,
    token: str,
    platform: Platform,
    kind: TargetKind = "token",
    replaces: str | None = None,
) -> Device:
    """Note that the user's phone was seen now; the one who used it last has it.

    `token` is of the `kind` said; `replaces` is the target that the phone had before. Raises UnknownUser.
    """
    values = {"user_id": user_id, "kind": kind, "token": token, "platform": platform}
    row = connection.execute(_REGISTER, values).one_or_none()
    if row is None:
        raise UnknownUser("user_id: there is no such user")
    if replaces and _value(replaces) != token:
        connection.execute(
            text("DELETE FROM device_tokens WHERE token = :token AND user_id = :user_id"),
            {"token": _value(replaces), "user_id": user_id},
        )
    return _device(row)


def remove(connection: Connection, *, user_id: int, device_id: int) -> bool:
    """Forget a phone at logout; False if it is not (or no longer) this user's."""
    found = connection.execute(
        text("DELETE FROM device_tokens WHERE id = :id AND user_id = :user_id RETURNING id"),
        {"id": device_id, "user_id": user_id},
    )
    return found.first() is not None


def of_user(connection: Connection, user_id: int, *, include_stale: bool) -> list[Device]:
    """The user's phones, the one seen last first; stale ones too for what matters, not for an offer."""
    rows = connection.execute(
        text("""
            SELECT id, kind, token, platform, last_seen_at,
                   last_seen_at < clock_timestamp() - make_interval(days => :stale_after) AS stale
            FROM device_tokens WHERE user_id = :user_id ORDER BY last_seen_at DESC, id DESC
        """),
        {"user_id": user_id, "stale_after": STALE_AFTER},
    )
    return [_device(row) for row in rows if include_stale or not row.stale]


_FORGET = text("DELETE FROM device_tokens WHERE token = ANY(:tokens)").bindparams(
    bindparam("tokens", type_=ARRAY(String))
)


def forget(dead: Sequence[str]) -> None:
    """Delete the targets that FCM calls dead, whoever they belong to. Raises DatabaseUnavailable."""
    if dead:
        with transaction() as connection:
            connection.execute(_FORGET, {"tokens": [_value(target) for target in dead]})


def _value(target: str) -> str:
    return target.removeprefix(FID)


def _device(row: Row[Any]) -> Device:
    return Device(
        id=row.id,
        target=f"{FID}{row.token}" if row.kind == "fid" else row.token,
        platform=row.platform,
        last_seen_at=row.last_seen_at,
        stale=row.stale,
    )
