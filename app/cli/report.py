"""`pafar report`: how clean the database is, and what to do about it."""

from __future__ import annotations

import json
import sys
from typing import Annotated, Any

import typer
from rich.table import Table

from app.cli.console import console
from app.maintenance.report import generate


def report(as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False) -> None:
    """How clean the database is, and what to do about it."""
    found = generate()
    if as_json:
        sys.stdout.write(json.dumps(found) + "\n")
    else:
        show(**found)


def show(database_stats: dict[str, Any], recommendations: list[str]) -> None:
    """Print what `maintenance.report.generate` found, the advice last."""
    console.print(_tables(database_stats["tables"]))
    console.print(_runs(database_stats["runs"]))
    for line in _lines(database_stats):
        console.print(line, markup=False, highlight=False)
    for sentence in recommendations or ["All is well."]:
        console.print(sentence, style="bold", markup=False)


def _tables(tables: list[dict[str, Any]]) -> Table:
    shown = Table("Table", "Rows", "Dead", "MB", "Indexes MB", "Unused MB", "Last autovacuum")
    for row in tables:
        sizes = (f"{row[name] / 1e6:,.1f}" for name in ("bytes", "index_bytes", "wasted_bytes"))
        shown.add_row(
            row["name"], f"{row['live_rows']:,}", f"{row['dead_rows']:,}", *sizes, _minute(row["last_autovacuum"])
        )
    return shown


def _runs(runs: dict[str, dict[str, Any]]) -> Table:
    shown = Table("Cleanup", "Due", "Started", "Rows", "Batches", "ms", "Next due", "Ended")
    for task, run in runs.items():
        took = "" if run["milliseconds"] is None else f"{run['milliseconds']:,.0f}"
        numbers = ("" if run[name] is None else f"{run[name]:,}" for name in ("cleaned", "batches"))
        moments = (_minute(run[name]) for name in ("due_at", "started_at"))
        shown.add_row(task, *moments, *numbers, took, _minute(run["next_due_at"]), _ended(run))
    return shown


def _ended(run: dict[str, Any]) -> str:
    """What is to be said of how it ended."""
    error: str | None = run["error"]
    return error or ("early: its worker was stopped" if run["stopped"] else "")


def _lines(stats: dict[str, Any]) -> list[str]:
    clients, holds, messages, redis = (stats[name] for name in ("clients", "holds", "messages", "redis"))
    days = [
        f"{table}: since {there['oldest_day']}, {there['days_ahead']} days ahead"
        for table, there in stats["partitions"].items()
    ]
    return [
        *(f"{table}: {_counts(stats[table])} (estimated)" for table in ("bookings", "notifications")),
        f"Holds past their time: {holds['expired']}, the longest for {holds['longest_seconds']:.0f} s",
        f"Messages to do: {messages['waiting']}, the longest due for {messages['oldest_seconds'] or 0:.0f} s",
        *days,
        f"Connections: {clients['connections']} of {clients['connections_usable']},"
        f" longest transaction {clients['longest_transaction_seconds']:.0f} s",
        f"Redis: {redis['error']}"
        if "error" in redis
        else f"Redis: {redis['used_bytes'] / 1e6:,.1f} MB, about {redis['sessions']:,} sessions",
    ]


def _counts(by_status: dict[str, int]) -> str:
    return ", ".join(f"{status} {count:,}" for status, count in by_status.items()) or "not analyzed yet"


def _minute(moment: str | None) -> str:
    return (moment or "")[:16].replace("T", " ")
