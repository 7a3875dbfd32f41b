"""`caffe-lint log` on the command line: reports, exit statuses, patches, a live pipe, tables."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
import time
from pathlib import Path

import pytest
from test_log_diagnosis import NAN, NET, SOLVER, falling, log_of, rising, values

PROGRAM = [sys.executable, "-m", "caffe_lint", "log"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An exploding training: its log, solver and net."""
    (tmp_path / "train.log").write_text(log_of([*falling(8), *rising(3, 5), values(**NAN)]))
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    (tmp_path / "net.prototxt").write_text(NET.replace("state { phase: TRAIN }\n", ""))
    return tmp_path


def run(folder: Path, *arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*PROGRAM, *arguments], cwd=folder, input=text, capture_output=True, text=True, check=False)


def test_the_report_names_cause_evidence_and_place(folder: Path) -> None:
    done = run(folder, "train.log", "--solver", "solver.prototxt")
    assert done.returncode == 1
    assert "error[T201] learning-rate-explosion" in done.stdout
    assert "solver.prototxt:1:10: base_lr of the solver" in done.stdout
    assert "1 cause found" in done.stdout


def test_json_has_what_a_script_needs(folder: Path) -> None:
    (cause,) = json.loads(run(folder, "train.log", "--output-format", "json").stdout)["causes"]
    assert {"code", "cause", "layer", "blob", "iteration", "log_line", "evidence"} <= cause.keys()
    assert (cause["code"], cause["iteration"]) == ("T201", 13)
    assert cause["first_not_finite"]["value"] == "nan"


def test_a_healthy_log_exits_with_0(folder: Path) -> None:
    done = run(folder, "-", text=log_of(falling(20)))
    assert (done.returncode, done.stdout.startswith("No problem found")) == (0, True)


@pytest.mark.parametrize(
    "arguments", [("none.log",), ("solver.prototxt",), ("train.log", "--fix"), ("train.log", "--stop-on", "divergence")]
)
def test_unusable_input_exits_with_2(folder: Path, arguments: tuple[str, ...]) -> None:
    done = run(folder, *arguments)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr


def test_fix_lowers_the_rate_and_inserts_clipping_from_the_healthy_norms(folder: Path) -> None:
    assert run(folder, "train.log", "--solver", "solver.prototxt", "--fix").returncode == 1
    expected = SOLVER.replace("base_lr: 0.01", "base_lr: 0.0001").replace(
        "momentum: 0.9\n", "momentum: 0.9\nclip_gradients: 1.5\n"
    )
    assert (folder / "solver.prototxt").read_text() == expected


def test_without_debug_info_the_fix_enables_it(folder: Path) -> None:
    lines = [line for line in log_of([values(**NAN)]).splitlines() if "ward]" not in line]
    (folder / "train.log").write_text("\n".join(lines))
    solver = SOLVER.replace("display: 1", "display: 100").replace("debug_info: true\n", "")
    (folder / "solver.prototxt").write_text(solver)
    done = run(folder, "train.log", "--solver", "solver.prototxt", "--fix")
    patched = (folder / "solver.prototxt").read_text()
    assert "display: 1\n" in patched
    assert "debug_info: true" in patched
    assert "next: run the training again" in done.stdout


def test_following_passes_the_log_through_unchanged_and_reports(folder: Path) -> None:
    text = (folder / "train.log").read_text()
    done = run(folder, "-", "--follow", text=text)
    assert done.stdout == text
    assert done.returncode == 1
    assert "diverged: iteration 13" in done.stderr
    assert "learning-rate-explosion" in done.stderr


def test_divergence_stops_a_live_pipe_with_3_while_the_writer_continues(folder: Path) -> None:
    lines = (folder / "train.log").read_text().splitlines(keepends=True)
    with subprocess.Popen(
        [*PROGRAM, "-", "--follow", "--stop-on", "divergence", "--solver", "solver.prototxt"],
        cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stderr is not None
        for piece in (lines[:40], lines[40:150], lines[150:]):  # a slow writer that does not end
            process.stdin.write("".join(piece))
            process.stdin.flush()
            time.sleep(0.1)
        said = process.stderr.read()
        assert process.wait(20) == 3
    assert "+base_lr: 0.0001" in said


def test_a_writer_that_dies_in_the_middle_of_a_line_still_gets_a_report(folder: Path) -> None:
    text = log_of(falling(20))[:-25]
    done = run(folder, "-", "--follow", text=text)
    assert (done.returncode, done.stdout) == (0, text)


def test_a_reader_that_closes_early_causes_no_traceback(folder: Path) -> None:
    text = log_of(falling(20)) * 200
    with subprocess.Popen(
        [*PROGRAM, "-", "--follow"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        try:
            process.stdin.write(text.encode())
            process.stdin.close()
        except BrokenPipeError:
            pass
        process.wait(20)
        assert b"Traceback" not in process.stderr.read()


def test_tables_hold_every_iteration_and_value(folder: Path) -> None:
    run(folder, "train.log", "--csv", "out.csv", "--json", "out.json")
    with (folder / "out.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["iteration"] for row in rows] == [str(number) for number in range(14)]
    assert rows[-1]["loss"] == "nan"
    values_ = json.loads((folder / "out.debug.json").read_text())
    assert len(values_) == 14 * 13
    assert values_[0] == {
        "run": 1, "iteration": 0, "log_line": values_[0]["log_line"], "direction": "Forward", "layer": "data",
        "role": "top", "blob": "data", "what": "data", "mean_abs": 0.5,
    }  # fmt: skip


def test_parquet_holds_every_iteration(folder: Path) -> None:
    parquet = pytest.importorskip("pyarrow.parquet", reason="pyarrow is not installed")
    run(folder, "train.log", "--parquet", "out.parquet")
    assert parquet.read_table(folder / "out.parquet").column("iteration").to_pylist() == list(range(14))


def test_curves_and_heat_maps_are_drawn_by_view(folder: Path) -> None:
    assert run(folder, "train.log", "--plot", "a.png").returncode == 2
    done = subprocess.run([*PROGRAM[:-1], "view", "--log", "train.log"], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "caffe-lint: written: train.view.html\n")
    assert (folder / "train.view.html").read_text().startswith("<!DOCTYPE html>")


# -- suppressing, selecting, configuring -----------------------------------------------------------------------------


def test_a_cause_is_suppressed_at_its_place(folder: Path) -> None:
    solver = folder / "solver.prototxt"
    solver.write_text(SOLVER.replace("base_lr: 0.01\n", "base_lr: 0.01  # caffe-lint: ignore[T201]\n"))
    done = run(folder, "train.log", "--solver", "solver.prototxt", "--diff")
    assert (done.returncode, done.stdout) == (0, "")
    assert run(folder, "train.log").returncode == 1  # without the solver, it has no place
    solver.write_text(f"# caffe-lint: file-ignore[T2]\n{SOLVER}")
    assert "No problem found" in run(folder, "train.log", "--solver", "solver.prototxt").stdout


def test_the_patch_goes_to_the_output_file_without_colours(folder: Path) -> None:
    asked = ("train.log", "--solver", "solver.prototxt", "--diff")
    printed = run(folder, *asked)
    done = run(folder, *asked, "--output-file", "fix.patch", "--color", "always")
    assert (done.returncode, done.stdout, done.stderr) == (printed.returncode, "", printed.stderr)
    assert (folder / "fix.patch").read_text() == printed.stdout
    assert "+base_lr: " in printed.stdout


def test_select_ignore_exit_zero_and_output_file(folder: Path) -> None:
    assert run(folder, "train.log", "--ignore", "T").returncode == 0
    assert run(folder, "train.log", "--select", "learning-rate-explosion").returncode == 1
    assert run(folder, "train.log", "--exit-zero").returncode == 0
    assert run(folder, "train.log", "--fail-on", "error").returncode == 1
    done = run(folder, "train.log", "--output-file", "report.txt", "--color", "always")
    assert (done.returncode, done.stdout) == (1, "")
    assert (folder / "report.txt").read_text().startswith("error[T201]")
    done = run(folder, "train.log", "--output-file", "none/report.txt")
    assert (done.returncode, "none/report.txt: its folder does not exist" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("options", "words"),
    [(("--select", "G101"), "names no rule that looks at logs"), (("--ignore", "T999"), "unknown rule 'T999'")],
)
def test_unknown_rules_are_reported(folder: Path, options: tuple[str, ...], words: str) -> None:
    done = run(folder, "train.log", *options)
    assert (done.returncode, words in done.stderr) == (2, True)


def test_the_configuration_applies_to_logs_too(folder: Path) -> None:
    config = folder / "caffe-lint.toml"
    config.write_text('preset = "stability"\n[rules.T201]\nseverity = "advice"\n')
    done = run(folder, "train.log")
    assert (done.returncode, done.stdout.startswith("advice[T201]")) == (0, True)
    config.write_text('ignore = ["T"]\n')
    assert run(folder, "train.log").returncode == 0
    assert run(folder, "train.log", "--isolated").returncode == 1
    config.write_text("ignroe = []\n")
    assert (run(folder, "train.log").returncode, "did you mean" in run(folder, "train.log").stderr) == (2, True)


OTHER_NET = NET.replace('"ip1"', '"fc1"').replace("state { phase: TRAIN }\n", "")


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        ("net.prototxt", '"ip1"', '"fc1"', "is of another training than solver.prototxt: the log has a layer 'ip1' (InnerProduct), net.prototxt has none"),
        ("net.prototxt", '"ReLU"', '"Sigmoid"', "layer 'relu1' is a ReLU in the log, a Sigmoid in net.prototxt"),
        ("net.prototxt", 'ip1" inner_product_param { num_output: 10', 'ip1" inner_product_param { num_output: 99', "num_output of layer 'ip1' is 10 in the log, 99 in net.prototxt"),
        ("net.prototxt", 'top: "loss" }', 'top: "loss" }\nlayer { name: "extra" type: "Silence" bottom: "data" }', "net.prototxt has a layer 'extra' (Silence), the log has none"),
        ("net.prototxt", 'top: "loss" }', 'top: "loss" loss_weight: 3 }', "solver.prototxt or its net changed since train.log, or the log is of another training: loss_weight of 'loss' is 1 in the log, 3 in net.prototxt"),
        ("solver.prototxt", "debug_info", 'type: "Adam"\ndebug_info', 'is of another training than solver.prototxt: type is "SGD" in the log, "Adam" in solver.prototxt'),
        ("solver.prototxt", '"fixed"', '"step"\ngamma: 0.1\nstepsize: 10', 'lr_policy is "fixed" in the log, "step" in solver.prototxt; gamma is 0 in the log, 0.1 in solver.prototxt'),
        ("solver.prototxt", "base_lr: 0.01", "base_lr: 0.001", "changed since train.log, or the log is of another training: base_lr is 0.01 in the log, 0.001 in solver.prototxt"),
        ("solver.prototxt", "momentum: 0.9", "momentum: 0.9\nclip_gradients: 5", "clip_gradients is not set in the log, 5 in solver.prototxt"),
    ],
)  # fmt: skip
def test_another_training_is_not_fixed(folder: Path, file: str, old: str, new: str, said: str) -> None:
    text = (folder / file).read_text().replace(old, new)
    (folder / file).write_text(text)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for option in ("--fix", "--diff"):
        done = run(folder, "train.log", "--solver", "solver.prototxt", option)
        assert (done.returncode, "@@" in done.stdout) == (2, False)
        assert f"{said}. Nothing was changed\n" in done.stderr
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    done = run(folder, "train.log", "--solver", "solver.prototxt")
    assert (done.returncode, "T201" in done.stdout) == (1, True)  # the log speaks for itself
    assert f"{said}\n" in done.stderr


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("solver.prototxt", "max_iter: 100", "max_iter: 90000\ntest_interval: 10\nsnapshot: 50"),
        ("solver.prototxt", "display: 1\n", "display: 20\naverage_loss: 20\niter_size: 2\nrandom_seed: 3\n"),
        ("solver.prototxt", "momentum: 0.9", "momentum: 0.9\ngamma: 0.5\nclip_gradients: -1"),  # neither has an effect
        ("net.prototxt", "dim: 8 dim: 4", "dim: 64 dim: 4"),
        ("net.prototxt", 'name: "tiny"', 'name: "small"'),
    ],
)
def test_what_does_not_make_it_another_training_may_differ(folder: Path, file: str, old: str, new: str) -> None:
    assert old in (folder / file).read_text()
    (folder / file).write_text((folder / file).read_text().replace(old, new))
    done = run(folder, "train.log", "--solver", "solver.prototxt", "--fix")
    assert (done.returncode, "base_lr: 0.0001" in (folder / "solver.prototxt").read_text()) == (1, True)
    assert "another training" not in done.stderr


def test_a_second_fix_from_the_same_log_changes_nothing(folder: Path) -> None:
    run(folder, "train.log", "--solver", "solver.prototxt", "--fix")
    once = (folder / "solver.prototxt").read_text()
    done = run(folder, "train.log", "--solver", "solver.prototxt", "--fix")
    assert (folder / "solver.prototxt").read_text() == once
    assert "solver.prototxt or its net changed since train.log" in done.stderr
    assert "base_lr is 0.01 in the log, 0.0001 in solver.prototxt" in done.stderr


def without_header(folder: Path) -> None:
    lines = (folder / "train.log").read_text().splitlines(keepends=True)
    begin = next(number for number, line in enumerate(lines) if "[Forward]" in line)
    (folder / "train.log").write_text("".join(lines[begin:]))


def test_a_log_that_prints_neither_solver_nor_net_is_used_and_said_to_be(folder: Path) -> None:
    without_header(folder)
    done = run(folder, "train.log", "--solver", "solver.prototxt", "--fix")
    assert "base_lr: 0.0001" in (folder / "solver.prototxt").read_text()
    said = "train.log does not print its solver and net, so it may be of another training than solver.prototxt"
    assert said in done.stderr


@pytest.mark.parametrize(
    ("file", "old", "new", "said"),
    [
        (
            "solver.prototxt",
            "0.01",
            "0.5",
            "the learning rate of iteration 0 is 0.01 in the log, 0.5 by solver.prototxt",
        ),
        ("net.prototxt", '"ip1"', '"fc1"', "the log has a layer 'ip1', net.prototxt has none"),
    ],
)
def test_rates_and_names_are_compared_if_the_header_is_missing(
    folder: Path, file: str, old: str, new: str, said: str
) -> None:
    without_header(folder)
    (folder / file).write_text((folder / file).read_text().replace(old, new))
    before = (folder / "solver.prototxt").read_text()
    done = run(folder, "train.log", "--solver", "solver.prototxt", "--fix")
    assert (done.returncode, said in done.stderr) == (2, True)
    assert (folder / "solver.prototxt").read_text() == before


def test_a_net_that_glog_cut_off_is_compared_as_far_as_it_goes(folder: Path) -> None:
    text = (folder / "train.log").read_text()
    cut = text.replace(
        'layer { name: "ip2"' + text.partition('layer { name: "ip2"')[2].partition("\nI1122")[0],
        'layer { name: "ip2" type: "Inn',
    )
    assert cut != text
    (folder / "train.log").write_text(cut)
    assert run(folder, "train.log", "--solver", "solver.prototxt", "--fix").returncode == 1
    assert "base_lr: 0.0001" in (folder / "solver.prototxt").read_text()


def clipped(text: str, bound: float, norms: dict[int, float]) -> str:
    """A log with the lines that Caffe prints where it scales gradients down."""
    lines = []
    for line in text.splitlines():
        lines.append(line)
        for number, norm in norms.items():
            if f"Iteration {number} (" in line:
                lines.append(
                    "I1122 06:57:08.794001 27293 sgd_solver.cpp:120] Gradient clipping: scaling down gradients "
                    f"(L2 norm {norm:g} > {bound:g}) by scale factor {bound / norm:g}"
                )
    return "\n".join(lines) + "\n"


def clip_after_fix(folder: Path, text: str, solver: str) -> tuple[str, str]:
    """The lines of base_lr and clip_gradients after `log --fix`, and what was said."""
    (folder / "train.log").write_text(text)
    (folder / "solver.prototxt").write_text(solver)
    done = run(folder, "train.log", "--solver", "solver.prototxt", "--fix")
    patched = (folder / "solver.prototxt").read_text().splitlines()
    return ", ".join(
        line for line in patched if line.startswith(("base_lr", "clip_gradients"))
    ), done.stdout + done.stderr


def test_a_threshold_with_which_a_run_exploded_is_lowered_to_its_healthy_norms(folder: Path) -> None:
    solver = SOLVER + "clip_gradients: 40\n"
    steps = [*falling(8), *rising(3, 5), values(**NAN)]
    text = clipped(log_of(steps, solver=solver), 40, {10: 1350, 11: 40500, 12: 1.2e6})
    assert clip_after_fix(folder, text, solver)[0] == "base_lr: 0.0001, clip_gradients: 1.5"


def test_a_threshold_below_the_healthy_norms_is_not_raised(folder: Path) -> None:
    solver = SOLVER + "clip_gradients: 0.2\n"
    steps = [*falling(8), *rising(3, 5), values(**NAN)]
    text = clipped(log_of(steps, solver=solver), 0.2, {number: 1.5 * 30 ** max(0, number - 8) for number in range(14)})
    fields, said = clip_after_fix(folder, text, solver)
    assert fields == "base_lr: 0.01, clip_gradients: 0.002"  # the run broke at once: a hundredth, once
    assert "exceeded in every iteration, so it is the learning rate" in said


def test_a_threshold_is_not_lowered_to_a_number_from_nothing(folder: Path) -> None:
    solver = SOLVER.replace("debug_info: true\n", "") + "clip_gradients: 40\n"
    text = log_of([*falling(8), *rising(3, 5), values(**NAN)], solver=solver)
    bare = "\n".join(line for line in text.splitlines() if "ward]" not in line) + "\n"
    fields, said = clip_after_fix(folder, bare, solver)
    assert "clip_gradients: 40" in fields
    assert "clip_gradients 40 did not prevent this; the log has no gradient norm to lower it to" in said


def test_a_threshold_that_acts_always_without_an_explosion_is_said_to_be_the_rate(folder: Path) -> None:
    solver = SOLVER + "clip_gradients: 0.1\n"
    text = clipped(log_of([values()] * 12, solver=solver), 0.1, dict.fromkeys(range(12), 1.5))
    fields, said = clip_after_fix(folder, text, solver)
    assert fields == "base_lr: 0.01, clip_gradients: 0.1"
    assert "T403" in said
    assert "so the threshold is the learning rate" in " ".join(said.split())


def test_a_threshold_that_was_switched_off_stays_so_unless_the_run_exploded(folder: Path) -> None:
    solver = SOLVER + "clip_gradients: -1\n"
    steps = [*falling(8), *rising(3, 5), values(**NAN)]
    assert clip_after_fix(folder, log_of(steps, solver=solver), solver)[0] == "base_lr: 0.0001, clip_gradients: 1.5"
