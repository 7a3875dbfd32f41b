"""Every file is read by one opener, which takes regular files of a bounded size and nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from caffe_lint.data import caffemodel, image_list, leveldb_source, mean_file, window_file
from caffe_lint.engine.baseline import read_baseline
from caffe_lint.engine.user_schema import user_schema
from caffe_lint.net.data_facts import read_facts
from caffe_lint.proto.compile import CompileError
from caffe_lint.settings.config_file import read_config
from caffe_lint.settings.nearest_files import find_config
from caffe_lint.settings.settings import ConfigError
from caffe_lint.source import opener
from caffe_lint.source.errors import InputError
from caffe_lint.source.files import find_files, read_source
from caffe_lint.source.numerals import is_dimension, is_number, is_numeral, is_whole
from caffe_lint.source.opener import Unreadable, open_regular, read_regular
from caffe_lint.training_log.following import follow
from caffe_lint.training_log.log_reader import read_log

NOTHING: Any = None  # lookups that no file below gets to
GIANT = 1 << 41

READERS: dict[str, Callable[[str], Any]] = {
    "solver.prototxt": read_source,
    "caffe-lint.toml": lambda path: read_config(path, NOTHING, is_named=False),
    "facts.json": read_facts,
    "baseline.json": read_baseline,
    "images.txt": lambda path: list(image_list.lines(path)),
    "windows.txt": window_file.read,
    "mean.binaryproto": mean_file.read,
    "train.log": read_log,
    "net.caffemodel": caffemodel.read_weights,
    "shapes.caffemodel": caffemodel.read_shapes,
}


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def giant(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(GIANT)


@pytest.mark.parametrize(("make", "reason"), [(pipe, "this is a pipe"), (device, "this is a device"), (Path.mkdir, "this is a folder")])
@pytest.mark.parametrize("name", READERS)
def test_only_regular_files_are_read(tmp_path: Path, name: str, make: Callable[[Path], None], reason: str) -> None:
    path = tmp_path / name
    make(path)
    with pytest.raises(InputError, match=reason) as raised:
        READERS[name](str(path))
    assert str(raised.value).startswith(f"{path}: ")


@pytest.mark.parametrize("name", [name for name in READERS if name != "train.log"])  # a log may have any size
def test_a_file_of_terabytes_is_not_read(tmp_path: Path, name: str) -> None:
    giant(tmp_path / name)
    with pytest.raises(InputError, match=r"larger than \d+ [MG]B"):
        READERS[name](str(tmp_path / name))


@pytest.mark.parametrize("make", [pipe, device, Path.mkdir])
def test_what_is_followed_is_a_file(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "train.log")
    with pytest.raises(Unreadable, match="this is a"):
        follow(str(tmp_path / "train.log"), lambda _: None, pass_on=None, stop=lambda: True)


def test_a_limit_is_a_number_of_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"12345")
    assert read_regular(str(path), 5) == b"12345"
    with pytest.raises(Unreadable, match="larger than"):
        read_regular(str(path), 4)


def test_a_link_is_followed_if_it_is_not_refused(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    (tmp_path / "b").symlink_to("a")
    (tmp_path / "loop").symlink_to("loop")
    assert read_regular(str(tmp_path / "b"), 5) == b"12345"
    with pytest.raises(Unreadable, match="this is a link"):
        read_regular(str(tmp_path / "b"), 5, follow=False)
    with pytest.raises(Unreadable, match="loop: Too many levels"):
        open_regular(str(tmp_path / "loop"))


def test_a_name_that_no_file_can_have() -> None:
    with pytest.raises(Unreadable, match="no file can have such a name"):
        open_regular("a\0b")


def test_what_becomes_a_pipe_after_the_check_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pipe(tmp_path / "a")
    (tmp_path / "b").write_bytes(b"")
    before = os.stat(tmp_path / "b")
    monkeypatch.setattr(opener.os, "stat", lambda *_, **__: before)
    with pytest.raises(Unreadable, match="this is a pipe"):
        open_regular(str(tmp_path / "a"))


@pytest.mark.parametrize("make", [pipe, device, giant, Path.mkdir])
def test_a_gitignore_that_cannot_be_read_excludes_nothing(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / ".gitignore")
    (tmp_path / "net.prototxt").write_bytes(b"")
    assert [*find_files(str(tmp_path))] == [str(tmp_path / "net.prototxt")]


def test_a_pyproject_of_terabytes_is_said(tmp_path: Path) -> None:
    giant(tmp_path / "pyproject.toml")
    with pytest.raises(ConfigError, match="larger than 10 MB"):
        find_config(str(tmp_path))


def test_a_caffe_proto_of_terabytes_is_not_compiled(tmp_path: Path) -> None:
    giant(tmp_path / "caffe.proto")
    with pytest.raises(CompileError, match="larger than 10 MB"):
        user_schema(str(tmp_path / "caffe.proto"))


@pytest.mark.parametrize("make", [pipe, device, giant])
def test_a_leveldb_of_files_that_are_none(tmp_path: Path, make: Callable[[Path], None]) -> None:
    make(tmp_path / "CURRENT")
    with pytest.raises(leveldb_source.BrokenDatabase, match="CURRENT: "):
        leveldb_source.count(str(tmp_path))


@pytest.mark.parametrize("name", ["MANIFEST-1\0", "..", "/dev/zero", "é", "x" * 5_000])
def test_a_leveldb_whose_current_names_no_manifest(tmp_path: Path, name: str) -> None:
    (tmp_path / "CURRENT").write_text(name, encoding="utf-8")
    with pytest.raises(leveldb_source.BrokenDatabase):
        leveldb_source.count(str(tmp_path))


@pytest.mark.parametrize(("content", "reason"), [(b"\0" * 300, "binary"), (b"a" * 200_000 + b" 1\n", "a line is longer")])
def test_what_is_no_list_of_names(tmp_path: Path, content: bytes, reason: str) -> None:
    (tmp_path / "list.txt").write_bytes(content)
    for read in (image_list.count, window_file.count):
        with pytest.raises(Unreadable, match=reason):
            read(str(tmp_path / "list.txt"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("gpus = " + "9" * 6_000, "too many digits"),
        ("gpus = " + "9" * 400, "must be a number from 1"),
        ("a = " + "[" * 20_000 + "]" * 20_000, "nested too deeply"),
        ("[input-shapes]\ndata = [9999999999, 3]", "must be a list such as"),
    ],
)
def test_numbers_of_a_configuration_are_bounded(tmp_path: Path, text: str, reason: str) -> None:
    path = tmp_path / "caffe-lint.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=reason):
        read_config(str(path), NOTHING, is_named=False)


@pytest.mark.parametrize(
    "facts",
    [
        '"items": 1e400', '"labels": [0, NaN]', '"labels": [0, Infinity]', f'"labels": [0, {"9" * 400}]',
        f'"items": {"9" * 400}', f'"items": {"9" * 6000}', '"label_counts": {"nan": 1}', '"shape": [99999999999]',
        '"mean": -Infinity', f'"max": {"9" * 400}',
    ],
)  # fmt: skip
def test_numbers_of_facts_are_finite_and_bounded(tmp_path: Path, facts: str) -> None:
    path = tmp_path / "facts.json"
    path.write_text(f'{{"db": {{"kind": "lmdb", "mean": 1, {facts}}}}}')
    with pytest.raises(InputError, match=r"facts\.json: "):
        read_facts(str(path))


def test_what_a_number_is() -> None:
    assert all(map(is_number, (0, -1.5, 5e-324, 2**53)))
    assert not any(map(is_number, (True, "1", None, float("nan"), float("inf"), 10**400)))
    assert is_whole(0)
    assert not any(map(is_whole, (-1, 1.0, True, 2**63)))
    assert is_dimension(2**31 - 1)
    assert not is_dimension(2**31)
    assert all(map(is_numeral, ("0", "-1", "1.5", "1e-05", "+2.")))
    assert not any(map(is_numeral, ("", "nan", "inf", "1_0", "1e999", "9" * 400, "²")))
