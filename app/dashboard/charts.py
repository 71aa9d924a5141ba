"""Charts as the numbers of an inline SVG: 0 is at the bottom, and the greatest value just below the top."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from math import floor, log10

#: The drawing's own units; the page stretches it.
WIDTH, HEIGHT = 600.0, 100.0
#: The least height of a part: one failure among hundreds is seen.
LEAST = 3.0


@dataclass(frozen=True, slots=True)
class Line:
    """Values over time as a path; a None is a gap. `last` and `most` are None when nothing is known."""

    path: str
    last: float | None
    most: float | None


@dataclass(frozen=True, slots=True)
class Bar:
    """One part of a column."""

    x: float
    y: float
    width: float
    height: float
    part: str


def top(most: float) -> float:
    """The least 1, 2 or 5 times a power of ten that is not below `most`."""
    if most <= 0:
        return 1.0
    power: float = 10.0 ** floor(log10(most))
    return next(step * power for step in (1, 2, 5, 10) if step * power >= most * 0.999999)


def line(values: Sequence[float | None], *, upper: float | None = None) -> Line:
    """`upper` is the value at the top; without, the greatest."""
    known = [value for value in values if value is not None]
    most = max(known, default=None)
    scale = HEIGHT * 0.96 / (upper or most or 1.0)
    step = WIDTH / max(1, len(values) - 1)
    dots = [None if v is None else f"{n * step:.1f},{HEIGHT - v * scale:.1f}" for n, v in enumerate(values)]
    runs = [list(run) for there, run in groupby(dots, key=lambda dot: dot is not None) if there]
    return Line(" ".join(_run(run) for run in runs), values[-1] if values else None, most)


def _run(dots: Sequence[str | None]) -> str:
    """A lone value between two gaps is a dash of no length, which a round cap makes a dot."""
    first, *rest = [dot for dot in dots if dot]
    return f"M{first}L{' '.join(rest or [first])}"


def bars(columns: Sequence[dict[str, float]], *, upper: float) -> list[Bar]:
    """Columns of stacked parts, lowest first; parts of nought are left out."""
    step, drawn = WIDTH / max(1, len(columns)), []
    for n, column in enumerate(columns):
        y = HEIGHT
        for part, value in column.items():
            height = max(LEAST, value / upper * HEIGHT) if value else 0.0
            y -= height
            if value:
                drawn.append(Bar(round((n + 0.1) * step, 1), round(y, 2), step * 0.8, round(height, 2), part))
    return drawn
