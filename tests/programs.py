"""Programs that some tests need besides Python's packages."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

_PATH = os.pathsep.join((str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath), "/usr/sbin"))


def program(name: str, package: str | None = None) -> str:
    """Where it is. Without it the test is skipped with a word on Debian's package; in CI it fails."""
    if found := shutil.which(name, path=_PATH):
        return found
    missing = f"{name} is not installed (Debian: apt-get install {package or name})"
    if os.environ.get("CI"):
        pytest.fail(missing)
    pytest.skip(missing)
