"""Pushes by Firebase Cloud Messaging, HTTP v1: one request a device, many at once on a few connections."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

import orjson

from app.providers.base import Push, PushResult, Receipt
from app.providers.errors import (
    InvalidRecipient,
    Misconfigured,
    OutcomeUnknown,
    ProviderError,
    RateLimited,
    Rejected,
    Transient,
)
from app.providers.fcm_auth import AccessTokens, ServiceAccount
from app.providers.http import HttpClient
from app.providers.http_exchange import HttpError, Request, Response

GOOGLE = "https://fcm.googleapis.com"
#: Bytes of notification and data that FCM takes.
MAX_PAYLOAD = 4096
#: Seconds that FCM keeps a message at most: 28 days.
MAX_TTL = 2_419_200
#: Bytes of an apns-collapse-id.
MAX_COLLAPSE_ID = 64
#: Android's notification channels, which a passenger may silence one by one; the app names them to the phone.
TRIPS_CHANNEL, OFFERS_CHANNEL = "trips", "offers"
#: Before a Firebase installation id, which names an app on a phone as a registration token does and is to take
#: its place. No token begins so: it begins with 22 characters and a colon.
#: https://firebase.google.com/docs/reference/fcm/rest/v1/projects.messages
FID = "fid:"

#: FCM's error code, or Google's status where FCM gives none → what it means, and the seconds to wait when the
#: answer names none. https://firebase.google.com/docs/cloud-messaging/error-codes
_ERRORS: dict[str, tuple[type[ProviderError], float | None]] = {
    "UNREGISTERED": (InvalidRecipient, None),
    "SENDER_ID_MISMATCH": (InvalidRecipient, None),
    "INVALID_ARGUMENT": (Rejected, None),
    "THIRD_PARTY_AUTH_ERROR": (Misconfigured, None),  # our APNs key: no token is to blame
    "UNAUTHENTICATED": (Misconfigured, None),
    "PERMISSION_DENIED": (Misconfigured, None),
    "QUOTA_EXCEEDED": (RateLimited, 60.0),
    "RESOURCE_EXHAUSTED": (RateLimited, 60.0),
    "UNAVAILABLE": (Transient, 10.0),
    "INTERNAL": (Transient, 10.0),
}
#: APNs' words for a device token that is dead, which FCM passes on as INVALID_ARGUMENT.
_DEAD_APNS_TOKEN = {"Unregistered", "BadDeviceToken", "DeviceTokenNotForTopic"}
_FCM_ERROR = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
_APNS_ERROR = "type.googleapis.com/google.firebase.fcm.v1.ApnsError"
_BAD_REQUEST = "type.googleapis.com/google.rpc.BadRequest"

_Answers = dict[str, Response | HttpError]


class FcmProvider:
    """A PushProvider for the project of `account`. `base_url` is Google's, or a stand-in's."""

    def __init__(self, http: HttpClient, *, account: ServiceAccount, base_url: str = GOOGLE) -> None:
        self._http = http
        self._url = f"{base_url.rstrip('/')}/v1/projects/{quote(account.project_id)}/messages:send"
        self._access = AccessTokens(account, http)

    def send(self, message: Push, tokens: Sequence[str]) -> list[PushResult]:
        """Send to every token at once, once to one that is named twice; one result a token, in order.

        A token that begins with FID is an installation id. Raises ProviderError when no token could be tried: no
        access token, or Rejected for a payload above 4096 bytes (FCM would blame the token).
        """
        content = _content(message)
        size = len(orjson.dumps({name: content[name] for name in ("notification", "data")}))
        if size > MAX_PAYLOAD:
            raise Rejected(f"the push has {size} bytes of title, body and data; allowed: {MAX_PAYLOAD}")
        if not tokens:
            return []
        access = self._access.get()
        answers = self._post(content, list(dict.fromkeys(tokens)), access)
        outcomes = {token: _outcome(answer) for token, answer in answers.items()}
        if stale := [token for token, answer in answers.items() if _is_stale(answer)]:
            outcomes |= self._send_again(content, stale, access)
        return [outcomes[token] for token in tokens]

    def close(self) -> None:
        """End the kept connections."""
        self._http.close()

    def _send_again(self, content: dict[str, Any], tokens: list[str], refused: str) -> dict[str, PushResult]:
        """Send with a new access token, once: the `refused` one was withdrawn before its time."""
        self._access.invalidate(refused)
        try:
            access = self._access.get()
        except ProviderError as error:
            return dict.fromkeys(tokens, error)
        return {token: _outcome(answer) for token, answer in self._post(content, tokens, access).items()}

    def _post(self, content: dict[str, Any], tokens: list[str], access: str) -> _Answers:
        headers = {"Authorization": f"Bearer {access}", "Content-Type": "application/json"}
        requests = [
            Request(url=self._url, headers=headers, body=orjson.dumps({"message": _target(token) | content}))
            for token in tokens
        ]
        return dict(zip(tokens, self._http.request_many(requests), strict=True))


def _target(token: str) -> dict[str, Any]:
    return {"fid": token.removeprefix(FID)} if token.startswith(FID) else {"token": token}


def _content(message: Push) -> dict[str, Any]:
    """The message without its target.

    No collapse_key: FCM limits collapsible messages to 20 in a burst for a device. A tag replaces only what the
    phone shows.
    """
    android: dict[str, Any] = {
        "priority": "NORMAL" if message.offer else "HIGH",
        "notification": {"channel_id": OFFERS_CHANNEL if message.offer else TRIPS_CHANNEL},
    }
    apns_headers = {"apns-priority": "5" if message.offer else "10", "apns-push-type": "alert"}
    if message.tag:
        android["notification"]["tag"] = message.tag
        cut = message.tag.encode()[:MAX_COLLAPSE_ID].decode(errors="ignore")
        apns_headers["apns-collapse-id"] = cut
    if message.ttl is not None:
        ttl = max(0, min(message.ttl, MAX_TTL))
        android["ttl"] = f"{ttl}s"
        apns_headers["apns-expiration"] = str(int(time.time()) + ttl)
    return {
        "notification": {"title": message.title, "body": message.body},
        "data": {**message.data, "nid": message.reference},
        "android": android,
        "apns": {"headers": apns_headers, "payload": {"aps": {"sound": "default"}}},
    }


def _outcome(answer: Response | HttpError) -> PushResult:
    if isinstance(answer, HttpError):
        return answer.as_provider_error("FCM")
    if answer.status == 200:
        name = answer.json().get("name")
        if isinstance(name, str) and name:
            return Receipt(name)
        return OutcomeUnknown("FCM answered 200 without a message name", code="200")
    error, details = _error_of(answer)
    code = str(details.get(_FCM_ERROR, {}).get("errorCode") or error.get("status"))
    unmapped = _ERRORS["INTERNAL"] if answer.status >= 500 else (OutcomeUnknown, None)
    kind, wait = _ERRORS.get(code, unmapped)
    if kind is Rejected and _blames_token(error, details):
        kind = InvalidRecipient
    known = code if code in _ERRORS else str(answer.status)
    return kind(f"FCM answered {answer.status} ({known})", code=known, retry_after=answer.retry_after or wait)


def _error_of(answer: Response) -> tuple[Mapping[str, Any], Mapping[str, Mapping[str, Any]]]:
    """The google.rpc.Status in the answer, and its details by their type. {} for a body of another shape."""
    error = answer.json().get("error")
    if not isinstance(error, dict):
        return {}, {}
    details = error.get("details")
    found = details if isinstance(details, list) else []
    return error, {str(detail.get("@type")): detail for detail in found if isinstance(detail, dict)}


def _is_stale(answer: Response | HttpError) -> bool:
    """Whether the access token was refused; with an FcmError, a 401 is about APNs instead."""
    return isinstance(answer, Response) and answer.status == 401 and _FCM_ERROR not in _error_of(answer)[1]


def _blames_token(error: Mapping[str, Any], details: Mapping[str, Mapping[str, Any]]) -> bool:
    """Whether an INVALID_ARGUMENT is about the device token and not about what we wrote."""
    apns = details.get(_APNS_ERROR, {})
    if apns.get("statusCode") == 410 or apns.get("reason") in _DEAD_APNS_TOKEN:
        return True
    violations = details.get(_BAD_REQUEST, {}).get("fieldViolations")
    found = violations if isinstance(violations, list) else []
    fields = [violation.get("field") for violation in found if isinstance(violation, dict)]
    named = any(field in ("message.token", "message.fid") for field in fields)
    return named or "not a valid FCM registration token" in str(error.get("message"))
