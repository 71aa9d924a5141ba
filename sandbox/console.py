"""What the sandbox says: a line for each step, with the time of day."""

from __future__ import annotations

import time

from rich.console import Console
from rich.text import Text

_WIDTH = 30  # of the first column: "booking PF23456789 committed" fits
_INDENT = " " * 10  # below the times


class Screen:
    """Writes to standard output, in colour where it is a terminal."""

    def __init__(self) -> None:
        self._console = Console(highlight=False, soft_wrap=True)

    def say(self, what: str, detail: str = "", *, style: str = "") -> None:
        """One step: the time, what happened, and its detail in a column of its own."""
        self._print(("", ""), (time.strftime("%H:%M:%S  "), "dim"), (f"{what:<{_WIDTH}}", style), (detail, ""))

    def addresses(self, *rows: tuple[str, str, str]) -> None:
        """What stays of use: a name, an address and what is there, a line each."""
        width = max(len(address) for _, address, _ in rows)
        self._console.print()
        for name, address, what in rows:
            self._print(
                (_INDENT, ""), (f"{name:<{_WIDTH}}", "bold"), (f"{address:<{width}}  ", "cyan"), (what, "dim")
            )
        self._print((_INDENT, ""), ("Ctrl-C stops everything.", ""))
        self._console.print()

    def fail(self, text: str) -> None:
        """Something went wrong; `text` may have many lines."""
        self._print((text, "red"))

    def _print(self, *parts: tuple[str, str]) -> None:
        self._console.print(Text.assemble(*parts))
