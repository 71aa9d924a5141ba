"""Redis over TLS, by nothing but the URL and its CA: verified always, and a wrong certificate is named."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from app.monitoring.setup.findings import ERROR
from sandbox.standins.tls import issue
from tests.brokers import TlsServer
from tests.doctor import findings
from tests.house import House, wait_until
from tests.senders import accept_each, all_sent, taken
from tests.web import ask

SOON = 60.0


@pytest.fixture
def environment(house: House) -> Iterator[dict[str, str]]:
    with TlsServer(house.folder / "tls-server", house.authority) as server:
        yield {
            "REDIS_URL": f"{server.url}/0",
            "CELERY_BROKER_URL": f"{server.url}/1",
            "CELERY_RESULT_BACKEND": f"{server.url}/2",
            "TLS_CA_FILE": str(house.authority.ca_file),
        }


def test_messages_are_sent_over_tls(house: House, environment: dict[str, str]) -> None:
    with house.worker(**environment), house.api(**environment) as url:
        ids = accept_each(url, 5)
        wait_until(all_sent, SOON)
        report = ask(f"{url}/health/tasks").json["components"]
        assert report["broker"]["healthy"] is report["redis"]["healthy"] is report["workers"]["healthy"] is True
    assert taken(house) == dict.fromkeys(ids, 1)


def test_a_certificate_of_somebody_else_is_refused_and_named(house: House, environment: dict[str, str]) -> None:
    stranger = issue(house.folder / "stranger")
    found = findings(house, **environment | {"TLS_CA_FILE": str(stranger.ca_file)})
    assert found["broker"]["state"] == ERROR
    assert "certificate is refused" in found["broker"]["words"]
    assert "TLS_CA_FILE" in found["broker"]["words"]
    for what in ("sessions and statistics", "results"):
        assert found[what]["state"] == ERROR
