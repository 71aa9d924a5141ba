"""Runs faults side by side, each in a process of its own, and prints a line for each."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from sandbox.environment import ROOT
from sandbox.processes import Leftovers, Process
from tests.faults.one import FULL, REPORT, SUITE

PRODUCT = "app.core.celery_app"
#: Faults mostly wait (for a lease to end, for a server to be away): more at once than there are cores.
LANES = 3
#: Seconds after which a fault of this size is given up; the longest takes half of it.
TIMEOUT = {SUITE: 300.0, FULL: 3600.0}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A fault to run with workers of `app`; `breach` is the rule that must then be seen broken, None if none."""

    name: str
    fault: str
    app: str = PRODUCT
    breach: str | None = None


def run_all(jobs: Sequence[Job], folder: Path, seed: str, size: str) -> list[dict[str, Any]]:
    """Run the jobs, and print and return their reports as JSON, each with `passed` and `seconds`."""
    todo, running, reports = deque(jobs), dict[Job, tuple[Process, float]](), list[dict[str, Any]]()
    with Leftovers(folder):
        try:
            while todo or running:
                while todo and len(running) < LANES:
                    job = todo.popleft()
                    running[job] = _start(job, folder, seed, size), time.monotonic()
                for job in [job for job, (process, began) in running.items() if _is_over(process, began, size)]:
                    process, began = running.pop(job)
                    reports.append(_conclude(job, process, folder, time.monotonic() - began))
                time.sleep(0.1)
        finally:
            for process, _ in running.values():
                process.stop(STOP_TIMEOUT)
    return reports


#: Seconds that a fault gets to stop its servers.
STOP_TIMEOUT = 30.0


def _start(job: Job, folder: Path, seed: str, size: str) -> Process:
    home = folder / job.name
    shutil.rmtree(home, ignore_errors=True)
    command = [sys.executable, "-m", "tests.faults.one", str(home), job.fault, job.app, seed, size]
    return Process(
        job.name, command, run_dir=folder, log_path=home / "rig.log", cwd=ROOT, death_signal=signal.SIGTERM
    )


def _is_over(process: Process, began: float, size: str) -> bool:
    if process.alive and time.monotonic() - began > TIMEOUT[size]:
        process.stop(STOP_TIMEOUT)
    return not process.alive


def _conclude(job: Job, process: Process, folder: Path, seconds: float) -> dict[str, Any]:
    process.kill()
    written = folder / job.name / REPORT
    if written.exists():
        report: dict[str, Any] = orjson.loads(written.read_bytes())
    else:
        report = {"name": job.fault, "what": "the rig itself failed", "skipped": None, "breaches": []}
        report["breaches"].append({"rule": "rig", "text": process.log_tail(), "id": None})
    report |= {"job": job.name, "seconds": round(seconds, 1), "must_break": job.breach}
    report["passed"] = passed(report)
    print(line(report), flush=True)
    return report


def passed(report: dict[str, Any]) -> bool:
    """Whether it went as promised. One that was skipped shows nothing, which CI does not take for well."""
    if report["skipped"]:
        return not os.environ.get("CI")
    broken = {breach["rule"] for breach in report["breaches"]}
    return report["must_break"] in broken if report["must_break"] else not broken


def line(report: dict[str, Any]) -> str:
    """The one line of a fault."""
    if report["skipped"]:
        return f"{report['job']:<32} skipped: {report['skipped']}"
    if "intended" not in report:
        return f"{report['job']:<32} BROKEN  {report['what']}"
    recovery, within = report["recovery"], report["within"]
    time_taken = "-" if recovery is None else f"{recovery:.1f} s" + (f" of {within:g}" if within else "")
    return (
        f"{report['job']:<32} {report['intended']:>5} meant {report['accepted']:>5} accepted"
        f" {report['duplicates']:>3} twice  recovery {time_taken:<13} {_verdict(report):<16} {report['what']}"
        + "".join(f"; {note}" for note in report["notes"])
    )


def _verdict(report: dict[str, Any]) -> str:
    rules = sorted({breach["rule"] for breach in report["breaches"]})
    if report["must_break"]:
        return f"seen: {' '.join(rules)}" if report["passed"] else f"NOT SEEN: {report['must_break']}"
    return "kept" if report["passed"] else f"BROKEN: {' '.join(rules)}"
