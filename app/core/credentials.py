"""What a browser sends of who sits before it."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Basic:
    """A name and a password as HTTP's Basic scheme carries them (RFC 7617)."""

    name: str
    password: str = field(repr=False)


def basic(header: str) -> Basic | None:
    """What an Authorization header says, None if it is of another scheme or malformed.

    In UTF-8, as the challenge asks: FastAPI's own class takes ASCII alone, and raises for a name such as Zoë.
    """
    scheme, _, content = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = b64decode(content, validate=True).decode().partition(":")
    except ValueError:  # no base64, or no UTF-8
        return None
    return Basic(name, password) if colon else None
