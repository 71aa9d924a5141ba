"""Takes addresses, phone numbers and long secrets out of a text before it is kept or logged."""

from __future__ import annotations

import re

_PERSONAL = re.compile(
    # A name after the dot sets an address apart from "celery@host" and from a URL's "user@127.0.0.1".
    r"(?<![^\s<>@\"',;:/])(?P<email>(?!celery@)[^\s<>@\"',;:/]+@[^\s<>@\"',;:/]+\.[^\W\d][^\s<>@\"',;:/]+)"
    # Eight digits or more: seven are an SMTP reply with its enhanced code ("550 5.1.10"). No date, no seconds.
    r"|(?<![\w-])(?<!\d:)(?!\d{4}-\d\d-\d\d[T ])(?P<phone>\+?\(?\d(?:[\s().-]{0,2}\d){7,})(?![\w-])"
    r"|(?P<secret>[A-Za-z0-9_:-]{48,})"  # device tokens, keys; longer than a UUID or a provider's id
)


def redact(text: str) -> str:
    """`text` with every e-mail address, phone number and long token replaced by its kind, e.g. "[email]"."""
    return _PERSONAL.sub(lambda found: f"[{found.lastgroup}]", text)
