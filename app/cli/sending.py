"""`pafar send` and `pafar replay`: send one message, send failed ones again."""

from __future__ import annotations

import json
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any
from uuid import UUID

import typer

from app.cli.again import again
from app.cli.console import console, known
from app.core.database import transaction
from app.messages.kinds import KINDS
from app.notifications import overview, submit
from app.notifications.replay import Choice
from app.notifications.status import FINAL, Status

#: Seconds between looks while `send --wait` waits.
LOOK = 0.1


def send(
    kind: Annotated[str, typer.Argument(help=f"What to send: {', '.join(sorted(KINDS))}.", callback=known)],
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


def replay_failed(
    ids: Annotated[list[UUID] | None, typer.Option("--id", help="This message; may be given again.")] = None,
    kind: Annotated[str | None, typer.Option(help="Only this kind.", callback=known)] = None,
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
    again(choice, dry_run=dry_run)


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
