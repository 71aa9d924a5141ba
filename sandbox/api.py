"""The platform's HTTP API, as its clients see it."""

from __future__ import annotations

import http.client
import json
from typing import Any

HOST = "127.0.0.1"
_TIMEOUT = 10.0  # seconds for each wait


class ApiError(RuntimeError):
    """The API refused, or did not answer; the text is its own explanation."""


class Api:
    """Calls the API on 127.0.0.1:`port` with its key. Every call raises ApiError."""

    def __init__(self, port: int, key: str) -> None:
        self.port = port
        self.url = f"http://{HOST}:{port}"
        self.pages = f"http://operator:{key}@{HOST}:{port}/"  # a browser signs in by itself
        self._headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}

    def ready(self) -> bool:
        """Whether it could do its work now."""
        try:
            return bool(self._call("GET", "/health/ready")["ready"])
        except ApiError:
            return False

    def trips(self) -> list[dict[str, Any]]:
        """Trips that have not left yet, with their `taken_seats`."""
        found: list[dict[str, Any]] = self._call("GET", "/api/v1/trips")
        return found

    def book(self, *, trip_id: int, user_id: int, seats: list[str]) -> dict[str, Any]:
        """Book and pay; returns the booking with the ids of its `messages`."""
        body = {"trip_id": trip_id, "user_id": user_id, "seats": seats}
        booked: dict[str, Any] = self._call("POST", "/api/v1/bookings", body)
        return booked

    def send(self, kind: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """Accept one message; returns how it stands."""
        accepted: dict[str, Any] = self._call(
            "POST", "/api/v1/notifications", {"kind": kind, "arguments": arguments}
        )
        return accepted

    def notifications(self, booking_reference: str) -> list[dict[str, Any]]:
        """How the messages of one booking stand."""
        found: list[dict[str, Any]] = self._call(
            "GET", f"/api/v1/notifications?booking_reference={booking_reference}"
        )
        return found

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        connection = http.client.HTTPConnection(HOST, self.port, timeout=_TIMEOUT)
        content = None if body is None else json.dumps(body)
        try:
            connection.request(method, path, content, self._headers)
            response = connection.getresponse()
            answer = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ApiError(f"the API gave no usable answer to {method} {path}: {type(error).__name__}") from error
        finally:
            connection.close()
        if response.status >= 400:
            raise ApiError(f"the API refused {method} {path} ({response.status}): {answer.get('detail', answer)}")
        return answer
