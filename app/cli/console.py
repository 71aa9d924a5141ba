"""What the commands share: where they print, and how a kind is named."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from app.messages.kinds import KINDS
from app.notifications.status import Status

console = Console(width=None if sys.stdout.isatty() else 120)

#: How a terminal shows each status; a pipe or a file gets plain text.
STYLES = {
    Status.QUEUED: "cyan",
    Status.SENDING: "cyan",
    Status.SENT: "green",
    Status.SKIPPED: "yellow",
    Status.FAILED: "bold red",
    Status.UNKNOWN: "red",
}


AsJson = Annotated[bool, typer.Option("--json", help="For scripts.")]


def known(kind: str | None) -> str | None:
    """The name of a kind, or none. Raises typer.BadParameter."""
    if kind is not None and kind not in KINDS:
        raise typer.BadParameter(f"no such kind; one of {', '.join(sorted(KINDS))}")
    return kind
