"""No output replaces what the same run has read, by whatever option and whatever name of the file."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from harness import NET, SOLVER

from caffe_lint.source import opener

LOG = "I0101 00:00:00.000000  1 solver.cpp:218] Iteration {}, loss = {}\n"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    (tmp_path / "train.log").write_text("".join(LOG.format(10 * number, 2.0) for number in range(6)))
    (tmp_path / "link").symlink_to("net.prototxt")
    (tmp_path / "sub").mkdir()
    (tmp_path / "caffe-lint.toml").write_text('ignore = ["S110"]\n')
    return tmp_path


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "caffe_lint", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    ("arguments", "target"),
    [
        *((("solver.prototxt", "-o"), name) for name in ("solver.prototxt", "link", "sub/../net.prototxt", "caffe-lint.toml")),
        (("solver.prototxt", "--output-format", "html", "--output-file"), "net.prototxt"),
        ((".", "--jobs", "2", "-o"), "net.prototxt"),
        (("view", "solver.prototxt", "-o"), "link"),
        (("solver.prototxt", "--diff", "-o"), "net.prototxt"),
        (("log", "train.log", "--solver", "solver.prototxt", "-o"), "net.prototxt"),
        (("log", "train.log", "--solver", "solver.prototxt", "--diff", "-o"), "link"),
        (("simulate", "solver.prototxt", "--from-scratch", "--log-output"), "link"),
    ],
)
def test_nothing_is_written_over_a_file_that_was_read(folder: Path, arguments: tuple[str, ...], target: str) -> None:
    if arguments[0] == "simulate":
        pytest.importorskip("numpy", reason="the simulator needs numpy")
    before = contents(folder)
    done = run(folder, *arguments, target)
    assert done.returncode == 2
    assert f"{target}: not overwritten, since this run reads it" in done.stderr
    assert "name another file for the output" in done.stderr
    assert contents(folder) == before


@pytest.mark.parametrize("target", ["net.prototxt", "gone/report.txt"])
@pytest.mark.parametrize("option", ["--fix", "--add-ignore"])
def test_nothing_is_patched_if_the_report_cannot_be_written(folder: Path, option: str, target: str) -> None:
    (folder / "solver.prototxt").write_text(SOLVER.replace("momentum", "momentun"))
    before = contents(folder)
    done = run(folder, "solver.prototxt", option, "-o", target)
    assert done.returncode == 2
    assert target in done.stderr
    assert contents(folder) == before


@pytest.mark.parametrize("arguments", [("solver.prototxt", "--write-baseline"), ("inputs", "net.prototxt", "--write-facts")])
def test_what_is_updated_is_of_its_own_kind(folder: Path, arguments: tuple[str, ...]) -> None:
    """A baseline, and facts, are merged into what is there."""
    before = contents(folder)
    done = run(folder, *arguments, "net.prototxt")
    assert done.returncode == 2
    assert contents(folder) == before


@pytest.mark.parametrize("option", ["--csv", "--json", "-o"])
def test_a_log_is_not_replaced_by_what_is_told_of_it(folder: Path, option: str) -> None:
    before = contents(folder)
    done = run(folder, "log", "train.log", option, "./train.log")
    assert done.returncode == 2
    assert "./train.log: not overwritten, since this run reads it as train.log; name another file" in done.stderr
    assert contents(folder) == before


def test_a_list_of_images_is_not_replaced_by_the_report_on_it(folder: Path) -> None:
    pytest.importorskip("PIL", reason="images need Pillow")
    (folder / "list.txt").write_text("a.png 0\n")
    (folder / "net.prototxt").write_text(
        'layer { name: "data" type: "ImageData" top: "data" top: "label" image_data_param { source: "list.txt" batch_size: 1 } }\n'
    )
    done = run(folder, "inputs", "net.prototxt", "-o", "list.txt")
    assert done.returncode == 2
    assert "list.txt: not overwritten" in done.stderr
    assert (folder / "list.txt").read_text() == "a.png 0\n"


@pytest.mark.parametrize(
    "arguments",
    [("log", "train.log", "--csv"), ("solver.prototxt", "--write-baseline"), ("schedule", "solver.prototxt", "--plot")],
)
def test_standard_output_is_no_file_to_write_to(folder: Path, arguments: tuple[str, ...]) -> None:
    done = run(folder, *arguments, "-")
    assert done.returncode == 2
    assert "'-' names no file to write to" in done.stderr or "--plot -: the name must end in" in done.stderr
    assert not list(folder.glob("-*"))


def test_images_without_number_are_not_kept_in_mind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opener, "_MOST_NOTED", 10)
    opener.forget_read()
    for number in range(100):
        opener.note_read((f"{number}.jpg",))
    assert len(opener.files_read()) == 10
    opener.forget_read()


def test_an_earlier_output_is_replaced(folder: Path) -> None:
    for arguments in (
        (".", "-o", "report.txt"),
        (".", "--write-baseline", "baseline.json"),
        ("log", "train.log", "--csv", "table.csv"),
        ("view", "solver.prototxt"),
        ("solver.prototxt", "--fix", "--output-dir", "patched"),
    ):
        for _ in range(2):
            assert run(folder, *arguments).returncode in (0, 1)
    (folder / "caffe-lint.toml").write_text('baseline = "baseline.json"\n')
    assert run(folder, ".", "--write-baseline", "baseline.json").returncode == 0
    assert os.path.getsize(folder / "solver.view.html") > 1000
