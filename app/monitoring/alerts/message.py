"""The e-mail that tells an operator of an alert."""

from __future__ import annotations

from datetime import datetime
from html import escape

from app.monitoring.alerts.state import Event
from app.providers.base import Email

HOWTO = "docs/howto/alerts.md"


def compose(event: Event, *, reference: str, to: str) -> Email:
    """The whole message: its subject says what, its text the figure, since when, and where the help stands."""
    alert = event.alert
    what = alert.name.replace("_", " ") + (f" ({alert.subject})" if alert.subject else "")
    state = {
        "alert.raised": alert.severity,
        "alert.repeated": f"still {alert.severity}",
        "alert.resolved": "resolved",
    }[event.type]
    lines = [alert.summary if event.type != "alert.resolved" else f"Over. It was: {alert.summary}"]
    lines.append(f"First seen {_clock(alert.since)}.")
    if alert.resolved_at:
        lines.append(f"Resolved {_clock(alert.resolved_at)}.")
    lines.append(f"What to do: {HOWTO}, “{alert.name}”.")
    return Email(
        reference=reference,
        to=to,
        subject=f"[Pafar] {state}: {what}",
        text="\n\n".join(lines) + "\n",
        html="".join(f"<p>{escape(line)}</p>" for line in lines),
    )


def _clock(moment: datetime) -> str:
    return f"{moment:%d %b %Y, %H:%M:%S} UTC"
