"""What providers made of the messages that were handed to them, by channel."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from app.core import redis
from app.messages.base import Channel
from app.messages.kinds import KINDS
from app.monitoring import keys, windows
from app.monitoring.runs import FAILED, SKIPPED, SUCCESSFUL, UNREACHABLE

_OUTCOMES = (SUCCESSFUL, SKIPPED, FAILED, UNREACHABLE)


@dataclass(frozen=True, slots=True)
class Handed:
    """Messages that came to an end: taken by the provider, failed, failed since the recipient can't be reached."""

    accepted: int
    failed: int
    unreachable: int

    @property
    def success_percent(self) -> float | None:
        """How many were taken of those that could be; None of none. A dead number is not the provider's fault."""
        total = self.accepted + self.failed
        return 100 * self.accepted / total if total else None


def by_channel(hours: float = 1) -> dict[Channel, Handed]:
    """Of each channel, those of the last `hours`. Raises RedisError, ValueError for `hours`."""
    # A campaign is handed to nobody: its chunks are.
    channels = {kind.task: kind.channel for kind in KINDS.values() if not kind.chunks}
    fields = [f"{task}|{outcome}" for task in channels for outcome in _OUTCOMES]
    pipe = redis.client().pipeline(transaction=False)
    windows.ask(pipe, map(keys.by_task, windows.hashes(hours)), fields)
    counted = windows.added(fields, pipe.execute())
    sums: dict[Channel, Counter[str]] = {channel: Counter() for channel in Channel}
    for task, channel in channels.items():
        sums[channel].update({outcome: counted[f"{task}|{outcome}"] for outcome in _OUTCOMES})
    return {
        channel: Handed(of[SUCCESSFUL] - of[SKIPPED], of[FAILED] - of[UNREACHABLE], of[UNREACHABLE])
        for channel, of in sums.items()
    }
