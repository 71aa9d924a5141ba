"""The health report's checks in words, with the figures that their messages leave out: what "it works" means."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.dashboard.words import size, span


@dataclass(frozen=True, slots=True)
class Line:
    """One check."""

    name: str
    healthy: bool
    words: str


def lines(report: Mapping[str, Any]) -> list[Line]:
    """The checks of a health report, those that found something wrong first."""
    found = [
        Line(name, check["healthy"], "; ".join((check["message"], *_more(name, check))))
        for name, check in report["components"].items()
    ]
    return sorted(found, key=lambda line: line.healthy)


def _more(name: str, check: Mapping[str, Any]) -> list[str]:
    """Nothing where it could not be looked at."""
    if name == "broker" and "policy" in check:
        limit = f"limit {size(check['max_bytes'])}" if check["max_bytes"] else "no limit is set"
        return [f"{limit}, policy {check['policy']}"]
    if name == "canary" and (ages := [age for age in check.get("ages", {}).values() if age is not None]):
        took = max((s for s in check["seconds"].values() if s is not None), default=0.0)
        return [f"the last {span(max(ages))} ago at the most, the slowest took {span(took)}"]
    return []
