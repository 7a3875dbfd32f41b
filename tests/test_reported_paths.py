"""Paths in reports are as the user wrote them, each file has one of them, and patches are what `patch -p1` takes."""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import NET, SOLVER

from caffe_lint.cli.commands import run

MISSPELLED = NET.replace('"InnerProduct"', '"Innerproduct"')
SHARED = SOLVER.replace("net.prototxt", "../net/net.prototxt")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a net that two solvers name, from different folders, and a link to it."""
    root = tmp_path.resolve() / "repository"
    for name in (".git", "a", "b", "net", "links"):
        (root / name).mkdir(parents=True)
    (root / "net/net.prototxt").write_text(MISSPELLED)
    (root / "a/solver.prototxt").write_text(SHARED)
    (root / "b/solver.prototxt").write_text(SHARED.replace("../net", "net"))
    (root / "links/alias.prototxt").symlink_to("../net/net.prototxt")
    monkeypatch.chdir(root)
    return root


def paths(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The path of each finding."""
    run([*arguments, "--output-format", "json"])
    return [finding["path"] for finding in json.loads(capsys.readouterr().out)["findings"]]


@pytest.mark.parametrize(
    ("named", "reported"),
    [
        (("a/solver.prototxt",), "net/net.prototxt"),
        (("./a/solver.prototxt",), "net/net.prototxt"),
        (("{root}/a/solver.prototxt",), "{root}/net/net.prototxt"),
        (("{root}",), "{root}/net/net.prototxt"),
        ((".",), "net/net.prototxt"),
        (("./net/net.prototxt",), "./net/net.prototxt"),
        (("a/solver.prototxt", "./net/net.prototxt"), "./net/net.prototxt"),
        (("./net/net.prototxt", "net/net.prototxt", "{root}/net/net.prototxt"), "./net/net.prototxt"),
        (("a/solver.prototxt", "b/solver.prototxt"), "net/net.prototxt"),
        (("a/solver.prototxt", "{root}/b/solver.prototxt"), "net/net.prototxt"),
        (("links", "./net"), "links/alias.prototxt"),
        (("links/alias.prototxt", "a/solver.prototxt", "b"), "links/alias.prototxt"),
    ],
)
def test_a_file_is_reported_once_as_the_user_wrote_it(
    folder: Path, capsys: pytest.CaptureFixture[str], named: tuple[str, ...], reported: str
) -> None:
    found = paths(capsys, *(name.format(root=folder) for name in named), "--select", "E116")
    assert found == [reported.format(root=folder)]


def test_a_net_above_the_working_directory_is_reported_from_there(
    folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / "a")
    assert paths(capsys, "solver.prototxt", "--select", "E116") == ["../net/net.prototxt"]


def test_a_net_that_is_read_under_another_name_is_still_a_net(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert paths(capsys, "links/alias.prototxt", "a/solver.prototxt", "--select", "E12") == []


NAMES = [
    ("a/solver.prototxt",),
    ("./a/../net/net.prototxt",),
    ("links/alias.prototxt", "./net"),
    ("{root}/net",),
    ("../repository/net",),
]


@pytest.mark.skipif(shutil.which("patch") is None, reason="there is no patch")
@pytest.mark.parametrize("named", NAMES, ids=lambda named: named[0])
@pytest.mark.parametrize("program", ["patch", "git"])
def test_patch_and_git_take_what_diff_prints(
    folder: Path, capfdbinary: pytest.CaptureFixture[bytes], named: tuple[str, ...], program: str
) -> None:
    if named[0].startswith("../"):
        (folder / "x y").mkdir()
        (folder / "net/net.prototxt").rename(folder / "x y/a 'net'.prototxt")
        named = ("x y",)
    _apply(folder, [name.format(root=folder) for name in named], capfdbinary, program, folder)


@pytest.mark.skipif(shutil.which("patch") is None, reason="there is no patch")
def test_a_patch_of_files_above_the_working_directory_says_where_to_apply_it(
    folder: Path, capfdbinary: pytest.CaptureFixture[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(folder / "a")
    said = _apply(folder, ["solver.prototxt"], capfdbinary, "patch", folder / "net")
    assert f"apply it with patch -p1 -d {folder / 'net'}".encode() in said


def test_a_name_that_needs_quotes_has_them(folder: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    (folder / "net/net.prototxt").rename(folder / 'net/a"\\\tb.prototxt')
    if shutil.which("patch") is None:
        pytest.skip("there is no patch")
    _apply(folder, ["./net"], capfdbinary, "patch", folder)


@pytest.mark.skipif(shutil.which("patch") is None, reason="there is no patch")
@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.rstrip(b"\n"),
        lambda text: text.replace(b"\n", b"\r\n"),
        lambda text: text.replace(b'"Innerproduct"', b'"Innerproduct" # \xff\xc3\xa9'),
    ],
    ids=["no final newline", "CRLF", "no UTF-8"],
)
def test_a_patch_changes_just_what_fix_changes(folder: Path, capfdbinary: pytest.CaptureFixture[bytes], change) -> None:  # type: ignore[no-untyped-def]
    (folder / "net/net.prototxt").write_bytes(change(MISSPELLED.encode()))
    _apply(folder, ["./net"], capfdbinary, "patch", folder)


def _apply(
    folder: Path, named: list[str], capfdbinary: pytest.CaptureFixture[bytes], program: str, where: Path
) -> bytes:
    """Applies the patch of some files, compares with `--fix`, and gives what was said on standard error."""
    files = sorted(path for path in folder.rglob("*.prototxt") if not path.is_symlink())
    before = {path: path.read_bytes() for path in files}
    run([*named, "--select", "E116", "--diff"])
    shown, said = capfdbinary.readouterr()
    run([*named, "--select", "E116", "--fix"])
    capfdbinary.readouterr()
    fixed = {path: path.read_bytes() for path in files}
    assert fixed != before
    for path in files:
        path.write_bytes(before[path])
    command = ["patch", "-p1", "--binary", "-s"] if program == "patch" else ["git", "apply"]
    done = subprocess.run(command, input=shown, cwd=where, capture_output=True, check=False)
    assert done.returncode == 0, (shown, done.stdout, done.stderr)
    assert {path: path.read_bytes() for path in files} == fixed
    return said
