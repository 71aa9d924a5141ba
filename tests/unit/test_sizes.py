"""No file of more than 250 lines, and no function of more than 30, its first line and docstring included."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.house import ROOT

MOST_OF_A_FILE, MOST_OF_A_FUNCTION = 250, 30
SOURCES = [path for room in ("app", "sandbox", "tests", "bench") for path in (ROOT / room).rglob("*.py")]


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Each function's place, and its lines."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            assert node.end_lineno is not None
            yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def test_files_are_short() -> None:
    lengths = {path.relative_to(ROOT): len(path.read_text().splitlines()) for path in SOURCES}
    assert lengths
    assert {path: lines for path, lines in lengths.items() if lines > MOST_OF_A_FILE} == {}


def test_functions_are_short() -> None:
    found = [place for path in SOURCES for place in functions(path)]
    assert found
    assert [place for place in found if place[1] > MOST_OF_A_FUNCTION] == []
