"""Asks an API all the time whether it is ready, and what an honest one would have said."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

from tests.faults.invariants import Breach

#: Seconds in which an outage is told, and its end.
TURNS, RETURNS = 10.0, 15.0
_EVERY, _ANSWER = 0.25, 10.0  # seconds between two questions, and for an answer


@dataclass(frozen=True, slots=True)
class Sample:
    """What the API said. `at` is when it had answered, by the monotonic clock; `ready` None: it did not."""

    at: float
    ready: bool | None


@dataclass(frozen=True, slots=True)
class Outage:
    """Between these moments, by the monotonic clock, an honest API is not ready."""

    began: float
    ended: float


class Readiness:
    """Asks `GET <url>/health/ready` until stopped."""

    def __init__(self, url: str) -> None:
        self.samples: list[Sample] = []
        self.outages: list[Outage] = []
        self._url = f"{url}/health/ready"
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="readiness", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()
        self._thread.join()

    @property
    def is_ready(self) -> bool:
        """What it said last."""
        return bool(self.samples and self.samples[-1].ready)

    @contextmanager
    def lost(self) -> Iterator[None]:
        """In this block something is broken without which the API is not ready; at its end that is mended."""
        began = time.monotonic()
        yield
        self.outages.append(Outage(began, time.monotonic()))

    def _run(self) -> None:
        while not self._stopped.wait(_EVERY):
            ready = self._ask()
            self.samples.append(Sample(time.monotonic(), ready))

    def _ask(self) -> bool | None:
        try:
            with urllib.request.urlopen(self._url, timeout=_ANSWER):
                return True
        except urllib.error.HTTPError as refusal:
            with refusal:
                return False if refusal.code == 503 else None
        except OSError:
            return None


def turns(samples: Sequence[Sample], outage: Outage) -> tuple[float | None, float | None]:
    """Seconds from the outage's begin until it was told, and from its end until that was; None: never."""
    told = next((s.at for s in samples if _within(s, [outage]) and not s.ready), None)
    back = next((s.at for s in samples if s.at >= outage.ended and s.ready), None)
    return None if told is None else told - outage.began, None if back is None else back - outage.ended


def truthful(samples: Sequence[Sample], outages: Sequence[Outage]) -> list[Breach]:
    """I6: an outage of TURNS seconds or more is told within them, its end within RETURNS, and nothing else is.

    Once is never, as for every prober: a machine that stalls may make one look fail.
    """
    found = [
        Breach("I6", "the API did not answer twice in a row")
        for one, other in pairwise(samples)
        if one.ready is None and other.ready is None
    ][:1]
    for outage in outages:
        told, back = turns(samples, outage)
        if outage.ended - outage.began >= TURNS and (told is None or told > TURNS):
            found.append(Breach("I6", f"an outage was told after {_shown(told)}, allowed {TURNS:g} s"))
        if back is None or back > RETURNS:
            found.append(Breach("I6", f"its end was told after {_shown(back)}, allowed {RETURNS:g} s"))
    groundless = [
        one
        for one, other in pairwise(samples)
        if one.ready is False and other.ready is False and not _within(one, outages)
    ]
    if groundless:
        found.append(Breach("I6", f"{len(groundless)} times not ready, and nothing was broken that it needs"))
    return found


def shown(samples: Sequence[Sample], outages: Sequence[Outage]) -> list[str]:
    """A note for each outage."""
    return [
        f"not ready after {_shown(told)}, ready again after {_shown(back)}"
        for told, back in (turns(samples, outage) for outage in outages)
    ]


def _shown(seconds: float | None) -> str:
    return "for ever" if seconds is None else f"{seconds:.1f} s"


def _within(sample: Sample, outages: Sequence[Outage]) -> bool:
    return any(outage.began <= sample.at <= outage.ended + RETURNS for outage in outages)
