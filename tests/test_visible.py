"""What comes from files, paths and logs is shown as text, whatever it would do to a terminal or tell a CI server."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from caffe_lint.report import FORMATS
from caffe_lint.source.visible import visible, visible_lines, without_commands

# Names in text format: escapes, a bell, an operating-system command, a turn of direction, lines that CI servers obey.
NET = r"""
layer { name: "a\033[31mred\033]0;title\007\n::error file=x::said" type: "Input" top: "t\x9b2J" input_param { shape { dim: 1 } } }
layer { name: "a\033[31mred\033]0;title\007\n::error file=x::said" type: "Softmax" bottom: "t\x9b2J" top: "b\n  ::warning::y" }
layer { name: "c" type: "Odd\n::stop-commands::t" bottom: "no\n##vso[task.x]y\342\200\256\r::z" top: "d\n##[error]e" }
layer { name: "raw" type: "SoftMax" bottom: "raw@" top: "e" } # raw@ ##[group] ##vso[task.setvariable variable=x]y
::set-output name=x::y
 ::set-output name=x::y
""".replace("@", "\x1b]0;t\x07\x1b[2J")

_CONTROL = re.compile(rb"[\x00-\x08\x0b-\x1f\x7f]|\xc2[\x80-\x9f]|\xe2\x80[\xa8-\xae]")
_COMMAND = re.compile(rb"^\s*::|##\w*\[", re.MULTILINE)
COMMANDS = [
    *(["net.prototxt", "--output-format", name] for name in FORMATS),
    ["net.prototxt", "--statistics"],
    ["net.prototxt", "--diff"],
    ["net.prototxt", "--diff", "--add-ignore"],
    ["net", "net.prototxt"],
    ["net", "net.prototxt", "--output-format", "json"],
    ["net", "net.prototxt", "--output-format", "dot"],
    ["signal", "net.prototxt"],
    ["inputs", "net.prototxt"],
    ["config", "net.prototxt"],
    ["nothing\x1b[2J\n::error::here"],
]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[bytes]:
    done = subprocess.run(
        [sys.executable, "-m", "caffe_lint", *arguments], cwd=folder, capture_output=True, check=False
    )
    assert b"Traceback" not in done.stderr
    return done


def ask_for_text(said: bytes, *, commands: bool = False) -> None:
    assert _CONTROL.search(said) is None
    lines = [line for line in said.split(b"\n") if _COMMAND.search(line)]
    assert lines == [] or (commands and all(re.match(rb"::(error|warning|notice) title=", line) for line in lines))


@pytest.mark.parametrize("arguments", COMMANDS, ids=lambda arguments: " ".join(arguments[:3]).replace("\x1b", ""))
def test_names_in_files_do_nothing(tmp_path: Path, arguments: list[str]) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    done = run(tmp_path, *arguments)
    ask_for_text(done.stdout, commands="github" in arguments)
    ask_for_text(done.stderr)


# A solver and a net that Caffe refuses, with names that would be lines of a report: of layers, blobs, files and more.
_LIE = "\\r\\nnet.prototxt:1:1: LIE"
REFUSED = f"""
layer {{ name: "in{_LIE}" type: "Input" top: "t{_LIE}" input_param {{ shape {{ dim: 1 dim: 4 }} }} }}
layer {{ name: "ip{_LIE}" type: "InnerProduct" bottom: "u{_LIE}" top: "p{_LIE}" inner_product_param {{ num_output: 10 }} }}
layer {{ name: "odd{_LIE}" type: "Odd{_LIE}" bottom: "p{_LIE}" top: "o{_LIE}" }}
layer {{ name: "loss{_LIE}" type: "EuclideanLoss" bottom: "o{_LIE}" bottom: "t{_LIE}" top: "l{_LIE}" loss_weight: 9e9 }}
"""
TRAINED = f"""
layer {{ name: "in{_LIE}" type: "Input" top: "t{_LIE}" input_param {{ shape {{ dim: 1 dim: 4 }} }} }}
layer {{ name: "ip{_LIE}" type: "InnerProduct" bottom: "t{_LIE}" top: "p{_LIE}"
        inner_product_param {{ num_output: 4 weight_filler {{ type: "gaussian" std: 1e9 }} }} }}
layer {{ name: "loss{_LIE}" type: "EuclideanLoss" bottom: "p{_LIE}" bottom: "t{_LIE}" top: "l{_LIE}" loss_weight: 9e9 }}
"""


@pytest.mark.parametrize("net", [REFUSED, TRAINED], ids=["refused", "trained"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["."],
        ["solver.prototxt", "--output-format", "concise"],
        ["net", "net.prototxt"],
        ["net", "solver.prototxt", "--output-format", "json"],
        ["signal", "solver.prototxt"],
        ["signal", "solver.prototxt", "--trace", "--from-scratch"],
        ["simulate", "solver.prototxt", "--from-scratch"],
        ["schedule", "solver.prototxt"],
        ["probe", "solver.prototxt", "-o", "probe"],
        ["inputs", "solver.prototxt"],
        ["log", "train.log", "--solver", "solver.prototxt"],
    ],
    ids=" ".join,
)
def test_no_name_makes_a_line_of_its_own(tmp_path: Path, net: str, arguments: list[str]) -> None:
    if arguments[0] == "simulate":
        pytest.importorskip("numpy", reason="the simulator needs numpy")
    (tmp_path / "net.prototxt").write_text(net)
    (tmp_path / "solver.prototxt").write_text(
        f'net: "net.prototxt"\nbase_lr: 0.01\nlr_policy: "fixed"\nmax_iter: 9\nsnapshot_prefix: "s{_LIE}"\ntype: "SGD{_LIE}"\n'
    )
    (tmp_path / "train.log").write_text("I0101 00:00:00.000000  1 solver.cpp:218] Iteration 0, loss = nan\n")
    done = run(tmp_path, *arguments)
    said = (done.stdout + done.stderr).decode()
    assert said
    assert "\r" not in said
    assert [line for line in said.splitlines() if line.startswith("net.prototxt:1:1: LIE")] == []


@pytest.mark.parametrize(
    "arguments",
    [["net"], ["signal"], ["schedule"], ["inputs"], ["config"], ["log"], ["init"], ["probe", "-o", "made\nLIE", "--force"]],
    ids=" ".join,
)
def test_no_path_makes_a_line_of_its_own(tmp_path: Path, arguments: list[str]) -> None:
    folder = tmp_path / "sub\nLIE"
    folder.mkdir()
    (folder / "caffe-lint.toml").write_text('[per-file]\n"a\\nLIE" = {fail-on = "error"}\n"*" = {fail-on = "advice"}\n')
    (folder / "n\nLIE").write_text('net: "no\nLIE"\nbase_lr: 0.01\nlr_policy: "fixed"\nmax_iter: 9\n')
    (folder / "net\nLIE").write_text(TRAINED)
    command, *options = arguments
    for path in ("n\nLIE", "net\nLIE", "gone\nLIE", "."):
        done = run(folder, command, os.path.join("..", folder.name, path), *options)
        said = (done.stdout + done.stderr).decode()
        assert [line for line in said.splitlines() if line.startswith("LIE")] == []


@pytest.mark.parametrize("output_format", FORMATS)
def test_paths_do_nothing(tmp_path: Path, output_format: str) -> None:
    folder = tmp_path / "sub\n::set-output name=a::b"
    folder.mkdir()
    for name in ("n\x1b[31m\n::error::x.prototxt", "::error::y.prototxt", "##[error]z.prototxt"):
        (folder / name).write_text(NET)
    for arguments in ([".", "--output-format", output_format], [str(folder / "::error::y.prototxt")]):
        done = run(folder if arguments[0] == "." else tmp_path, *arguments)
        ask_for_text(done.stdout, commands="github" in arguments)
        ask_for_text(done.stderr)
    for name in os.listdir(folder):
        done = run(folder, name, "--output-format", output_format)
        ask_for_text(done.stdout, commands="github" in arguments or output_format == "github")
        ask_for_text(done.stderr)


def test_colours_are_ours_alone(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    for arguments in (["net.prototxt"], ["net.prototxt", "--diff"]):
        said = run(tmp_path, *arguments, "--color", "always").stdout
        assert b"\x1b[" in said
        codes = set(re.findall(rb"\x1b[^m]*m", said))
        assert codes <= {
            b"\x1b[%sm" % code for code in (b"0", b"31;1", b"33;1", b"36;1", b"1", b"34;1", b"32", b"31", b"36")
        }
        ask_for_text(re.sub(rb"\x1b\[[0-9;]*m", b"", said))


def test_a_report_in_a_file_is_cleaned_as_well(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    run(tmp_path, "net.prototxt", "--output-file", "report")
    ask_for_text((tmp_path / "report").read_bytes())


@pytest.mark.parametrize("output_format", FORMATS)
def test_lines_of_a_log_do_nothing(tmp_path: Path, output_format: str) -> None:
    lines = [
        "I0101 00:00:00.000000  1 solver.cpp:218] Iteration {0}, loss = {1}\n"
        "I0101 00:00:00.000000  1 net.cpp:609]     [Forward] Layer a\x1b]0;t\x07, top blob ##[error]b data: {1}".format(
            *step
        )
        for step in ((0, 2.0), (10, 200), (20, "nan"))
    ]
    fatal = "F0101 00:00:00.000000  1 net.cpp:1] Check failed: x\x1b[2J ##vso[task.x]y"
    (tmp_path / "train.log").write_text("\n".join([*lines, "::error::said", fatal]) + "\n")
    done = run(tmp_path, "log", "train.log", "--output-format", output_format)
    assert done.stdout
    ask_for_text(done.stdout, commands=output_format == "github")
    ask_for_text(done.stderr)


def test_what_is_text_stays_as_it_is() -> None:
    assert visible("layer 'é' → 日本") == "layer 'é' → 日本"
    assert visible("a\x1b[0m\tb\n\x9b\u202e\udc9b") == r"a\x1b[0m\x09b\x0a\x9b\u202e\x9b"
    assert visible_lines("a\tb\r\nc\rd\n") == "a\tb\r\nc\\x0dd\n"
    assert without_commands("a::b\n# [x]\n") == "a::b\n# [x]\n"
    assert without_commands("::a\n \t::b\n:c\n") == "\\u003a:a\n \t\\u003a:b\n:c\n"
