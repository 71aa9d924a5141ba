"""What a provider takes and gives back: one Protocol for each channel, with its message types.

A provider is made from plain values (hosts, keys, paths), may be used by many threads at once, keeps its
connections between calls, and opens none before its first `send` (a worker forks first).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from app.providers.errors import ProviderError


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """A file in an e-mail: `content_type` as in "application/pdf", `content` the raw bytes."""

    filename: str
    content_type: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Email:
    """One e-mail to one address. `reference` (the row's id) becomes the stable Message-ID.

    `calendar` is an iCalendar file whose content type names its method (RFC 6047, 2.4): mail programs read it
    beside text and HTML, and it is attached as well. `reply_to` as in "Pafar <help@pafar.example>".
    """

    reference: str
    to: str = field(repr=False)
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str = field(repr=False)
    attachments: tuple[Attachment, ...] = ()
    calendar: Attachment | None = None
    reply_to: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Sms:
    """One text to one number in E.164. `reference` (the row's id) is the gateway's idempotency key."""

    reference: str
    to: str = field(repr=False)
    text: str = field(repr=False)
    valid_for: int | None = None  #: seconds the operator may still try; None leaves it to the gateway


@dataclass(frozen=True, slots=True, kw_only=True)
class Push:
    """What a push says; `data` values are strings, as FCM demands. `ttl` in seconds, None for FCM's own."""

    reference: str
    title: str = field(repr=False)
    body: str = field(repr=False)
    data: Mapping[str, str] = field(default_factory=dict, repr=False)
    tag: str | None = None  #: a newer push with the same tag replaces this one on the phone
    ttl: int | None = None
    offer: bool = False  #: nobody waits for it: it need not wake a phone, and a passenger may silence all of them
    repeatable: bool = False  #: on the phone twice is better than perhaps never


@dataclass(frozen=True, slots=True)
class Receipt:
    """The provider accepted the message and calls it `provider_id`.

    `repeated`: it was handed over once before without an answer, so it may have been accepted twice.
    """

    provider_id: str
    repeated: bool = False


#: One entry for each token, in the order given: accepted, or why not.
PushResult = Receipt | ProviderError


class EmailProvider(Protocol):
    """Takes one e-mail at a time."""

    def send(self, message: Email) -> Receipt:
        """Hand over one e-mail. Raises ProviderError."""

    def close(self) -> None:
        """End the kept connections."""


class SmsProvider(Protocol):
    """Takes one text at a time."""

    def send(self, message: Sms) -> Receipt:
        """Hand over one text. Raises ProviderError."""

    def close(self) -> None:
        """End the kept connections."""


class PushProvider(Protocol):
    """Takes one push for many phones."""

    def send(self, message: Push, tokens: Sequence[str]) -> list[PushResult]:
        """Send `message` to every token at once; one result a token, in order.

        Raises ProviderError only when no token could be tried (credentials, token endpoint away).
        """

    def close(self) -> None:
        """End the kept connections."""
