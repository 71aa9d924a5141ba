"""What an examination finds: each with a mark, the words, and a command that mends it."""

from __future__ import annotations

from dataclasses import dataclass

#: Usable; usable with something to know; not usable.
OK, WARNING, ERROR = "ok", "warning", "error"

_MARKS = {OK: "✓", WARNING: "!", ERROR: "✗"}


@dataclass(frozen=True, slots=True)
class Finding:
    """`state` is OK, WARNING or ERROR; `mend` a shell command or what to set, None where nothing is to be done."""

    what: str
    state: str
    words: str
    mend: str | None = None

    def __str__(self) -> str:
        return f"{_MARKS[self.state]} {self.what}: {self.words}"


def clock(whose: str, ahead: float, doubt: float) -> Finding:
    """How far another machine's clock is from ours; `ahead` is right to within `doubt` (all in seconds)."""
    off = max(0.0, abs(ahead) - doubt)
    what = f"clock of the {whose}"
    if off < CLOCK_WARNING:
        return Finding(what, OK, f"as this machine's, to {max(abs(ahead), doubt):.3f} s")
    words = f"{off:.1f} s {'ahead of' if ahead > 0 else 'behind'} this machine's"
    return Finding(what, ERROR if off > CLOCK_ERROR else WARNING, words, "sudo timedatectl set-ntp true")


#: Seconds: from the first on ages are shown wrong; from the second on a token that is dated by this clock is
#: refused (a grant may be at most five minutes off, and half of that may be the provider's own fault).
CLOCK_WARNING, CLOCK_ERROR = 1.0, 150.0
