"""`caffe-lint log` on the command line: reports, exit statuses, patches, a live pipe, tables and pictures."""

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
    started = time.monotonic()
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
    assert time.monotonic() - started < 20
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


@pytest.mark.parametrize(
    ("name", "start"), [("a.png", b"\x89PNG"), ("a.svg", b"<?xml"), ("a.html", b"<!doctype html>")]
)
def test_pictures_are_drawn_in_each_format(name: str, start: bytes, folder: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is not installed")
    run(folder, "train.log", "--plot", name)
    assert (folder / name).read_bytes().startswith(start)


# -- suppressing, selecting, configuring -----------------------------------------------------------------------------


def test_a_cause_is_suppressed_at_its_place(folder: Path) -> None:
    solver = folder / "solver.prototxt"
    solver.write_text(SOLVER.replace("base_lr: 0.01\n", "base_lr: 0.01  # caffe-lint: ignore[T201]\n"))
    done = run(folder, "train.log", "--solver", "solver.prototxt", "--diff")
    assert (done.returncode, done.stdout) == (0, "")
    assert run(folder, "train.log").returncode == 1  # without the solver, it has no place
    solver.write_text(f"# caffe-lint: file-ignore[T2]\n{SOLVER}")
    assert "No problem found" in run(folder, "train.log", "--solver", "solver.prototxt").stdout


def test_select_ignore_exit_zero_and_output_file(folder: Path) -> None:
    assert run(folder, "train.log", "--ignore", "T").returncode == 0
    assert run(folder, "train.log", "--select", "learning-rate-explosion").returncode == 1
    assert run(folder, "train.log", "--exit-zero").returncode == 0
    assert run(folder, "train.log", "--fail-on", "error").returncode == 1
    done = run(folder, "train.log", "--output-file", "report.txt", "--color", "always")
    assert (done.returncode, done.stdout) == (1, "")
    assert (folder / "report.txt").read_text().startswith("error[T201]")
    done = run(folder, "train.log", "--output-file", "none/report.txt")
    assert (done.returncode, "none/report.txt: No such file" in done.stderr) == (2, True)


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
