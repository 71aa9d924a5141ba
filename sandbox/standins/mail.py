"""What the reader of an e-mail sees of it."""

from __future__ import annotations

import base64
from email import message_from_bytes, policy
from email.message import EmailMessage
from typing import Any, Literal


def read(content: bytes) -> dict[str, Any]:
    """The message's decoded parts as JSON values; text and HTML have plain line ends, None if missing."""
    message = message_from_bytes(content, policy=policy.default)
    return {
        "subject": str(message.get("Subject", "")),
        "message_id": str(message.get("Message-ID", "")),
        "text": _body(message, "plain"),
        "html": _body(message, "html"),
        "headers": {name: str(value) for name, value in message.items()},
        "attachments": [_attachment(part) for part in message.iter_attachments()],
    }


def _body(message: EmailMessage, subtype: Literal["plain", "html"]) -> str | None:
    part = message.get_body((subtype,))
    return part.get_content().replace("\r\n", "\n") if part else None


def _attachment(part: Any) -> dict[str, Any]:
    content: bytes = part.get_payload(decode=True)
    return {
        "filename": part.get_filename(),
        "content_type": part.get_content_type(),
        "size": len(content),
        "content_base64": base64.b64encode(content).decode(),
    }
