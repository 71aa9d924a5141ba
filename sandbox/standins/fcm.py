"""A stand-in for Firebase Cloud Messaging: its HTTP v1 API over HTTP/2 and its OAuth token endpoint."""

from __future__ import annotations

import secrets
from collections import deque
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

import jwt
import orjson
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from sandbox.standins.ledger import Ledger
from sandbox.standins.script import ORDINARY, Behaviour, answer
from sandbox.standins.serve import StandIn
from sandbox.standins.tls import Authority

PROJECT = "pafar-sandbox"
ACCOUNT = f"sender@{PROJECT}.iam.gserviceaccount.com"
SCOPE = "https://www.googleapis.com/auth/firebase.messaging"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"
MAX_PAYLOAD = 4096
_TYPES = "type.googleapis.com/google.firebase.fcm.v1."

#: FCM's error codes → HTTP status and Google's status.
_CODES = {
    "UNREGISTERED": (404, "NOT_FOUND"),
    "SENDER_ID_MISMATCH": (403, "PERMISSION_DENIED"),
    "INVALID_ARGUMENT": (400, "INVALID_ARGUMENT"),
    "THIRD_PARTY_AUTH_ERROR": (401, "UNAUTHENTICATED"),
    "QUOTA_EXCEEDED": (429, "RESOURCE_EXHAUSTED"),
    "UNAVAILABLE": (503, "UNAVAILABLE"),
    "INTERNAL": (500, "INTERNAL"),
}


def fcm_error(code: str, *details: dict[str, Any], headers: dict[str, str] | None = None) -> Behaviour:
    """Refuse as FCM does: a google.rpc.Status with an FcmError of `code`, and further `details`."""
    status, google_status = _CODES[code]
    fcm = {"@type": f"{_TYPES}FcmError", "errorCode": code}
    return answer(status, _status(status, google_status, [*details, fcm]), headers=headers)


def apns_error(status: int, reason: str) -> dict[str, Any]:
    """The detail that passes on what APNs said."""
    return {"@type": f"{_TYPES}ApnsError", "statusCode": status, "reason": reason}


def bad_request(*fields: str) -> dict[str, Any]:
    """The detail that names the fields at fault."""
    violations = [{"field": field, "description": "Invalid value"} for field in fields]
    return {"@type": "type.googleapis.com/google.rpc.BadRequest", "fieldViolations": violations}


class FcmStandIn(StandIn):
    """`url` is the FCM base URL; `write_service_account` gives the file with which to come in.

    A well-formed message takes the Behaviour of its target in `tokens` (a registration token, or "fid:" and an
    installation id), else the next of `script`; a valid grant takes the next of `grant_script`. `grants` counts
    the access tokens issued, `lifetime` is what they last (s); `messages` holds each accepted message as it came.
    """

    def __init__(self, ledger: Ledger, authority: Authority, *, port: int = 0) -> None:
        routes = [
            Route("/token", self._token, methods=["POST"]),
            Route("/v1/projects/{project}/messages:send", self._send, methods=["POST"]),
        ]
        super().__init__(routes, port=port, authority=authority)
        self.script: deque[Behaviour] = deque()
        self.tokens: dict[str, Behaviour] = {}
        self.grant_script: deque[Behaviour] = deque()
        self.messages: list[dict[str, Any]] = []
        self.grants = 0
        self.lifetime = 3599
        self._ledger = ledger
        self._issued: set[str] = set()
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._key_id = secrets.token_hex(20)

    def write_service_account(self, path: Path) -> None:
        """Write the JSON file that the Firebase console would give; only while started, as it holds the URL."""
        pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
        content = {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": self._key_id,
            "private_key": pem,
            "client_email": ACCOUNT,
            "token_uri": f"{self.url}/token",
        }
        path.touch(mode=0o600)
        path.write_bytes(orjson.dumps(content))

    def revoke(self) -> None:
        """Refuse every access token issued so far."""
        self._issued.clear()

    async def _token(self, request: Request) -> Response:
        self.note_connection(request)
        form = parse_qs((await request.body()).decode())
        if form.get("grant_type") != [GRANT]:
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        try:
            self._check_assertion(form.get("assertion", [""])[0])
        except jwt.InvalidTokenError as error:
            return JSONResponse({"error": "invalid_grant", "error_description": str(error)}, 400)
        behaviour = self.grant_script.popleft() if self.grant_script else ORDINARY
        token = f"ya29.{secrets.token_urlsafe(150)}"
        if behaviour.accept:
            self.grants += 1
            self._issued.add(token)
        grant = {"access_token": token, "expires_in": self.lifetime, "token_type": "Bearer"}
        return await self.play(request, behaviour, JSONResponse(grant))

    def _check_assertion(self, assertion: str) -> None:
        """Raise jwt.InvalidTokenError unless RFC 7523, 3 and Google's own rules are met."""
        claims = jwt.decode(
            assertion,
            self._key.public_key(),
            algorithms=["RS256"],
            audience=f"{self.url}/token",
            issuer=ACCOUNT,
            options={"require": ["exp", "iat", "iss", "aud"]},
        )
        if claims["exp"] - claims["iat"] > 3600:
            raise jwt.InvalidTokenError("exp is more than an hour after iat")
        if claims.get("scope") != SCOPE or jwt.get_unverified_header(assertion).get("kid") != self._key_id:
            raise jwt.InvalidTokenError("scope or kid is wrong")

    async def _send(self, request: Request) -> Response:
        self.note_connection(request)
        body = await request.body()
        bearer = request.headers.get("authorization", "")
        if bearer.removeprefix("Bearer ") not in self._issued:
            return JSONResponse(_status(401, "UNAUTHENTICATED", []), 401)
        if request.path_params["project"] != PROJECT:
            return JSONResponse(_status(403, "PERMISSION_DENIED", []), 403)
        message = orjson.loads(body).get("message", {})
        if field := _bad_field(message):
            return await self.play(request, fcm_error("INVALID_ARGUMENT", bad_request(field)), Response())
        behaviour = self.tokens.get(_target(message)) or (self.script.popleft() if self.script else ORDINARY)
        name = f"projects/{PROJECT}/messages/{secrets.token_hex(8)}"
        if behaviour.accept:
            self._accept(name, message)
        return await self.play(request, behaviour, JSONResponse({"name": name}))

    def _accept(self, name: str, message: dict[str, Any]) -> None:
        self.messages.append(message)
        android = message.get("android", {})
        self._ledger.accept(
            "push",
            id=name,
            token=_target(message),
            title=message["notification"]["title"],
            body=message["notification"]["body"],
            data=message.get("data", {}),
            tag=android.get("notification", {}).get("tag"),
            ttl=android.get("ttl"),
            project=PROJECT,
        )


def _target(message: dict[str, Any]) -> str:
    """The registration token, or "fid:" and the installation id."""
    return str(message["token"]) if "token" in message else f"fid:{message['fid']}"


def _bad_field(message: dict[str, Any]) -> str | None:
    """The first field that FCM would refuse."""
    targets = [name for name in ("token", "topic", "condition", "fid") if name in message]
    if targets not in (["token"], ["fid"]):
        return "message"
    if not isinstance(message[targets[0]], str) or not message[targets[0]]:
        return f"message.{targets[0]}"
    data = message.get("data", {})
    for index, value in enumerate(data.values()):
        if not isinstance(value, str):
            return f"message.data[{index}].value"
    notification = message.get("notification", {})
    if not {"title", "body"} <= notification.keys():
        return "message.notification"
    payload = orjson.dumps({"notification": notification, "data": data})
    return "message" if len(payload) > MAX_PAYLOAD else None


def _status(code: int, status: str, details: list[dict[str, Any]]) -> dict[str, Any]:
    """A google.rpc.Status as JSON."""
    return {"error": {"code": code, "message": f"{status} (stand-in)", "status": status, "details": details}}
