"""Other brokers than the house's one server: a primary with Sentinels, one behind TLS, RabbitMQ."""

from __future__ import annotations

import os
import shutil
import signal
from contextlib import suppress
from pathlib import Path

import amqp
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from sandbox.ports import free_port
from sandbox.processes import Process
from sandbox.servers.base import Server
from sandbox.servers.unprivileged import server_user
from sandbox.servers.valkey import ValkeyServer
from sandbox.standins.tls import Authority
from tests.programs import program

HOST = "127.0.0.1"
#: The primary's name among Sentinels; not the usual one, so that a client that ignores it finds nothing.
PRIMARY = "pafar"


class Replica(ValkeyServer):
    """A Valkey that copies another one."""

    def __init__(self, data_dir: Path, primary: ValkeyServer) -> None:
        super().__init__(data_dir, durable=False)
        self._primary = primary

    @property
    def _settings(self) -> dict[str, str]:
        return super()._settings | {"replicaof": f"{HOST} {self._primary.port}"}


class SentinelServer(ValkeyServer):
    """One Sentinel of three: two that miss the primary for a second have a replica take its place."""

    def __init__(self, data_dir: Path, primary: ValkeyServer) -> None:
        super().__init__(data_dir, durable=False)
        self._primary = primary

    def _launch(self) -> Process:
        lines = [
            f"bind {HOST}",
            f"port {self.port}",
            f"sentinel monitor {PRIMARY} {HOST} {self._primary.port} 2",
            f"sentinel down-after-milliseconds {PRIMARY} 1000",
            f"sentinel failover-timeout {PRIMARY} 3000",
        ]
        configuration = self._data / "sentinel.conf"
        configuration.write_text("\n".join(lines) + "\n")
        return Process(
            "sentinel",
            [self._program, configuration, "--sentinel"],
            run_dir=self.data_dir,
            log_path=self.data_dir / "sentinel.log",
            cwd=self._data,
            death_signal=signal.SIGTERM,
        )

    def _ready(self, pid: int) -> bool:
        with suppress(redis.ConnectionError, redis.TimeoutError), self._client() as client:
            known = client.sentinel_masters()[PRIMARY]
            return bool(client.info("server")["process_id"] == pid and known["num-slaves"])
        return False


class TlsServer(ValkeyServer):
    """A server that speaks TLS alone, with the certificate of `authority`; the embedded one can't."""

    def __init__(self, data_dir: Path, authority: Authority) -> None:
        super().__init__(data_dir, durable=False)
        self._authority = authority

    @property
    def url(self) -> str:
        """As "rediss://127.0.0.1:25000"."""
        return f"rediss://{HOST}:{self.port}"

    def _prepare(self) -> None:
        super()._prepare()
        self._program = Path(program("redis-server"))

    @property
    def _settings(self) -> dict[str, str]:
        return super()._settings | {
            "port": "0",
            "tls-port": str(self.port),
            "tls-cert-file": str(self._authority.cert_file),
            "tls-key-file": str(self._authority.key_file),
            "tls-ca-cert-file": str(self._authority.ca_file),
            "tls-auth-clients": "no",
        }

    def _client(self) -> redis.Redis:
        ca_file = str(self._authority.ca_file)
        retry = Retry(NoBackoff(), 0)
        return redis.Redis(port=self.port, ssl=True, ssl_ca_certs=ca_file, socket_timeout=1, retry=retry)


class RabbitServer(Server):
    """A RabbitMQ node of our own: its ports, its folder and its Erlang port mapper are nobody else's."""

    def __init__(self, data_dir: Path) -> None:
        super().__init__(data_dir, durable=False)
        self._mapper: Process | None = None

    @property
    def url(self) -> str:
        """As "amqp://guest:guest@127.0.0.1:25000//"."""
        return f"amqp://guest:guest@{HOST}:{self.port}//"

    @property
    def _home(self) -> Path:
        return self.data_dir / "rabbit"

    def _prepare(self) -> None:
        # Debian's command on the PATH runs the node of the system's service.
        program("rabbitmq-server")
        self._program = Path("/usr/lib/rabbitmq/bin/rabbitmq-server")
        self._home.mkdir(exist_ok=True)
        self._user = server_user()
        if self._user:
            shutil.chown(self._home, self._user)
        self.port, self._mapper_port, self._peer_port = free_port(), free_port(), free_port()
        self._mapper = self._run("epmd", program("epmd", "erlang-base"))

    @property
    def _environment(self) -> dict[str, str]:
        only_here = "-kernel inet_dist_use_interface {127,0,0,1}"
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self._home),
            "ERL_EPMD_PORT": str(self._mapper_port),
            "ERL_EPMD_ADDRESS": HOST,
            "RABBITMQ_NODENAME": "pafar@localhost",
            "RABBITMQ_NODE_IP_ADDRESS": HOST,
            "RABBITMQ_NODE_PORT": str(self.port),
            "RABBITMQ_DIST_PORT": str(self._peer_port),
            "RABBITMQ_MNESIA_BASE": str(self._home / "data"),
            "RABBITMQ_LOG_BASE": str(self._home / "log"),
            "RABBITMQ_LOGS": "-",
            "RABBITMQ_ENABLED_PLUGINS_FILE": str(self._home / "plugins"),
            "RABBITMQ_CONFIG_FILE": str(self._home / "rabbitmq"),
            "RABBITMQ_CONF_ENV_FILE": os.devnull,
            "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": only_here,
        }

    def _launch(self) -> Process:
        return self._run("rabbitmq", self._program)

    def _run(self, name: str, *argv: str | Path) -> Process:
        return Process(
            name,
            argv,
            run_dir=self.data_dir,
            log_path=self.data_dir / f"{name}.log",
            env=self._environment,
            cwd=self._home,
            user=self._user,
        )

    def _ready(self, pid: int) -> bool:
        with suppress(OSError, amqp.AMQPError), amqp.Connection(f"{HOST}:{self.port}", connect_timeout=2):
            return True
        return False

    def _remove_data(self) -> None:
        if self._mapper is not None:
            self._mapper.stop()
            self._mapper = None
        shutil.rmtree(self._home, ignore_errors=True)
