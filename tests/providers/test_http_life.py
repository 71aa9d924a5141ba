"""The HTTP client's own life: closed, forked, gone."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.providers.http import HttpClient
from sandbox.standins.script import slow
from sandbox.standins.tls import Authority
from tests.house import wait_until
from tests.providers.echo import Echo
from tests.providers.http_bench import MakeClient, failure, post

ROOT = Path(__file__).resolve().parents[2]
SOON = 30.0


def test_close_waits_for_what_is_under_way_and_the_client_can_be_used_again(echo: Echo, make: MakeClient) -> None:
    client = make()
    client.request(post(echo))
    echo.script.append(slow(0.5))
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(client.request, post(echo, b"slow"))
        wait_until(lambda: b"slow" in echo.bodies, SOON)
        client.close()
        assert under_way.result().body == b"slow"
    assert client.request(post(echo)).status == 200
    assert len(echo.connections) == 2


FORKING = """
import os, sys
from app.providers.http import HttpClient
from app.providers.http_exchange import Request
url, ca_file = sys.argv[1:]
client = HttpClient(ca_file=ca_file)
def send(body):
    assert client.request(Request(url=url, headers={}, body=body)).body == body
send(b"parent")
child = os.fork()
if not child:
    send(b"child")
    sys.exit(7)  # an ordinary end, with all its clearing up
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
send(b"parent again")
"""


def test_a_forked_child_leaves_the_parents_connection_alone(echo: Echo, authority: Authority) -> None:
    command = [sys.executable, "-c", FORKING, echo.url, str(authority.ca_file)]
    subprocess.run(command, cwd=ROOT, check=True, timeout=300)
    assert echo.bodies == [b"parent", b"child", b"parent again"]
    assert len(echo.connections) == 2


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the authorities are no file")
def test_a_client_that_is_gone_leaves_no_file_open(authority: Authority) -> None:
    before = os.listdir("/proc/self/fd")
    client = HttpClient(ca_file=str(authority.ca_file))
    assert len(os.listdir("/proc/self/fd")) == len(before) + 1
    del client
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_a_client_whose_descriptor_is_taken_away_says_so_and_begins_anew(echo: Echo, make: MakeClient) -> None:
    client = make()
    client.request(post(echo))
    assert client._engine
    its_own = client._engine._transfers._selector.fileno()  # epoll's or kqueue's
    echo.script.append(slow(5))
    with ThreadPoolExecutor(1) as pool:
        under_way = pool.submit(failure, client, post(echo, b"slow"))
        wait_until(lambda: b"slow" in echo.bodies, SOON)
        with Path(os.devnull).open() as nothing:
            os.dup2(nothing.fileno(), its_own)
        # The next request wakes the thread, which finds that it can wait no more.
        late, error = failure(client, post(echo, b"late")), under_way.result()
    assert (error.sent, error.misconfigured, late.misconfigured) == (True, False, False)
    assert client.request(post(echo, b"anew")).body == b"anew"
