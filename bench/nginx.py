"""A provider that is never the limit: nginx, which says yes to every message after a while and logs its body."""

from __future__ import annotations

import json
import os
import shutil
import socket
from dataclasses import asdict
from pathlib import Path
from typing import Any

from sandbox.processes import Process
from sandbox.servers.base import Server
from sandbox.standins.serve import HOST, STREAMS
from sandbox.standins.tls import Authority
from tests.programs import program

#: Of Debian: the server, and its module that waits and answers.
PACKAGES = "nginx-core libnginx-mod-http-echo"
MODULE = Path("/usr/lib/nginx/modules/ngx_http_echo_module.so")

#: One process; each accepted body is a line of the log. Requests of a connection are counted, and its last one
#: is followed by GOAWAY over HTTP/2: https://nginx.org/en/docs/http/ngx_http_core_module.html#keepalive_requests
CONFIGURATION = """\
load_module {module};
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log stderr;
events {{ worker_connections 4096; }}
http {{
  log_format body escape=none '$request_body';
  access_log off;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  client_body_in_single_buffer on;
  client_body_buffer_size 32k;
  keepalive_requests {requests};
  keepalive_timeout 600s;
  http2_max_concurrent_streams {streams};
  default_type application/json;
  server {{
    listen {host}:{port} {tls};
    {certificate}
    location = /ready {{ echo yes; }}
    location = /token {{ echo '{{"access_token":"bench","expires_in":3599,"token_type":"Bearer"}}'; }}
    location / {{
      access_log {folder}/accepted.log body;
      echo_read_request_body;
      {wait}
      echo '{{"name":"projects/bench/messages/$request_id","id":"$request_id"}}';
    }}
  }}
}}
"""
CERTIFICATE = "ssl_certificate {cert_file}; ssl_certificate_key {key_file};"


class Nginx(Server):
    """Takes SMS and FCM messages alike, at `url`; TLS and HTTP/2 with an `authority`, plain HTTP/1.1 without.

    Each answer comes after `wait` seconds; a connection is closed in order after so many `requests`.
    """

    def __init__(
        self, data_dir: Path, *, authority: Authority | None = None, wait: float = 0.0, requests: int = 10**9
    ) -> None:
        super().__init__(data_dir, durable=False)
        self._authority = authority
        self._wait = wait
        self._requests = requests

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"{'https' if self._authority else 'http'}://{HOST}:{self.port}"

    def accepted(self) -> list[dict[str, Any]]:
        """Every message's JSON, oldest first."""
        return [json.loads(line) for line in self._log.read_text(encoding="utf-8").splitlines()]

    def count(self) -> int:
        """How many messages were accepted."""
        return self._log.read_bytes().count(b"\n")

    def forget(self) -> None:
        """Forget the messages accepted so far."""
        os.truncate(self._log, 0)

    @property
    def _log(self) -> Path:
        return self.data_dir / "data" / "accepted.log"

    def _prepare(self) -> None:
        (self.data_dir / "data").mkdir(exist_ok=True)
        self._program = program("nginx", PACKAGES)

    def _launch(self) -> Process:
        folder, authority = self.data_dir / "data", self._authority
        configuration = folder / "nginx.conf"
        configuration.write_text(
            CONFIGURATION.format(
                module=MODULE,
                folder=folder,
                requests=self._requests,
                streams=STREAMS,
                host=HOST,
                port=self.port,
                tls="ssl http2" if authority else "",
                certificate=CERTIFICATE.format(**asdict(authority)) if authority else "",
                wait=f"echo_sleep {self._wait:g};" if self._wait else "",
            )
        )
        command = [self._program, "-c", str(configuration), "-p", str(folder)]
        log = self.data_dir / "nginx.log"
        return Process("nginx", command, run_dir=self.data_dir, log_path=log, cwd=folder)

    def _ready(self, pid: int) -> bool:
        try:
            socket.create_connection((HOST, self.port), timeout=1).close()
        except OSError:
            return False
        return True

    def _remove_data(self) -> None:
        shutil.rmtree(self.data_dir / "data", ignore_errors=True)
