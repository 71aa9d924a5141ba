#!/usr/bin/env python
"""Starts a production worker, from any folder: `python celery_worker.py -Q email -c 4`."""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent


def main() -> None:
    """Become `celery -A app.core.celery_app worker`, with this project importable and arguments passed on."""
    path = os.environ.get("PYTHONPATH")
    os.environ["PYTHONPATH"] = f"{ROOT}{os.pathsep}{path}" if path else str(ROOT)
    command = [sys.executable, "-m", "celery", "-A", "app.core.celery_app", "worker", "--loglevel=info"]
    os.execv(sys.executable, [*command, *sys.argv[1:]])  # noqa: S606 - our own interpreter, no shell


if __name__ == "__main__":
    main()
