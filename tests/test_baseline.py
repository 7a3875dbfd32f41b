"""The baseline: what is known is left alone, what is new is shown, and what is settled is said."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from harness import NET, SOLVER, run

from caffe_lint.engine.baseline import BaselineError, address, read_baseline
from caffe_lint.proto.parser import parse

# Two layers with one mistake each, of the same rule.
BAD_NET = NET.replace(
    'layer {\n  name: "loss"',
    """\
layer {
  name: "side"
  type: "InnerProduct"
  bottom: "data"
  top: "side"
  inner_product_param { num_output: 10 axis: 9 weight_filler { type: "xavier" } }
}
layer { name: "end" type: "Silence" bottom: "side" }
layer {
  name: "loss\"""",
).replace("num_output: 10 weight", "num_output: 10 axis: 7 weight")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A job with E206 in `score` and `side`, and S121 in the solver, all of them known."""
    (tmp_path / "net.prototxt").write_text(BAD_NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER.replace('"fixed"', '"Fixed"'))
    done = run(tmp_path, "solver.prototxt", "--write-baseline", "known.json")
    assert (done.returncode, done.stdout) == (0, "")
    assert done.stderr == "caffe-lint: known.json: 3 known findings in 2 files\n"
    return tmp_path


def change(folder: Path, name: str, old: str, new: str) -> None:
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))


def findings(folder: Path, *arguments: str) -> list[tuple[str, str, int]]:
    report = json.loads(run(folder, *arguments, "--output-format", "json").stdout)
    return [(finding["path"], finding["code"], finding["line"]) for finding in report["findings"]]


def known(folder: Path) -> Any:
    return json.loads((folder / "known.json").read_text())["findings"]


def test_it_knows_file_rule_and_field(folder: Path) -> None:
    axis = "inner_product_param.axis"
    assert known(folder) == {
        "net.prototxt": {"E206": {f"layer[score].{axis}": 1, f"layer[side].{axis}": 1}},
        "solver.prototxt": {"S121": {"lr_policy": 1}},
    }


def test_what_is_known_is_not_shown_and_does_not_fail(folder: Path) -> None:
    assert run(folder, "solver.prototxt").returncode == 1
    done = run(folder, "solver.prototxt", "--baseline", "known.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert "No findings" in done.stdout


def test_it_holds_when_lines_move_layers_come_and_numbers_change(folder: Path) -> None:
    change(
        folder,
        "net.prototxt",
        'name: "small"',
        '# new\n\nname: "small"\nlayer { name: "i" type: "Silence" bottom: "label" }',
    )
    change(folder, "net.prototxt", "axis: 9", "axis: 8")
    change(folder, "solver.prototxt", "net:", "\r\n\r\nnet:")
    text = (folder / "net.prototxt").read_bytes()
    (folder / "net.prototxt").write_bytes(text.replace(b"layer {\n", b"layer {\r\n"))
    shown = findings(folder, "solver.prototxt", "--baseline", "known.json")
    assert [each for each in shown if each[1] in ("E206", "S121")] == []


def test_what_is_new_is_shown_also_of_a_rule_that_is_known_elsewhere(folder: Path) -> None:
    change(folder, "net.prototxt", 'name: "side"', 'name: "other"')
    assert findings(folder, "solver.prototxt", "--baseline", "known.json") == [("net.prototxt", "E206", 26)]


def test_of_more_than_are_known_at_one_place_the_rest_is_new(folder: Path) -> None:
    change(folder, "net.prototxt", 'name: "side"', 'name: "score"')
    assert ("net.prototxt", "E206", 26) in findings(folder, "solver.prototxt", "--baseline", "known.json")
    assert ("net.prototxt", "E206", 19) not in findings(folder, "solver.prototxt", "--baseline", "known.json")


def test_fix_leaves_what_is_known_alone(folder: Path) -> None:
    before = (folder / "solver.prototxt").read_text()
    run(folder, "solver.prototxt", "--fix", "--baseline", "known.json")
    assert (folder / "solver.prototxt").read_text() == before
    run(folder, "solver.prototxt", "--fix")
    assert (folder / "solver.prototxt").read_text() != before


def test_what_is_settled_is_said_and_taken_out_when_it_is_written_again(folder: Path) -> None:
    change(folder, "solver.prototxt", '"Fixed"', '"fixed"')
    done = run(folder, "solver.prototxt", "--baseline", "known.json")
    assert done.returncode == 0
    assert "known.json knows 1 finding too many, settled since (S121 in solver.prototxt)" in done.stderr
    run(folder, "solver.prototxt", "--write-baseline", "known.json")
    assert list(known(folder)) == ["net.prototxt"]
    assert run(folder, "solver.prototxt", "--baseline", "known.json").stderr == ""


def test_what_was_not_looked_at_stays(folder: Path) -> None:
    change(folder, "solver.prototxt", '"Fixed"', '"fixed"')
    before = known(folder)
    for arguments in (("net.prototxt",), ("solver.prototxt", "--select", "N"), ("solver.prototxt", "--ignore", "S121")):
        assert run(folder, *arguments, "--baseline", "known.json").stderr == ""
        run(folder, *arguments, "--write-baseline", "known.json")
        assert known(folder) == before
    (folder / "solver.prototxt").unlink()
    assert "S121 in solver.prototxt" in run(folder, "net.prototxt", "--baseline", "known.json").stderr
    run(folder, "net.prototxt", "--write-baseline", "known.json")
    assert list(known(folder)) == ["net.prototxt"]


def test_the_file_is_the_same_each_time(folder: Path) -> None:
    before = (folder / "known.json").read_bytes()
    for arguments in ((".",), ("solver.prototxt",), ("net.prototxt", "solver.prototxt", "--jobs", "2")):
        run(folder, *arguments, "--write-baseline", "known.json")
        assert (folder / "known.json").read_bytes() == before


def test_the_configuration_may_name_it_from_its_own_folder(folder: Path) -> None:
    (folder / "lint").mkdir()
    (folder / "known.json").rename(folder / "lint" / "known.json")
    (folder / "caffe-lint.toml").write_text('baseline = "lint/known.json"\n')
    assert findings(folder, ".") != []  # its paths are from where it is
    run(folder, ".", "--write-baseline", "lint/known.json")
    assert findings(folder, ".") == []
    (folder / "deep").mkdir()
    assert findings(folder / "deep", "../solver.prototxt") == []
    settings = json.loads(run(folder, "config", "--output-format", "json").stdout)["settings"]
    assert settings["baseline"] == {"value": "lint/known.json", "from": ["caffe-lint.toml:baseline"]}


def test_it_holds_for_several_processes_and_standard_input(folder: Path) -> None:
    assert findings(folder, "net.prototxt", "solver.prototxt", "--baseline", "known.json", "--jobs", "2") == []
    solver = (folder / "solver.prototxt").read_bytes()
    done = run(folder, "-", "--stdin-filename", "solver.prototxt", "--baseline", "known.json", stdin=solver)
    assert done.returncode == 0


def test_add_ignore_takes_what_is_new_only(folder: Path) -> None:
    change(folder, "net.prototxt", 'name: "side"', 'name: "other"')
    run(folder, "solver.prototxt", "--add-ignore", "--baseline", "known.json")
    assert (folder / "net.prototxt").read_text().count("ignore[E206]") == 1
    assert "ignore" not in (folder / "solver.prototxt").read_text()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "not a baseline: not valid JSON in line 1, column 1"),
        ("[" * 100_000, "not a baseline: not valid JSON: nested too deeply"),
        ("[]", "not a baseline of version 1"),
        ('{"version": 2, "findings": {}}', "not a baseline of version 1"),
        ('{"version": 1}', "'findings' must map files"),
        ('{"version": 1, "findings": {"a": ["E101"]}}', "'findings' must map files"),
        ('{"version": 1, "findings": {"a": {"E101": {"b": 0}}}}', "must be positive, not 0 (a, E101)"),
        ('{"version": 1, "findings": {"a": {"E101": {"b": "1"}}}}', "must be positive, not '1'"),
    ],
)
def test_what_is_no_baseline_is_said(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "known.json"
    path.write_text(text)
    with pytest.raises(BaselineError) as error:
        read_baseline(str(path))
    assert str(error.value).startswith(str(path))
    assert words in str(error.value)


def test_a_baseline_that_is_not_there_or_cannot_be_written_is_an_error(folder: Path) -> None:
    done = run(folder, "solver.prototxt", "--baseline", "gone.json")
    assert (done.returncode, "create it with --write-baseline gone.json" in done.stderr) == (2, True)
    done = run(folder, "solver.prototxt", "--write-baseline", "gone/known.json")
    assert (done.returncode, "gone/known.json: its folder does not exist" in done.stderr) == (2, True)
    done = run(folder, "solver.prototxt", "--write-baseline", "known.json", "--fix")
    assert (done.returncode, "it cannot be combined with --fix" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("text", "word", "where"),
    [
        ("base_lr: 0.1", "0.1", "base_lr"),
        ('layer { name: "a" type: "b" param { lr_mult: 1 } param { lr_mult: 2 } }', "2", "layer[a].param.lr_mult"),
        ("layers { name: 'a' blobs_lr: 3 }", "3", "layer[a].blobs_lr"),
        ('layers { layer { name: "a" pad: 3 } }', "3", "layer[a].layer[a].pad"),
        ('layer { type: "ReLU" bottom: "x" }', "x", "layer[ReLU].bottom"),
        ('layer { top: "t" bottom: "x" }', "x", "layer[t].bottom"),
        ('layer { bottom: "x" }', "x", "layer[].bottom"),
        ("a: [1, 2] # here", "here", ""),
        ('layer { name: "a" # here\n }', "here", "layer[a]"),
    ],
)
def test_the_address_of_a_place(text: str, word: str, where: str) -> None:
    assert address(parse(text.encode()).root, text.rindex(word)) == where


def test_a_number_of_too_many_digits_is_said_in_our_words(tmp_path: Path) -> None:
    path = tmp_path / "baseline.json"
    path.write_text('{"version": 1, "findings": {"a": {"E101": {"": %s}}}}' % ("9" * 5_000))
    with pytest.raises(BaselineError, match=r"baseline\.json: not a baseline: not valid JSON: a number has 5000 digits$"):
        read_baseline(str(path))


def test_a_verdict_does_not_hide_what_the_baseline_hides(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER + "momentum: 0.9\n")
    run(tmp_path, "solver.prototxt", "--write-baseline", "known.json")
    done = run(tmp_path, "solver.prototxt", "--baseline", "known.json")
    assert done.returncode == 0
    assert done.stdout.startswith("solver.prototxt: no problem found but 1 known one in the baseline\n")
