"""The command line as a user meets it: the installed program in a process of its own."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path

import click
import pytest
from harness import NET, SOLVER, bound_by_permissions, run

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.engine.grouping import find_units
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.source.files import SourceFile


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.prototxt").write_text(NET)
    (tmp_path / "solver.prototxt").write_text(SOLVER)
    return tmp_path


def break_solver(folder: Path) -> None:
    """An error that --fix repairs: a misspelt policy."""
    (folder / "solver.prototxt").write_text(SOLVER.replace('"fixed"', '"Fixed"'))


def test_a_clean_job_exits_with_0(folder: Path) -> None:
    done = run(folder, "solver.prototxt")
    assert (done.returncode, done.stderr) == (0, "")
    assert "No findings, 2 files checked." in done.stdout


def test_an_error_exits_with_1_and_is_shown_at_its_place(folder: Path) -> None:
    break_solver(folder)
    done = run(folder, "solver.prototxt")
    assert done.returncode == 1
    assert "solver.prototxt:3:12" in done.stdout
    assert 'lr_policy: "Fixed"' in done.stdout
    assert "[*] 1 fixable with `--fix`" in done.stdout


def test_concise_is_one_line_a_finding(folder: Path) -> None:
    break_solver(folder)
    first, *_ = run(folder, "solver.prototxt", "--output-format", "concise").stdout.splitlines()
    assert first.startswith("solver.prototxt:3:12: error[S121] unknown-lr-policy: ")
    assert first.endswith(" [*]")  # --fix fixes it


def test_json_has_a_version_and_the_edits(folder: Path) -> None:
    break_solver(folder)
    report = json.loads(run(folder, "solver.prototxt", "--output-format", "json").stdout)
    (finding,) = report["findings"]
    assert report["version"] == 1
    assert (finding["path"], finding["line"], finding["column"]) == ("solver.prototxt", 3, 12)
    assert finding["fix"]["edits"][0]["text"] == '"fixed"'
    assert report["summary"]["error"] == 1


def test_fix_writes_the_patch_and_leaves_the_rest(folder: Path) -> None:
    break_solver(folder)
    before = (folder / "net.prototxt").stat().st_mtime_ns
    done = run(folder, "solver.prototxt", "--fix")
    assert done.returncode == 0
    assert "Fixed 1 finding in 1 file." in done.stdout
    assert (folder / "solver.prototxt").read_text() == SOLVER
    assert (folder / "net.prototxt").stat().st_mtime_ns == before


def test_diff_shows_the_patch_and_writes_nothing(folder: Path) -> None:
    break_solver(folder)
    done = run(folder, "solver.prototxt", "--diff")
    assert done.returncode == 1
    assert '-lr_policy: "Fixed"\n+lr_policy: "fixed"\n' in done.stdout
    assert '"Fixed"' in (folder / "solver.prototxt").read_text()
    patched = subprocess.run(["patch", "-p1"], cwd=folder, input=done.stdout.encode(), check=False)
    assert patched.returncode == 0
    assert (folder / "solver.prototxt").read_text() == SOLVER


def test_output_dir_gets_the_whole_job_patched(folder: Path) -> None:
    break_solver(folder)
    assert run(folder, "solver.prototxt", "--fix", "--output-dir", "patched").returncode == 0
    assert (folder / "patched" / "solver.prototxt").read_text() == SOLVER
    assert (folder / "patched" / "net.prototxt").read_text() == NET
    assert '"Fixed"' in (folder / "solver.prototxt").read_text()


@pytest.mark.parametrize("colour", ["auto", "always"])
def test_diff_goes_to_the_output_file_and_can_be_applied(folder: Path, colour: str) -> None:
    break_solver(folder)
    printed = run(folder, "solver.prototxt", "--diff", "-o", "-")
    done = run(folder, "solver.prototxt", "--diff", "-o", "p.diff", "--color", colour)
    assert (done.returncode, done.stdout, done.stderr) == (1, "", "")
    assert (folder / "p.diff").read_text() == printed.stdout
    assert subprocess.run(["patch", "-p1", "-i", "p.diff"], cwd=folder, capture_output=True, check=False).returncode == 0
    assert (folder / "solver.prototxt").read_text() == SOLVER
    assert run(folder, "solver.prototxt", "--diff", "-o", "p.diff").returncode == 0
    assert (folder / "p.diff").read_text() == ""  # nothing is left to patch


@pytest.mark.parametrize("output", ["patched", "./deep/er/", "absolute"])
def test_copies_are_no_input_of_the_next_run_that_writes_them(folder: Path, output: str) -> None:
    break_solver(folder)
    (folder / ".git").mkdir()
    output = str(folder / output) if output == "absolute" else output
    first = run(folder, ".", "--fix", "--output-dir", output, "--output-format", "concise")
    written = sorted(folder.rglob("*.prototxt"))
    again = run(folder, ".", "--fix", "--output-dir", output, "--output-format", "concise")
    assert (again.stdout, again.stderr, again.returncode) == (first.stdout, first.stderr, 0)
    assert len(written) == 4
    assert sorted(folder.rglob("*.prototxt")) == written
    assert "4 files checked" in run(folder, ".", "--select", "E").stdout  # without --output-dir they are files like others


def test_copies_of_solvers_are_not_searched_for_those_that_name_a_net(folder: Path) -> None:
    (folder / "solver.prototxt").write_text(SOLVER.replace("net.prototxt", str(folder / "net.prototxt")))
    (folder / ".git").mkdir()
    for _ in range(2):
        done = run(folder, "net.prototxt", "--with-solvers", "--fix", "--output-dir", "patched")
        assert "2 files checked" in done.stdout
    assert "3 files checked" in run(folder, "net.prototxt", "--with-solvers").stdout


@pytest.mark.parametrize("named", [".", "sub", "sub/solver.prototxt"])
def test_a_file_named_inside_the_folder_for_copies_is_checked(folder: Path, named: str) -> None:
    (folder / "sub").mkdir()
    for name in ("solver.prototxt", "net.prototxt"):
        (folder / name).rename(folder / "sub" / name)
    done = run(folder, named, "--fix", "--output-dir", "." if named == "." else "sub")
    assert "2 files checked" in done.stdout


def test_standard_input_is_checked_and_patched_to_standard_output(folder: Path) -> None:
    bad = SOLVER.replace('"fixed"', '"Fixed"').encode()
    checked = run(folder, "-", "--stdin-filename", "solver.prototxt", "--output-format", "concise", stdin=bad)
    assert checked.returncode == 1
    assert checked.stdout.startswith("solver.prototxt:3:12:")
    patched = run(folder, "-", "--fix", stdin=bad)
    assert (patched.returncode, patched.stdout) == (0, SOLVER)
    assert "Fixed 1 finding" in patched.stderr


def test_a_file_named_twice_is_checked_once(folder: Path) -> None:
    break_solver(folder)
    done = run(folder, "solver.prototxt", "./solver.prototxt", "net.prototxt", ".", "--output-format", "concise")
    assert "1 finding in 1 file" in done.stdout


def test_a_folder_is_searched_and_other_files_are_passed_over(folder: Path) -> None:
    (folder / "labelmap.prototxt").write_text('item { name: "cat" label: 1 }\n')
    (folder / "weights.pt").write_bytes(bytes(range(256)) * 20)
    done = run(folder, ".")
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 files checked" in done.stdout


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("gone.prototxt", None, "No such file"),
        ("weights.prototxt", bytes(range(256)) * 20, "binary"),
        ("empty.prototxt", b"", "is empty"),
        ("wide.prototxt", 'name: "net"\n'.encode("utf-16"), "UTF-16"),
        ("wide.prototxt", 'name: "net"\n'.encode("utf-16-le"), "UTF-16"),
        ("gone.prototxt", b"404: Not Found", "web server"),
        ("pointer.prototxt", b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n", "git lfs pull"),
        ("page.prototxt", b"\n<!DOCTYPE html>\n<title>404</title>\n", "HTML"),
        ("page.prototxt", b'<?xml version="1.0"?>\n<layer/>\n', "XML"),
    ],
)
def test_what_cannot_be_checked_is_said_and_exits_with_2(
    folder: Path, name: str, content: bytes | None, words: str
) -> None:
    if content is not None:
        (folder / name).write_bytes(content)
    done = run(folder, name)
    assert done.returncode == 2
    assert name in done.stderr
    assert words in done.stderr


def test_piped_text_that_is_no_prototxt_is_said_and_goes_through_fix_unchanged(folder: Path) -> None:
    text = b"version https://git-lfs.github.com/spec/v1\n"
    done = run(folder, "--fix", "-", stdin=text)
    assert (done.returncode, done.stdout.encode()) == (2, text)
    assert "Git LFS pointer" in done.stderr


def test_files_of_a_folder_that_are_no_prototxt_are_said_once_with_the_first_names(folder: Path) -> None:
    (folder / "a.prototxt").write_bytes(b"")
    (folder / "b.prototxt").write_bytes(b"<html>404</html>")
    assert run(folder, ".").stderr == (
        "caffe-lint: 2 files are not prototxt files and were not checked: a.prototxt (empty), b.prototxt (an HTML page)\n"
    )
    (folder / "c.prototxt").write_bytes('name: "net"\n'.encode("utf-16"))
    (folder / "d.prototxt").write_bytes(b"\0\1\2" * 100)
    (folder / "labels.pbtxt").write_text('item { name: "cat" label: 1 }\n')  # another text format, which is no mistake
    done = run(folder, ".")
    assert done.returncode == run(folder, "solver.prototxt").returncode == 0
    assert done.stderr.startswith("caffe-lint: 4 files are not prototxt files")
    assert done.stderr.endswith("c.prototxt (UTF-16), …\n")


def test_what_may_not_be_read_in_a_folder_is_said_and_exits_with_2(folder: Path) -> None:
    before = bound_by_permissions()
    (folder / "shut.prototxt").write_text(NET)
    (folder / "shut.prototxt").chmod(0)
    (folder / "below").mkdir()
    (folder / "below" / "net.prototxt").write_text(NET)
    (folder / "below").chmod(0)
    done = run(folder, ".", before=before)
    (folder / "below").chmod(0o700)
    assert done.returncode == 2
    assert "No findings, 2 files checked." in done.stdout
    assert done.stderr.splitlines() == [
        "caffe-lint: shut.prototxt: Permission denied",
        "caffe-lint: below: Permission denied",
    ]


def test_a_file_that_is_gone_before_it_is_read_is_nobodys_mistake(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "gone.prototxt").write_text(NET)
    monkeypatch.chdir(folder)

    class Deleting(Files):
        """The files of a run, one of which is deleted when it is about to be read."""

        def get(self, path: str) -> SourceFile:
            if path == "gone.prototxt":
                os.unlink(path)
            return super().get(path)

    errors: list[str] = []
    units = find_units(["."], Deleting(caffe_schema(), None), errors, [])
    assert ([unit.paths for unit in units], errors) == ([("solver.prototxt",)], [])


def test_a_named_file_that_is_neither_solver_nor_net_is_said_and_does_not_fail(folder: Path) -> None:
    (folder / "labelmap.prototxt").write_text('item { name: "cat" label: 1 }\n')
    done = run(folder, "labelmap.prototxt", "solver.prototxt")
    assert (done.returncode, done.stderr.count("labelmap.prototxt: neither a solver nor a net")) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((), "Usage"),
        (("solver.prototxt", "--select", "G999"), "unknown rule 'G999'"),
        (("solver.prototxt", "--ignore", "high-learnign-rate"), "did you mean 'high-learning-rate'"),
        (("solver.prototxt", "--dialect", "sdd"), "did you mean 'ssd'"),
        (("solver.prototxt", "--caffe-version", "latest"), "invalid Caffe version"),
        (("solver.prototxt", "--output-dir", "x"), "--output-dir needs --fix"),
        (("solver.prototxt", "--config", "none.toml"), "none.toml"),
        (("explain", "missing-gradient-cliping"), "missing-gradient-clipping"),
    ],
)
def test_wrong_usage_is_explained(folder: Path, arguments: tuple[str, ...], words: str) -> None:
    done = run(folder, *arguments)
    assert words in done.stdout + done.stderr
    assert done.returncode == (2 if arguments else 0)


def test_advice_alone_does_not_fail(folder: Path) -> None:
    (folder / "solver.prototxt").write_text(SOLVER.replace("clip_gradients: 10\n", ""))
    done = run(folder, "solver.prototxt")
    assert "advice[G101]" in done.stdout
    assert done.returncode == 0
    assert run(folder, "solver.prototxt", "--fail-on", "advice").returncode == 1
    assert run(folder, "solver.prototxt", "--fail-on", "advice", "--exit-zero").returncode == 0


def test_rules_are_chosen_by_code_prefix_and_name(folder: Path) -> None:
    (folder / "solver.prototxt").write_text(SOLVER.replace("clip_gradients: 10\n", ""))
    for selector in ("G101", "G", "missing-gradient-clipping"):
        assert "1 finding " in run(folder, "solver.prototxt", "--select", selector).stdout
        assert "No findings" in run(folder, "solver.prototxt", "--ignore", selector).stdout


def test_the_nearest_configuration_holds(folder: Path) -> None:
    (folder / "caffe-lint.toml").write_text('fail-on = "advice"\n[rules.missing-gradient-clipping]\nvalue = 3\n')
    (folder / "solver.prototxt").write_text(SOLVER.replace("clip_gradients: 10\n", ""))
    assert run(folder, "solver.prototxt").returncode == 1
    assert "+clip_gradients: 3\n" in run(folder, "solver.prototxt", "--diff").stdout
    assert run(folder, "solver.prototxt", "--isolated").returncode == 0


def test_lines_of_gitignore_that_mean_nothing_are_passed_over(folder: Path) -> None:
    (folder / ".gitignore").write_text("!\nb[z-a]\nnet.prototxt\n")
    done = run(folder, ".", "--select", "E101")
    assert (done.returncode, done.stderr) == (0, "")


def test_what_the_configuration_excludes_is_passed_over_in_folders(folder: Path) -> None:
    (folder / "caffe-lint.toml").write_text('exclude = ["old/"]\n')
    (folder / "old").mkdir()
    (folder / "old" / "net.prototxt").write_text("layer { name: 1 }\n")
    assert "2 files checked" in run(folder, ".").stdout
    assert run(folder, "old/net.prototxt").returncode == 1


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ('fial-on = "advice"', "unknown key 'fial-on'; did you mean 'fail-on'?"),
        ("select = 3", "'select' must be a list of strings, not 3"),
        ("select = [", "caffe-lint.toml"),
        ("[rules.missing-gradient-clipping]\nvalu = 3", "no option 'valu'; did you mean 'value'?"),
        ('[rules.missing-gradient-clipping]\nvalue = "x"', "must be a value like"),
    ],
)
def test_a_wrong_configuration_is_explained(folder: Path, config: str, words: str) -> None:
    (folder / "caffe-lint.toml").write_text(config + "\n")
    done = run(folder, "solver.prototxt")
    assert done.returncode == 2
    assert words in done.stderr


def test_several_processes_find_the_same(folder: Path) -> None:
    for name in "abc":
        (folder / name).mkdir()
        (folder / name / "net.prototxt").write_text(NET)
        (folder / name / "solver.prototxt").write_text(SOLVER.replace('"fixed"', '"Fixed"'))
    arguments = (".", "--output-format", "json")
    assert run(folder, *arguments, "--jobs", "2").stdout == run(folder, *arguments).stdout


def test_a_pipe_that_is_closed_early_is_no_error(folder: Path) -> None:
    break_solver(folder)
    command = f"{sys.executable} -m caffe_lint solver.prototxt | head -c 1"
    done = subprocess.run(["bash", "-c", command], cwd=folder, capture_output=True, check=False)
    assert done.stderr == b""


@pytest.mark.skipif(os.name != "posix", reason="signals as on POSIX systems")
def test_ctrl_c_ends_it_without_a_traceback(folder: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "caffe_lint", "-"],
        cwd=folder,
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # What runs in the background may have been told to ignore the signal, and its children with it.
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.SIG_DFL),
    )
    assert process.stdin is not None
    process.stdin.write(b"#" * (1 << 20))  # more than a pipe holds: once it is written, the program is reading
    process.stdin.flush()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=10)
    assert b"Traceback" not in errors
    assert process.returncode in (130, -signal.SIGINT)


@pytest.mark.parametrize(
    "start",
    [
        "import runpy; runpy.run_module('caffe_lint.__main__', run_name='__main__')",
        "from importlib import metadata; metadata.entry_points(group='console_scripts', name='caffe-lint')['caffe-lint'].load()()",
    ],
)
def test_ctrl_c_while_it_is_loaded_is_no_traceback_either(folder: Path, start: str) -> None:
    code = (
        "import builtins\n"
        "load = builtins.__import__\n"
        "def interrupt(name, *others, **named):\n"
        "    if name == 'main':\n"
        "        raise KeyboardInterrupt\n"
        "    return load(name, *others, **named)\n"
        f"builtins.__import__ = interrupt\n{start}"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=folder, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "interrupted\n")


def test_a_read_only_file_is_left_and_said(folder: Path) -> None:
    before = bound_by_permissions()
    break_solver(folder)
    (folder / "solver.prototxt").chmod(0o444)
    done = run(folder, "solver.prototxt", "--fix", before=before)
    assert done.returncode == 2
    assert "read-only" in done.stderr
    assert '"Fixed"' in (folder / "solver.prototxt").read_text()


def test_what_could_not_be_written_is_still_found_and_not_called_fixed(folder: Path) -> None:
    before = bound_by_permissions()
    break_solver(folder)
    shut = folder / "shut"
    shut.mkdir()
    for name in ("solver.prototxt", "net.prototxt"):
        (shut / name).write_bytes((folder / name).read_bytes())
    (folder / "shut").chmod(0o555)
    done = run(folder, ".", "--fix", "--select", "E,S", before=before)
    assert done.returncode == 2
    assert "not written: Permission denied: shut/solver.prototxt" in done.stderr
    fixed = [line for line in done.stdout.splitlines() if line.startswith("fixed: ")]
    assert fixed
    assert all(line.startswith("fixed: solver.prototxt:") for line in fixed)
    assert "--> shut/solver.prototxt:" in done.stdout
    assert "--> solver.prototxt:" not in done.stdout


def test_crlf_and_missing_final_newline_survive_a_fix(folder: Path) -> None:
    text = SOLVER.replace('"fixed"', '"Fixed"').replace("\n", "\r\n").rstrip()
    (folder / "solver.prototxt").write_bytes(text.encode())
    run(folder, "solver.prototxt", "--fix")
    assert (folder / "solver.prototxt").read_bytes() == text.replace('"Fixed"', '"fixed"').encode()


def test_the_entry_knows_all_commands() -> None:
    from caffe_lint.cli.command_table import COMMANDS
    from caffe_lint.cli.commands import cli

    assert set(cli.list_commands(click.Context(cli))) == set(COMMANDS)
