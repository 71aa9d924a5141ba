"""Pushes by Firebase Cloud Messaging, HTTP v1: one request a device, many at once on a few connections."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
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
from app.providers.fcm_message import content_of, target_of
from app.providers.http import HttpClient
from app.providers.http_exchange import HttpError, Request, Response

GOOGLE = "https://fcm.googleapis.com"
#: Bytes of notification and data that FCM takes.
MAX_PAYLOAD = 4096
#: So many tokens of another project, and none of ours, are no chance: the service-account file is another app's.
STRANGERS = 5
_FOREIGN = "SENDER_ID_MISMATCH"

#: FCM's error code, or Google's status where FCM gives none → what it means, and the seconds to wait when the
#: answer names none. https://firebase.google.com/docs/cloud-messaging/error-codes
_ERRORS: dict[str, tuple[type[ProviderError], float | None]] = {
    "UNREGISTERED": (InvalidRecipient, None),
    _FOREIGN: (InvalidRecipient, None),
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


class _Sending:
    """One push on its way: its content, when it ends, and until when access tokens must be there.

    The moments are `time.monotonic()`. The second half of the time is for FCM's answers: what is handed over too
    late can only end as unknown. Raises Rejected for a payload above 4096 bytes (FCM would blame the token).
    """

    def __init__(self, message: Push, timeout: float) -> None:
        self.content = content_of(message)
        size = len(orjson.dumps({name: self.content[name] for name in ("notification", "data")}))
        if size > MAX_PAYLOAD:
            raise Rejected(f"the push has {size} bytes of title, body and data; allowed: {MAX_PAYLOAD}")
        self.repeatable = message.repeatable
        now = time.monotonic()
        self.half, self.end = now + timeout / 2, now + timeout

    def body(self, token: str) -> bytes:
        """What is posted for one phone."""
        return orjson.dumps({"message": target_of(token) | self.content})


class FcmProvider:
    """A PushProvider for the project of `account`. `base_url` is Google's, or a stand-in's."""

    def __init__(self, http: HttpClient, *, account: ServiceAccount, base_url: str = GOOGLE) -> None:
        self._http = http
        self._url = f"{base_url.rstrip('/')}/v1/projects/{quote(account.project_id)}/messages:send"
        self._access = AccessTokens(account, http)
        self._proven = False
        self._strangers: set[str] = set()

    def send(self, message: Push, tokens: Sequence[str]) -> list[PushResult]:
        """Send to every token at once, once to one that is named twice; one result a token, in order.

        One that begins with `fid:` is an installation id. The HTTP client's timeout bounds all of it. Raises
        ProviderError when no token could be tried: no access token, or Rejected for a payload above 4096 bytes
        (FCM would blame the token).
        """
        sending = _Sending(message, self._http.timeout)
        if not tokens:
            return []
        access = self._access.get(sending.half)
        answers = self._post(sending, list(dict.fromkeys(tokens)), access)
        outcomes = {token: _outcome(answer) for token, answer in answers.items()}
        if stale := [token for token, answer in answers.items() if _is_stale(answer)]:
            outcomes |= self._send_again(sending, stale, access)
        return self._judged([outcomes[token] for token in tokens], tokens)

    def close(self) -> None:
        """End the kept connections."""
        self._http.close()

    def _send_again(self, sending: _Sending, tokens: list[str], refused: str) -> dict[str, PushResult]:
        """Send with a new access token, once: the `refused` one was withdrawn before its time."""
        self._access.invalidate(refused)
        try:
            access = self._access.get(sending.half)
        except ProviderError as error:
            return dict.fromkeys(tokens, error)
        answers = self._post(sending, tokens, access)
        return {token: _outcome(answer) for token, answer in answers.items()}

    def _judged(self, results: list[PushResult], tokens: Sequence[str]) -> list[PushResult]:
        """Whether another project's tokens are strangers, or the account is the wrong one.

        Only an account that FCM has taken a push from is proven right. Until then no such token is called
        dead, since dead ones are deleted, and enough of them without one of ours stop the channel.
        """
        if any(isinstance(result, Receipt) for result in results):
            self._proven = True
        if self._proven:
            return results
        foreign = [_is_foreign(result) for result in results]
        strangers = [token for token, is_foreign in zip(tokens, foreign, strict=True) if is_foreign]
        self._strangers.update(strangers[:STRANGERS])
        verdict = _stranger if len(self._strangers) < STRANGERS else _wrong_account
        return [verdict() if is_foreign else r for r, is_foreign in zip(results, foreign, strict=True)]

    def _post(self, sending: _Sending, tokens: list[str], access: str) -> _Answers:
        headers = {"Authorization": f"Bearer {access}", "Content-Type": "application/json"}
        request = partial(Request, url=self._url, headers=headers, repeatable=sending.repeatable)
        requests = [request(body=sending.body(token)) for token in tokens]
        return dict(zip(tokens, self._http.request_many(requests, deadline=sending.end), strict=True))


def _outcome(answer: Response | HttpError) -> PushResult:
    if isinstance(answer, HttpError):
        return answer.as_provider_error("FCM")
    if answer.status == 200:
        name = answer.json().get("name")
        if isinstance(name, str) and name:
            return Receipt(name, repeated=answer.repeated)
        return OutcomeUnknown("FCM answered 200 without a message name", code="200")
    if answer.repeated:  # whatever this answer says of the second, the first may have been taken
        return OutcomeUnknown(f"FCM answered {answer.status} the second time", retry_after=answer.retry_after)
    error, details = _error_of(answer)
    code = str(details.get(_FCM_ERROR, {}).get("errorCode") or error.get("status"))
    unmapped = _ERRORS["INTERNAL"] if answer.status >= 500 else (OutcomeUnknown, None)
    kind, wait = _ERRORS.get(code, unmapped)
    if kind is Rejected and _blames_token(error, details):
        kind = InvalidRecipient
    known = code if code in _ERRORS else str(answer.status)
    return kind(f"FCM answered {answer.status} ({known})", code=known, retry_after=answer.retry_after or wait)


def _is_foreign(result: PushResult) -> bool:
    return isinstance(result, ProviderError) and result.code == _FOREIGN


def _stranger() -> ProviderError:
    return Rejected("the token is another Firebase project's, or the service account is", code=_FOREIGN)


def _wrong_account() -> ProviderError:
    return Misconfigured("all tokens are another Firebase project's: the service account is wrong", code=_FOREIGN)


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
    if not isinstance(answer, Response) or answer.repeated:
        return False
    return answer.status == 401 and _FCM_ERROR not in _error_of(answer)[1]


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
