"""`pafar tail`: what becomes of messages, as it happens."""

from __future__ import annotations

import json
import sys
import time
from contextlib import suppress
from dataclasses import asdict
from typing import Annotated, Any
from uuid import UUID

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.text import Text
from sqlalchemy import Row

from app.cli.campaign import summary
from app.cli.console import STYLES, AsJson, console
from app.core.database import transaction
from app.notifications import campaign_store
from app.notifications.following import Follower
from app.notifications.status import Status

#: Seconds between the looks of `tail`.
LOOK = 0.5


def tail(
    campaign_id: Annotated[
        UUID | None, typer.Argument(metavar="[ID]", help="A bulk push's id; without it, all messages.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Follow a bulk push to its end, or what becomes of every message, until Ctrl-C.

    With --json an object a line: id, kind, status, reason, finished_at; of a bulk push, its state at each change.
    """
    with suppress(KeyboardInterrupt):
        if campaign_id is None:
            _follow_messages(as_json)
        elif as_json:
            _print_campaign(campaign_id)
        else:
            _follow_campaign(campaign_id)


def _follow_messages(as_json: bool) -> None:
    follower = Follower()
    with transaction() as connection:
        follower.look(connection)
    if not as_json:
        console.print("Following what is sent, until Ctrl-C.")
    while True:
        with transaction() as connection:
            ended = follower.look(connection)
        for message in ended:
            if as_json:
                _print_json(message._asdict())
            else:
                _print_message(message)
        time.sleep(LOOK)


def _print_message(message: Row[Any]) -> None:
    when = message.finished_at.astimezone().strftime("%H:%M:%S")
    status = (f"{message.status:<8}", STYLES[Status(message.status)])
    line = Text.assemble((when, "dim"), "  ", status, message.kind)
    # A line stays one, however narrow the window: what is piped is read by the line.
    console.print(line.append(f"  {message.reason}") if message.reason else line, soft_wrap=True)


def _print_campaign(campaign_id: UUID) -> None:
    before = None
    while True:
        with transaction() as connection:
            now = campaign_store.progress(connection, campaign_id)
        if now != before:
            _print_json(asdict(now))
        if now.finished:
            return
        before = now
        time.sleep(LOOK)


def _print_json(found: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(found, default=str) + "\n")
    sys.stdout.flush()  # whoever reads a pipe wants it now


def _follow_campaign(campaign_id: UUID) -> None:
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[rate]:.0f}/s"),
        TimeRemainingColumn(),
    )
    with transaction() as connection:
        now = campaign_store.progress(connection, campaign_id)
    with Progress(*columns, console=console) as bar:
        task = bar.add_task(now.state, total=now.total_tokens, rate=0.0)
        while not now.finished:
            bar.update(
                task,
                completed=now.total_tokens - now.waiting_count,
                description=now.state,
                rate=bar.tasks[0].speed or 0.0,
            )
            time.sleep(LOOK)
            with transaction() as connection:
                now = campaign_store.progress(connection, campaign_id)
        bar.update(task, completed=now.total_tokens, description="finished")
    console.print(summary(now))
