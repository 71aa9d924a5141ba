"""A Google service account, and the OAuth 2.0 access tokens that it is exchanged for."""

from __future__ import annotations

import re
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlencode

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from app.providers.errors import Misconfigured, OutcomeUnknown, ProviderError, RateLimited, Transient
from app.providers.http import HttpClient
from app.providers.http_exchange import HttpError, Request, Response

#: The right to send messages (FCM HTTP v1, "Authorize send requests").
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
#: RFC 7523, 2.1.
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
#: Seconds that an assertion may live: Google takes no longer ones.
ASSERTION_LIFETIME = 3600
#: Seconds that our clock may be fast: Google refuses a grant from the future, and every push would fail for good.
CLOCK_SKEW = 300
#: Seconds before a token's end at which a new one is fetched.
EARLY = 300.0
#: Seconds until the next try when renewing failed but the token in hand is still good.
RENEW_AGAIN = 30.0

_KEYS = ("project_id", "client_email", "private_key", "private_key_id", "token_uri")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceAccount:
    """What a service-account file says, with its key loaded."""

    project_id: str
    client_email: str
    private_key_id: str
    token_uri: str
    private_key: RSAPrivateKey = field(repr=False)

    @classmethod
    def from_file(cls, path: str) -> Self:
        """Read the JSON file that the Firebase console gives. Raises Misconfigured, naming what is wrong."""
        try:
            content = orjson.loads(Path(path).read_bytes())
        except OSError as error:
            raise Misconfigured(f"service account {path}: {error.strerror}") from None
        except orjson.JSONDecodeError:
            raise Misconfigured(f"service account {path}: is not JSON") from None
        if not isinstance(content, dict) or content.get("type") != "service_account":
            raise Misconfigured(f'service account {path}: its "type" is not "service_account"')
        if missing := [key for key in _KEYS if not isinstance(content.get(key), str) or not content[key]]:
            raise Misconfigured(f"service account {path}: lacks {', '.join(missing)}")
        if not content["token_uri"].startswith("https://"):  # RFC 6749, 3.2
            raise Misconfigured(f"service account {path}: token_uri is no https URL")
        key = _load_key(path, content["private_key"])
        return cls(**{name: content[name] for name in _KEYS if name != "private_key"}, private_key=key)


def _load_key(path: str, pem: str) -> RSAPrivateKey:
    try:
        key = load_pem_private_key(pem.encode(), password=None)
    except (ValueError, TypeError):  # their texts may quote the key
        raise Misconfigured(f"service account {path}: private_key is no unencrypted PEM key") from None
    if not isinstance(key, RSAPrivateKey):
        raise Misconfigured(f"service account {path}: private_key is no RSA key")
    return key


class AccessTokens:
    """The account's current access token, for any number of threads: one fetches, the others wait for it."""

    def __init__(self, account: ServiceAccount, http: HttpClient) -> None:
        self._account = account
        self._http = http
        self._lock = threading.Lock()
        self._token: str | None = None
        self._renew_at = 0.0
        self._ends_at = 0.0
        self._failure: tuple[float, ProviderError] | None = None

    def get(self, deadline: float) -> str:
        """A token that is good for some minutes, before `deadline` (`time.monotonic()`).

        Raises ProviderError when there is none to be had by then.
        """
        asked_at = time.monotonic()
        if not self._lock.acquire(timeout=max(deadline - asked_at, 0)):
            raise Transient("another thread's wait for an access token took too long")
        try:
            if self._token is None or time.monotonic() >= self._renew_at:
                self._token = self._renewed(asked_at, deadline)
            return self._token
        finally:
            self._lock.release()

    def invalidate(self, token: str) -> None:
        """Forget `token`, which the server refused, unless a newer one has taken its place."""
        with self._lock:
            if self._token == token:
                self._token = None

    def _renewed(self, asked_at: float, deadline: float) -> str:
        if self._failure and self._failure[0] >= asked_at:
            # It failed while we waited for the lock; else a thousand waiters would time out one by one.
            raise self._failure[1]
        try:
            return self._fetch(deadline)
        except ProviderError as error:
            now = time.monotonic()
            if self._token is None or now >= self._ends_at or not isinstance(error, Transient):
                self._token, self._failure = None, (now, error)
                raise
            self._renew_at = now + RENEW_AGAIN
            return self._token

    def _fetch(self, deadline: float) -> str:
        try:
            response = self._http.request(self._grant(), deadline=deadline)
        except HttpError as error:
            refusal = error.as_provider_error("the OAuth token endpoint")
            # No message was sent, so a lost answer is no mystery here.
            raise Transient(str(refusal)) if isinstance(refusal, OutcomeUnknown) else refusal from error
        answer = response.json()
        token, lifetime = answer.get("access_token"), answer.get("expires_in")
        if response.status != 200 or not isinstance(token, str) or not isinstance(lifetime, int):
            raise _refusal(response)
        now = time.monotonic()
        self._ends_at = now + lifetime
        self._renew_at = self._ends_at - min(EARLY, lifetime / 2)
        return token

    def _grant(self) -> Request:
        """The request of RFC 7523, 2.1: a JWT signed by the account stands for its password."""
        issued_at = int(time.time()) - CLOCK_SKEW
        claims: dict[str, Any] = {
            "iss": self._account.client_email,
            "scope": SCOPE,
            "aud": self._account.token_uri,
            "iat": issued_at,
            "exp": issued_at + ASSERTION_LIFETIME,
        }
        headers = {"kid": self._account.private_key_id}
        assertion = jwt.encode(claims, self._account.private_key, algorithm="RS256", headers=headers)
        return Request(
            url=self._account.token_uri,
            headers={"Content-Type": "application/x-www-form-urlencoded"},
            body=urlencode({"grant_type": GRANT, "assertion": assertion}).encode(),
        )


def _refusal(response: Response) -> ProviderError:
    """The error that an answer without a token means; its code is one of RFC 6749, 5.2."""
    word = response.json().get("error")
    code = word if isinstance(word, str) and re.fullmatch(r"[a-z_]{1,40}", word) else str(response.status)
    text = f"the OAuth token endpoint answered {response.status} ({code})"
    if response.status == 429:
        return RateLimited(text, code=code, retry_after=response.retry_after)
    if 400 <= response.status < 500:
        return Misconfigured(f"{text}: is the key revoked, or the clock wrong?", code=code)
    return Transient(text, code=code, retry_after=response.retry_after)
