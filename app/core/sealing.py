"""Seals what must not lie open in the database: AES-256-GCM, bound to the row it stands in.

Keys come from PAYLOAD_KEYS: the first seals, all of them open, so a key can be changed while messages wait.
"""

from __future__ import annotations

import base64
import hashlib
import os

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.core.config import get_settings
from app.core.errors import PafarError, SettingsError

NONCE_BYTES = 12  # NIST SP 800-38D's recommended length


class CannotOpen(PafarError):
    """What was sealed can't be opened."""

    def __init__(self) -> None:
        super().__init__(
            "no key of PAYLOAD_KEYS opens this: its key was removed too early, or it was changed or moved"
        )


class UnknownKey(CannotOpen):
    """What was sealed has a key that this process does not have; another may."""


def seal(plain: bytes, *, bound_to: str) -> str:
    """`plain` as text that only opens under the same `bound_to`. Raises SettingsError without PAYLOAD_KEYS."""
    key = _keys()[0]
    nonce = os.urandom(NONCE_BYTES)
    sealed = AESGCM(key).encrypt(nonce, plain, bound_to.encode())
    return f"{_name(key)}:{base64.b64encode(nonce + sealed).decode()}"


def unseal(sealed: str, *, bound_to: str) -> bytes:
    """What `seal` was given. Raises UnknownKey, CannotOpen, SettingsError."""
    name, _, content = sealed.partition(":")
    key = next((key for key in _keys() if _name(key) == name), None)
    if key is None:
        raise UnknownKey
    try:
        raw = base64.b64decode(content, validate=True)
        return AESGCM(key).decrypt(raw[:NONCE_BYTES], raw[NONCE_BYTES:], bound_to.encode())
    except (ValueError, InvalidTag):  # cut short, changed or moved
        raise CannotOpen from None


def _keys() -> list[bytes]:
    secret = get_settings().payload_keys
    if secret is None:
        raise SettingsError("PAYLOAD_KEYS is missing; sensitive messages need it: openssl rand -base64 32")
    return [base64.b64decode(part) for part in secret.get_secret_value().split(",")]


def _name(key: bytes) -> str:
    """Tells keys apart without telling them."""
    return hashlib.sha256(key).hexdigest()[:8]
