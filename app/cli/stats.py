"""`pafar stats`: how many messages stand where, what waits, and how tasks do."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import typer
from redis.exceptions import RedisError
from rich.table import Table

from app.cli.console import AsJson, console
from app.core.broker import broker
from app.core.celery_app import QUEUES
from app.core.database import transaction
from app.core.errors import PafarError
from app.monitoring import statistics
from app.notifications import overview
from app.notifications.status import Status

#: The exit code when a part can't be read.
INCOMPLETE = 1


def stats(as_json: AsJson = False) -> None:
    """Say how many messages stand where, what waits, and how tasks did, of the last 24 hours.

    Exit codes: 0 it is complete, 1 a part can't be read (it is null in the JSON, and said on standard error).
    """
    parts = {
        "messages": _read(_messages),
        "outbox": _read(_outbox),
        "queues": _read(lambda: broker.lengths(QUEUES)),
        "tasks": _read(lambda: statistics.statistics(overview.WINDOW_HOURS)),
    }
    if as_json:
        sys.stdout.write(json.dumps(parts) + "\n")
    else:
        for part, show in (("messages", _show_messages), ("tasks", _show_tasks)):
            if parts[part] is not None:
                show(parts[part])
        _show_waiting(parts["outbox"], parts["queues"])
    if None in parts.values():
        raise typer.Exit(INCOMPLETE)


def _read(part: Callable[[], Any]) -> Any:
    """What it returns; None, and a line on standard error, where it can't be read."""
    try:
        return part()
    except RedisError:
        typer.secho("Redis at REDIS_URL did not answer", fg="red", err=True)
    except PafarError as error:
        typer.secho(str(error), fg="red", err=True)
    return None


def _messages() -> list[dict[str, Any]]:
    with transaction() as connection:
        return overview.counts(connection)


def _outbox() -> dict[str, Any]:
    with transaction() as connection:
        return overview.backlog(connection)


def _show_messages(counts: list[dict[str, Any]]) -> None:
    table = Table("Kind", *Status, title=f"Messages of the last {overview.WINDOW_HOURS} h", title_justify="left")
    for kind in sorted({row["kind"] for row in counts}):
        by_status = {row["status"]: row["count"] for row in counts if row["kind"] == kind}
        table.add_row(kind, *(str(by_status.get(status, 0)) for status in Status))
    console.print(table)


def _show_tasks(tasks: dict[str, Any]) -> None:
    outcomes = ("successful", "failed", "retried", "skipped")
    title = f"Runs of tasks in the last {overview.WINDOW_HOURS} h"
    table = Table("Task", *outcomes, title=title, title_justify="left")
    for name, counted in sorted(tasks["task_types"].items()):
        table.add_row(name.removeprefix("app.tasks."), *(str(counted[outcome]) for outcome in outcomes))
    console.print(table)
    average = tasks["average_execution_time"]
    took = f", {average:.3f} s on average" if average is not None else ""
    console.print(f"{tasks['running_tasks']} run now, {tasks['retrying_tasks']} wait for a retry{took}.")


def _show_waiting(backlog: dict[str, Any] | None, lengths: dict[str, int] | None) -> None:
    if backlog is not None:
        oldest = backlog["oldest_seconds"]
        late = f", the longest for {oldest:.0f} s" if oldest else ""
        console.print(f"To do: {backlog['waiting']}{late}.")
    if lengths is not None:
        each = ", ".join(f"{queue} {length}" for queue, length in lengths.items())
        console.print(f"In the broker: {sum(lengths.values())} ({each}).")
