"""Builds each channel's provider from the settings, once for each process and at first use."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any, cast

from app.core.config import Settings, get_settings, missing_for
from app.providers.base import EmailProvider, PushProvider, SmsProvider
from app.providers.errors import Misconfigured
from app.providers.fcm import FcmProvider
from app.providers.fcm_auth import ServiceAccount
from app.providers.http import HttpClient
from app.providers.sms_http import Dialect, SmsHttpProvider
from app.providers.smtp import SmtpProvider

#: Seconds for one whole send; shorter than the lease under which it happens.
SEND_DEADLINE = 20.0
#: A gateway that speaks HTTP/1.1 takes one request at a time on a connection: one for each busy thread.
GATEWAY_CONNECTIONS = 32
#: FCM takes 100 requests at a time on each.
FCM_CONNECTIONS = 8

_lock = threading.Lock()
_made: dict[str, Any] = {}
_pid = os.getpid()


def email() -> EmailProvider:
    """The e-mail provider. Raises Misconfigured, naming the missing variables."""
    return cast("EmailProvider", _provider("email", _smtp))


def sms() -> SmsProvider:
    """The SMS provider. Raises Misconfigured, naming the missing variables."""
    return cast("SmsProvider", _provider("sms", _gateway))


def push() -> PushProvider:
    """The push provider. Raises Misconfigured, naming the missing variables."""
    return cast("PushProvider", _provider("push", _fcm))


def install(channel: str, provider: EmailProvider | SmsProvider | PushProvider) -> None:
    """Have this process use `provider` for "email", "sms" or "push": one of your own, or a scripted double."""
    with _lock:
        _made[channel] = provider


def close() -> None:
    """End every provider's connections and forget the providers."""
    with _lock:
        for provider in _made.values():
            provider.close()
        _made.clear()


def _provider(channel: str, make: Callable[[Settings], Any]) -> Any:
    global _pid  # noqa: PLW0603 - what a parent made stays with the parent
    with _lock:
        if _pid != os.getpid():
            _made.clear()
            _pid = os.getpid()
        if channel not in _made:
            _made[channel] = make(get_settings())
        return _made[channel]


def _demand(channel: str, settings: Settings) -> None:
    if missing := missing_for(channel, settings):
        raise Misconfigured(f"the {channel} channel is unconfigured: set {', '.join(missing)}")


def _smtp(settings: Settings) -> SmtpProvider:
    _demand("email", settings)
    password = settings.smtp_password
    return SmtpProvider(
        host=str(settings.smtp_host),
        port=settings.smtp_port,
        security=settings.smtp_security,
        user=settings.smtp_user,
        password=password.get_secret_value() if password else None,
        sender=str(settings.smtp_from or settings.smtp_user),
        ca_file=str(settings.smtp_ca_file) if settings.smtp_ca_file else None,
        deadline=SEND_DEADLINE,
    )


def _gateway(settings: Settings) -> SmsHttpProvider:
    _demand("sms", settings)
    key = settings.sms_api_key
    return SmsHttpProvider(
        _http(settings, GATEWAY_CONNECTIONS, multiplex=False),
        url=str(settings.sms_api_url),
        api_key=key.get_secret_value() if key else "",
        sender=settings.sms_sender,
        dialect=Dialect(
            to=settings.sms_to_field,
            message=settings.sms_message_field,
            sender=settings.sms_from_field,
            validity=None if settings.sms_validity_field == "none" else settings.sms_validity_field,
            auth_header=settings.sms_auth_header,
            id_path=settings.sms_id_path,
        ),
    )


def _fcm(settings: Settings) -> FcmProvider:
    _demand("push", settings)
    account = ServiceAccount.from_file(str(settings.firebase_credentials_path))
    return FcmProvider(
        _http(settings, FCM_CONNECTIONS, multiplex=True), account=account, base_url=settings.fcm_base_url
    )


def _http(settings: Settings, connections: int, *, multiplex: bool) -> HttpClient:
    ca_file = str(settings.http_ca_file) if settings.http_ca_file else None
    return HttpClient(ca_file=ca_file, timeout=SEND_DEADLINE, connections=connections, multiplex=multiplex)
