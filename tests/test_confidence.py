"""How sure a finding is: by its rule, by the case at hand, in the reports, and as what is left out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from harness import NET, check, run

from caffe_lint.rule import confidence as table
from caffe_lint.rule.registry import all_rules
from caffe_lint.settings.settings import CONFIDENCES

# N301 is certain; E116 is not, since the author's own Caffe may have that layer.
BOTH = NET.replace('name: "loss"', 'name: "score"') + 'layer { name: "own" type: "OwnLayer" bottom: "score" }\n'


def test_every_row_of_the_table_is_about_a_rule_and_says_one_of_the_three() -> None:
    for code, confidence in table._KNOWN.items():
        assert confidence in CONFIDENCES
        assert any(known.startswith(code) for known in all_rules()), code


def test_the_longest_beginning_of_a_code_counts() -> None:
    assert table.confidence_of("E101") == "high"
    assert table.confidence_of("E116") == all_rules()["E116"].confidence == "medium"
    assert table.confidence_of("X101") == table.DEFAULT


def test_a_finding_has_the_confidence_of_its_rule() -> None:
    assert {finding.code: finding.confidence for finding in check(BOTH, select=("N301", "E116"))} == {
        "N301": "high",
        "E116": "medium",
    }


@pytest.mark.parametrize(("dialect", "confidence"), [("bvlc", "high"), ("ssd", "medium")])
def test_a_refusal_is_less_certain_where_the_fork_may_differ(dialect: str, confidence: str) -> None:
    own_filler = NET.replace('"xavier"', '"our_own"')
    assert [finding.confidence for finding in check(own_filler, select=("E213",), dialect=dialect)] == [confidence]


@pytest.mark.parametrize(
    ("least", "codes"), [("low", ["E116", "N301"]), ("medium", ["E116", "N301"]), ("high", ["N301"])]
)
def test_what_is_less_certain_than_asked_for_is_left_out(least: str, codes: list[str]) -> None:
    found = check(BOTH, select=("N301", "E116"), min_confidence=least)
    assert sorted(finding.code for finding in found) == codes


def test_the_command_line_and_the_configuration_can_ask_for_it(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(BOTH)

    def found(*options: str) -> dict[str, str]:
        report = json.loads(run(tmp_path, "net.prototxt", "--output-format", "json", *options).stdout)
        return {finding["code"]: finding["confidence"] for finding in report["findings"]}

    assert found()["E116"] == "medium"
    assert set(found("--min-confidence", "high").values()) == {"high"}
    (tmp_path / "caffe-lint.toml").write_text('[per-file]\n"net.prototxt" = {min-confidence = "high"}\n')
    assert set(found().values()) == {"high"}
    assert found("--min-confidence", "low")["E116"] == "medium"


def test_a_sarif_result_has_it_as_a_property_and_as_its_rank(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(BOTH)
    log = json.loads(run(tmp_path, "net.prototxt", "--output-format", "sarif").stdout)
    ranks = {result["properties"]["confidence"]: result["rank"] for result in log["runs"][0]["results"]}
    assert ranks["high"] > ranks["medium"]


def test_people_are_told_what_is_not_certain(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(BOTH)
    _, *blocks = run(tmp_path, "net.prototxt", "--select", "N301,E116").stdout.split("\n\n")
    assert [("E116" in block, "confidence: medium" in block) for block in blocks[:2]] in (
        [(True, True), (False, False)],
        [(False, False), (True, True)],
    )
