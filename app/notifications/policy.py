"""May this message be sent? Pure rules over what the claim brought along."""

from __future__ import annotations

from datetime import datetime

from babel.dates import format_timedelta

from app.notifications.outcome import Skipped


def why_not(*, valid_until: datetime, now: datetime, repeats: dict[str, str]) -> Skipped | None:
    """The reason not to send at `now`, None to go on. `repeats` are the result keys that every result carries."""
    if now >= valid_until:
        late = format_timedelta(now - valid_until, locale="en")
        message = f"Not sent: it lost its point {late} ago"
        return Skipped("expired", {"success": True, "skipped": "expired", "message": message, **repeats})
    return None
