"""`pafar stats`: how many messages stand where, what waits, and how tasks do."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from typing import Any

import typer
from redis.exceptions import RedisError
from rich.table import Table
from rich.text import Text

from app.cli.console import STYLES, AsJson, console
from app.core.broker import broker
from app.core.celery_app import QUEUES
from app.core.database import transaction
from app.core.errors import PafarError
from app.monitoring import statistics
from app.notifications import overview
from app.notifications.status import Status

#: The exit code when a part can't be read.
INCOMPLETE = 1

#: What becomes of a run, with its style.
OUTCOMES = {"successful": "green", "failed": "bold red", "retried": "cyan", "skipped": "yellow"}


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
    table = _table(f"Messages of the last {overview.WINDOW_HOURS} h", "Kind", {s.value: STYLES[s] for s in Status})
    for kind in sorted({row["kind"] for row in counts}):
        by_status = {row["status"]: row["count"] for row in counts if row["kind"] == kind}
        table.add_row(kind, *(_count(by_status.get(status, 0)) for status in Status))
    console.print(table)


def _table(title: str, first: str, counted: dict[str, str]) -> Table:
    """A table of counts; `counted` are its columns with the style that each is shown in on a terminal."""
    table = Table(first, title=title, title_justify="left", title_style="bold")
    for name, style in counted.items():
        table.add_column(name, style=style, justify="right")
    return table


def _count(number: int) -> Text:
    """Nought is no news."""
    return Text(str(number), "" if number else "not bold dim default")


def _show_tasks(tasks: dict[str, Any]) -> None:
    table = _table(f"Runs of tasks in the last {overview.WINDOW_HOURS} h", "Task", OUTCOMES)
    for name, counted in sorted(tasks["task_types"].items()):
        table.add_row(name.removeprefix("app.tasks."), *(_count(counted[outcome]) for outcome in OUTCOMES))
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
