"""What stops a process from starting: settings that can't work, all named in one message."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from pydantic import SecretStr

from app.core.config import Environment, Problems, Settings, explain, missing_for
from app.core.errors import SettingsError

#: What people leave behind when they copy an example; refused in production.
EXAMPLE = re.compile(
    r"change[-_ ]?me|your[-_]|example\.(com|org|net)"
    r"|^(secret|password|test|x{3,}|todo)$|:(secret|password|postgres|guest|pafar)@|//(?P<user>[^/:@]+):(?P=user)@",
    re.I,
)

_HERE = ("localhost", "127.0.0.1", "::1")

#: Characters that API_KEY has at least in production: `openssl rand -hex 16` has as many, and 128 bits.
KEY_LENGTH = 32


def check_startup(settings: Settings) -> None:
    """Stop a process that can't do its work, in one message that names every setting to mend.

    Raises SettingsError. A channel without settings is no reason: its tasks fail by themselves and say so.
    """
    wrong: Problems = []
    if settings.database_url is None:
        wrong.append((("database_url",), "is missing; e.g. postgresql://user:password@host:5432/pafar"))
    if settings.alert_webhook_url and settings.alert_webhook_secret is None:
        wrong.append((("alert_webhook_secret",), "is missing; ALERT_WEBHOOK_URL is told nothing unsigned"))
    if settings.alert_emails and (missing := missing_for("email", settings)):
        wrong.append((("alert_emails",), f"can't be told without {', '.join(missing)}"))
    if settings.environment is Environment.PRODUCTION:
        wrong += _unfit_for_production(settings)
    if wrong:
        raise SettingsError(explain(wrong))


def _unfit_for_production(settings: Settings) -> Problems:
    wrong: Problems = []
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        text = value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        if value is not None and EXAMPLE.search(text):
            wrong.append(((name,), "is left at an example value; set the real one"))
    if settings.api_key is None:
        wrong.append((("api_key",), "is missing; without it anyone could send messages through the API"))
    elif len(settings.api_key.get_secret_value()) < KEY_LENGTH:
        wrong.append((("api_key",), f"must have {KEY_LENGTH} characters or more: openssl rand -hex 32"))
    for name in ("sms_api_url", "fcm_base_url", "alert_webhook_url"):
        if str(getattr(settings, name)).startswith("http://"):
            wrong.append(((name,), "is http://; messages and keys would travel in clear, use https://"))
    if _leaves_in_clear(settings.otel_exporter_otlp_endpoint):
        words = "is http:// to another host; its headers may hold a key, use https:// or a collector on this host"
        wrong.append((("otel_exporter_otlp_endpoint",), words))
    if settings.smtp_security == "none":
        wrong.append((("smtp_security",), "is none; mail and password would travel in clear, use starttls or tls"))
    return wrong


def _leaves_in_clear(url: str | None) -> bool:
    """Whether this is http:// to another host than this one."""
    host = urlsplit(url or "").hostname or ""
    return (url or "").startswith("http://") and host not in _HERE
