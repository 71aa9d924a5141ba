"""A double of an SMS gateway that answers when the test says so."""

from __future__ import annotations

from threading import Event

from app.providers.base import Receipt, Sms
from app.providers.memory import MemorySms
from tests.house import wait_until

#: Longer than any test should take.
PATIENCE = 120.0


class HangingSms(MemorySms):
    """While `hangs`, each send waits at a gate of its own until the test opens that."""

    def __init__(self, *, hangs: bool = True) -> None:
        super().__init__()
        self.hangs = hangs
        self.gates: list[Event] = []

    def send(self, message: Sms) -> Receipt:
        """Keep one text, once its gate is open. Raises what is scripted by then."""
        if self.hangs:
            gate = Event()
            self.gates.append(gate)
            assert gate.wait(PATIENCE)
        return super().send(message)

    def wait_for(self, sends: int) -> Event:
        """The gate of the last of so many sends, once that stands before it."""
        wait_until(lambda: len(self.gates) >= sends, PATIENCE)
        return self.gates[sends - 1]
