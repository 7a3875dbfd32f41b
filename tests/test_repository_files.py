"""The walk over a repository: what it finds, what it leaves out, and its bounds."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from caffe_lint.source import repository_files as walk
from caffe_lint.source.repository_files import forget_repositories, read_found, repository_files, search_root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A repository; nothing of it is known from before."""
    (tmp_path / ".git").mkdir()
    forget_repositories()
    return tmp_path


def write(path: Path, text: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def names(root: Path, kind: str) -> list[str]:
    return [os.path.relpath(path, root) for path in getattr(repository_files(str(root)), kind).paths]


def test_prototxts_and_scripts_the_nearest_first(root: Path) -> None:
    for name in ("a/b/solver.prototxt", "net.prototxt", "a/train.sh", "a/solve.py", "Makefile", "README.md", "notes.txt"):
        write(root / name)
    assert names(root, "prototxts") == ["net.prototxt", "a/b/solver.prototxt"]
    assert names(root, "scripts") == ["Makefile", "README.md", "a/solve.py", "a/train.sh"]


def test_what_is_left_out(root: Path) -> None:
    inside = ("third/.git/HEAD", "third/train.sh", "env/pyvenv.cfg", "env/bin/run.py")
    for name in ("build/train.sh", ".git/hooks/run.sh", "kept/train.sh", *inside):
        write(root / name)
    write(root / ".gitignore", "build/\n")
    (root / "kept" / "link.sh").symlink_to("train.sh")
    (root / "again").symlink_to(".")
    (root / "outside").symlink_to(root.parent)
    os.mkfifo(root / "pipe.sh")
    write(root / "large.py", "#" * (walk.MAX_BYTES_OF_FILE + 1))
    assert names(root, "scripts") == ["kept/train.sh"]


def test_each_kind_has_its_bounds(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_FILES", 2)
    for name in ("a.sh", "b.sh", "c.sh", "net.prototxt"):
        write(root / name)
    found = repository_files(str(root))
    assert (len(found.scripts.paths), found.scripts.is_whole) == (2, False)
    assert (len(found.prototxts.paths), found.prototxts.is_whole) == (1, True)
    forget_repositories()
    monkeypatch.setattr(walk, "MAX_ENTRIES", 1)
    write(root / "deeper" / "d.sh")
    assert not repository_files(str(root)).prototxts.is_whole


def test_the_bytes_are_bounded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_BYTES", 10)
    write(root / "a.sh", "x" * 8)
    write(root / "b.sh", "x" * 8)
    found = repository_files(str(root)).scripts
    assert (len(found.paths), found.is_whole) == (1, False)


def test_only_regular_files_are_opened(tmp_path: Path) -> None:
    write(tmp_path / "a.sh", "echo")
    os.mkfifo(tmp_path / "pipe.sh")
    (tmp_path / "link.sh").symlink_to("a.sh")
    assert read_found(str(tmp_path / "a.sh")) == b"echo"
    assert read_found(str(tmp_path / "a.sh"), 3) is None
    for name in ("pipe.sh", "link.sh", "missing.sh", "."):
        assert read_found(str(tmp_path / name)) is None


def test_where_is_searched_does_not_depend_on_what_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(root / "models" / "a" / "solver.prototxt")
    assert search_root(str(root / "models" / "a" / "solver.prototxt")) == str(root)
    monkeypatch.chdir(root / "models" / "a")
    assert search_root("solver.prototxt") == str(root)


def test_without_a_repository_the_working_directory_or_the_folder_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "models" / "a" / "solver.prototxt")
    monkeypatch.chdir(tmp_path)
    assert search_root("models/a/solver.prototxt") == str(tmp_path)
    monkeypatch.chdir("/")
    assert search_root(str(tmp_path / "models" / "a" / "solver.prototxt")) == str(tmp_path / "models" / "a")


def test_the_depth_is_bounded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walk, "MAX_DEPTH", 2)
    write(root / "a" / "b" / "train.sh")
    assert (names(root, "scripts"), repository_files(str(root)).scripts.is_whole) == (["a/b/train.sh"], True)
    forget_repositories()
    write(root / "a" / "b" / "c" / "train.sh")
    assert (names(root, "scripts"), repository_files(str(root)).scripts.is_whole) == (["a/b/train.sh"], False)
