"""What `pafar replay` does, a day of messages at a time, each committed by itself."""

from __future__ import annotations

from collections import Counter

from rich.console import Console
from rich.progress import track

from app.cli.console import console
from app.core.database import transaction
from app.maintenance.connections import long_transaction
from app.notifications import replay
from app.notifications.replay import Choice

#: Why some of what was chosen is left alone, by Found's names.
LEFT = {
    "too_late": "have lost their point",
    "wiped": "were sensitive and are wiped",
    "retired": "are of a kind that there is no more",
}


def again(choice: Choice, *, dry_run: bool) -> None:
    """Send what was chosen again, or only say what that would be. Cut short, it says how far it came."""
    with transaction() as connection:
        parts = replay.by_day(connection, choice)
    would: Counter[tuple[str, str]] = Counter()
    left: Counter[str] = Counter()
    sent = 0
    aside = Console(stderr=True)
    try:
        for part in track(parts, "Days", console=aside, transient=True, disable=not aside.is_terminal):
            with long_transaction() as connection:
                found = replay.find(connection, part)
                put_back = 0 if dry_run else replay.replay(connection, part)
            sent += put_back
            would.update({(kind, reason): count for kind, reason, count in found.replayable})
            left.update({name: getattr(found, name) for name in LEFT})
    except BaseException:
        if sent:
            console.print(f"Cut short: {sent} are sent again. The same command goes on with the rest.")
        raise
    _tell(would, left, sent, dry_run=dry_run)


def _tell(would: Counter[tuple[str, str]], left: Counter[str], sent: int, *, dry_run: bool) -> None:
    for (kind, reason), count in sorted(would.items()):
        console.print(f"{count:>7}  {kind}: {reason}", markup=False)
    for name, why in LEFT.items():
        if left[name]:
            console.print(f"{left[name]:>7}  {why}: left alone")
    console.print(f"{would.total()} would be sent again; nothing was." if dry_run else f"{sent} are sent again.")
