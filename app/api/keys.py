"""Keys of the API's callers: made, listed, revoked, and recognised."""

from __future__ import annotations

import hmac
import re
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from sqlalchemy import Connection, func, insert, or_, select, update
from sqlalchemy.orm import Session

from app.core.database import transaction
from app.core.errors import PafarError
from app.models.api_key import ApiKey, Role

#: Bytes of chance in a key. So many can't be guessed, so a plain hash keeps them (a slow one is for passwords).
SECRET_BYTES = 32
#: Seconds for which a process knows a key without asking the database: so long a revoked one may still work.
REMEMBERED = 10.0
#: How fresh `last_used_at` is kept.
FRESH = timedelta(minutes=1)

_KEY = re.compile(r"pafar_([0-9]{1,18})_[A-Za-z0-9_-]{43}")


class NoSuchKey(PafarError):
    """There is no key of that id."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks. `id` is the key's, 0 for API_KEY; None while no key is set and anybody asks."""

    id: int | None
    name: str
    role: Role


_known: dict[bytes, tuple[Caller, float]] = {}


def create(connection: Connection, *, name: str, role: Role, lifetime: timedelta | None) -> str:
    """A new key, in words to be given to its caller: they are kept nowhere. `lifetime` None: until revoked."""
    expires_at = None if lifetime is None else func.clock_timestamp() + lifetime
    # The id stands in the key, so that it is found without a search by its hash.
    new = insert(ApiKey).values(name=name, role=role, hash=b"", expires_at=expires_at).returning(ApiKey.id)
    number = connection.execute(new).scalar_one()
    key = f"pafar_{number}_{secrets.token_urlsafe(SECRET_BYTES)}"
    connection.execute(update(ApiKey).where(ApiKey.id == number).values(hash=_hash(key)))
    return key


def listed(session: Session) -> Sequence[ApiKey]:
    """Every key that there ever was, by id."""
    return session.scalars(select(ApiKey).order_by(ApiKey.id)).all()


def revoke(connection: Connection, number: int) -> datetime:
    """End a key now, within REMEMBERED seconds everywhere; returns since when it is ended. Raises NoSuchKey."""
    ended = func.least(ApiKey.expires_at, func.clock_timestamp())  # which ignores NULL
    changed = update(ApiKey).where(ApiKey.id == number).values(expires_at=ended).returning(ApiKey.expires_at)
    found: datetime | None = connection.execute(changed).scalar_one_or_none()
    if found is None:
        raise NoSuchKey(f"there is no key {number}; pafar keys list names those there are")
    return found


def is_one(key: str) -> bool:
    """Whether it looks like one of these; what does not need not be looked up."""
    return _KEY.fullmatch(key) is not None


def remembered(key: str) -> Caller | None:
    """Whose key this is, if that was found within REMEMBERED seconds."""
    caller, until = _known.get(_hash(key), (None, 0.0))
    return caller if time.monotonic() < until else None


def find(key: str) -> Caller | None:
    """Whose key this is, None if it is nobody's, or no longer. Raises DatabaseUnavailable."""
    if (parts := _KEY.fullmatch(key)) is None:
        return None
    digest = _hash(key)
    _known.pop(digest, None)
    if (caller := _look_up(int(parts[1]), digest)) is not None:
        _known[digest] = (caller, time.monotonic() + REMEMBERED)
    return caller


def _look_up(number: int, digest: bytes) -> Caller | None:
    now = func.clock_timestamp()
    valid = select(ApiKey.name, ApiKey.role, ApiKey.hash).where(
        ApiKey.id == number, or_(ApiKey.expires_at.is_(None), ApiKey.expires_at > now)
    )
    with transaction() as connection:
        found = connection.execute(valid).one_or_none()
        # In constant time, so that a hash can't be guessed byte by byte.
        if found is None or not hmac.compare_digest(found.hash, digest):
            return None
        stale = or_(ApiKey.last_used_at.is_(None), ApiKey.last_used_at < now - FRESH)
        connection.execute(update(ApiKey).where(ApiKey.id == number, stale).values(last_used_at=now))
    return Caller(number, found.name, Role(found.role))


def _hash(key: str) -> bytes:
    return sha256(key.encode()).digest()
