"""What can be seen without asking anybody: settings, channels, credential files, versions of libraries."""

from __future__ import annotations

import platform
import shlex
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from app.core.config import Settings, missing_for
from app.core.errors import SettingsError
from app.core.startup import check_startup
from app.monitoring.setup.findings import ERROR, OK, WARNING, Finding

#: What was installed from, where the code lies beside it.
PINS = Path(__file__).resolve().parents[3] / "requirements.txt"


def examine(settings: Settings) -> Iterator[Finding]:
    """Settings, channels, files, versions."""
    yield _settings(settings)
    yield from (_channel(channel, settings) for channel in ("email", "sms", "push"))
    yield _sealing(settings)
    yield from _credentials(settings)
    yield _versions()


def _settings(settings: Settings) -> Finding:
    try:
        check_startup(settings)
    except SettingsError as error:
        return Finding("settings", ERROR, str(error), "set the variables named; README has them all in a table")
    return Finding("settings", OK, "complete")


def _channel(channel: str, settings: Settings) -> Finding:
    """An unconfigured channel is a choice, no fault: the others work without it."""
    if missing := missing_for(channel, settings):
        mend = " ".join(("export", *(f"{name}=…" for name in missing)))
        return Finding(channel, WARNING, "unconfigured: its messages fail at once", mend)
    return Finding(channel, OK, "configured")


def _sealing(settings: Settings) -> Finding:
    if settings.payload_keys is None:
        mend = "export PAYLOAD_KEYS=$(openssl rand -base64 32)"
        return Finding("one-time codes", WARNING, "refused: there is no key to seal them in the database", mend)
    return Finding("one-time codes", OK, "sealed in the database")


def _credentials(settings: Settings) -> Iterator[Finding]:
    if (path := settings.firebase_credentials_path) is None:
        return
    if path.stat().st_mode & 0o007:  # its group may be how a container's secret is mounted
        words = "FIREBASE_CREDENTIALS_PATH is a file that everybody on this machine may use"
        yield Finding("credentials", WARNING, words, f"chmod o= {shlex.quote(str(path))}")
    else:
        yield Finding("credentials", OK, "the service account's file is closed to others")


def _versions() -> Finding:
    """Python, and whether each library is the pinned one: the broker settings are measured on exactly these."""
    here = f"Python {platform.python_version()}, Celery {version('celery')}"
    if not PINS.is_file():
        return Finding("versions", OK, here)
    pins = _pins(PINS.read_text(encoding="utf-8"))
    if wrong := [f"{name} {_installed(name)}" for name, pinned in pins if _installed(name) != pinned]:
        words = f"{here}; not as pinned: {', '.join(wrong)}"
        return Finding("versions", WARNING, words, f"pip install -r {shlex.quote(str(PINS))}")
    return Finding("versions", OK, f"{here}, every library as pinned")


def _pins(requirements: str) -> Iterator[tuple[str, str]]:
    """(name, version) of what is needed everywhere; what is only for some platforms has a marker."""
    for line in requirements.splitlines():
        name, pinned, rest = line.partition("==")
        if pinned and not line.startswith((" ", "#")) and ";" not in rest:
            yield name, rest.split()[0]


def _installed(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "is missing"
