"""What can go wrong between us and a provider, in words the rest of the house acts on.

ProviderError
├─ Transient          could not deliver now: try again
│  ├─ RateLimited     told to wait: try again, without using up an attempt
│  └─ RecipientBusy   this recipient can't be reached now, others can: try again much later
├─ OutcomeUnknown     sent, but no answer came: the kind decides
└─ Permanent          will never work
   ├─ InvalidRecipient    the address, number or token is dead
   ├─ Rejected            refused for its content or by policy
   └─ Misconfigured       credentials or settings: the channel, not the passenger, is at fault
"""

from __future__ import annotations


class ProviderError(Exception):
    """The provider did not accept the message.

    `code` is the provider's own short code ("550 5.1.1", "UNREGISTERED", "429"); `retry_after` is the wait in
    seconds that the provider asked for, None if it named none. Texts carry no recipient and no secret.
    """

    def __init__(
        self, message: str | None = None, *, code: str | None = None, retry_after: float | None = None
    ) -> None:
        super().__init__(message or (type(self).__doc__ or "").strip().splitlines()[0])
        self.code = code
        self.retry_after = retry_after


class Transient(ProviderError):
    """The provider could not take the message now."""


class RateLimited(Transient):
    """The provider asked us to wait."""


class RecipientBusy(Transient):
    """The recipient can't be reached for the time being."""


class OutcomeUnknown(ProviderError):
    """The message was handed over, but no answer came."""


class Permanent(ProviderError):
    """The provider will never take this message."""


class InvalidRecipient(Permanent):
    """The recipient's address does not exist or can't be reached."""


class Rejected(Permanent):
    """The provider refused the message."""


class Misconfigured(Permanent):
    """The channel's settings or credentials are wrong or missing."""
