"""The list of faults: each is one function that does the harm and mends it, and what may come of it."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.faults.rig import Rig

#: The modules that hold faults; a new group is a module and its name here.
GROUPS = (
    *("workers", "children", "hosts", "broker", "broker_state", "queues"),
    *("providers", "database", "files", "fcm", "sms", "smtp"),
)

#: MiB that one process of a worker may take: three times what it takes with nothing amiss.
MEMORY = 384.0

#: Does the harm and mends it; returns when the recovery begins to count (seconds since 1970).
Harm = Callable[["Rig"], float]


class Skipped(Exception):
    """This machine lacks what the fault needs; the text says what."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One fault. `name` and `what` are its function's name and docstring."""

    name: str
    what: str
    harm: Harm
    #: A process dies, or hangs past its lease, between a send and its record: that message may go out again.
    repeats: bool
    #: Acceptances of one such message at most: two, unless a fault does its harm again to what is sent again.
    copies: int
    #: Seconds in which all is well again, at the production settings; None: the figure is only shown.
    within: float | None
    #: Sends that one message may take.
    attempts: int
    #: MiB that one process of a worker may take.
    memory: float


_faults: dict[str, Fault] = {}


def fault(
    *,
    repeats: bool = False,
    copies: int = 2,
    within: float | None = None,
    attempts: int = 3,
    memory: float = MEMORY,
) -> Callable[[Harm], Harm]:
    """Put the function on the list."""

    def enter(harm: Harm) -> Harm:
        name = harm.__name__.replace("_", "-")
        what = (harm.__doc__ or "").splitlines()[0].rstrip(".")
        _faults[name] = Fault(name, what, harm, repeats, copies, within, attempts, memory)
        return harm

    return enter


def faults() -> dict[str, Fault]:
    """Every fault by name, in the order of GROUPS."""
    for group in GROUPS:
        importlib.import_module(f"tests.faults.{group}")
    return _faults
