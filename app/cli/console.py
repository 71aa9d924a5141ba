"""What the commands share: where they print, and how a kind is named."""

from __future__ import annotations

import sys
from typing import Annotated

import typer
from rich.console import Console

from app.messages.kinds import KINDS

console = Console(width=None if sys.stdout.isatty() else 120)


AsJson = Annotated[bool, typer.Option("--json", help="For scripts.")]


def known(kind: str | None) -> str | None:
    """The name of a kind, or none. Raises typer.BadParameter."""
    if kind is not None and kind not in KINDS:
        raise typer.BadParameter(f"no such kind; one of {', '.join(sorted(KINDS))}")
    return kind
