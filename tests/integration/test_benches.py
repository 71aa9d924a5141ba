"""Every bench runs, small and once; a report says what was measured."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench import report
from bench.__main__ import BENCHES, run
from bench.measure import Row, at_least, at_most, in_turn, percentile
from tests.house import House


@pytest.mark.parametrize("name", BENCHES)
def test_every_bench_runs(house: House, name: str) -> None:
    result = run(name, house, smoke=True)
    report.show(result)
    assert result["rows"]
    assert all(row["met"] for row in result["rows"] if row["unit"] in ("lost", "doubled"))


def test_every_module_is_a_bench_or_part_of_one() -> None:
    modules = Path(report.__file__).parent.glob("*.py")
    assert {path.stem for path in modules if "def measure(" in path.read_text()} == set(BENCHES)


def test_ways_are_taken_in_turn_and_back() -> None:
    taken: list[str] = []

    def way(name: str) -> dict[str, float]:
        taken.append(name)
        return {"s": len(taken)}

    runs = in_turn({"a": lambda: way("a"), "b": lambda: way("b")}, 3)
    assert taken == ["a", "b", "b", "a", "a", "b"]
    assert runs == {"a": [{"s": 1}, {"s": 4}, {"s": 5}], "b": [{"s": 2}, {"s": 3}, {"s": 6}]}


@pytest.mark.parametrize(("percent", "value"), [(1, 1.0), (50, 2.0), (95, 4.0), (99, 4.0)])
def test_a_percentile_is_a_value_that_was_measured(percent: int, value: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], percent) == value


def row(**changes: object) -> Row:
    return Row(**{"what": "ours", "unit": "s", "ours": [2.0, 3.0, 8.0], **changes})  # type: ignore[arg-type]


def test_a_ratio_is_of_the_same_round_and_its_median_meets_the_target_or_not() -> None:
    paired = row(beside="theirs", theirs=[4.0, 4.0, 2.0])
    assert paired.ratios == [0.5, 0.75, 4.0]
    assert paired.ratio == 0.75
    assert paired.met is None
    assert row(theirs=[4.0, 4.0, 2.0], target=at_least(0.75)).met
    assert not row(theirs=[4.0, 4.0, 2.0], target=at_most(0.74)).met
    assert row(target=at_most(3)).met  # with nothing beside, the figure itself


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Results and the page go here."""
    monkeypatch.setattr(report, "RESULTS", tmp_path / "results")
    monkeypatch.setattr(report, "PAGE", tmp_path / "benchmarks.md")
    return tmp_path


def test_the_page_is_made_of_all_results(kept: Path) -> None:
    slow = row(beside="theirs", theirs=[20.0, 30.0, 160.0], target=at_most(1 / 20), limit="a round trip")
    report.write(report.content("one", "About one.", [slow], report.machine()), ["two", "one"])
    report.write(report.content("two", "About two.", [row(target=at_most(3))], report.machine()), ["two", "one"])
    page = (kept / "benchmarks.md").read_text()
    assert "| ours | theirs | s | 3 | 30 | ≤ 1/20 | 1/10 | 1/20 to 1/10 | **no** |" in page
    assert "| ours |  | s | 3 |  | ≤ 3 | 3 | 2 to 8 | yes |" in page
    assert "- ours: a round trip" in page
    assert page.index("`make bench ARGS=two`") < page.index("`make bench ARGS=one`")
    kept_result = json.loads((kept / "results/one.json").read_text())
    assert set(kept_result) == {"name", "about", "command", "machine", "rows"}
