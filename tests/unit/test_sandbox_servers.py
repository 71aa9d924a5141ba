"""The embedded servers: they keep their data and port, and die with their parent."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from sandbox.processes import AlreadyRunning, Process, ProcessFailed
from sandbox.servers.postgres import PostgresServer
from sandbox.servers.valkey import ValkeyServer
from tests.unit.test_sandbox_processes import ROOT, gone, linux_only

Kind = type[PostgresServer] | type[ValkeyServer]
#: Starts both servers in the folder argv[1] (durable if argv[2] says so), names them, waits for the end of stdin.
BOTH = """
import json, sys
from pathlib import Path
from sandbox.servers.postgres import PostgresServer
from sandbox.servers.valkey import ValkeyServer
folder, durable = Path(sys.argv[1]), sys.argv[2] == "durable"
with PostgresServer(folder / "pg", durable=durable) as pg, ValkeyServer(folder / "vk", durable=durable) as vk:
    print(json.dumps({"postgres": pg.url, "valkey": vk.url, "pids": [pg.pid, vk.pid]}), flush=True)
    sys.stdin.read()
"""


def remember(url: str) -> None:
    """Store something that `remembers` finds again."""
    if url.startswith("redis"):
        redis.from_url(url).set("seat", "12A")
        return
    with psycopg.connect(url) as connection:
        connection.execute("CREATE TABLE seats AS SELECT '12A' AS seat")


def remembers(url: str) -> bool:
    if url.startswith("redis"):
        return redis.from_url(url).get("seat") == b"12A"
    with psycopg.connect(url) as connection:
        found = connection.execute("SELECT to_regclass('seats') IS NOT NULL").fetchone()
        return bool(found and found[0])


@pytest.fixture(params=[PostgresServer, ValkeyServer])
def kind(request: pytest.FixtureRequest) -> Kind:
    chosen: Kind = request.param
    return chosen


def test_data_and_port_outlive_restart_stop_and_kill(kind: Kind, tmp_path: Path) -> None:
    with kind(tmp_path, durable=False) as server:
        url, first = server.url, server.pid
        remember(url)
        server.restart()
        assert (server.url, remembers(url)) == (url, True)
        server.stop()
        with pytest.raises(ProcessFailed, match="is stopped"):
            _ = server.pid
        server.restart()
        assert remembers(url)
        server.kill()
        assert gone(first)
        server.restart()
        assert remembers(url)
        last = server.pid
    assert gone(last)


def test_durable_data_stay_for_the_next_start_and_others_go(kind: Kind, tmp_path: Path) -> None:
    for durable, found in ((True, False), (True, True), (False, False), (True, False)):
        with kind(tmp_path, durable=durable) as server:
            assert remembers(server.url) is found
            if not found:
                remember(server.url)
    with kind(tmp_path, durable=False):
        pass


def test_two_run_at_once_but_not_in_one_folder(kind: Kind, tmp_path: Path) -> None:
    with kind(tmp_path / "one", durable=False) as one, kind(tmp_path / "two", durable=False) as two:
        assert one.port != two.port
        remember(one.url)
        assert not remembers(two.url)
        refused = pytest.raises(AlreadyRunning, match=rf"already running \(pid {os.getpid()}\)")
        with refused, kind(tmp_path / "one", durable=False):
            pass
        assert remembers(one.url)


def test_a_port_taken_at_the_last_moment_is_given_up_for_another(tmp_path: Path) -> None:
    class Unlucky(ValkeyServer):
        thief: socket.socket | None = None

        def _launch(self) -> Process:
            if self.thief is None:
                self.thief = socket.create_server(("127.0.0.1", self.port))
            return super()._launch()

    with Unlucky(tmp_path, durable=False) as server:
        assert server.thief
        with server.thief:
            assert server.thief.getsockname()[1] != server.port
        remember(server.url)


def test_a_port_taken_while_stopped_is_named_and_free_again_later(kind: Kind, tmp_path: Path) -> None:
    with kind(tmp_path, durable=False) as server:
        server.stop()
        refused = pytest.raises(ProcessFailed, match="Address already in use")
        with socket.create_server(("127.0.0.1", server.port)), refused:
            server.restart()
        server.restart()
        remember(server.url)


def test_postgres_has_what_the_product_needs(postgres: PostgresServer) -> None:
    with psycopg.connect(postgres.url) as connection:
        answer = connection.execute(
            "SELECT current_setting('server_encoding'), current_setting('TimeZone'),"
            " current_setting('max_connections'), lower('ÇÃO')"
        ).fetchone()
    assert answer == ("UTF8", "UTC", "200", "ção")


def test_valkey_never_evicts(valkey: ValkeyServer) -> None:
    assert redis.from_url(valkey.url).config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}


def test_databases_are_copies_of_a_template(postgres: PostgresServer) -> None:
    remember(postgres.create_database("template_seats"))
    assert remembers(postgres.create_database("copy_seats", template="template_seats"))
    assert not remembers(postgres.create_database("empty_seats"))
    with pytest.raises(psycopg.errors.DuplicateDatabase):
        postgres.create_database("empty_seats")


def test_a_start_that_fails_shows_why(tmp_path: Path) -> None:
    with PostgresServer(tmp_path, durable=True) as server:
        version = next(
            server.data_dir.glob("**/cluster/PG_VERSION"), server.data_dir / "elsewhere/cluster/PG_VERSION"
        )
    version.write_text("9\n")
    with pytest.raises(ProcessFailed, match=r"(?s)postgres ended with status 1.*version 9"), server:
        pass
    with PostgresServer(tmp_path, durable=False):
        pass


@linux_only
def test_both_die_with_a_killed_parent_and_their_data_stay(tmp_path: Path) -> None:
    command = [sys.executable, "-c", BOTH, str(tmp_path), "durable"]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as parent:
        assert parent.stdout
        facts = json.loads(parent.stdout.readline())
        remember(facts["postgres"])
        remember(facts["valkey"])
        parent.kill()
    assert all(gone(pid) for pid in facts["pids"])
    for server in (PostgresServer(tmp_path / "pg", durable=True), ValkeyServer(tmp_path / "vk", durable=True)):
        with server:
            assert remembers(server.url)
    with PostgresServer(tmp_path / "pg", durable=False):
        pass
