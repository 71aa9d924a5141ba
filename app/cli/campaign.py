"""`pafar campaign …`: how a bulk push stands, and what an operator wants of it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from typing import Annotated
from uuid import UUID

import typer
from sqlalchemy import Connection

from app.cli.console import console
from app.core.database import transaction
from app.notifications import campaign_store, campaigns
from app.notifications.campaign_store import Progress

app = typer.Typer(help="Bulk pushes, by the id of their task.", no_args_is_help=True)

CampaignId = Annotated[UUID, typer.Argument(metavar="ID", help="The id of the bulk push's task.")]


@app.command()
def status(
    campaign_id: CampaignId, as_json: Annotated[bool, typer.Option("--json", help="For scripts.")] = False
) -> None:
    """How far it is."""
    with transaction() as connection:
        now = campaign_store.progress(connection, campaign_id)
    if as_json:
        sys.stdout.write(json.dumps(asdict(now), default=str) + "\n")
    else:
        console.print(summary(now))


@app.command()
def pause(campaign_id: CampaignId) -> None:
    """Send no more until it is resumed; what is under way finishes."""
    _change(campaigns.pause, campaign_id)


@app.command()
def resume(campaign_id: CampaignId) -> None:
    """Go on where it was paused."""
    _change(campaigns.resume, campaign_id)


@app.command()
def cancel(campaign_id: CampaignId) -> None:
    """Never send what is left; what is under way finishes."""
    _change(campaigns.cancel, campaign_id)


def summary(now: Progress) -> str:
    """One line: its state and its counts."""
    state = "finished" if now.finished and now.state is not campaign_store.State.CANCELLED else now.state
    return (
        f"{state}: {now.success_count} of {now.total_tokens} tokens sent, {now.failure_count} failed,"
        f" {now.waiting_count} waiting"
    )


def _change(wanted: Callable[[Connection, UUID], Progress], campaign_id: UUID) -> None:
    with transaction() as connection:
        now = wanted(connection, campaign_id)
    console.print(summary(now))
