"""An operator in front of the pages: asks with name and key, presses buttons; and servers that hang."""

from __future__ import annotations

import base64
import http.client
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlencode, urlsplit
from uuid import UUID

import psutil
from sqlalchemy import text

from app.api import keys
from app.core.database import transaction
from app.models.api_key import Role
from tests.web import Answer

KEY = "sesame-for-the-page"
PAGES = ("/", "/messages", "/failures", "/workers", "/schedule", "/campaigns", "/alerts", "/actions")
#: What of tests.data no page may say.
PERSONAL = ("ada@", "Ada", "2348031234567", "token-of-adas", "493817")


def new_key(name: str = "grace") -> str:
    """An operator's key of the table, which opens where no API_KEY is set too."""
    with transaction() as connection:
        return keys.create(connection, name=name, role=Role.OPERATOR, lifetime=None)


class Operator:
    """Asks as `name` with `key`; follows no redirect."""

    def __init__(self, url: str, name: str | None = "grace", key: str = KEY) -> None:
        self._address = urlsplit(url).netloc
        basic = base64.b64encode(f"{name}:{key}".encode()).decode()
        self._headers = {} if name is None else {"Authorization": f"Basic {basic}"}

    def get(self, path: str, **headers: str) -> Answer:
        return self._ask("GET", path, None, headers)

    def press(self, path: str, token: str | None = None, page: str = "/messages", **fields: str) -> Answer:
        """POST a form, with the token of `page` unless one is given."""
        if token is None:
            token = self.token(page)
        body = urlencode({"token": token} | fields)
        return self._ask("POST", path, body, {"Content-Type": "application/x-www-form-urlencoded"})

    def token(self, page: str) -> str:
        found = re.search(r'name="token" value="(\w+)"', self.get(page).text)
        assert found
        return found[1]

    def _ask(self, method: str, path: str, body: str | None, headers: dict[str, str]) -> Answer:
        connection = http.client.HTTPConnection(self._address, timeout=60)
        try:
            connection.request(method, path, body, self._headers | headers)
            answer = connection.getresponse()
            return Answer(answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read().decode())
        finally:
            connection.close()


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """SIGSTOP to a server and its children."""
    processes = [psutil.Process(pid)]
    try:
        processes[0].suspend()
        processes += processes[0].children()
        for process in processes[1:]:
            with suppress(psutil.NoSuchProcess):  # it ended while the others were looked at
                process.suspend()
        yield
    finally:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                process.resume()


def recorded() -> list[tuple[str, str, UUID | None]]:
    """(operator, action, target) of what was done, oldest first."""
    with transaction() as connection:
        query = text("SELECT operator, action, target FROM operator_actions ORDER BY id")
        return [tuple(line) for line in connection.execute(query)]
