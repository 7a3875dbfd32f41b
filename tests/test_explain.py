"""`caffe-lint explain` prints pages, with what the linter prints for their examples."""

from __future__ import annotations

import json
from typing import Any

import pytest
from click.testing import CliRunner

from caffe_lint.cli.commands import cli
from caffe_lint.report import rule_page as page
from caffe_lint.rule.registry import all_rules


def explained(*arguments: str, width: int = 100, status: int = 0) -> str:
    done = CliRunner().invoke(cli, ["explain", *arguments], env={"COLUMNS": str(width)})
    assert done.exit_code == status, done.output
    return done.output


@pytest.mark.parametrize("selector", ["N205", "n205", "zero-weights"])
def test_a_rule_is_found_by_its_code_and_name(selector: str) -> None:
    assert explained(selector).startswith("N205 zero-weights\n")


def test_what_is_printed_for_the_example_stands_behind_it() -> None:
    text = explained("N205")
    example, printed = text.split("\n    $ caffe-lint ")
    assert "Example\n  bad/net.prototxt:\n    layer {" in example
    assert "net.prototxt" in printed.splitlines()[0]
    assert "[N205] zero-weights: InnerProduct layer 'ip1'" in printed.split("good/net.prototxt:")[0]


def test_prose_is_wrapped_to_the_terminal_and_code_is_not() -> None:
    prose, code = explained("N205", width=50).split("\nExample\n")
    assert max(map(len, prose.splitlines()[3:])) <= 50
    assert '    inner_product_param { num_output: 4 weight_filler { type: "xavier" } }' in code


def test_a_terminal_shows_no_marks_of_bold_text() -> None:
    assert "\n  - advice otherwise." in explained("G101")
    assert "**advice** otherwise." in explained("G101", "--output-format=markdown")


def test_several_rules_are_explained_at_once_each_once() -> None:
    text = explained("P202", "N205", "net-level-input")
    assert text.index("P202 net-level-input") < text.index("N205 zero-weights")
    assert text.count("P202 net-level-input\n") == 1


def test_colours_come_only_when_asked_for() -> None:
    assert "\x1b[" not in explained("N205")
    coloured = explained("E103", "--color", "always")
    assert "\x1b[1mE103 c-style-comment\x1b[0m" in coloured
    example = coloured.partition("    $ caffe-lint solver.prototxt\n")[2]
    assert example.startswith("    \x1b[1msolver.prototxt\x1b[0m: \x1b[31;1mCaffe will refuse")
    assert "\n    \x1b[31;1merror[E103]\x1b[0m" in example
    assert "    \x1b[32mbase_lr: 0.01  # was 0.1\x1b[0m" in coloured


def test_markdown_has_headings_and_fences() -> None:
    text = explained("N205", "--output-format", "markdown")
    assert text.startswith("# N205 zero-weights\n")
    assert "\n## Example\n\n`bad/net.prototxt`:\n\n```text\nlayer {" in text
    assert "\n```text\n$ caffe-lint net.prototxt\n" in text
    assert text.count("```") % 2 == 0


def test_json_holds_the_examples_as_files() -> None:
    (rule,) = json.loads(explained("N205", "--output-format", "json"))
    assert rule["code"] == "N205"
    assert 'type: "msra"' in rule["good"]["net.prototxt"]
    assert 'type: "msra"' not in rule["bad"]["net.prototxt"]


def test_a_name_that_no_rule_has_brings_the_nearest() -> None:
    from caffe_lint.source.errors import InputError

    with pytest.raises(InputError, match="did you mean 'zero-weights'"):
        cli(["explain", "zero-weigths"], standalone_mode=False)


def test_without_docstrings_it_says_so(monkeypatch: Any) -> None:
    from caffe_lint.source.errors import InputError

    monkeypatch.setattr(all_rules()["N205"].check, "__doc__", None)
    with pytest.raises(InputError, match="-OO"):
        cli(["explain", "N205"], standalone_mode=False)


def test_what_cannot_be_seen_is_shown_by_a_sign() -> None:
    assert page.fenced("\ufeffnet\n") == "```text\n\N{REPLACEMENT CHARACTER}net\n```"


def test_a_table_is_shown_in_columns() -> None:
    lines = explained("S122").splitlines()
    assert "  step       gamma           the rate is 0 from iteration `stepsize` on" in lines
    assert not [line for line in lines if line.strip().startswith("|--")]
