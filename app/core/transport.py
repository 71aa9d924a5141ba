"""What the kinds of broker differ in: Redis or Valkey, which keep lists, and RabbitMQ, which keeps quorum queues.

CELERY_BROKER_URL chooses.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, Protocol

from amqp.exceptions import NotFound

from app.core import redis
from app.core.config import get_settings

#: Header that tells when a message was published (seconds since 1970); a stock Celery message does not.
PUBLISHED_AT = "published_at"

#: kombu on Redis keeps one list for each of these priorities, named <queue><SEPARATOR><step> but for step 0.
PRIORITY_STEPS, SEPARATOR = (0, 3, 6, 9), "\x06\x16"

#: Seconds after which an unacknowledged message is handed out again. The outbox recovers sooner; this is the
#: net below it, and must be longer than every hard time limit (a longer task ran 4 times).
VISIBILITY_TIMEOUT = 900

_REDIS = {
    "visibility_timeout": VISIBILITY_TIMEOUT,
    "unacked_restore_interval": 5,  # the default sweep comes only every 100 s
    "unacked_restore_throttle": 1,  # of ten sweeps the default does one, so that five seconds become fifty
    "unacked_mutex_expire": 10,  # a worker killed while it held the mutex froze recovery for 300 s
    "socket_timeout": 5,  # a frozen broker blocked a publish for good
    "socket_connect_timeout": 2,  # a host that is gone answers nothing: the kernel gives up after two minutes
    "socket_keepalive": True,  # one that a firewall has forgotten is noticed before it is needed
    "health_check_interval": 10,  # half-open connections are noticed in seconds, not in a minute
}

#: (queue, our priority: 0 first … 9 last)
Place = tuple[str, int]


class Transport(Protocol):
    """One kind of broker. Of `connection`, a kombu Connection, its methods raise that connection's errors."""

    #: Whether waiting messages can be looked at without taking one.
    has_lists: bool

    def celery(self) -> dict[str, Any]:
        """Celery's settings."""

    def queue_arguments(self) -> dict[str, Any]:
        """With which a queue is declared."""

    def publisher(self, connect_timeout: float, reply_timeout: float) -> dict[str, Any]:
        """Options of a connection whose waits, in seconds, are these."""

    def ready(self, connection: Any, reply_timeout: float) -> None:
        """Connect, if it is not yet, and wait for no reply longer than that."""

    def publishing(self, priority: int, reply_timeout: float) -> dict[str, Any]:
        """Options of one publish."""

    def lengths(self, connection: Any, queues: Iterable[str]) -> dict[str, int]:
        """How many messages wait in each queue, over all priorities."""

    def oldest(self, connection: Any, places: Iterable[Place]) -> dict[Place, float | None]:
        """When the oldest message that waits in each place was published.

        None where none waits; 0.0, older than everything, where one waits and does not tell.
        """


class RedisTransport:
    """A list for each queue and priority step, at a server or at the primary that Sentinels know."""

    has_lists = True

    def __init__(self, url: str) -> None:
        self._url = url

    def celery(self) -> dict[str, Any]:
        """Celery's settings."""
        return {
            "broker_url": self._url,
            "broker_use_ssl": redis.tls(self._url) or None,
            "broker_transport_options": _REDIS | sentinel_options(self._url, redis.CONNECT_TIMEOUT),
            "worker_disable_prefetch": True,  # a killed worker held nothing beyond what it ran
        }

    def queue_arguments(self) -> dict[str, Any]:
        """A list needs none."""
        return {}

    def publisher(self, connect_timeout: float, reply_timeout: float) -> dict[str, Any]:
        """Options of a connection whose waits, in seconds, are these."""
        waits = {"socket_connect_timeout": connect_timeout, "socket_timeout": reply_timeout}
        # Not twice: kombu would sleep for two seconds in between, whatever the timeouts say.
        return _REDIS | sentinel_options(self._url, connect_timeout) | waits | {"max_retries": 0}

    def ready(self, connection: Any, reply_timeout: float) -> None:
        """The options have all that is needed."""

    def publishing(self, priority: int, reply_timeout: float) -> dict[str, Any]:
        """Options of one publish. A list need not be declared, and kombu would bind the queue's copy each time."""
        return {"priority": priority, "declare": []}

    def lengths(self, connection: Any, queues: Iterable[str]) -> dict[str, int]:
        """How many messages wait in each queue, over all priorities."""
        names = list(queues)
        pipe = connection.default_channel.client.pipeline(transaction=False)
        for name in names:
            for step in PRIORITY_STEPS:
                pipe.llen(priority_list(name, step))
        found, many = pipe.execute(), len(PRIORITY_STEPS)
        return {name: sum(found[many * i : many * (i + 1)]) for i, name in enumerate(names)}

    def oldest(self, connection: Any, places: Iterable[Place]) -> dict[Place, float | None]:
        """When the oldest message that waits in each place was published."""
        wanted = list(places)
        pipe = connection.default_channel.client.pipeline(transaction=False)
        for queue, priority in wanted:
            pipe.lindex(priority_list(queue, priority), -1)
        return {place: published_at(raw) for place, raw in zip(wanted, pipe.execute(), strict=True)}


class RabbitTransport:
    """A quorum queue for each of ours. RabbitMQ tells how many messages wait, and of none how long it does.

    Its quorum queues have two priorities from 4.0 on (up to 4, and above), and none before.
    """

    has_lists = False

    def __init__(self, url: str) -> None:
        self._url = url

    def celery(self) -> dict[str, Any]:
        """Celery's settings."""
        return {
            "broker_url": self._url,
            "broker_use_ssl": self._tls(),
            "broker_transport_options": {"confirm_publish": True},  # else a publish that was lost looks done
        }

    def queue_arguments(self) -> dict[str, Any]:
        """Replicated, and on disk before a publish is confirmed."""
        return {"x-queue-type": "quorum"}

    def publisher(self, connect_timeout: float, reply_timeout: float) -> dict[str, Any]:
        """Options of a connection whose waits, in seconds, are these: each node is tried once."""
        return {"confirm_publish": True, "max_retries": self._url.count(";")}

    def ready(self, connection: Any, reply_timeout: float) -> None:
        """Connect, if it is not yet, and wait for no reply longer than that.

        py-amqp's own read_timeout ends no read: it takes the kernel's word for an interruption, and reads on.
        """
        connection.ensure_connection(max_retries=self._url.count(";"), interval_start=0, interval_max=0)
        connection.connection.sock.settimeout(reply_timeout)

    def publishing(self, priority: int, reply_timeout: float) -> dict[str, Any]:
        """Options of one publish: the highest number goes first, and a message without a queue is an error."""
        return {"priority": 9 - priority, "mandatory": True, "confirm_timeout": reply_timeout}

    def lengths(self, connection: Any, queues: Iterable[str]) -> dict[str, int]:
        """How many messages wait in each queue. In one that is not there, none does."""
        found = {}
        for name in queues:
            with connection.channel() as channel:  # which a queue that is not there closes
                try:
                    found[name] = int(channel.queue_declare(name, passive=True).message_count)
                except NotFound:
                    found[name] = 0
        return found

    def oldest(self, connection: Any, places: Iterable[Place]) -> dict[Place, float | None]:
        """As the protocol has it. Taking a message to read its age would count as a failed delivery."""
        wanted = list(places)
        waiting = self.lengths(connection, {queue for queue, _ in wanted})
        return {(queue, priority): 0.0 if waiting[queue] else None for queue, priority in wanted}

    def _tls(self) -> dict[str, Any] | None:
        if not self._url.startswith("amqps"):
            return None
        given = get_settings().tls_ca_file
        # Without a name to check, py-amqp would take any certificate; kombu puts the URL's in place of None.
        checked = {"cert_reqs": ssl.CERT_REQUIRED, "server_hostname": None}
        return checked | ({"ca_certs": str(given)} if given else {})


def current() -> Transport:
    """The one that CELERY_BROKER_URL chooses."""
    return _of(get_settings().celery_broker_url)


@lru_cache(maxsize=1)
def _of(url: str) -> Transport:
    return RabbitTransport(url) if url.startswith("amqp") else RedisTransport(url)


def sentinel_options(url: str, timeout: float) -> dict[str, Any]:
    """kombu's and Celery's options for asking Sentinels, each for `timeout` seconds; none for a server itself."""
    if not redis.sentinels(url):
        return {}
    # Celery would wait for good for a Sentinel that hangs.
    waits = redis.patience(timeout, timeout)
    return {"master_name": get_settings().sentinel_master, "sentinel_kwargs": waits}


def priority_list(queue: str, priority: int) -> str:
    """The Redis key of the list in which a message of `priority` (0 first … 9 last) waits."""
    step = max(s for s in PRIORITY_STEPS if s <= priority)
    return f"{queue}{SEPARATOR}{step}" if step else queue


def published_at(raw: bytes | None) -> float | None:
    """When a message as it lies in a list was published; None for no message, 0.0 for one that does not say."""
    if raw is None:
        return None
    try:
        return float(json.loads(raw)["headers"][PUBLISHED_AT])
    except (ValueError, KeyError, TypeError):
        return 0.0  # not one of ours, but it waits: whatever is younger may well wait behind it
