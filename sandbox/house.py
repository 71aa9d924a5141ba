"""Starts everything in order, and stops it: servers, stand-ins, migrations, then the real commands."""

from __future__ import annotations

import os
import secrets
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self

import psycopg

from sandbox.api import Api
from sandbox.console import Screen
from sandbox.environment import ROOT, StandIns, environment, payload_key
from sandbox.ports import free_port
from sandbox.processes import Leftovers, Process, ProcessFailed, start_time
from sandbox.seed import Passenger, seed
from sandbox.servers.postgres import PostgresServer
from sandbox.servers.valkey import ValkeyServer
from sandbox.standins.ledger import Ledger

_START_TIMEOUT = 60.0  # seconds for each step
_STOP_TIMEOUT = 8.0  # for the commands together, before they are killed

_CELERY = ("-m", "celery", "-A", "app.core.celery_app")


class House:
    """The whole platform, its data and logs in `folder`; running inside `with`.

    `api`, `passengers` and `stand_ins` are there once it runs; `ledger` holds what passengers received, and
    `address_file` where the page is. Entering raises AlreadyRunning (another sandbox uses `folder`), ProcessFailed
    and BinaryMissing.
    """

    api: Api
    passengers: list[Passenger]
    stand_ins: StandIns

    def __init__(self, folder: Path, screen: Screen) -> None:
        self.folder = folder.absolute()
        self.ledger = Ledger()
        self.logs = self.folder / "logs"
        self.address_file = self.folder / "address"
        self._screen = screen
        self._commands: list[Process] = []

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(Leftovers(self.folder))
            for old in (*self.logs.glob("*.log"), self.address_file):
                old.unlink(missing_ok=True)
            self._start_servers(undo)
            database_url = self._database()
            self._environment = environment(
                database_url=database_url,
                valkey_url=self._valkey.url,
                stand_ins=self.stand_ins,
                payload_keys=payload_key(self.folder),
            ) | {"API_KEY": secrets.token_urlsafe(12)}
            self._migrate()
            self.passengers = seed(database_url)
            undo.callback(self._stop_commands)
            self._start_commands()
            self._undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._screen.say("stopping", "API, worker, beat, stand-ins, Valkey, PostgreSQL")
        self._undo.close()

    def check(self) -> None:
        """Raise ProcessFailed, with the end of its log, if anything has died."""
        for command in self._commands:
            if not command.alive:
                raise ProcessFailed(f"{command.name} has ended; {command.log_tail()}")
        for server in (self._postgres, self._valkey):
            if start_time(server.pid) is None:
                raise ProcessFailed(f"{type(server).__name__} has ended; its log is in {server.data_dir}")

    def log_tails(self) -> str:
        """The end of each command's log."""
        return "\n\n".join(command.log_tail() for command in self._commands)

    def _start_servers(self, undo: ExitStack) -> None:
        """The stand-ins in a thread; servers only here, as Linux ends them with the thread that started them."""
        with ThreadPoolExecutor(1) as aside:
            stand_ins = aside.submit(undo.enter_context, StandIns(self.folder / "keys", self.ledger))
            self._postgres = undo.enter_context(PostgresServer(self.folder / "postgres", durable=True))
            self._screen.say("PostgreSQL started", f"127.0.0.1:{self._postgres.port}")
            self._valkey = undo.enter_context(ValkeyServer(self.folder / "valkey", durable=True))
            self._screen.say("Valkey started", f"127.0.0.1:{self._valkey.port}")
            self.stand_ins = stand_ins.result()
        self._screen.say("stand-ins started", self.stand_ins.summary)

    def _database(self) -> str:
        with suppress(psycopg.errors.DuplicateDatabase):
            return self._postgres.create_database("pafar")
        return self._postgres.database_url("pafar")

    def _migrate(self) -> None:
        migration = self._run("migrate", "-m", "app.cli", "migrate")
        try:
            status = migration.wait(_START_TIMEOUT)
        finally:
            migration.kill()
        if status:
            raise ProcessFailed(f"migrate ended with status {status}; {migration.log_tail()}")
        self._screen.say("database migrated")

    def _start_commands(self) -> None:
        """Worker and API at once, as each spends its first seconds importing; beat last, nothing waits for it."""
        self.api = Api(free_port(), self._environment["API_KEY"])
        options = ["--host", "127.0.0.1", "--port", str(self.api.port)]
        worker = self._start("worker", *_CELERY, "worker", "--loglevel=info")
        options += ["--factory", "app.main:create_app", "--no-server-header"]
        api = self._start("api", "-m", "uvicorn", *options)
        api.wait_ready(self.api.ready, _START_TIMEOUT)
        self._screen.say("API ready", self.api.url)
        worker.wait_ready(self._consuming, _START_TIMEOUT)
        self._screen.say("worker ready")
        self._start("beat", *_CELERY, "beat", "--loglevel=info", "-s", str(self.folder / "celerybeat-schedule"))

    def _start(self, name: str, *arguments: str) -> Process:
        command = self._run(name, *arguments)
        self._commands.append(command)
        return command

    def _run(self, name: str, *arguments: str) -> Process:
        return Process(
            name,
            [sys.executable, *arguments],
            run_dir=self.folder,
            log_path=self.logs / f"{name}.log",
            env=self._environment,
            cwd=ROOT,
            death_signal=signal.SIGKILL,  # when we are killed their servers die too: nothing could end in order
        )

    def _consuming(self) -> bool:
        """Whether the worker says so; it does once it has looked for others and waits on the queues."""
        return b" ready." in (self.logs / "worker.log").read_bytes()

    def _stop_commands(self) -> None:
        for command in self._commands:
            if command.alive:
                os.kill(command.pid, signal.SIGTERM)
        deadline = time.monotonic() + _STOP_TIMEOUT
        for command in self._commands:
            with suppress(ProcessFailed):
                command.wait(max(0.0, deadline - time.monotonic()))
            command.kill()
