"""Everything one fault needs, of its own: servers, stand-ins, proxies between, workers, and the ledgers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from random import Random
from typing import Any, Self
from urllib.parse import urlsplit

import psycopg
import redis

from app.core import migrations
from app.core.celery_app import QUEUES
from app.notifications import submit
from app.notifications.relay import LONGEST_GRACE
from app.notifications.store import LEASE
from sandbox.environment import StandIns, environment, payload_key
from sandbox.ports import free_port
from sandbox.processes import Leftovers
from sandbox.servers.postgres import PostgresServer
from sandbox.standins.ledger import Ledger
from tests.faults import ledger, sends
from tests.faults.canaries import Eavesdropper
from tests.faults.disks import BoundedValkey
from tests.faults.proxy import HOST, FaultProxy
from tests.faults.readiness import API_KEY, Readiness
from tests.faults.worker import Command

#: Seconds in which every message must be final once all is mended, unless a fault says otherwise: the lease, the
#: relay's longest wait, and time to send on a busy machine.
PATIENCE = LEASE + LONGEST_GRACE + 35.0
_LOOK, _WEIGH = 0.2, 1.0  # seconds between two looks, and between two at the workers' memory


class NotInTime(AssertionError):
    """What a fault waited for did not happen; the text says what."""


class Rig:
    """Runs inside `with`, once in a process: the application's settings are the process's environment.

    We speak to the servers directly; the workers reach each through its proxy (`database_proxy` …), whose faults
    are theirs alone. The stand-ins, with the scripts of what they do, are `stand_ins.smtp`, `.sms` and `.fcm`.
    """

    def __init__(self, folder: Path, *, app: str, random: Random, full: bool = False) -> None:
        self.folder = folder
        self.random = random
        self.full = full  # at the size of real life, where the suite's own is smaller
        self.patience = PATIENCE
        self.notes: list[str] = []  # what the fault wants to say besides
        self.failures: list[str] = []  # what it expected in vain
        self.intended: list[str] = []
        self.strangers: dict[str, str] = {}  # secrets that others put into the broker: no log may repeat them
        self.readiness: Readiness | None = None  # what an API said of itself, if somebody asked
        self.memory = 0.0  # MiB, the most that any process of a worker took
        self._weigh_at = 0.0
        self._app = app
        self._commands: list[Command] = []
        self._supervised = False

    def __enter__(self) -> Self:
        with ExitStack() as undo:
            undo.enter_context(Leftovers(self.folder))
            self.entries = Ledger(self.folder / "accepted.jsonl")
            undo.callback(self.entries.close)
            self.postgres = undo.enter_context(PostgresServer(self.folder / "postgres", durable=False))
            self.valkey = undo.enter_context(BoundedValkey(self.folder / "valkey", durable=False))
            self.stand_ins = undo.enter_context(StandIns(self.folder / "keys", self.entries))
            self.database_url = self.postgres.create_database("pafar")
            self.environment = environment(
                database_url=self.database_url,
                valkey_url=self.valkey.url,
                stand_ins=self.stand_ins,
                payload_keys=payload_key(self.folder),
            ) | {"OTP_LIMIT_PER_10_MINUTES": "0", "OTP_LIMIT_PER_DAY": "0"}  # one passenger gets all the codes
            os.environ.update(self.environment)
            migrations.upgrade()
            self._make_proxies(undo)
            self.ears = Eavesdropper(self.valkey.url)
            undo.callback(self.ears.stop)
            undo.callback(self._kill_commands)
            self.undo = undo.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self.undo.close()

    def _make_proxies(self, undo: ExitStack) -> None:
        """One before each server, and the environment that leads the workers there."""
        stand_ins, told = self.stand_ins, dict(self.environment)

        def before(port: int | None, *names: str) -> FaultProxy:
            assert port is not None
            proxy = undo.enter_context(FaultProxy(port))
            for name in names:
                told[name] = told[name].replace(str(port), str(proxy.port))
            return proxy

        self.database_proxy = before(self.postgres.port, "DATABASE_URL")
        self.broker_proxy = before(self.valkey.port, "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND", "REDIS_URL")
        self.smtp_proxy = before(stand_ins.smtp.port, "SMTP_PORT")
        self.sms_proxy = before(urlsplit(stand_ins.sms.url).port, "SMS_API_URL")
        self.fcm_proxy = before(urlsplit(stand_ins.fcm.url).port, "FCM_BASE_URL")
        self._workers_environment = told

    # -- Workers -----------------------------------------------------------------------------------------

    def worker(self, *options: str, **how: Any) -> Command:
        """A worker by the documented command, ready; `how` as for `celery`."""
        worker = self.celery("worker", *options, **how)
        worker.wait_ready()
        return worker

    def celery(self, what: str, *options: str, app: str = "", prefix: Sequence[str] = (), **env: str) -> Command:
        """Start `celery -A app.core.celery_app <what> …`, with `env` besides the usual; `prefix` as Command's."""
        name = f"{what}{len(self._commands) + 1}"
        named = ["-n", f"{name}@%h"] if what == "worker" else []
        arguments = ["celery", "-A", app or self._app, what, "--loglevel=info", *named, *options]
        command = Command(name, self.folder, arguments, self._workers_environment | env, prefix)
        command.start()
        self._commands.append(command)
        return command

    def watch_readiness(self) -> Readiness:
        """Start an API by the documented command, and ask it from now on whether it is ready."""
        port = str(free_port())
        arguments = ["uvicorn", "--factory", "app.main:create_app", "--host", HOST, "--port", port]
        api = Command("api", self.folder, arguments, self._workers_environment | {"API_KEY": API_KEY})
        api.start()
        self._commands.append(api)
        api.wait_ready("Uvicorn running")
        self.readiness = Readiness(f"http://{HOST}:{port}")
        self.undo.callback(self.readiness.stop)
        self.wait(lambda: self.readiness and self.readiness.is_ready, 30, "the API is ready")
        return self.readiness

    def supervise(self) -> None:
        """From now on start every worker again that has died, as a supervisor does, while we wait."""
        self._supervised = True

    @property
    def restarts(self) -> int:
        """How often a supervisor had to."""
        return sum(command.restarts for command in self._commands)

    def _kill_commands(self) -> None:
        for command in self._commands:
            command.kill()

    # -- Messages ----------------------------------------------------------------------------------------

    def submit(self, count: int = 1, what: str = "sms", **changes: Any) -> list[str]:
        """Write `count` messages in one transaction and publish after it, as the product does.

        `what`: confirmations by "email", "sms" or "push", "delay" texts (all about one trip, so that each
        supersedes those before it), one-time codes ("otp"). `changes` are tests.data's.
        """
        return self.intend(*sends.accept(what, count, self.random, changes))

    def submit_each(self, count: int = 1) -> list[str]:
        """As `submit`, of everything that there is to send."""
        return [id_ for what in sends.SENDS for id_ in self.submit(count, what)]

    def intend(self, ids: list[str], wake_ups: Any = ()) -> list[str]:
        """Note these as messages that must arrive, after publishing `wake_ups`."""
        self.intended += ids
        submit.publish_all(list(wake_ups))
        return ids

    def broker_client(self) -> Any:
        """A client of the broker's database."""
        return redis.Redis.from_url(self.environment["CELERY_BROKER_URL"], socket_timeout=10)

    def results_client(self) -> Any:
        """A client of the result backend's database."""
        return redis.Redis.from_url(self.environment["CELERY_RESULT_BACKEND"], socket_timeout=10)

    # -- Looking on --------------------------------------------------------------------------------------

    def expect(self, holds: bool, otherwise: str) -> None:
        """Note a breach unless `holds`."""
        if not holds:
            self.failures.append(otherwise)

    def wait(self, until: Callable[[], Any], seconds: float, what: str) -> Any:
        """Wait for `until()` to be true, and return it. Raises NotInTime, saying `what` did not happen."""
        deadline = time.monotonic() + seconds
        while not (value := until()):
            if time.monotonic() > deadline:
                raise NotInTime(f"not within {seconds:g} s: {what}")
            self.look()
            time.sleep(_LOOK)
        return value

    def pause(self, seconds: float) -> None:
        """Let the fault last."""
        deadline = time.monotonic() + seconds
        while (left := deadline - time.monotonic()) > 0:
            self.look()
            time.sleep(min(_LOOK, left))

    def look(self) -> None:
        """Note what the workers take, and do a supervisor's work."""
        weigh = time.monotonic() > self._weigh_at
        if weigh:
            self._weigh_at = time.monotonic() + _WEIGH
        for command in self._commands:
            if weigh:
                self.memory = max(self.memory, command.memory())
            if self._supervised:
                command.restart_if_dead()

    def accepted(self, ids: list[str]) -> int:
        """How many of these a provider has accepted."""
        stories = ledger.join(ids, {}, self.entries.entries(), self.results_client())
        return sum(bool(story.accepted) for story in stories)

    def unfinished(self) -> int:
        """Messages that are not final yet."""
        return int(self._ask("SELECT count(*) FROM notifications WHERE finished_at IS NULL")[0][0])

    def to_do(self) -> set[str]:
        """The ids on the to-do list."""
        return {id_ for (id_,) in self._ask("SELECT id::text FROM outbox")}

    def waiting(self) -> int:
        """Messages in the broker's lists, over all queues and priorities."""
        client = self.broker_client()
        return sum(client.llen(key) for queue in QUEUES for key in client.keys(f"{queue}*"))

    def settle(self) -> None:
        """Wait until every message is final, none waits and the API is ready, or patience is over."""
        with suppress(NotInTime):
            self.wait(self._is_settled, self.patience, "every message is final")

    def _is_settled(self) -> bool:
        with suppress(psycopg.OperationalError, redis.RedisError):
            ready = self.readiness is None or self.readiness.is_well
            return ready and self.unfinished() == 0 and self.waiting() == 0
        return False

    def _ask(self, query: str) -> list[Any]:
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(query.encode()).fetchall()
