"""`pafar …`: the operators' command line."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.console import Console
from rich.table import Table

from app.core import migrations
from app.core.broker import broker
from app.core.celery_app import QUEUES
from app.core.database import transaction
from app.core.errors import PafarError
from app.messages.base import InvalidPayload
from app.messages.kinds import KINDS
from app.notifications import overview, replay, submit
from app.notifications.replay import Choice
from app.notifications.status import FINAL, Status

app = typer.Typer(
    help="Pafar's background tasks.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,  # our own errors are one line, others a plain traceback without locals
)
console = Console(width=None if sys.stdout.isatty() else 120)


def _known(kind: str | None) -> str | None:
    if kind is not None and kind not in KINDS:
        raise typer.BadParameter(f"no such kind; one of {', '.join(sorted(KINDS))}")
    return kind


#: Seconds between looks while `send --wait` waits.
LOOK = 0.1


@app.command()
def migrate() -> None:
    """Bring the database to the newest revision."""
    before, newest = migrations.revisions()
    if before != newest:
        migrations.upgrade()
    console.print(f"The database is at revision {newest}" + (" already." if before == newest else "."))


@app.command()
def send(
    kind: Annotated[str, typer.Argument(help=f"What to send: {', '.join(sorted(KINDS))}.", callback=_known)],
    arguments: Annotated[
        str, typer.Argument(help="The task's parameters by name, as JSON; @FILE or - for stdin.")
    ],
    wait: Annotated[
        float, typer.Option(help="Seconds to wait for the outcome; 0 returns once it is accepted.")
    ] = 30,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say whether it could be sent.")] = False,
) -> None:
    """Send one message, for trying out and for repair by hand."""
    given = _read_json(arguments)
    if dry_run:
        submit.check(KINDS[kind], given)
        console.print("It could be sent; nothing was.")
        return
    message_id = submit.accept_now(KINDS[kind], given)
    console.print(f"accepted as {message_id}")
    if wait > 0:
        _follow(message_id, wait)


@app.command()
def stats(
    as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False,
) -> None:
    """How many messages stand where, and what waits."""
    with transaction() as connection:
        counts, backlog = overview.counts(connection), overview.backlog(connection)
    lengths = broker.lengths(QUEUES)
    if as_json:
        sys.stdout.write(json.dumps({"messages": counts, "outbox": backlog, "queues": lengths}) + "\n")
        return
    table = Table("Kind", *Status, title=f"Messages of the last {overview.WINDOW_HOURS} h", title_justify="left")
    for kind in sorted({row["kind"] for row in counts}):
        by_status = {row["status"]: row["count"] for row in counts if row["kind"] == kind}
        table.add_row(kind, *(str(by_status.get(status, 0)) for status in Status))
    console.print(table)
    late = f", the longest for {backlog['oldest_seconds']:.0f} s" if backlog["oldest_seconds"] else ""
    console.print(
        f"To do: {backlog['waiting']}{late}. In the broker: {sum(lengths.values())} ({_joined(lengths)})."
    )


@app.command("replay")
def replay_failed(
    ids: Annotated[list[UUID] | None, typer.Option("--id", help="This message; may be given again.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind.", callback=_known)] = None,
    reason: Annotated[str | None, typer.Option(help="Only with this in their reason.")] = None,
    since: Annotated[datetime | None, typer.Option(help="Accepted at or after this time, UTC.")] = None,
    until: Annotated[datetime | None, typer.Option(help="Accepted before this time, UTC.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be sent again.")] = False,
    every: Annotated[bool, typer.Option("--all", help="All failed messages, without any condition.")] = False,
) -> None:
    """Send failed messages again."""
    choice = Choice(ids=ids or None, kind=kind, reason=reason, since=_utc(since), until=_utc(until))
    if choice == Choice() and not every:
        raise typer.BadParameter("name what to send again, or say --all")
    with transaction() as connection:
        found = replay.find(connection, choice)
        sent = 0 if dry_run else replay.replay(connection, choice)
    for kind_name, why, count in found.replayable:
        console.print(f"{count:>7}  {kind_name}: {why}", markup=False)
    for count, why in ((found.too_late, "have lost their point"), (found.wiped, "were sensitive and are wiped")):
        if count:
            console.print(f"{count:>7}  {why}: left alone")
    would = sum(count for _, _, count in found.replayable)
    console.print(f"{would} would be sent again; nothing was." if dry_run else f"{sent} are sent again.")


def main() -> None:
    """Run the command; an error of ours is one clear line and exit code 1."""
    try:
        app()
    except (PafarError, InvalidPayload) as error:
        Console(stderr=True).print(str(error), style="red", markup=False)
        sys.exit(1)


def _utc(moment: datetime | None) -> datetime | None:
    return moment.replace(tzinfo=UTC) if moment else None


def _follow(message_id: UUID, seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while True:
        with transaction() as connection:
            found = overview.one(connection, message_id)
        if found is None or found["status"] in FINAL or time.monotonic() > deadline:
            break
        time.sleep(LOOK)
    status = found["status"] if found else "gone"
    reason = f": {found['reason']}" if found and found["reason"] else ""
    console.print(f"{status}{reason}", markup=False)
    if status != Status.SENT:
        raise typer.Exit(1 if status in FINAL else 2)


def _read_json(given: str) -> dict[str, Any]:
    if given == "-":
        given = sys.stdin.read()
    elif given.startswith("@"):
        given = Path(given[1:]).read_text(encoding="utf-8")
    try:
        value = json.loads(given)
    except ValueError as error:
        raise typer.BadParameter(f"not JSON: {error}", param_hint="arguments") from None
    if not isinstance(value, dict):
        raise typer.BadParameter("must be a JSON object of parameters by name", param_hint="arguments")
    return value


def _joined(lengths: dict[str, int]) -> str:
    return ", ".join(f"{queue} {length}" for queue, length in lengths.items())


if __name__ == "__main__":
    main()
