"""One attempt by e-mail."""

from __future__ import annotations

from email.utils import parseaddr
from typing import Any

from app.core.config import get_settings
from app.messages.base import Channel, Kind
from app.messages.documents.attached import Document, documents
from app.messages.render import render_email
from app.notifications.channels.outcomes import hand_over, not_accepted, success
from app.notifications.outcome import Recordable, Sent
from app.notifications.store import Claim
from app.providers import registry
from app.providers.base import Attachment, Email
from app.providers.errors import ProviderError


def send(held: Claim, kind: Kind, payload: Any) -> Recordable:
    """Send the claimed e-mail; what came of it. A provider's error is an outcome too, others pass."""
    message = compose(str(held.id), kind, payload)
    try:
        provider = registry.email()
        receipt = hand_over(Channel.EMAIL, lambda: provider.send(message))
    except ProviderError as error:
        return not_accepted(held, kind, error)
    return Sent(success(kind, payload), receipt.provider_id)


def compose(reference: str, kind: Kind, payload: Any) -> Email:
    """All that goes to the provider, with the documents. Raises whatever rendering raises."""
    settings = get_settings()
    _, address = parseaddr(settings.smtp_from or settings.smtp_user or "")
    rendered, papers = render_email(kind, payload), documents(payload, organizer=address or None)
    return Email(
        reference=reference,
        to=payload.user_email,
        subject=rendered.subject,
        text=rendered.text,
        html=rendered.html,
        attachments=tuple(map(_attachment, papers.files)),
        calendar=_attachment(papers.calendar) if papers.calendar else None,
        reply_to=settings.smtp_reply_to,
    )


def _attachment(document: Document) -> Attachment:
    return Attachment(filename=document.filename, content_type=document.content_type, content=document.content)
