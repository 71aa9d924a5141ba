"""Device tokens that FCM calls dead are forgotten, so that nobody pushes to them again."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import bindparam, text
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.types import String

from app.core.database import transaction

_FORGET = text("DELETE FROM device_tokens WHERE token = ANY(:tokens)").bindparams(
    bindparam("tokens", type_=ARRAY(String))
)


def forget(tokens: Sequence[str]) -> None:
    """Delete these tokens, whoever they belong to. Raises DatabaseUnavailable."""
    if tokens:
        with transaction() as connection:
            connection.execute(_FORGET, {"tokens": list(tokens)})
