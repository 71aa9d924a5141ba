"""The life of a message, as a state machine without side effects."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """Where a message stands."""

    QUEUED = "queued"  #: accepted, or waiting for its next attempt
    SENDING = "sending"  #: a worker holds the lease
    SENT = "sent"  #: a provider accepted it
    SKIPPED = "skipped"  #: rightly not sent; the reason says why
    FAILED = "failed"  #: will never be sent; the reason says why
    UNKNOWN = "unknown"  #: handed over without an answer, and its kind is never sent twice


#: Nothing more happens to these by itself.
FINAL = frozenset({Status.SENT, Status.SKIPPED, Status.FAILED, Status.UNKNOWN})

#: From → to. The statements in `store` allow these and no others.
TRANSITIONS: dict[Status, frozenset[Status]] = {
    # Claimed by a worker.
    Status.QUEUED: frozenset({Status.SENDING}),
    # Back to queued: to be tried again. To itself: the lease ran out, another worker claims it.
    Status.SENDING: FINAL | {Status.QUEUED, Status.SENDING},
    # A dead letter: an operator replays it.
    Status.FAILED: frozenset({Status.QUEUED}),
} | {status: frozenset() for status in FINAL - {Status.FAILED}}
