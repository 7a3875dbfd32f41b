"""Suppressions: what they apply to, which are unused, and which are invalid."""

from __future__ import annotations

import pytest
from harness import check, check_files, fix, fix_files, places

from caffe_lint.proto.parser import parse
from caffe_lint.rule.suppressions import read_suppressions

# Two findings of one rule, a finding of another within the first layer.
NET = """\
name: "small"
layer {
  name: "data"
  type: "Input"
  top: "data"
  input_param { shape { dim: 2 dim: 8 } }
}
layer {
  name: "ip1"
  type: "InnerProduct"
  bottom: "data"
  top: "ip1"
  inner_product_param { num_output: 4 axis: 7 }
}
layer {
  name: "ip2"
  type: "InnerProduct"
  bottom: "data"
  top: "ip2"
  inner_product_param { num_output: 0 }
}
"""
SOLVER = """\
net: "net.prototxt"
base_lr: 0.01
lr_policy: "Fixed"
momentum: 0.9
max_iter: 100
snapshot_prefix: "snapshots/small"
"""
AXIS, OUTPUT = "E206", "E208"


def codes(text: str | bytes, name: str = "net.prototxt", **settings: object) -> list[str]:
    return [finding.code for finding in check(text, name, **settings)]


def with_line(text: str, before: str, comment: str) -> str:
    """The text with a comment at the end of the line that has `before` in it."""
    return "".join(
        line.rstrip("\n") + f"  {comment}\n" if before in line else line for line in text.splitlines(keepends=True)
    )


def test_the_net_has_two_findings() -> None:
    assert codes(NET) == [AXIS, OUTPUT]


@pytest.mark.parametrize(
    "selector", [AXIS, AXIS.lower(), "E2", "E", "ALL", "invalid-axis", f"N1, {AXIS}", f"{AXIS},N1"]
)
def test_codes_prefixes_and_names_suppress_at_the_end_of_a_line(selector: str) -> None:
    text = with_line(NET, "axis: 7", f"# caffe-lint: ignore[{selector}]")
    assert AXIS not in codes(text)
    assert OUTPUT in codes(text)


@pytest.mark.parametrize(
    "comment",
    [
        "#caffe-lint:ignore[E206]",
        "## caffe-lint:  ignore [ E206 ]",
        "# Caffe-Lint: Ignore[e206]",
        "#  caffe-lint :  ignore [ E206 ]",
        "# CAFFE-LINT\t:IGNORE[Invalid-Axis]",
        "# caffe-lint: File-Ignore[E206]",
        "# four of them  # caffe-lint: ignore[E206]",
        '# caffe-lint: ignore[E206] the data come with 8 axes: see "README"',
        "# caffe-lint: ignore[E101, E206] # caffe-lint: ignore[E102]",
    ],
)
def test_it_may_follow_another_comment_and_have_a_reason(comment: str) -> None:
    assert AXIS not in codes(with_line(NET, "axis: 7", comment))


def test_on_a_line_of_its_own_it_applies_to_the_next_field_only() -> None:
    above = NET.replace('layer {\n  name: "ip1"', '# caffe-lint: ignore[E2]\n\n# the first\nlayer {\n  name: "ip1"')
    assert codes(above) == [OUTPUT]
    inside = NET.replace('  name: "ip1"', '  # caffe-lint: ignore[E2]\n  name: "ip1"')
    assert codes(inside, ignore=("P901",)) == [AXIS, OUTPUT]


def test_at_a_closing_brace_it_applies_to_the_message_that_ends_there() -> None:
    text = NET.replace("axis: 7 }\n}", "axis: 7 }\n}  # caffe-lint: ignore[E206]")
    assert codes(text) == [OUTPUT]


def test_at_an_opening_brace_it_applies_to_that_line_only() -> None:
    text = NET.replace('layer {\n  name: "ip1"', 'layer {  # caffe-lint: ignore[E206]\n  name: "ip1"')
    assert codes(text) == ["P901", AXIS, OUTPUT]


def test_for_a_value_over_several_lines_it_may_be_on_the_first_or_the_last() -> None:
    text = 'layer { name: "a" type: "Input" top: "a" include { phase:\n  %s TRIAN } %s\n}\n'
    assert "E112" in codes(text % ("", ""))
    assert "E112" not in codes(text % ("", "# caffe-lint: ignore[E112]\n"))


def test_it_may_apply_to_the_whole_file() -> None:
    for text in (f"# caffe-lint: file-ignore[E2]\n{NET}", f"{NET}# caffe-lint: file-ignore[{AXIS}, {OUTPUT}]"):
        assert codes(text) == []


def test_it_may_name_two_rules() -> None:
    one_line = NET.replace("axis: 7 }\n}\n", "axis: 7 } } ").replace("\n  ", " ").replace("\n}", " }")
    assert places(check(one_line))[0][1] == places(check(one_line))[1][1]
    assert codes(one_line) == [AXIS, OUTPUT]
    assert codes(with_line(one_line, "axis: 7", f"# caffe-lint: ignore[{OUTPUT}, {AXIS}]")) == []
    assert codes(with_line(one_line, "axis: 7", f"# caffe-lint: ignore[{OUTPUT}]")) == [AXIS]


def test_lines_may_end_in_crlf_and_the_last_without_line_feed() -> None:
    text = with_line(NET, "axis: 7", "# caffe-lint: ignore[E206]").replace("\n", "\r\n").encode()
    assert codes(text) == [OUTPUT]
    assert codes(NET.rstrip() + "  # caffe-lint: ignore[E208]") == [AXIS]


def test_it_applies_to_layers_of_a_v1_net() -> None:
    text = 'layers {\n  name: "a"\n  type: INNER_PRODUCT\n  bottom: "gone"  # caffe-lint: ignore[E201]\n  top: "b"\n}\n'
    assert "E201" not in codes(text)
    assert "E201" in codes(text.replace("caffe-lint: ", ""))


def test_text_in_a_string_is_not_a_suppression() -> None:
    text = NET.replace('name: "small"', 'name: "small # caffe-lint: file-ignore[E2]"')
    assert codes(text) == [AXIS, OUTPUT]


def test_syntax_errors_can_be_suppressed() -> None:
    text = NET.replace(" axis: 7", "").replace("num_output: 0", "num_output: 4  // four\n")
    assert codes(text) == ["E103"]
    assert codes(text.replace("// four", "// four # caffe-lint: ignore[E103]")) == []


def test_a_finding_in_the_solver_about_its_net_is_suppressed_in_the_solver() -> None:
    job = {"solver.prototxt": with_line(SOLVER, "momentum", "# caffe-lint: ignore[G101]"), "net.prototxt": NET}
    assert "G101" not in {finding.code for finding in check_files(job)}
    other = {"solver.prototxt": SOLVER, "net.prototxt": f"# caffe-lint: file-ignore[G101]\n{NET}"}
    found = {finding.code: finding.place.path for finding in check_files(other)}
    assert found["G101"] == "solver.prototxt"
    assert found["P901"] == "net.prototxt"


# -- those that suppress nothing -------------------------------------------------------------------------------------


def test_an_unused_suppression_is_reported_at_its_name_and_removed() -> None:
    text = with_line(NET, "axis: 7", "# as it was  # caffe-lint: ignore[E101, E206, N302] later")
    found = [finding for finding in check(text) if finding.code == "P901"]
    assert [finding.message for finding in found] == ["suppression of E101, N302 has no effect"]
    assert fix(text) == with_line(NET, "axis: 7", "# as it was  # caffe-lint: ignore[E206] later")


@pytest.mark.parametrize(
    ("text", "fixed"),
    [
        ("{}# caffe-lint: file-ignore[E101]\n", "{}"),
        ("# caffe-lint: file-ignore[E101] once\r\n{}", "{}"),
        ("# of 2015 ## caffe-lint: file-ignore[E101]\n{}", "# of 2015\n{}"),
        ("# caffe-lint: ignore[E101]  # caffe-lint: ignore[E102]\n{}", "{}"),
        ("# caffe-lint: ignore[E101, E102] reason # more\n{}", "# more\n{}"),
        ("  # caffe-lint: ignore[E101]\t## of 2015 # both\r\n{}", "  ## of 2015 # both\r\n{}"),
        ("# caffe-lint: file-ignore[E101] see #12 and c#\n{}", "{}"),
        ("# old # caffe-lint: file-ignore[E101] reason  #more\n{}", "# old  #more\n{}"),
        ('x_: 1 # caffe-lint: ignore[E101, E102] reason # more\n{}', 'x_: 1 # more\n{}'),
    ],
)
def test_the_fix_leaves_no_trace(text: str, fixed: str) -> None:
    assert fix(text.format(NET)) == fixed.format(NET)


def test_a_last_line_without_line_feed_is_removed_with_its_comment() -> None:
    clean = NET.replace(" axis: 7", "").replace("num_output: 0", "num_output: 4").rstrip("\n")
    assert fix(f"{clean}\n# caffe-lint: ignore[E101]") == clean


def test_rules_that_did_not_run_are_not_unused() -> None:
    text = f"# caffe-lint: file-ignore[E206, S121, G102, T101, D101, P201]\n{NET}"
    assert codes(text) == [OUTPUT]
    assert codes(with_line(text, "num_output: 0", "# caffe-lint: ignore[E101]"), select=("P9", OUTPUT)) == [OUTPUT]
    # With its solver, the rules about jobs have run.
    job = {"solver.prototxt": SOLVER, "net.prototxt": text}
    assert [finding.message for finding in check_files(job) if finding.code == "P901"] == [
        "suppression of S121, G102 has no effect"
    ]


def test_selecting_only_unused_suppressions_reports_all_of_them() -> None:
    text = with_line(NET, "axis: 7", "# caffe-lint: ignore[E206, E101]")
    assert codes(text, select=("P901",)) == ["P901"]
    assert fix(text, select=("unused-suppression",)) == with_line(NET, "axis: 7", "# caffe-lint: ignore[E206]")


def test_a_prefix_is_unused_if_all_its_rules_are() -> None:
    assert "P901" not in codes(f"# caffe-lint: file-ignore[N3]\n{NET}", ignore=("N301",))
    assert codes(f"# caffe-lint: file-ignore[N3]\n{NET}") == ["P901", AXIS, OUTPUT]


def test_suppressions_in_layers_of_a_missing_stage_are_not_unused() -> None:
    text = with_line(NET, "num_output: 0", "# caffe-lint: ignore[E206]")
    assert "P901" in codes(text)
    staged = text.replace('type: "InnerProduct"\n  bottom', 'type: "InnerProduct"\n  include { %s }\n  bottom')
    assert "P901" not in codes(staged % ('stage: "a" stage: "b"', ""))


def test_suppressions_after_a_syntax_error_are_not_unused() -> None:
    text = with_line(NET, 'name: "data"', "# caffe-lint: ignore[E202]")
    assert "P901" in codes(text)
    assert "P901" not in codes(text.replace("num_output: 0 }", "num_output: 0"))


def test_both_phases_and_several_solvers_use_one_suppression() -> None:
    net = NET.replace("num_output: 0", "num_output: 4").replace("axis: 7", "axis: 7  # caffe-lint: ignore[E206]\n ")
    job = {
        "a_solver.prototxt": SOLVER + "test_iter: 1\ntest_interval: 5\n",
        "b_solver.prototxt": SOLVER,
        "net.prototxt": net,
    }
    assert not {"P901", AXIS} & {finding.code for finding in check_files(job)}


def test_an_unused_suppression_is_suppressed_by_its_own_name_only() -> None:
    text = with_line(NET, "axis: 7", "# caffe-lint: ignore[E206, E101, {}]")
    assert codes(text.replace("{}", "P901")) == [OUTPUT]
    assert codes(text.replace("{}", "unused-suppression")) == [OUTPUT]
    assert codes(text.replace("{}", "P9")) == ["P901", OUTPUT]


# -- invalid suppressions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("comment", "words"),
    [
        ("# caffe-lint: ignore", "no codes in brackets"),
        ("# caffe-lint: ignore E206", "no codes in brackets"),
        ("# caffe-lint: ignore[]", "names no rule"),
        ("# caffe-lint: ignore[ , ]", "names no rule"),
        ("# caffe-lint: ignore[E206", "no closing ]"),
        ("# caffe-lint: ignroe[E206]", "did you mean 'ignore'?"),
        ("# caffe-lint: disable=E206", "expected ignore[CODE]"),
        ("# caffe-lint:", "empty suppression"),
        ("# Caffe-Lint: Ignroe[E206]", "unknown suppression 'Caffe-Lint: Ignroe'; did you mean 'ignore'?"),
        ("# Caffe-Lint : ignore E206", "no codes in brackets"),
        ("# caffelint: ignore[E206]", "unknown suppression 'caffelint: ignore'; did you mean 'caffe-lint: ignore'?"),
        ("# caffe_lint: file-ignore[E206]", "did you mean 'caffe-lint: file-ignore'?"),
        ("# Caffe lint ignore[E206]", "did you mean 'caffe-lint: ignore'?"),
        ("# caffe-lint: ignore[X999]", "unknown rule 'X999'"),
        ("# caffe-lint: ignore[invalid-axes]", "did you mean 'invalid-axis'?"),
        ("# caffe-lint: ignore[E206;E208]", "unknown rule 'E206;E208'"),
        ("# caffe-lint: ignore[\udcff]", "unknown rule"),
    ],
)
def test_an_invalid_suppression_is_reported_and_has_no_effect(comment: str, words: str) -> None:
    text = with_line(NET, "axis: 7", comment).encode("utf-8", "surrogateescape")
    found = check(text, ignore=("P302",))  # one of the comments is not valid UTF-8
    assert places(found)[:2] in ([("P902", 13), (AXIS, 13)], [(AXIS, 13), ("P902", 13)])
    assert words in next(finding.message for finding in found if finding.code == "P902")


def test_a_known_code_next_to_an_unknown_one_applies() -> None:
    assert codes(with_line(NET, "axis: 7", "# caffe-lint: ignore[X1, E206]")) == ["P902", OUTPUT]


@pytest.mark.parametrize(
    "comment",
    [
        "# checked by caffe-lint: fine",
        "# Caffe-Lint: fine",
        "# caffe-lint : checked in May",
        "# caffe-lint ignores this layer",
        "# caffe-lint ignore",
        "# Caffe lint-free version",
        "# lint[E206]",
        "# caffe-lintel: ignore[E206]",
    ],
)
def test_mentioning_the_linter_in_a_comment_is_not_a_suppression(comment: str) -> None:
    assert codes(with_line(NET, "axis: 7", comment)) == [AXIS, OUTPUT]


def test_a_comment_after_an_unclosed_string_is_seen() -> None:
    text = NET.replace('name: "small"', 'name: "small')
    assert codes(text)[0] == "E106"
    assert codes(text.replace('"small', '"small  # caffe-lint: ignore[E106]')) == [AXIS, OUTPUT]


@pytest.mark.parametrize("filling", ['"\\', "#", "# ", "'", "[", "# caffe-lint: ignore[", "{ ", " "])
def test_any_line_is_read(filling: str) -> None:
    source = (filling * 100_000 + "# caffe-lint: ignore[E1]\n").encode()
    found = read_suppressions(parse(source))
    assert len(found.all) + len(found.mistakes) in (0, 1, 100_001)


def test_fixing_twice_changes_nothing() -> None:
    text = with_line(NET, "axis: 7", "# caffe-lint: ignore[E101, N302]")
    once = fix_files({"net.prototxt": text})["net.prototxt"]
    assert fix(once) == once == NET
