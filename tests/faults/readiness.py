"""Asks an API all the time whether it is ready and all is well, and what an honest one would have said."""

from __future__ import annotations

import threading
import time
import urllib.error
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise

import orjson

from app.monitoring.keys import HEARTBEAT_LIFETIME
from tests.faults.invariants import Breach

#: `/health/ready`, which needs the database alone; and components of `/health/tasks`, as it names them.
READY, DATABASE, BROKER, WORKERS = "ready", "database", "broker", "workers"
COMPONENTS = (DATABASE, BROKER, WORKERS)
#: With which an operator asks for all that the API tells.
API_KEY = "sesame-for-the-faults"
#: Seconds in which an outage is told, and its end. That no worker is left shows when the last heartbeat is over.
TURNS, RETURNS = 10.0, 15.0
_TURNS = {WORKERS: HEARTBEAT_LIFETIME + 5.0}
#: Seconds between two questions, whether it is ready and how all is, and for an answer.
_EVERY, _EVERY_REPORT, _ANSWER = 0.25, 1.0, 10.0


@dataclass(frozen=True, slots=True)
class Sample:
    """What the API said. `at` is when it had answered, by the monotonic clock; `well` None: it did not."""

    at: float
    well: bool | None


@dataclass(frozen=True, slots=True)
class Outage:
    """Between these moments, by the monotonic clock, an honest API says that something is amiss."""

    began: float
    ended: float


class Readiness:
    """Asks `GET <url>/health/ready` and `/health/tasks` until stopped; keeps samples and outages by name."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.samples: defaultdict[str, list[Sample]] = defaultdict(list)
        self.outages: defaultdict[str, list[Outage]] = defaultdict(list)
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, args=watch, name="readiness", daemon=True)
            for watch in ((self._look_ready, _EVERY), (self._look_at_report, _EVERY_REPORT))
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Ask no more."""
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    @property
    def is_ready(self) -> bool:
        """What it said last."""
        return bool(self.samples[READY] and self.samples[READY][-1].well)

    @property
    def is_well(self) -> bool:
        """Whether it said so last of itself, and of every component since that was mended."""
        mended = ((self.samples[of][-1:], outages[-1].ended) for of, outages in self.outages.items())
        return self.is_ready and all(last and last[0].well and last[0].at >= ended for last, ended in mended)

    @contextmanager
    def lost(self, component: str) -> Iterator[None]:
        """In this block something of the component is broken; at its end that is mended."""
        began = time.monotonic()
        yield
        outage = Outage(began, time.monotonic())
        for of in (component, READY) if component == DATABASE else (component,):
            self.outages[of].append(outage)

    def _watch(self, look: Callable[[], None], every: float) -> None:
        while not self._stopped.wait(every):
            look()

    def _look_ready(self) -> None:
        status, _ = self._ask("/health/ready")
        self._note(READY, {200: True, 503: False}.get(status))

    def _look_at_report(self) -> None:
        status, body = self._ask("/health/tasks")
        components = orjson.loads(body)["components"] if status == 200 else {}
        for of in COMPONENTS:
            self._note(of, components[of]["healthy"] if components else None)

    def _note(self, of: str, well: bool | None) -> None:
        self.samples[of].append(Sample(time.monotonic(), well))

    def _ask(self, path: str) -> tuple[int, bytes]:
        """Status and body; 0 where there is no answer."""
        try:
            with urllib.request.urlopen(self.url + path, timeout=_ANSWER) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refusal:
            with refusal:
                return refusal.code, b""
        except OSError:
            return 0, b""


def turns(samples: Sequence[Sample], outage: Outage) -> tuple[float | None, float | None]:
    """Seconds from the outage's begin until it was told, and from its end until that was; None: never."""
    told = next((s.at for s in samples if _within(s, [outage]) and not s.well), None)
    back = next((s.at for s in samples if s.at >= outage.ended and s.well), None)
    return None if told is None else told - outage.began, None if back is None else back - outage.ended


def truthful(samples: Sequence[Sample], outages: Sequence[Outage], of: str = READY) -> list[Breach]:
    """I6: an outage of TURNS seconds or more is told within them, its end within RETURNS, and nothing else is.

    Once is never, as for every prober: a machine that stalls may make one look fail. The report's looks may take a
    second, too short where three faults share two cores: of components only outages are judged.
    """
    allowed = _TURNS.get(of, TURNS)
    found = [
        Breach("I6", f"the API did not answer twice in a row ({of})")
        for one, other in pairwise(samples)
        if one.well is None and other.well is None
    ][:1]
    for outage in outages:
        told, back = turns(samples, outage)
        if outage.ended - outage.began >= allowed and (told is None or told > allowed):
            found.append(Breach("I6", f"an outage ({of}) was told after {_shown(told)}, allowed {allowed:g} s"))
        if back is None or back > RETURNS:
            found.append(Breach("I6", f"its end ({of}) was told after {_shown(back)}, allowed {RETURNS:g} s"))
    groundless = [
        one
        for one, other in pairwise(samples)
        if one.well is False and other.well is False and not _within(one, outages)
    ]
    if groundless and of == READY:
        found.append(Breach("I6", f"{len(groundless)} times not ready, and nothing was broken that it needs"))
    return found


def shown(samples: Sequence[Sample], outages: Sequence[Outage], of: str = READY) -> list[str]:
    """A note for each outage."""
    return [
        f"{of} no more, told after {_shown(told)}; again, told after {_shown(back)}"
        for told, back in (turns(samples, outage) for outage in outages)
    ]


def _shown(seconds: float | None) -> str:
    return "for ever" if seconds is None else f"{seconds:.1f} s"


def _within(sample: Sample, outages: Sequence[Outage]) -> bool:
    return any(outage.began <= sample.at <= outage.ended + RETURNS for outage in outages)
