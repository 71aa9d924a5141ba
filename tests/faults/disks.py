"""Disks that are full: a broker whose files can't grow, and small disks for tables and for files."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import psycopg
from psycopg import sql

from sandbox.servers.postgres import PostgresServer
from sandbox.servers.unprivileged import server_user
from sandbox.servers.valkey import ValkeyServer
from tests.faults.catalogue import Skipped

_SIZE = 64  # MiB: what the tables take, and what the fault writes


class BoundedValkey(ValkeyServer):
    """Valkey that outlives a write beyond its file size limit: it gets EFBIG where a full disk says ENOSPC."""

    def _prepare(self) -> None:
        super()._prepare()
        heedless = self.data_dir / "valkey-server"
        # Python gives its children the signal back that the kernel sends besides the error (setrlimit(2)).
        heedless.write_text(f"#!/bin/sh\ntrap '' XFSZ\nexec '{self._program}' \"$@\"\n")
        heedless.chmod(0o755)
        self._program = heedless

    @contextmanager
    def disk_full(self) -> Iterator[None]:
        """In this block no file of the server grows. Raises Skipped where a process's limits can't be changed."""
        if sys.platform != "linux":
            raise Skipped("only Linux can change the limits of a running process")
        largest = max(file.stat().st_size for file in self._data.rglob("*.aof"))
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (largest, resource.RLIM_INFINITY))
        yield
        resource.prlimit(self.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))


class SmallDisk:
    """A file system of _SIZE MiB, at `folder`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._filler = folder / "filler"

    @contextmanager
    def full(self) -> Iterator[None]:
        """In this block not a byte is left."""
        with self._filler.open("wb", buffering=0) as filler:
            try:
                while True:
                    filler.write(bytes(4096))
            except OSError:  # ENOSPC
                pass
        yield
        self._filler.unlink()


@contextmanager
def small_disk(folder: Path) -> Iterator[SmallDisk]:
    """In this block the folder is a disk of its own, empty at first. Raises Skipped without root."""
    if sys.platform != "linux" or os.geteuid() != 0:
        raise Skipped("only root can mount a small disk")
    subprocess.check_call(["mount", "-t", "tmpfs", "-o", f"size={_SIZE}m", "none", folder])
    try:
        yield SmallDisk(folder)
    finally:
        subprocess.check_call(["umount", "--lazy", folder])  # whoever still writes there may end first


@contextmanager
def tables_on_small_disk(server: PostgresServer, database_url: str) -> Iterator[SmallDisk]:
    """In this block all tables and indexes of the database lie on a small disk. Raises Skipped without root."""
    folder = Path(tempfile.mkdtemp(prefix="pafar-disk-"))
    with ExitStack() as undo:
        undo.callback(folder.rmdir)
        disk = undo.enter_context(small_disk(folder))
        tables = folder / "tables"  # the server takes the folder for itself alone
        folder.chmod(0o755)
        tables.mkdir()
        shutil.chown(tables, server_user() or os.geteuid())
        _administer(server.url, sql.SQL("CREATE TABLESPACE small LOCATION {}").format(str(tables)))
        undo.callback(_administer, server.url, sql.SQL("DROP TABLESPACE small"))
        _move(database_url, "pg_default", "small")
        undo.callback(_move, database_url, "small", "pg_default")
        yield disk


def _move(database_url: str, old: str, new: str) -> None:
    statement = sql.SQL("ALTER {} ALL IN TABLESPACE {} SET TABLESPACE {}")
    for kind in ("TABLE", "INDEX"):
        _administer(database_url, statement.format(sql.SQL(kind), sql.Identifier(old), sql.Identifier(new)))


def _administer(url: str, statement: sql.SQL | sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
