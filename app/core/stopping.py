"""Whether this process's worker was asked to stop: what takes minutes looks here between its parts, and ends."""

from __future__ import annotations

import mmap

# Shared with the children that a pool forks, whom no signal reaches: TERM goes to their parent.
_asked = mmap.mmap(-1, 1)


def ask() -> None:
    """The worker was asked to stop, which can't be taken back."""
    _asked[0] = 1


def asked() -> bool:
    """Whether it was, by whichever process of the worker."""
    return bool(_asked[0])
