"""What became of one attempt to deliver a message.

Outcome
├─ Sent           a provider accepted it
├─ Skipped        rightly not sent, with a reason
├─ Failed         will never be sent, with a reason
├─ Unanswered     handed over, no answer, and its kind is never sent twice
├─ Postponed      to be tried again
└─ Busy           another worker holds it, or it is not its time yet: nothing was done
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Sent:
    """`result` is what the task returns; `told` is what the log says besides.

    `unknown` if it was handed over more than once, and only the last time answered.
    """

    result: dict[str, Any]
    provider_id: str | None
    sent_count: int = 1
    failed_count: int = 0
    unknown: bool = False
    told: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Skipped:
    """`result` is what the task returns: {"success": True, "skipped": <reason>, "message": …}."""

    reason: str
    result: dict[str, Any]
    sent_count: int = 0  # of a campaign that was stopped
    failed_count: int = 0


@dataclass(frozen=True, slots=True)
class Failed:
    """`reason` is for operators and names no recipient."""

    reason: str
    sent_count: int = 0
    failed_count: int = 0


@dataclass(frozen=True, slots=True)
class Unanswered:
    """Final for a kind that is never sent twice."""

    reason: str
    sent_count: int = 0
    failed_count: int = 0


@dataclass(frozen=True, slots=True)
class Postponed:
    """Try again in `wait` seconds. `unknown` if the provider may have taken it; `pending_tokens` of a push."""

    wait: float
    reason: str
    unknown: bool = False
    pending_tokens: tuple[str, ...] | None = None
    sent_count: int = 0
    failed_count: int = 0


@dataclass(frozen=True, slots=True)
class Busy:
    """Somebody else's turn, or not yet."""


#: What ends an attempt and is written to the row.
Recordable = Sent | Skipped | Failed | Unanswered | Postponed
Outcome = Recordable | Busy
