"""CONTRIBUTING's recipes, carried out in a copy of the code."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
import yaml

from tests.house import ROOT

#: A step: its file, where in it (at the end, after a line with this in it, or a new file), and the block.
STEP = re.compile(r"^\d\. `([^`]+)`, (new|at the end|after `([^`]+)`):\n\n   ```\w+\n(.*?)^   ```$", re.M | re.S)
COPIED = ("app", "docs", "migrations", "sandbox", "tests", "pyproject.toml", "CONTRIBUTING.md")
USE = """
from app.tasks.sms_tasks import send_trip_boarding_sms
from app.providers.memory import MemorySms
from tests import data

def test_it_is_sent(gateway: MemorySms) -> None:
    arguments = data.sms()
    sent = send_trip_boarding_sms(arguments["phone_number"], "Ada Obi", arguments["booking_data"])
    assert sent["success"]
    assert [sms.text for sms in gateway.sent] == ["Pafar: Your bus to Abuja is boarding, PF7K2QXM."]
"""


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__", "pictures"))
        else:
            shutil.copy(source, tmp_path)
    return tmp_path


def carry_out(copy: Path, title: str) -> list[str]:
    """Do what the section says; the files that it changed."""
    section = (copy / "CONTRIBUTING.md").read_text().split(f"## {title}\n")[1].split("\n## ")[0]
    steps = STEP.findall(section)
    for name, where, anchor, block in steps:
        file, added = copy / name, re.sub(r"^   ", "", block, flags=re.M)
        if where == "new":
            assert not file.exists()
            file.write_text(added)
        elif anchor:
            lines = file.read_text().splitlines(keepends=True)
            [index] = [i for i, line in enumerate(lines) if anchor in line]
            file.write_text("".join([*lines[: index + 1], added, *lines[index + 1 :]]))
        else:
            file.write_text(file.read_text() + "\n\n" + added)
    return [name for name, *_ in steps]


def python(copy: Path, *arguments: str) -> None:
    run = subprocess.run(
        [sys.executable, *arguments],
        cwd=copy,
        env=os.environ | {"PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_a_kind_is_added(copy: Path) -> None:
    changed = carry_out(copy, "Add a kind of message")
    (copy / "tests/test_use.py").write_text(dedent(USE))
    python(copy, "-m", "pytest", "-q", "tests/unit/test_approved.py", "--approve")
    approved = copy / "tests/approved/trip_boarding_sms.txt"
    assert "is boarding" in approved.read_text()
    python(copy, "-m", "pytest", "-q", "tests/test_use.py", "tests/unit/test_docs.py", "tests/unit/test_kinds.py")
    sources = [name for name in changed if name.endswith(".py")]
    python(copy, "-m", "ruff", "check", *sources)
    python(copy, "-m", "ruff", "format", "--check", *sources)


def test_a_provider_is_added(copy: Path) -> None:
    changed = carry_out(copy, "Add a provider")
    sources = [name for name in changed if name.endswith(".py")]
    python(copy, "-m", "pytest", "-q", "tests/providers/test_sms_fallback.py")
    python(copy, "-m", "ruff", "check", *sources)
    python(copy, "-m", "mypy", *sources)


def test_the_hooks_of_pre_commit_pass() -> None:
    [repository] = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    for hook in repository["hooks"]:
        files = [] if hook.get("pass_filenames") is False else [__file__]
        run = subprocess.run(
            [*hook["entry"].split(), *files], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert run.returncode == 0, run.stdout + run.stderr
