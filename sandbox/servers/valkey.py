"""A Valkey (or Redis) server of our own: the broker and cache of the sandbox and the tests."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from sandbox.processes import Process
from sandbox.servers.base import Server
from sandbox.servers.binaries import valkey_server


class ValkeyServer(Server):
    """Valkey with an append-only file, refusing writes when memory is full (a broker must not forget)."""

    @property
    def url(self) -> str:
        """As "redis://127.0.0.1:25000", to which "/0" to "/15" may be added."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def _data(self) -> Path:
        return self.data_dir / "data"

    def _prepare(self) -> None:
        self._data.mkdir(exist_ok=True)
        self._program = valkey_server()

    @property
    def _settings(self) -> dict[str, str]:
        """As valkey.conf has them; a value with blanks is several."""
        return {
            "port": str(self.port),
            "bind": "127.0.0.1",
            "appendonly": "yes",
            "appendfsync": "everysec" if self.durable else "no",
            "save": "",
            "maxmemory-policy": "noeviction",
        }

    def _launch(self) -> Process:
        options = [part for name, value in self._settings.items() for part in (f"--{name}", *value.split(" "))]
        return Process(
            "valkey",
            [self._program, *options],
            run_dir=self.data_dir,
            log_path=self.data_dir / "valkey.log",
            cwd=self._data,
            death_signal=signal.SIGTERM,
        )

    def _ready(self, pid: int) -> bool:
        client = self._client()
        try:
            facts = client.info("server", "persistence")
        except (redis.ConnectionError, redis.TimeoutError):
            return False
        finally:
            client.close()
        return bool(facts["process_id"] == pid and not facts["loading"])

    def _client(self) -> redis.Redis:
        return redis.Redis(port=self.port, socket_timeout=1, retry=Retry(NoBackoff(), 0))

    def _remove_data(self) -> None:
        shutil.rmtree(self._data, ignore_errors=True)
