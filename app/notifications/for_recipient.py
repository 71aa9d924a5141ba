"""Messages to one recipient, found by what their rows still hold of it."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import Uuid

from app.core.uuid7 import first_id
from app.messages.base import InvalidPayload
from app.messages.recipients import EmailAddress, PhoneNumber
from app.notifications import limits, overview
from app.notifications.submit import defaults

# No index serves it: a look is rare, and bound to some days; an index of addresses would be paid for by every row.
_QUERY = f"""
    SELECT {overview.COLUMNS} FROM notifications
    WHERE id >= :first AND created_at >= :since
      AND (lower(payload->>'user_email') = :recipient OR payload->>'phone_number' = :recipient OR id = ANY(:codes))
    ORDER BY id DESC LIMIT :limit
"""  # noqa: S608 - made of constants
_FOUND = text(_QUERY).bindparams(bindparam("codes", type_=ARRAY(Uuid))).columns(id=Uuid)


def search(connection: Connection, given: str, *, since: datetime, limit: int) -> list[dict[str, Any]]:
    """Those accepted since then, newest first, as `overview.one` gives them; `given` is an address or a number.

    A one-time code's number is sealed; its codes of the last day are found where they are counted for a limit.
    Raises InvalidPayload for what is neither.
    """
    recipient = _checked(given)
    values = {
        "recipient": recipient,
        "codes": limits.codes_to(connection, recipient),
        "since": since,
        "first": first_id(since - overview.ADOPTED),
        "limit": limit,
    }
    return [dict(row._mapping) for row in connection.execute(_FOUND, values)]


def _checked(given: str) -> str:
    """As a row has it, an address in small letters."""
    kind: Any = EmailAddress if "@" in given else PhoneNumber
    try:
        return str(TypeAdapter(kind).validate_python(given, context=defaults())).lower()
    except ValidationError as error:
        raise InvalidPayload(f"recipient: {error.errors()[0]['msg'].removeprefix('Value error, ')}") from None
