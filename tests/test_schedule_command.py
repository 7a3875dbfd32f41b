"""`caffe-lint schedule`: the rows, the faults, the curve, and what it cannot show."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from caffe_lint.cli.commands import cli
from caffe_lint.proto.binder import Message, bind
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.solver.rate_course import Course, Fault, course, fault_of
from caffe_lint.solver.schedule import learning_rate

STEP = 'net: "n"\nbase_lr: 0.1 lr_policy: "step" gamma: 0.1 stepsize: 100 max_iter: 350\n'


def message(text: str) -> Message:
    return bind(parse(text.encode()), caffe_schema(), "SolverParameter").message


def course_of(text: str) -> Course:
    solver = message(text)
    found = course(solver, solver["max_iter"])
    assert found is not None
    return found


def run(*arguments: str, text: str = "") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "caffe_lint", "schedule", *arguments]
    return subprocess.run(command, input=text, capture_output=True, encoding="utf-8")


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        (STEP, [(0, 0.1), (100, 0.01), (200, 0.001), (300, 1e-4)]),
        ('base_lr: 1 lr_policy: "fixed" max_iter: 9', [(0, 1)]),
        ('base_lr: 1 lr_policy: "multistep" gamma: 0.5 stepvalue: 4 stepvalue: 6 stepvalue: 99 max_iter: 9',
         [(0, 1), (4, 0.5), (6, 0.25)]),
        ('base_lr: 1 lr_policy: "poly" power: 1 max_iter: 8', [(0, 1), (2, 0.75), (4, 0.5), (6, 0.25), (7, 0.125)]),
        ('lr_policy: "multifixed" stagelr: 1 stagelr: 0.5 stageiter: 3 stageiter: 9 max_iter: 9', [(0, 1), (4, 0.5)]),
        ('base_lr: 1 lr_policy: "fixed" warmup_iter: 4 max_iter: 9', [(0, 0), (2, 0.5), (4, 1), (8, 1)]),
        ('base_lr: 1 lr_policy: "plateau" gamma: 0.1 plateau_winsize: 5 max_iter: 100', [(0, 1), (25, None)]),
        ('base_lr: 1 lr_policy: "step" gamma: 1 stepsize: 1 max_iter: 100',
         [(0, 1), (25, 1), (50, 1), (75, 1), (99, 1)]),
    ],
)  # fmt: skip
def test_rows_stand_where_the_rate_changes(text: str, rows: list[tuple[int, float | None]]) -> None:
    found = [(row.iteration, row.rate) for row in course_of(text).rows]
    assert [iteration for iteration, _ in found] == [iteration for iteration, _ in rows]
    assert [rate for _, rate in found] == [pytest.approx(rate) if rate is not None else None for _, rate in rows]


@pytest.mark.parametrize(
    ("text", "faults"),
    [
        (STEP, []),
        (STEP.replace("gamma: 0.1", ""), [("zero", 100, 349)]),
        (STEP.replace("base_lr: 0.1", ""), [("zero", 0, 349)]),
        (STEP.replace("base_lr: 0.1", "base_lr: -1"), [("negative", 0, 349)]),
        ('base_lr: 0.1 lr_policy: "exp" gamma: 0.5 max_iter: 1000', [("zero", 147, 999)]),
        ('base_lr: 0.1 lr_policy: "exp" gamma: 2 max_iter: 1000', [("infinite", 132, 999)]),
        ('base_lr: 0.1 lr_policy: "sigmoid" gamma: 1 stepsize: 300 max_iter: 1000', [("zero", 0, 198)]),
        ('base_lr: 1 lr_policy: "multistep" gamma: -0.1 stepvalue: 10 stepvalue: 20 max_iter: 50',
         [("negative", 10, 19)]),
        ('base_lr: 1 lr_policy: "step" gamma: 0.1 stepsize: 1 max_iter: 1000000', [("zero", 46, 999_999)]),
        ('base_lr: 1 lr_policy: "fixed" warmup_iter: 4 warmup_start_lr: 0 max_iter: 9', []),
    ],
)  # fmt: skip
def test_faults_are_found_to_the_iteration(text: str, faults: list[tuple[str, int, int]]) -> None:
    assert course_of(text).faults == tuple(Fault(*fault) for fault in faults)


def test_beyond_the_end_of_poly_the_rate_is_none_to_learn_from() -> None:
    solver = message('base_lr: 1 lr_policy: "poly" power: 0.5 max_iter: 500')
    found = course(solver, 1000)
    assert found is not None
    assert found.faults == (Fault("zero", 500, 500), Fault("NaN", 501, 999))


@pytest.mark.parametrize(
    "text",
    [
        'base_lr: 0.3 lr_policy: "step" gamma: 0.97 stepsize: 7 max_iter: 5000',
        'base_lr: 0.3 lr_policy: "exp" gamma: 0.8 max_iter: 800',
        'base_lr: 0.3 lr_policy: "sigmoid" gamma: 0.5 stepsize: 400 max_iter: 800',
        'base_lr: 0.3 lr_policy: "inv" gamma: 100 power: 12 max_iter: 3000',
        'base_lr: 0.3 lr_policy: "multistep" gamma: 1e-20 stepvalue: 50 stepvalue: 40 stepvalue: 300 max_iter: 800',
        'base_lr: 0 max_lr: 1 lr_policy: "triangular" stepsize: 100 max_iter: 201',
        'base_lr: 0.1 max_lr: 1 lr_policy: "triangular2" stepsize: 1 max_iter: 5000',
        'base_lr: 0.1 lr_policy: "exp" gamma: 0.5 warm_up_iters: 30 warm_up_factor: -0.9 warmup_iter: 9 warmup_start_lr: 0.01 max_iter: 400',
        'base_lr: 0.1 lr_policy: "exp" gamma: 0.5 warmup_iter: 20 warmup_start_lr: 0.01 max_iter: 500',
    ],
)
def test_faults_are_those_of_walking_through_every_iteration(text: str) -> None:
    solver = message(text)
    found = course_of(text)
    walked = [fault_of(learning_rate(solver, iteration)) for iteration in range(found.length)]
    told = [""] * found.length
    for fault in found.faults:
        told[fault.first : fault.last + 1] = [fault.kind] * (fault.last + 1 - fault.first)
    assert told == walked


def test_the_command_prints_table_curve_and_sentence() -> None:
    done = run("-", text=STEP.replace("gamma: 0.1", ""))
    assert done.returncode == 1
    assert re.search(r"^ +100  0 +0 +step 1, zero$", done.stdout, re.MULTILINE)
    assert re.search(r"^   0 ┤█{20,21}0{51,52}$|^  0 ┤█{20,21}0{51,52}$", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("The rate is zero from iteration 100 on: nothing is learned.\n")


def test_every_curve_is_as_wide_as_its_run_or_the_terminal() -> None:
    for length, columns in ((1, 1), (5, 5), (72, 72), (100_000, 72)):
        done = run("-", "--iterations", str(length), text='net: "n" base_lr: 1 lr_policy: "fixed" max_iter: 7')
        assert done.returncode == 0
        assert ("policy 'fixed', 1 iteration," in done.stdout) == (length == 1)
        assert f"└{'─' * columns}\n" in done.stdout
        assert f"1 ┤{'█' * columns}\n" in done.stdout


def test_json_holds_the_same_rows() -> None:
    done = run("-", "--output-format", "json", text=STEP.replace("gamma: 0.1", "gamma: 1e30"))
    content: dict[str, Any] = json.loads(done.stdout)
    assert [row["iteration"] for row in content["rows"]] == [0, 100, 200]
    assert [row["fault"] for row in content["rows"]] == ["", "", "infinite"]
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (STEP.replace('"step"', '"Step"'), "did you mean 'step'?"),
        (STEP.replace('lr_policy: "step"', ""), "has no lr_policy"),
        (STEP.replace("max_iter: 350", ""), "--iterations"),
        ('layer { name: "a" type: "ReLU" bottom: "b" top: "c" }', "not a solver"),
        ("", "not a solver"),
        ("base_lr: {", "solver"),
    ],
)
def test_what_has_no_schedule_is_told_and_leaves_with_2(text: str, words: str) -> None:
    done = run("-", text=text)
    assert (done.returncode, done.stdout) == (2, "")
    assert words in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_that_is_not_there() -> None:
    done = run("nowhere.prototxt")
    assert done.returncode == 2
    assert "nowhere.prototxt" in done.stderr


@pytest.mark.parametrize("suffix", ["png", "svg"])
@pytest.mark.parametrize(
    "text",
    [STEP, STEP.replace("gamma: 0.1", ""), STEP.replace("base_lr: 0.1", ""), STEP.replace("350", "1"),
     'base_lr: 0.1 lr_policy: "exp" gamma: 2 max_iter: 1000', 'base_lr: 1 lr_policy: "plateau" max_iter: 10'],
)  # fmt: skip
def test_pictures_are_drawn(tmp_path: Path, suffix: str, text: str) -> None:
    pytest.importorskip("matplotlib", reason="pictures need matplotlib, of the extra plot")
    target = tmp_path / f"rate.{suffix}"
    done = run("-", "--plot", str(target), text=text)
    assert done.stderr.splitlines()[-1] == f"caffe-lint: written: {target}"
    start = target.read_bytes()[:200]
    assert {"png": b"\x89PNG", "svg": b"<?xml"}[suffix] in start


@pytest.mark.parametrize("name", ["rate.gif", "rate.html"])
def test_a_picture_of_another_kind_is_refused(tmp_path: Path, name: str) -> None:
    done = run("-", "--plot", str(tmp_path / name), text=STEP)
    assert done.returncode == 2
    assert "must end in .png, .svg" in done.stderr


def test_without_matplotlib_it_says_what_to_install(tmp_path: Path) -> None:
    (tmp_path / "solver.prototxt").write_text(STEP)
    program = "import sys; sys.modules['matplotlib'] = None; from caffe_lint.cli.main import main; main()"
    command = [sys.executable, "-c", program, "schedule", "solver.prototxt", "--plot", "a.png"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "pip install matplotlib" in done.stderr


def test_help_names_the_command() -> None:
    assert "max_iter" in CliRunner().invoke(cli, ["schedule", "--help"]).output


def test_the_documentation_shows_the_actual_output() -> None:
    page = Path(__file__).parent.parent / "docs" / "schedule.md"
    if not page.exists():
        pytest.skip("there is no checkout to look at")
    shown = re.search(r"```\n(solver.prototxt.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    text = 'net: "n" base_lr: 0.01 lr_policy: "step" stepsize: 100000 max_iter: 450000'
    assert shown
    assert shown[1] == run("-", text=text).stdout.replace("-: policy", "solver.prototxt: policy", 1)
