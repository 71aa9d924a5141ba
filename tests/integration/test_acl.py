"""deploy/redis/users.acl on a real server: each role can do its work, and nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from hashlib import sha256
from typing import Any

import pytest
import redis
from kombu import Connection
from redis.exceptions import NoPermissionError

from app.core.celery_app import QUEUES, celery_app
from app.core.transport import PRIORITY_STEPS, priority_list
from tests import data
from tests.house import ROOT, House, wait_until
from tests.integration.test_commands import pafar, run
from tests.operators import Operator
from tests.rows import rows
from tests.web import ask

SOON = 60.0
FILE = ROOT / "deploy/redis/users.acl"
WORKERS = tuple(f"worker-{queue}" for queue in QUEUES)
ROLES = ("producer", "api", "beat", *WORKERS, "monitor")
#: What a deployed worker is started with: none talks to the others.
ALONE = ("--without-gossip", "--without-mingle")


@pytest.fixture(scope="module")
def _users(whole_house: House) -> Iterator[None]:
    """The house's Valkey knows the file's users; each one's password is its name."""
    admin = whole_house.valkey_client(0)
    lines = dict(line.removeprefix("user ").split(" ", 1) for line in FILE.read_text().splitlines())
    assert tuple(lines) == ("default", *ROLES)
    for role in ROLES:
        rules = lines[role].replace(f"@{role}@", sha256(role.encode()).hexdigest())
        admin.execute_command("ACL", "SETUSER", role, *rules.split())
    yield
    admin.execute_command("ACL", "DELUSER", *ROLES)


@pytest.fixture
def guarded(_users: None, house: House) -> House:
    house.valkey_client(0).acl_log_reset()
    return house


def urls(house: House, role: str) -> dict[str, str]:
    server = house.valkey.url.replace("://", f"://{role}:{role}@")
    names = ("REDIS_URL", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND")
    return {name: f"{server}/{number}" for number, name in enumerate(names)}


def user(house: House, role: str) -> Any:
    """A client of the broker's database."""
    return redis.Redis.from_url(urls(house, role)["CELERY_BROKER_URL"])


def denied(house: House) -> list[str]:
    """What was refused in this test."""
    entries = house.valkey_client(0).acl_log()
    return [" ".join(str(entry[what]) for what in ("username", "reason", "object")) for entry in entries]


def test_the_house_works_with_each_part_in_its_role(guarded: House) -> None:
    trip, user = data.make_trip()
    with ExitStack() as running:
        for queue in QUEUES:
            options = ("-Q", queue, "-n", f"{queue}@%h", *ALONE)
            running.enter_context(guarded.worker(*options, **urls(guarded, f"worker-{queue}")))
        url = running.enter_context(guarded.api(API_KEY="key", **urls(guarded, "api")))
        booking = {"trip_id": trip, "user_id": user, "seats": ["3"]}
        assert ask(f"{url}/api/v1/bookings", booking, Authorization="Bearer key").status == 201
        wait_until(lambda: rows() and {row["status"] for row in rows()} == {"sent"}, SOON)
        for path in ("/metrics", "/health/tasks", "/api/v1/alerts"):
            assert ask(url + path, Authorization="Bearer key").status == 200
        assert "away" not in Operator(url, key="key").get("/").text
        for task in ("cleanup_inactive_user_sessions", "generate_cleanup_report"):
            celery_app.send_task(f"app.tasks.cleanup_tasks.{task}").get(timeout=SOON)
        # When sent, when arrived, how long it took: through every queue, sent by whichever worker's turn it was.
        wait_until(lambda: guarded.valkey_client(0).hlen("pafar:canaries") == 3 * len(QUEUES), SOON)
        watched = pafar(guarded, "stats", "--json", **urls(guarded, "monitor"))
        assert watched.returncode == 0, watched.stderr
    assert denied(guarded) == []


def test_beat_starts_what_is_due(guarded: House) -> None:
    with guarded.beat(RESERVATION_CLEANUP_SCHEDULE="10", **urls(guarded, "beat")):
        wait_until(lambda: guarded.valkey_client(1).llen("cleanup"), SOON)
    assert denied(guarded) == []


def test_a_producer_publishes_and_waits_for_the_result(guarded: House) -> None:
    script = (
        "from app.tasks.sms_tasks import send_booking_confirmation_sms as task; from tests import data;"
        "assert task.delay(**data.sms()).get(timeout=50)['sms_id']"
    )
    with guarded.worker("-Q", "sms"):
        sent = run("-c", script, folder=guarded.folder, **urls(guarded, "producer"))
    assert sent.returncode == 0, sent.stderr
    assert denied(guarded) == []


def test_a_monitor_hears_what_workers_do(guarded: House) -> None:
    script = (
        "from app.core.celery_app import celery_app as app\n"
        "with app.connection() as c:\n"
        "    app.events.Receiver(c, {'*': lambda event: exit(print(event['type']))})"
        ".capture(timeout=50, wakeup=False)"
    )
    with guarded.worker("-Q", "sms", *ALONE, **urls(guarded, "worker-sms")):
        watched = run("-c", script, folder=guarded.folder, **urls(guarded, "monitor"))
    assert watched.stdout.startswith(("worker-", "task-")), watched.stderr
    assert denied(guarded) == []


def lists(queue: str) -> list[str]:
    return [priority_list(queue, step) for step in PRIORITY_STEPS]


def others(role: str) -> list[str]:
    return [name for queue in QUEUES if role != f"worker-{queue}" for name in lists(queue)]


@pytest.mark.parametrize("role", ROLES)
def test_nobody_takes_from_a_queue_that_is_not_its_own(guarded: House, role: str) -> None:
    client = user(guarded, role)
    takes = (("RPOP",), ("LPOP",), ("DEL",), ("LSET", 0, "x"), ("LRANGE", 0, -1), ("GETDEL",), ("UNLINK",))
    for name in others(role):
        guarded.valkey_client(1).lpush(name, "a message")
        for command, *arguments in takes:
            with pytest.raises(NoPermissionError):
                client.execute_command(command, name, *arguments)
        with pytest.raises(NoPermissionError):
            client.execute_command("BRPOP", name, 1)
        with pytest.raises(NoPermissionError):
            client.execute_command("LMOVE", name, "_kombu.binding.x", "LEFT", "LEFT")
        with pytest.raises(NoPermissionError):
            client.execute_command("RENAME", name, "_kombu.binding.x")
        assert guarded.valkey_client(1).llen(name) == 1


@pytest.mark.parametrize("role", ROLES)
def test_nobody_changes_where_a_queue_gets_its_messages_from(guarded: House, role: str) -> None:
    client, admin = user(guarded, role), guarded.valkey_client(1)
    changes = (("DEL",), ("UNLINK",), ("SREM", "x"), ("SPOP",), ("SET", "x"), ("EXPIRE", 1), ("LPUSH", "x"))
    for queue in QUEUES:
        for binding in (f"_kombu.binding.{queue}", f"_kombu.binding_permanent.{queue}"):
            admin.sadd(binding, "x")
            for command, *arguments in changes:
                with pytest.raises(NoPermissionError):
                    client.execute_command(command, binding, *arguments)
            for command in ("SMOVE", "RENAME"):
                with pytest.raises(NoPermissionError):
                    client.execute_command(command, binding, "_kombu.binding.y", *["x"] * (command == "SMOVE"))
            assert admin.smembers(binding) == {b"x"}


@pytest.mark.parametrize("role", [*WORKERS, "monitor"])
def test_who_hears_broadcasts_sweeps_the_bindings_that_are_over_and_no_others(guarded: House, role: str) -> None:
    admin = guarded.valkey_client(1)
    over = ("celeryev", "celery.pidbox", "reply.celery.pidbox")
    for exchange in (*over, *QUEUES):
        admin.sadd(f"_kombu.binding.{exchange}", "x")
        admin.zadd("_kombu.binding_deadlines", {exchange: 1})
    for queue in QUEUES:
        admin.sadd(f"_kombu.binding_permanent.{queue}", "x")
    with Connection(urls(guarded, role)["CELERY_BROKER_URL"]) as connection:
        channel: Any = connection.default_channel
        channel.sweep_bindings()  # as kombu does each minute while it consumes such a queue
    assert denied(guarded) == []
    left = {exchange for exchange in (*over, *QUEUES) if admin.exists(f"_kombu.binding.{exchange}")}
    assert left == set(QUEUES)


@pytest.mark.parametrize("role", ROLES)
def test_nobody_gets_beyond_its_role(guarded: House, role: str) -> None:
    client = user(guarded, role)
    forbidden: list[tuple[str, ...]] = [
        ("FLUSHALL",), ("KEYS", "*"), ("CONFIG", "GET", "*"), ("ACL", "LIST"), ("SHUTDOWN",), ("MONITOR",),
        ("CLIENT", "LIST"), ("SCRIPT", "FLUSH"), ("REPLICAOF", "no", "one"),
        ("GET", "anything-else"), ("SET", "anything-else", "x"),
        ("PUBLISH", "/1.celery.pidbox", "shut down"), ("SUBSCRIBE", "anything-else"),
    ]  # fmt: skip
    if role != "worker-cleanup":
        forbidden += [("GET", "session:ada"), ("SCAN", "0")]
    if role not in WORKERS:
        forbidden += [("HDEL", "unacked", "x"), ("SET", "celery-task-meta-x", "x"), ("DEL", "unacked_mutex")]
    if role in ("producer", "beat"):
        forbidden += [("HGETALL", "unacked"), ("HGET", "pafar:alerts", "document"), ("LINDEX", "sms", "0")]
    if role == "beat":
        forbidden += [("LPUSH", "sms", "x")]
    if role == "monitor":
        forbidden += [("LPUSH", name, "x") for queue in QUEUES for name in lists(queue)]
        forbidden += [("SET", "pafar:beat", "1"), ("PUBLISH", "/1.celeryev/task.multi", "x")]
    for command in forbidden:
        with pytest.raises(NoPermissionError):
            client.execute_command(*command)


def test_a_password_is_needed(guarded: House) -> None:
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=guarded.valkey.port, username="monitor", password="guessed").ping()
