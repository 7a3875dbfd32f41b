"""`--watch` as a person meets it: the program in a process of its own, and files that change under it."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

pytest.importorskip("watchfiles")

NET = """\
layer {
  name: "data"
  type: "DummyData"
  top: "data"
  top: "label"
  dummy_data_param { shape { dim: 8 dim: 3 } shape { dim: 8 } }
}
layer {
  name: "score"
  type: "InnerProduct"
  bottom: "data"
  top: "score"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer { name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }
"""
SOLVER = """\
net: "nets/net.prototxt"
base_lr: 0.01
lr_policy: "fixed"
momentum: 0.9
max_iter: 100
clip_gradients: 10
snapshot_prefix: "small"
"""
PATIENCE = 60  # seconds; what is waited for comes in a fraction of one, on a machine at rest
WAITS = "waiting for changes"


class Watching:
    """A `caffe-lint … --watch` that runs, and what it has printed."""

    def __init__(self, folder: Path, *arguments: str, terminal: bool = False) -> None:
        self.output, stdout = pty.openpty() if terminal else os.pipe()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "caffe_lint", *arguments, "--watch", "--output-format", "concise"],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=subprocess.STDOUT,
            preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
        )
        os.close(stdout)
        self.text = ""
        self.until("\n")

    def until(self, words: str) -> None:
        """Reads on until it has printed these words and waits again.

        There may be reports before that: a file is empty for a moment when it is written anew.
        """
        before = len(self.text)
        end = time.monotonic() + PATIENCE
        while WAITS not in self.text[before:].partition(words)[2]:
            assert time.monotonic() < end, f"{words!r} did not come:\n{self.text}"
            if select.select([self.output], [], [], 0.1)[0]:
                got = os.read(self.output, 65536)
                assert got, f"it ended:\n{self.text}"
                self.text += got.decode("utf-8", "replace")
        assert "Traceback" not in self.text

    def stop(self) -> int:
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(timeout=PATIENCE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / ".git").mkdir()
    (tmp_path / "nets").mkdir()
    (tmp_path / "nets" / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    return tmp_path


@pytest.fixture
def watching(folder: Path) -> Iterator[Callable[..., Watching]]:
    started: list[Watching] = []

    def start(*arguments: str, terminal: bool = False) -> Watching:
        started.append(Watching(folder, *arguments, terminal=terminal))
        return started[-1]

    yield start
    for each in started:
        each.process.kill()
        each.process.wait()
        os.close(each.output)


Start = Callable[..., Watching]


def test_a_saved_solver_is_checked_again(folder: Path, watching: Start) -> None:
    run = watching("solver.prototxt")
    assert "No findings, 2 files checked." in run.text
    (folder / "solver.prototxt").write_text(SOLVER.replace('"fixed"', '"Fixed"'))
    run.until("solver.prototxt:3:12")
    (folder / "solver.prototxt").write_text(SOLVER)
    run.until("No findings")


def test_the_net_that_a_solver_names_is_watched(folder: Path, watching: Start) -> None:
    run = watching("solver.prototxt")
    (folder / "nets" / "net.prototxt").write_text(NET.replace("SoftmaxWithLoss", "SoftmaxWithLos"))
    run.until("nets/net.prototxt:15")


def test_an_editor_that_saves_by_renaming_is_seen(folder: Path, watching: Start) -> None:
    run = watching("solver.prototxt")
    for policy in ("Fixed", "Step"):
        new = folder / ".solver.tmp"
        new.write_text(SOLVER.replace("fixed", policy))
        new.rename(folder / "solver.prototxt")
        run.until(f"'{policy}'")


def test_a_file_may_vanish_and_come_back(folder: Path, watching: Start) -> None:
    run = watching("solver.prototxt")
    (folder / "solver.prototxt").unlink()
    run.until("No such file")
    (folder / "solver.prototxt").write_text(SOLVER)
    run.until("No findings")


def test_a_folder_may_vanish_and_come_back(folder: Path, watching: Start) -> None:
    run = watching("solver.prototxt")
    shutil.move(folder / "nets", folder / "aside")
    run.until("nets/net.prototxt")
    shutil.move(folder / "aside", folder / "nets")
    run.until("No findings, 2 files checked.")


def test_a_half_written_file_is_no_end(folder: Path, watching: Start) -> None:
    run = watching("solver.prototxt")
    (folder / "nets" / "net.prototxt").write_text(NET[: NET.index("weight_filler") + 5])
    run.until("net.prototxt")
    (folder / "nets" / "net.prototxt").write_bytes(b"")
    run.until("net.prototxt")
    (folder / "nets" / "net.prototxt").write_text(NET)
    run.until("No findings, 2 files checked.")


def test_a_missing_net_is_waited_for(folder: Path, watching: Start) -> None:
    (folder / "other").mkdir()
    (folder / "solver.prototxt").write_text(SOLVER.replace("nets/net", "other/new"))
    run = watching("solver.prototxt")
    assert "other/new.prototxt" in run.text
    (folder / "other" / "new.prototxt").write_text(NET)
    run.until("No findings, 2 files checked.")


def test_new_files_and_folders_below_a_folder_are_checked(folder: Path, watching: Start) -> None:
    run = watching(".")
    (folder / "nets" / "other.prototxt").write_text(NET.replace("SoftmaxWithLoss", "SoftmaxWithLos"))
    run.until("nets/other.prototxt:15")
    (folder / "more" / "inside").mkdir(parents=True)
    (folder / "more" / "inside" / "third.prototxt").write_text(NET.replace("SoftmaxWithLoss", "SoftmaxWithLos"))
    run.until("more/inside/third.prototxt:15")


def test_the_configuration_is_watched(folder: Path, watching: Start) -> None:
    (folder / "solver.prototxt").write_text(SOLVER.replace('"fixed"', '"Fixed"'))
    run = watching("solver.prototxt")
    assert "S121" in run.text
    (folder / "caffe-lint.toml").write_text('ignore = ["S121"]\n')
    run.until("No findings")
    (folder / "caffe-lint.toml").write_text('ignore = ["S121\n')
    run.until("caffe-lint.toml")
    (folder / "caffe-lint.toml").write_text("")
    run.until("S121")


def test_other_files_are_of_no_interest(folder: Path, watching: Start) -> None:
    run = watching(".")
    for number in range(5):
        (folder / f"small_iter_{number}.caffemodel").write_bytes(b"x" * 1000)
    before = len(run.text)
    time.sleep(2)
    (folder / "new").write_text(SOLVER.replace('"fixed"', '"Fixed"'))
    (folder / "new").rename(folder / "solver.prototxt")
    run.until("solver.prototxt:3:12")
    assert "No findings" not in run.text[before:]


def test_ctrl_c_ends_it_quietly(watching: Start) -> None:
    run = watching("solver.prototxt")
    before = run.text
    assert run.stop() == 130
    assert os.read(run.output, 65536) == b""
    assert re.search(r"\d\d:\d\d:\d\d: waiting for changes, Ctrl-C ends it\n$", before)


def test_a_reader_that_leaves_ends_it_quietly(folder: Path) -> None:
    command = f"{sys.executable} -m caffe_lint solver.prototxt --watch 2>errors | head -c 1"
    process = subprocess.Popen(["bash", "-c", f"set -o pipefail; {command}"], cwd=folder, stdout=subprocess.PIPE)
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        (folder / "solver.prototxt").write_text(SOLVER)  # it finds out when it prints again
        time.sleep(0.5)
    assert process.wait(timeout=1) == 1
    errors = (folder / "errors").read_text()
    assert "Broken pipe" not in errors
    assert "Traceback" not in errors


def test_the_screen_is_cleared_on_a_terminal_only(folder: Path, watching: Start) -> None:
    assert watching("solver.prototxt", terminal=True).text.startswith("\x1b[2J")
    assert "\x1b" not in watching("solver.prototxt").text


@pytest.mark.parametrize(
    ("arguments", "word"), [(("solver.prototxt", "--fix"), "--fix"), (("-",), "-"), ((), "no file or folder")]
)
def test_what_cannot_be_watched_is_refused(folder: Path, arguments: tuple[str, ...], word: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "caffe_lint", "check", *arguments, "--watch"], cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 2
    assert word in done.stderr


def test_without_watchfiles_it_says_what_to_install(folder: Path) -> None:
    program = "import sys; sys.modules['watchfiles'] = None; from caffe_lint.cli.main import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", program, "solver.prototxt", "--watch"], cwd=folder, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (
        2, "caffe-lint: --watch needs watchfiles: pip install watchfiles\n",
    )  # fmt: skip
