"""How many one-time codes a number may get.

Each costs money, which fraud lives on, and a flood of them wears a person down until they hand one over.
"""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from datetime import timedelta
from typing import cast
from uuid import UUID

from pydantic import SecretStr
from sqlalchemy import Connection, text
from sqlalchemy.types import Uuid

from app.core.config import get_settings

LONGEST = timedelta(days=1)  #: what is older counts for no limit


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `most` codes to one number in any stretch of `within`."""

    most: int
    within: timedelta


def otp_limits() -> list[Limit]:
    """Those that the settings ask for."""
    settings = get_settings()
    limits = (
        Limit(settings.otp_limit_per_10_minutes, timedelta(minutes=10)),
        Limit(settings.otp_limit_per_day, LONGEST),
    )
    return [limit for limit in limits if limit.most > 0]


def reached(connection: Connection, phone_number: str, message_id: UUID) -> Limit | None:
    """The limit that stands against sending this code; None notes that it is sent.

    The same message again counts once. Two workers with codes for one number take turns, until each commits.
    """
    limits = otp_limits()
    if not limits:
        return None
    numbers = _fingerprints(phone_number)
    # In a statement of its own: the next one sees what was committed while this one waited.
    connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _lock_key(numbers)})
    ages = _ages(connection, numbers)
    if message_id in ages:
        return None
    for limit in limits:
        if sum(age < limit.within for age in ages.values()) >= limit.most:
            return limit
    connection.execute(
        text("INSERT INTO otp_sends (notification_id, number) VALUES (:id, :number)"),
        {"id": message_id, "number": numbers[0]},
    )
    return None


def codes_to(connection: Connection, phone_number: str) -> list[UUID]:
    """The codes that were sent to a number within LONGEST, as far as they were counted."""
    if get_settings().payload_keys is None:
        return []
    return list(_ages(connection, _fingerprints(phone_number)))


def _ages(connection: Connection, numbers: list[str]) -> dict[UUID, timedelta]:
    """How long ago which code went to the number."""
    found = connection.execute(
        text(
            "SELECT notification_id, clock_timestamp() - created_at AS age FROM otp_sends"
            " WHERE number = ANY(:numbers) AND created_at > clock_timestamp() - :longest"
        ).columns(notification_id=Uuid),
        {"numbers": numbers, "longest": LONGEST},
    )
    return {row.notification_id: row.age for row in found}


def _fingerprints(phone_number: str) -> list[str]:
    """The number under each of PAYLOAD_KEYS, newest first: a key that is changed must not reset the count.

    Keyed, since a plain hash of a phone number is found by trying all of them.
    """
    keys = cast(SecretStr, get_settings().payload_keys)  # set: without one the code could not have been opened
    spoken = f"one-time codes to {phone_number}".encode()
    return [hmac.digest(key.encode(), spoken, "sha256").hex() for key in keys.get_secret_value().split(",")]


def _lock_key(numbers: list[str]) -> int:
    """64 bits of the number; the same for workers that know the same keys in another order."""
    return int.from_bytes(bytes.fromhex(min(numbers))[:8], signed=True)
