"""What the runner takes for a success."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults import runner


def test_what_is_skipped_is_no_success_in_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    report: dict[str, Any] = {"skipped": "no such program", "breaches": [], "must_break": None}
    monkeypatch.delenv("CI", raising=False)
    assert runner.passed(report)
    monkeypatch.setenv("CI", "1")
    assert not runner.passed(report)
    assert runner.passed(report | {"skipped": None})
