"""The documentation builds into pages: every link leads somewhere, every page is in the contents."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.house import ROOT


def test_the_site_builds_without_a_warning(tmp_path: Path) -> None:
    build = subprocess.run(
        [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", "-n", "-c", "docs", ".", str(tmp_path)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert build.returncode == 0, build.stdout + build.stderr
    for page in ("README", "docs/howto/security", "docs/reference/kinds", "docs/decisions", "CONTRIBUTING"):
        assert (tmp_path / f"{page}.html").is_file()
