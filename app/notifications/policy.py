"""May this message be sent? Pure rules over what the claim brought along."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from babel.dates import format_timedelta

from app.notifications.outcome import Skipped
from app.providers.registry import SEND_DEADLINE


def why_not(*, valid_until: datetime, now: datetime, repeats: dict[str, Any]) -> Skipped | None:
    """The reason not to send at `now`, None to go on. `repeats` are the result keys that every result carries."""
    if now >= valid_until:
        late = format_timedelta(now - valid_until, locale="en")
        return skip("expired", f"Not sent: it lost its point {late} ago", repeats)
    if now + timedelta(seconds=SEND_DEADLINE) >= valid_until:
        # A send that begins now may be accepted only after it has lost its point.
        return skip("expired", "Not sent: it would have come too late", repeats)
    return None


def skip(reason: str, message: str, repeats: dict[str, Any]) -> Skipped:
    """Not sending is an outcome with a reason, and no failure."""
    return Skipped(reason, {"success": True, "skipped": reason, "message": message, **repeats})
