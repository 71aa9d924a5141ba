"""Faults of whole machines: two hosts, each with its own way to the servers; one dies, one is cut off."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Sequence
from contextlib import ExitStack
from shutil import which
from typing import Self
from urllib.parse import urlsplit

from app.notifications.store import LEASE
from sandbox.standins.script import slow
from tests.faults.catalogue import fault
from tests.faults.proxy import FaultProxy
from tests.faults.rig import Rig
from tests.faults.worker import Command

SOON = 40.0  # seconds for what takes one on an idle machine
#: What a host needs to send texts; the other channels' certificates are for 127.0.0.1 alone.
_SERVERS = ("DATABASE_URL", "REDIS_URL", "CELERY_BROKER_URL", "CELERY_RESULT_BACKEND", "SMS_API_URL")


class Refused(Exception):
    """This machine refuses network namespaces; the text says why."""


class Host:
    """A host of workers, whose way to the rig's servers leads over proxies at `address`; there inside `with`."""

    def __init__(self, rig: Rig, address: str, prefix: Sequence[str] = ()) -> None:
        self._rig, self._address, self._prefix = rig, address, prefix
        self._undo = ExitStack()
        self._proxies: list[FaultProxy] = []

    def __enter__(self) -> Self:
        self._environment = {name: self._lead(self._rig.environment[name]) for name in _SERVERS}
        return self

    def __exit__(self, *_: object) -> None:
        self._undo.close()

    def worker(self) -> Command:
        """A worker on this host, ready."""
        return self._rig.worker("-c", "8", prefix=self._prefix, **self._environment)

    def cut(self) -> None:
        """Nothing comes through, and nobody is told."""
        for proxy in self._proxies:
            proxy.silence()

    def mend(self) -> None:
        """Everything comes through again."""
        for proxy in self._proxies:
            proxy.heal()

    def _lead(self, url: str) -> str:
        """The URL by which this host reaches a server."""
        port = urlsplit(url).port
        assert port is not None
        proxy = self._undo.enter_context(FaultProxy(port, self._address))
        self._proxies.append(proxy)
        return url.replace(f"127.0.0.1:{port}", f"{proxy.host}:{proxy.port}")


class Namespace(Host):
    """A host with a network of its own, whose only link leads to its proxies. Entering raises Refused."""

    def __init__(self, rig: Rig, number: int) -> None:
        self._name = f"pafar{os.getpid()}-{number}"
        self._link = f"pf{os.getpid()}-{number}"
        self._net = f"10.{200 + number}.{os.getpid() % 250}"
        super().__init__(rig, f"{self._net}.1", prefix=("ip", "netns", "exec", self._name))

    def __enter__(self) -> Self:
        if which("ip") is None:
            raise Refused("ip is not installed (Debian: apt install iproute2)")
        with ExitStack() as undo:
            _ip("netns", "add", self._name)
            undo.callback(_ip, "netns", "del", self._name)  # and with it both ends of the link
            _ip("link", "add", self._link, "type", "veth", "peer", "name", "eth0", "netns", self._name)
            _ip("addr", "add", f"{self._net}.1/24", "dev", self._link)
            _ip("link", "set", self._link, "up")
            for words in (f"addr add {self._net}.2/24 dev eth0", "link set eth0 up", "link set lo up"):
                _ip("-n", self._name, *words.split())
            self._undo = undo.pop_all()
        return super().__enter__()

    def cut(self) -> None:
        """Unplug it."""
        _ip("link", "set", self._link, "down")

    def mend(self) -> None:
        """Plug it in again."""
        _ip("link", "set", self._link, "up")


def _ip(*words: str) -> None:
    done = subprocess.run(["ip", *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"ip {words[0]}: {done.stderr.strip()}")


def _hosts(rig: Rig) -> tuple[Host, Host]:
    """Two of them; where namespaces are refused, hosts that have loopback addresses and can be cut off alike."""
    try:
        return rig.undo.enter_context(Namespace(rig, 1)), rig.undo.enter_context(Namespace(rig, 2))
    except Refused as refused:
        rig.notes.append(f"without network namespaces ({refused})")
    return rig.undo.enter_context(Host(rig, "127.0.0.2")), rig.undo.enter_context(Host(rig, "127.0.0.3"))


@fault(repeats=True, within=LEASE + SOON)
def host_dies(rig: Rig) -> float:
    """Every process of one of two worker hosts is killed at work; the other goes on."""
    doomed, other = (host.worker() for host in _hosts(rig))
    rig.stand_ins.sms.script.extend([slow(2.0)] * 16)
    texts = rig.submit(300)
    rig.wait(lambda: rig.accepted(texts) >= 16, SOON, "both are at work")
    doomed.kill()
    killed = time.time()
    rig.submit(50)
    rig.settle()
    rig.expect(other.alive, "the worker on the host that nobody touched has ended")
    return killed


@fault(repeats=True)
def host_cut_off(rig: Rig) -> float:
    """One of two worker hosts is cut off with texts in hand, until the other has sent all; it comes back."""
    lonely, near = _hosts(rig)
    cut, other = lonely.worker(), near.worker()
    rig.stand_ins.sms.script.extend([slow(2.0)] * 16)
    texts = rig.submit(300)
    rig.wait(lambda: rig.accepted(texts) >= 16, SOON, "both are at work")
    lonely.cut()
    gone = time.time()
    rig.wait(lambda: rig.unfinished() == 0, LEASE + SOON, "the other host has sent all")
    lonely.mend()
    rig.submit(50)
    rig.settle()
    rig.expect(cut.alive, "the worker did not outlive being cut off")
    other.kill()
    rig.submit(20)
    rig.wait(lambda: rig.unfinished() == 0, SOON, "the host that is back sends")
    return gone
