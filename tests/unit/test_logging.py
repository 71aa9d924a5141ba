"""One form for our own log lines and everybody else's, and no line that gets in anybody's way."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from app.core.config import LogFormat

PROGRAM = """
import logging, sys
import structlog
from app.core.config import LogFormat
from app.core.logging import configure
configure(logging.INFO, LogFormat(sys.argv[1]))
ours, theirs = structlog.get_logger("app.ours"), logging.getLogger("theirs")
ours.info("sent to ada@example.com", number="+2348031234567", attempt=1)
theirs.info("sent to %s", "ada@example.com")
ours.debug("not told")
theirs.debug("not told")
try:
    raise RuntimeError("of ada@example.com")
except RuntimeError:
    ours.exception("broke")
    theirs.exception("broke")
print("went on")
"""


def run(log_format: LogFormat, stderr: Path) -> str:
    """What the program prints; its log goes to the file."""
    with stderr.open("w") as file:
        command = [sys.executable, "-c", PROGRAM, log_format]
        return subprocess.run(command, stdout=subprocess.PIPE, stderr=file, text=True, check=True).stdout


def test_ours_and_others_have_one_form(tmp_path: Path) -> None:
    log = tmp_path / "log"
    run(LogFormat.JSON, log)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    told = [(line["logger"], line["level"], line["event"]) for line in lines]
    assert told == [
        ("app.ours", "info", "sent to [email]"),
        ("theirs", "info", "sent to [email]"),
        ("app.ours", "error", "broke"),
        ("theirs", "error", "broke"),
    ]
    assert (lines[0]["number"], lines[0]["attempt"]) == ("[phone]", 1)
    assert all("RuntimeError: of [email]" in line["exception"] for line in lines[2:])
    assert all(line["timestamp"] > "2026" for line in lines)


def test_on_a_terminal_a_line_is_read_by_people(tmp_path: Path) -> None:
    log = tmp_path / "log"
    run(LogFormat.CONSOLE, log)
    first, second, *rest = log.read_text().splitlines()
    assert "[info     ] sent to [email]" in first
    assert "[app.ours] attempt=1 number=[phone]" in first
    assert "[theirs]" in second
    assert rest.count("RuntimeError: of [email]") == 2


@pytest.mark.parametrize("log_format", LogFormat)
def test_a_log_that_takes_no_more_stops_nothing(log_format: LogFormat) -> None:
    assert run(log_format, Path("/dev/full")) == "went on\n"
