"""Text fits the terminal, and no line ends inside a word."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from harness import NET, SOLVER

from caffe_lint.cli import console
from caffe_lint.cli.commands import run
from caffe_lint.report.colours import paint
from caffe_lint.report.wrapping import columns, fitted, wrapped

TEXT = "gradient norm of loss 'points_loss' is 1e+06, against 26 for the other losses of caffe-lint's examples"


@pytest.mark.parametrize("width", [12, 20, 40, 80])
def test_lines_fit_and_hold_the_same_words(width: int) -> None:
    lines = wrapped(TEXT, width, first="= ", others="  ")
    assert " ".join(lines).replace("= ", "", 1).split() == TEXT.split()
    assert all(columns(line) <= width or len(line.split()) == 1 for line in lines[1:])
    assert lines[0].startswith("= ")
    assert all(line.startswith("  ") for line in lines[1:])


def test_colours_take_no_columns_and_wide_letters_two() -> None:
    assert columns(paint("abc", "error", True)) == 3
    assert columns("日本") == 4
    assert columns("e\N{COMBINING ACUTE ACCENT}") == 1


def test_what_fits_stays_as_it_is() -> None:
    table = "a    b   c\n  1  2    3\n"
    assert fitted(table, 20) == fitted(table, None) == table


def test_a_line_that_does_not_fit_is_continued_below_its_indentation() -> None:
    assert fitted("  one two three", 10) == "  one two\n    three"


COMMANDS = (
    ("check",), ("check", "--show-all"), ("check", "--statistics"), ("signal",), ("signal", "--trace"), ("schedule",), ("net",),
    ("config",), ("log",), ("explain", "G101"), ("explain", "--symptom", "loss = 87.3365"), ("rules",),
)  # fmt: skip
LOG = """\
I0101 10:00:00.000000 1 solver.cpp:228] Iteration 0, loss = 2.3
I0101 10:00:01.000000 1 solver.cpp:228] Iteration 10, loss = 12.5
I0101 10:00:02.000000 1 solver.cpp:228] Iteration 20, loss = nan
"""


@pytest.mark.parametrize("width", [40, 50, 80, 110, 200])
@pytest.mark.parametrize("command", COMMANDS)
def test_reports_fit_a_terminal(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: tuple[str, ...],
    width: int,
) -> None:
    (tmp_path / "net.prototxt").write_text(NET.replace('type: "xavier"', 'type: "gaussian" std: 1e-9'))
    (tmp_path / "solver.prototxt").write_text(
        SOLVER.replace("clip_gradients: 10\n", "").replace('"fixed"', '"step"' if command == ("schedule",) else '"fixd"')
        + "# " + "x" * 200
    )  # fmt: skip
    (tmp_path / "train.log").write_text(LOG)
    monkeypatch.chdir(tmp_path)
    paths = {"rules": [], "explain": [], "log": ["train.log"]}.get(command[0], ["solver.prototxt"])
    run([*command, *paths])
    free = capsys.readouterr()
    monkeypatch.setattr(console, "terminal_width", lambda **_: width)
    monkeypatch.setattr("caffe_lint.cli.rules_command.terminal_width", lambda **_: width)
    monkeypatch.setattr("caffe_lint.cli.net_command.terminal_width", lambda **_: width)
    monkeypatch.setattr("shutil.get_terminal_size", lambda *_: os.terminal_size((width, 24)))
    run([*command, *paths])
    fitting = capsys.readouterr()
    for text, before in ((fitting.out, free.out), (fitting.err, free.err)):
        too_wide = [line for line in text.splitlines() if columns(line) > width and len(line.split()) > 1]
        if command == ("config",):  # a setting takes one line
            too_wide = [line for line in too_wide if line.startswith("#")]
        assert too_wide == []
        if command[0] not in ("net", "schedule"):  # which draw less where there is less room
            assert set(text.replace("…", " ").split()) <= set(before.replace("…", " ").split())


def test_the_width_is_that_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    assert console.terminal_width() is None
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    monkeypatch.setenv("COLUMNS", "57")
    assert (console.terminal_width(), console.text_width()) == (57, 57)
    monkeypatch.setenv("COLUMNS", "300")
    assert (console.terminal_width(), console.text_width()) == (300, 110)
