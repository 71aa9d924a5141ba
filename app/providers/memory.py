"""Doubles that implement the providers' Protocols in memory, for tests of what calls them."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Generic, TypeVar

from app.providers.base import Email, Push, PushResult, Receipt, Sms
from app.providers.errors import ProviderError

_Sent = TypeVar("_Sent")


class _Memory(Generic[_Sent]):
    """`sent`: what was accepted, oldest first; `script`: the errors that the next calls raise, first first."""

    def __init__(self) -> None:
        self.sent: list[_Sent] = []
        self.script: list[ProviderError] = []
        self._lock = threading.Lock()

    def close(self) -> None:
        """There are no connections."""

    def _follow_script(self) -> None:
        with self._lock:
            if self.script:
                raise self.script.pop(0)

    def _accept(self, what: _Sent) -> Receipt:
        with self._lock:
            self.sent.append(what)
            return Receipt(f"memory-{len(self.sent)}")


class MemoryEmail(_Memory[Email]):
    """An EmailProvider that keeps what it is given."""

    def send(self, message: Email) -> Receipt:
        """Keep one e-mail. Raises what is scripted."""
        self._follow_script()
        return self._accept(message)


class MemorySms(_Memory[Sms]):
    """An SmsProvider that keeps what it is given."""

    def send(self, message: Sms) -> Receipt:
        """Keep one text. Raises what is scripted."""
        self._follow_script()
        return self._accept(message)


class MemoryPush(_Memory[tuple[Push, str]]):
    """A PushProvider that keeps what it is given, with its token; `tokens` holds the error of each bad token."""

    def __init__(self) -> None:
        super().__init__()
        self.tokens: dict[str, ProviderError] = {}

    def send(self, message: Push, tokens: Sequence[str]) -> list[PushResult]:
        """Keep one push for each token, once for one that is named twice. Raises what is scripted."""
        self._follow_script()
        unique = dict.fromkeys(tokens)
        outcomes = {token: self.tokens.get(token) or self._accept((message, token)) for token in unique}
        return [outcomes[token] for token in tokens]
