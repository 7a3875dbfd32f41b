"""The table of the mistakes that people make: each of them is some rules' business, or it says why of none."""

from __future__ import annotations

from pathlib import Path

from caffe_lint.rule.registry import all_rules

TABLE = Path(__file__).parent.parent / "benchmarks" / "mistakes.tsv"


def test_every_mistake_is_found_by_rules_that_exist_or_says_why_not() -> None:
    head, *lines = [line.split("\t") for line in TABLE.read_text().splitlines()]
    assert head == ["row", "codes", "why"]
    assert [int(row) for row, _, _ in lines] == list(range(1, 61))
    for row, codes, why in lines:
        if codes == "-":
            assert why, f"row {row} says neither who finds it nor why nobody does"
        else:
            assert set(codes.split(",")) <= set(all_rules()), f"row {row} names a rule that is not there"
