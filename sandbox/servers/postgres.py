"""A PostgreSQL server of our own: the database of the sandbox and the tests."""

from __future__ import annotations

import shutil
import signal
import sys
from pathlib import Path

import psycopg
from psycopg import sql

from sandbox.processes import Process, ProcessFailed
from sandbox.servers.base import Server
from sandbox.servers.binaries import copy_postgres, postgres_bin, runs
from sandbox.servers.unprivileged import public_twin, reachable, remove_twin, server_user

_LOCALE = "C.UTF-8" if sys.platform == "linux" else "en_US.UTF-8"  # macOS has no C.UTF-8
_INITDB_TIMEOUT = 120.0

#: For tests: no wait for the disk. Commits still reach the kernel, so they outlive a killed server.
_VOLATILE = {"fsync": "off", "full_page_writes": "off"}


class PostgresServer(Server):
    """PostgreSQL for clients on this machine, who need no password; times in UTC."""

    @property
    def url(self) -> str:
        """The URL of the database "postgres", whose owner may do anything."""
        return self.database_url("postgres")

    def database_url(self, name: str) -> str:
        """As "postgresql://postgres@127.0.0.1:25000/pafar"."""
        return f"postgresql://postgres@127.0.0.1:{self.port}/{name}"

    def create_database(self, name: str, template: str | None = None) -> str:
        """Make a database, a copy of `template` (to which nobody may be connected) if given; return its URL.

        Raises psycopg.errors.DuplicateDatabase if there is one of that name.
        """
        statement = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement.format(sql.Identifier(name), sql.Identifier(template or "template1")))
        return self.database_url(name)

    def _prepare(self) -> None:
        self._user = server_user()
        self._programs = postgres_bin()
        if self._user and not runs(self._programs / "postgres", user=self._user):
            self._programs = copy_postgres(self._programs, public_twin(self.data_dir) / "programs")
        shut = self._user and not reachable(self.data_dir)
        home = public_twin(self.data_dir) if shut else self.data_dir
        self._cluster = home / "cluster"
        if not self._cluster.exists():
            self._make_cluster()
        # The server it names is dead (we hold the folder); its number may be another program's by now.
        (self._cluster / "postmaster.pid").unlink(missing_ok=True)

    def _make_cluster(self) -> None:
        """Run initdb beside the final place, so that a cluster made half-way is never taken for one."""
        fresh = self._cluster.with_suffix(".new")
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        if self._user:
            shutil.chown(fresh, self._user)
        options = ["-U", "postgres", "-A", "trust", "-E", "UTF8", f"--locale={_LOCALE}", "--no-sync"]
        initdb = self._run("initdb", [*options, "--no-instructions", "-D", str(fresh)])
        try:
            status = initdb.wait(_INITDB_TIMEOUT)
        finally:
            initdb.stop()
        if status:
            raise ProcessFailed(f"initdb ended with status {status}; {initdb.log_tail()}")
        fresh.rename(self._cluster)

    def _launch(self) -> Process:
        settings = {
            "listen_addresses": "127.0.0.1",
            "unix_socket_directories": "",  # a socket's path may have 107 bytes: too few for a deep folder
            "max_connections": "200",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "shared_preload_libraries": "pg_stat_statements" if self._has_statistics() else "",
            **({} if self.durable else _VOLATILE),
        }
        options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return self._run("postgres", ["-D", str(self._cluster), "-p", str(self.port), *options])

    def _run(self, program: str, options: list[str]) -> Process:
        return Process(
            program,
            [self._programs / program, *options],
            run_dir=self.data_dir,
            log_path=self.data_dir / f"{program}.log",
            env={"LC_ALL": _LOCALE},
            cwd=Path("/"),  # ours may be shut to its account
            death_signal=signal.SIGINT,  # ends sessions too; SIGTERM would wait for them
            user=self._user,
        )

    def _has_statistics(self) -> bool:
        """Whether the contrib module is there: in the wheel, in Debian's layout, in one built from source."""
        home = self._programs.parent
        return any(
            any(home.glob(f"{lib}/pg_stat_statements.*")) for lib in ("lib", "lib/postgresql", "lib64/pgsql")
        )

    def _ready(self, pid: int) -> bool:
        """postmaster.pid holds the pid in line 1 and, at last, the status in line 8 (miscadmin.h)."""
        try:
            lines = (self._cluster / "postmaster.pid").read_text().splitlines()
        except FileNotFoundError:
            return False
        return len(lines) >= 8 and int(lines[0]) == pid and lines[7].strip() == "ready"

    def _remove_data(self) -> None:
        shutil.rmtree(self.data_dir / "cluster", ignore_errors=True)
        remove_twin(self.data_dir)
