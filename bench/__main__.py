"""`python -m bench [NAME …] [--smoke]`: all or some, each in a process and on servers of its own."""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from importlib import import_module
from inspect import getdoc
from typing import Any

from app.core import migrations
from bench import report
from tests.house import House

#: Modules of this package: `measure(house, smoke)` returns the rows. In the page's order.
BENCHES = (
    "push",
    "smtp",
    "documents",
    "texts",
    "pools",
    "workers",
    "bulk",
    "booking",
    "otp",
    "reservations",
    "cleanup",
    "sessions",
    "tracker",
    "tables",
    "start",
    "ceilings",
    "flames",
)


def main() -> None:
    """Run what is asked for; exits 1 when a bench fails."""
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(BENCHES)}")
    parser.add_argument("--smoke", action="store_true", help="small and once; writes nothing")
    options = parser.parse_args()
    if unknown := set(options.names) - set(BENCHES):
        parser.error(f"no bench is called {', '.join(sorted(unknown))}; there are {', '.join(BENCHES)}")
    if len(options.names) == 1:
        _run_here(options.names[0], smoke=options.smoke)
        return
    smoke = ["--smoke"] if options.smoke else []
    commands = [[sys.executable, "-m", "bench", name, *smoke] for name in options.names or BENCHES]
    raise SystemExit(max(subprocess.run(command, check=False).returncode for command in commands))


def _run_here(name: str, *, smoke: bool) -> None:
    house = House()
    try:
        os.environ.update(house.environment)
        migrations.upgrade()
        result = run(name, house, smoke=smoke)
    finally:
        house.stop()
    report.show(result)
    if not smoke:
        report.write(result, BENCHES)


def run(name: str, house: House, *, smoke: bool) -> dict[str, Any]:
    """One bench's result, as its file has it."""
    module, before = import_module(f"bench.{name}"), report.machine()
    return report.content(name, getdoc(module) or "", module.measure(house, smoke), before)


if __name__ == "__main__":
    main()
