"""How every bench measures: ways taken in turn, round by round, and one ratio for each round."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil
from typing import Literal

import psutil

#: Rounds of a full run; a smoke run has one.
ROUNDS = 5

Figures = Mapping[str, float]  #: unit → what one run of one way measured
Rounds = Mapping[str, list[Figures]]  #: way → its runs, a round each


@dataclass(frozen=True, slots=True)
class Target:
    """What a ratio (or a figure that stands alone) is to reach."""

    sign: Literal["≥", "≤"]
    value: float

    def is_met(self, measured: float) -> bool:
        """Whether `measured` is on the right side."""
        return measured >= self.value if self.sign == "≥" else measured <= self.value


def at_least(value: float) -> Target:
    """A target to reach or exceed."""
    return Target("≥", value)


def at_most(value: float) -> Target:
    """A target to stay at or below."""
    return Target("≤", value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the report: `what` beside `beside`, both in `unit`, a figure for each round.

    With nothing beside, `beside` is empty, and the target is for the figure itself. `limit` says what nothing
    could be better than, with the figure that shows it.
    """

    what: str
    unit: str
    ours: list[float]
    beside: str = ""
    theirs: list[float] | None = None
    target: Target | None = None
    limit: str = ""

    @property
    def ratios(self) -> list[float]:
        """Ours by theirs, round by round; our figures where nothing stands beside."""
        if self.theirs is None:
            return self.ours
        return [ours / theirs for ours, theirs in zip(self.ours, self.theirs, strict=True)]

    @property
    def ratio(self) -> float:
        """The rounds' median."""
        return statistics.median(self.ratios)

    @property
    def met(self) -> bool | None:
        """Whether the median reaches the target; None without one."""
        return None if self.target is None else self.target.is_met(self.ratio)


def rounds_of(smoke: bool, full: int = ROUNDS) -> int:
    """How many rounds; a bench whose rounds differ much has more in a `full` run."""
    return 1 if smoke else full


def in_turn(ways: Mapping[str, Callable[[], Figures]], rounds: int) -> Rounds:
    """Run every way once a round, every second round backwards: none always follows the same other one."""
    runs: dict[str, list[Figures]] = {name: [] for name in ways}
    for number in range(rounds):
        for name in list(ways)[:: -1 if number % 2 else 1]:
            runs[name].append(ways[name]())
            sys.stderr.write(f"round {number + 1} of {rounds}: {name}\n")
    return runs


def compare(
    runs: Rounds, ours: str, beside: str, unit: str, *, target: Target | None = None, limit: str = ""
) -> Row:
    """One way's figures beside another's."""
    return Row(
        what=ours,
        unit=unit,
        ours=_figures(runs, ours, unit),
        beside=beside,
        theirs=_figures(runs, beside, unit),
        target=target,
        limit=limit,
    )


def alone(runs: Rounds, way: str, unit: str, *, target: Target | None = None, limit: str = "") -> Row:
    """One way's figures, with nothing beside them."""
    return Row(what=way, unit=unit, ours=_figures(runs, way, unit), target=target, limit=limit)


def _figures(runs: Rounds, way: str, unit: str) -> list[float]:
    return [run[unit] for run in runs[way]]


def percentile(values: list[float], percent: int) -> float:
    """The least value that so many of 100 do not exceed (nearest rank)."""
    return sorted(values)[max(0, ceil(len(values) * percent / 100) - 1)]


def cpu_seconds(pid: int) -> float:
    """CPU that the process and its children have used, those that have ended too."""
    family = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    return sum(sum(member.cpu_times()[:4]) for member in family)
