"""`--interactive` as a person meets it: questions on a terminal, answers typed there, files written at the end."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

NET = """\
layer {
  name: "data"
  type: "DummyData"
  top: "data"
  top: "label"
  dummy_data_param {
    shape { dim: 8 dim: 3 }
    shape { dim: 8 }
    data_filler { type: "gaussian" std: 1 }
    data_filler { type: "constant" }
  }
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
net: "net.prototxt"
base_lr: 0.01
lr_policy: "Fixed"
momentum: 0.9
max_iter: 100
clip_gradients: 10
snapshot_prefix: "small"
"""
RELUS = "".join(f'layer {{ name: "{name}" type: "Relu" bottom: "score" top: "{name}" }}\n' for name in "abc")
PATIENCE = 30
ASKED = re.compile(r"Take this fix of (\w+)\? \[[^]]*\] ")


def own_terminal() -> None:
    """Makes standard input the terminal of the process, so that Ctrl-C typed there reaches it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    os.setsid()
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


class Talk:
    """A run on a terminal of its own: what it says, and what is typed."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.terminal, other = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "caffe_lint", *arguments, "--interactive", "--color", "never"],
            cwd=folder,
            stdin=other,
            stdout=other,
            stderr=other,
            preexec_fn=own_terminal,
        )
        os.close(other)
        self.text = ""
        self.answered = 0  # how much of it

    def read(self) -> bool:
        """Reads on; False at the end."""
        assert select.select([self.terminal], [], [], PATIENCE)[0], f"nothing came after:\n{self.text}"
        try:
            got = os.read(self.terminal, 65536)
        except OSError:  # how Linux says that the other end is closed
            got = b""
        self.text += got.decode().replace("\r\n", "\n")
        return bool(got)

    def answer(self, text: str, rule: str = "") -> str:
        """Waits for a question, about a rule if one is named, and types; gives what was shown for it."""
        while not (asked := ASKED.search(self.text, self.answered)):
            assert self.read(), f"it ended:\n{self.text}"
        assert not rule or asked[1] == rule
        shown = self.text[self.answered : asked.end()]
        self.answered = asked.end()
        os.write(self.terminal, text.encode())
        return shown

    def end(self) -> int:
        while self.read():
            pass
        os.close(self.terminal)
        assert "Traceback" not in self.text
        return self.process.wait(PATIENCE)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.prototxt").write_text(NET + RELUS)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    return tmp_path


def texts(folder: Path) -> tuple[str, str]:
    return (folder / "solver.prototxt").read_text(), (folder / "net.prototxt").read_text()


def test_each_fix_is_shown_with_its_patch(folder: Path) -> None:
    talk = Talk(folder, "solver.prototxt")
    net = talk.answer("n\n", "E116")
    assert "net.prototxt:21:25" in net
    assert '-layer { name: "a" type: "Relu"' in net
    assert '+layer { name: "a" type: "ReLU"' in net
    assert 'name: "b"' in talk.answer("n\n", "E116").split("@@")[-1]
    talk.answer("n\n", "E116")
    assert '+lr_policy: "fixed"' in talk.answer("n\n", "S121")
    assert talk.end() == 1
    assert texts(folder) == (SOLVER, NET + RELUS)


def test_taken_fixes_are_written_and_the_others_left(folder: Path) -> None:
    talk = Talk(folder, "solver.prototxt")
    talk.answer("n\n", "E116")
    talk.answer("y\n", "E116")
    talk.answer("n\n", "E116")
    talk.answer("y\n", "S121")
    assert talk.end() == 1
    assert "Fixed 2 findings in 2 files." in talk.text
    first, second, third = RELUS.splitlines(keepends=True)
    assert texts(folder) == (SOLVER.replace("Fixed", "fixed"), NET + first + second.replace("Relu", "ReLU") + third)


def test_all_of_a_rule_are_taken_at_once(folder: Path) -> None:
    talk = Talk(folder, "solver.prototxt")
    talk.answer("a\n", "E116")
    talk.answer("n\n", "S121")
    assert talk.end() == 1
    assert texts(folder) == (SOLVER, NET + RELUS.replace("Relu", "ReLU"))


def test_what_is_ignored_is_not_found_again(folder: Path) -> None:
    talk = Talk(folder, "solver.prototxt")
    talk.answer("n\n", "E116")
    talk.answer("i\n", "E116")
    talk.answer("y\n", "E116")
    talk.answer("y\n", "S121")
    assert talk.end() == 1
    assert "suppressed 1 finding" in talk.text
    lines = (folder / "net.prototxt").read_text().splitlines()
    assert [line.partition("#")[2] for line in lines[-3:]] == ["", " caffe-lint: ignore[E116]", ""]
    again = Talk(folder, "solver.prototxt")
    assert 'name: "a"' in again.answer("y\n", "E116")
    assert again.end() == 0


@pytest.mark.parametrize("leave", ["q\n", "\x04"], ids=["q", "end of input"])
def test_leaving_writes_what_was_taken(folder: Path, leave: str) -> None:
    talk = Talk(folder, "solver.prototxt")
    talk.answer("y\n", "E116")
    talk.answer(leave, "E116")
    assert talk.end() == 1
    assert texts(folder) == (SOLVER, NET + RELUS.replace("Relu", "ReLU", 1))


def test_ctrl_c_writes_nothing(folder: Path) -> None:
    talk = Talk(folder, "solver.prototxt")
    talk.answer("y\n", "E116")
    talk.answer("\x03", "E116")
    assert talk.end() == 130
    assert "nothing was written" in talk.text
    assert texts(folder) == (SOLVER, NET + RELUS)


def test_an_unknown_answer_is_asked_again(folder: Path) -> None:
    talk = Talk(folder, "solver.prototxt")
    talk.answer("?\n", "E116")
    assert "n  leave it as it is" in talk.answer("x\n", "E116")
    talk.answer("Q\n", "E116")
    assert talk.end() == 1
    assert texts(folder) == (SOLVER, NET + RELUS)


def test_a_file_that_was_changed_meanwhile_is_not_overwritten(folder: Path) -> None:
    talk = Talk(folder, "solver.prototxt")
    talk.answer("y\n", "E116")
    (folder / "net.prototxt").write_text(NET)
    talk.answer("q\n", "E116")
    assert talk.end() == 2
    assert "changed while it was being checked" in talk.text
    assert texts(folder) == (SOLVER, NET)


def test_nothing_to_ask_is_no_question(folder: Path) -> None:
    (folder / "net.prototxt").write_text(NET)
    (folder / "solver.prototxt").write_text(SOLVER.replace("Fixed", "fixed"))
    talk = Talk(folder, "solver.prototxt")
    assert talk.end() == 0
    assert talk.text.strip() == "No findings, 2 files checked."


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("solver.prototxt",), "--interactive needs a terminal"),
        (("solver.prototxt", "--fix"), "--fix"),
        (("solver.prototxt", "--watch"), "--watch"),
        (("-",), "it cannot be combined with -"),
    ],
)
def test_without_a_person_it_is_refused(folder: Path, arguments: tuple[str, ...], word: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "caffe_lint", "check", *arguments, "--interactive"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2
    assert word in done.stderr
    assert done.stdout == ""
