"""Asks the doctor, as an operator does."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from app.monitoring.setup.findings import ERROR
from tests.house import ROOT, House


def doctor(house: House, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """What `pafar doctor` says; what it examines is given by `environment`."""
    return subprocess.run(
        [sys.executable, "-m", "app.cli", "doctor", *options],
        cwd=house.folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def findings(house: House, **environment: str) -> dict[str, dict[str, Any]]:
    """By what they are about."""
    examined = doctor(house, "--json", **environment)
    found = {finding["what"]: finding for finding in json.loads(examined.stdout)}
    assert examined.returncode == (1 if any(f["state"] == ERROR for f in found.values()) else 0)
    return found
