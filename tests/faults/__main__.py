"""`python -m tests.faults [NAME …]`: these faults, or all and the checks of the suite; --list names them."""

from __future__ import annotations

import argparse
import secrets
import signal
import sys
import time
from typing import Any

import orjson

from sandbox.environment import ROOT
from tests.faults.catalogue import faults
from tests.faults.controls import CONTROLS
from tests.faults.one import FULL, SUITE
from tests.faults.runner import Job, run_all

FOLDER = ROOT / ".faults"
_MOST_SHOWN = 10  # breaches and stories of one fault


def main() -> int:
    """Run, print, write FOLDER/report.json; 1 if a promise was broken or the suite failed to see that one was."""
    jobs = CONTROLS + [Job(name=name, fault=name) for name in faults()]  # the one that waits longest first
    arguments = _parse([job.name for job in jobs])
    if arguments.list:
        print("\n".join(f"{job.name:<32} {faults()[job.fault].what}" for job in jobs))
        return 0
    names = _broken_last_time() if arguments.again else arguments.names
    chosen = [job for job in jobs if job.name in names] if names else jobs
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _interrupt)
    print(f"seed {arguments.seed}; logs and reports in {FOLDER}", flush=True)
    began = time.monotonic()
    try:
        reports = run_all(chosen, FOLDER, arguments.seed, FULL if arguments.full else SUITE)
    except KeyboardInterrupt:
        print("stopped; nothing is left running")
        return 130
    content = {"seed": arguments.seed, "seconds": round(time.monotonic() - began, 1), "faults": reports}
    (FOLDER / "report.json").write_bytes(orjson.dumps(content, option=orjson.OPT_INDENT_2))
    failed = [report for report in reports if not report["passed"]]
    for report in failed:
        _explain(report)
    print(f"{len(reports) - len(failed)} of {len(reports)} as promised, in {content['seconds']} s")
    return 1 if failed else 0


def _broken_last_time() -> list[str]:
    """The faults that broke a promise in the last report; all faults are run where there is none."""
    report = FOLDER / "report.json"
    faults_run = orjson.loads(report.read_bytes())["faults"] if report.exists() else []
    return [fault["job"] for fault in faults_run if not fault["passed"]]


def _interrupt(*_: object) -> None:
    # Asked to stop, we stop in order: a second Ctrl-C must not leave half of it running.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    raise KeyboardInterrupt


def _explain(report: dict[str, Any]) -> None:
    """The breaches of one fault and the joined ledgers of the messages they are about."""
    print(f"\n{report['job']}: {report['what']}")
    for breach in report["breaches"][:_MOST_SHOWN]:
        print(f"  {breach['rule']}: {breach['text']}" + (f" [{breach['id']}]" if breach["id"] else ""))
    if (more := len(report["breaches"]) - _MOST_SHOWN) > 0:
        print(f"  … and {more} more")
    for story in report.get("stories", [])[:_MOST_SHOWN]:
        print(f"  {orjson.dumps(story).decode()}")


def _parse(names: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help="faults to run (default: all)")
    parser.add_argument("--list", action="store_true", help="name every fault and end")
    parser.add_argument("--seed", default=secrets.token_hex(4), help="of the moments drawn (default: a new one)")
    parser.add_argument("--again", action="store_true", help="only those that broke a promise last time")
    parser.add_argument("--full", action="store_true", help="at the size of real life: 20 minutes of backlog")
    arguments = parser.parse_args()
    if unknown := set(arguments.names) - set(names):
        parser.error(f"no such fault: {', '.join(sorted(unknown))}; --list names them")
    return arguments


if __name__ == "__main__":
    sys.exit(main())
