"""Which files are solvers and nets, and which net a solver means."""

from __future__ import annotations

import csv
import os
from pathlib import Path

import pytest

from caffe_lint.engine import files_in_memory
from caffe_lint.engine.files_in_memory import Files
from caffe_lint.engine.grouping import find_units
from caffe_lint.engine.running import run_units
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.proto.tree import Tree
from caffe_lint.settings.settings import Settings
from caffe_lint.source import files as sources
from caffe_lint.source.files import SourceFile, Unreadable, find_files, find_net, kind_of, read_source

NET = 'layer { name: "a" type: "Input" top: "a" }\n'


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ('net: "a.prototxt"\nbase_lr: 0.1\n', "solver"),
        ('net: "a.prototxt"\n', "solver"),
        ('train_net: "a"\nbase_lrr: 1\nmomentum: 0.9\nmax_iter: 1\n', "solver"),
        ('net_param { layer { type: "Input" } }\nbase_lr: 1\n', "solver"),
        (NET, "net"),
        ('name: "x"\nlayers { name: "a" type: DATA }\n', "net"),
        ('layers [ { name: "a" type: DATA } ]\n', "net"),
        ('layers { layer { name: "a" type: "data" } top: "a" }\n', "net"),
        ('name: "only inputs"\ninput: "data"\ninput_dim: 1\n', "net"),
        ('item { name: "cat" label: 1 display_name: "cat" }\n', "other"),
        ('node { name: "a" op: "Add" }\n', "other"),
        ('name: "triton"\ninput [ { name: "x" dims: [3] } ]\nmax_batch_size: 8\n', "other"),
        ("", "other"),
        ("# nothing but a comment\n", "other"),
    ],
)
def test_the_kind_of_a_file_follows_from_its_fields(text: str, kind: str) -> None:
    assert kind_of(parse(text.encode())) == kind


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\x0a\x05LeNet\x12\x00\x00\x00\x01" * 50, "binary"),
        ("base_lr: 1\n".encode("utf-16"), "UTF-16"),
    ],
)
def test_a_file_that_is_not_text_is_rejected_with_the_reason(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "solver.prototxt"
    path.write_bytes(content)
    with pytest.raises(Unreadable, match=words):
        read_source(str(path))


NOTES = """\
Notes on the paper
We train with base_lr: 0.01 and momentum: 0.9, as in the paper.
 - pool1 uses MAX
The nets were trained for 10 epochs.
Mean subtraction is done while reading.
"""


def test_notes_are_said_once_and_not_checked(tmp_path: Path) -> None:
    path = tmp_path / "notes.prototxt"
    path.write_text('name: "a"\nlayer { name: "a" type: "Python" top: "a" }\n' + NOTES)
    errors: list[str] = []
    notes: list[str] = []
    assert find_units([str(path)], Files(caffe_schema(), None), errors, notes) == []
    assert errors == [f"{path}: these are notes for people, not a prototxt file"]
    assert find_units([str(tmp_path)], Files(caffe_schema(), None), [], notes) == []
    assert notes == [f"1 file is not a prototxt file and was not checked: {path} (notes)"]


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("base_lr 0.1\nlr_policy fixed\nsolver_mode GPU\ntype Adam\nmomentum high\n", "solver"),
        ('this is broken\nname: "a"\n' + NET + "and this too\n" + NET, "net"),
        ('layer {\n name: "a"\n some words here\n more of them\n and again words\n}\n', "net"),
        (NET + "an old layer\nmore words\n", "net"),
    ],
)
def test_a_file_with_broken_lines_is_no_notes(text: str, kind: str) -> None:
    file = SourceFile("a", text.encode(), caffe_schema(), None)
    assert (file.is_prose, file.kind) == (False, kind)


def test_the_error_for_a_missing_file_names_it(tmp_path: Path) -> None:
    with pytest.raises(Unreadable, match=r"gone\.prototxt: No such file"):
        read_source(str(tmp_path / "gone.prototxt"))


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    root = tmp_path / "repository"
    (root / ".git").mkdir(parents=True)
    (root / "models" / "a").mkdir(parents=True)
    monkeypatch.chdir(tmp_path)
    return root


def write(path: Path, text: str = NET) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def found(repository: Path, written: str) -> tuple[str, str | None]:
    solver = repository / "models" / "a" / "solver.prototxt"
    reference = find_net(written, "net", 0, str(solver), None)
    return reference.how, reference.path and os.path.relpath(reference.path, repository)


def test_a_net_is_searched_for_from_the_working_directory_first(repository: Path) -> None:
    write(repository.parent / "net.prototxt")
    write(repository / "models" / "a" / "net.prototxt")
    assert found(repository, "net.prototxt") == ("found", "../net.prototxt")


def test_a_net_is_searched_for_in_the_solvers_folder_and_its_parents(repository: Path) -> None:
    write(repository / "models" / "a" / "near.prototxt")
    write(repository / "models" / "a" / "net.prototxt")
    assert found(repository, "near.prototxt") == ("found", "models/a/near.prototxt")
    assert found(repository, "models/a/net.prototxt") == ("found", "models/a/net.prototxt")


def test_the_search_does_not_leave_the_repository(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(repository.parent / "outside" / "net.prototxt")
    monkeypatch.chdir(repository)
    assert found(repository, "outside/net.prototxt") == ("missing", None)


def test_a_path_of_another_machine_is_found_by_its_longest_suffix(repository: Path) -> None:
    write(repository / "models" / "c" / "net.prototxt")
    write(repository / "models" / "b" / "net.prototxt")
    assert found(repository, "/home/bob/work/models/b/net.prototxt") == ("elsewhere", "models/b/net.prototxt")
    assert found(repository, "D:\\caffe\\models\\b\\net.prototxt") == ("elsewhere", "models/b/net.prototxt")


def test_a_file_of_that_name_beside_the_solver_settles_a_path_of_another_machine(repository: Path) -> None:
    write(repository / "models" / "a" / "net.prototxt")
    write(repository / "models" / "b" / "net.prototxt")
    assert found(repository, "/home/bob/work/models/b/net.prototxt") == ("elsewhere", "models/a/net.prototxt")


def test_a_suffix_that_matches_twice_is_ambiguous(repository: Path) -> None:
    write(repository / "models" / "b" / "net.prototxt")
    write(repository / "models" / "c" / "net.prototxt")
    reference = find_net("/x/net.prototxt", "net", 0, str(repository / "models" / "a" / "s.prototxt"), None)
    assert (reference.how, len(reference.others)) == ("ambiguous", 2)


def test_folders_are_searched_without_files_that_git_ignores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in (
        "a.prototxt",
        "b/c.pbtxt",
        "b/d.prototxt.txt",
        "build/e.prototxt",
        "b/skip.prototxt",
        "notes.txt",
    ):
        write(tmp_path / name)
    write(tmp_path / ".gitignore", "build/\n")
    write(tmp_path / "b" / ".gitignore", "skip.*\n!keep.prototxt\n")
    names = [os.path.relpath(path, tmp_path) for path in find_files(str(tmp_path))]
    assert names == ["a.prototxt", "b/c.pbtxt", "b/d.prototxt.txt"]
    monkeypatch.chdir(tmp_path)
    assert list(find_files(".")) == names


CORPUS = Path(__file__).parents[2] / "shared" / "corpus"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="no corpus of real files beside the checkout")
def test_every_real_solver_and_net_is_recognized() -> None:
    csv.field_size_limit(10**9)
    with open(CORPUS / "index.tsv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file, delimiter="\t") if row["kind"] != "template"]
    assert len(rows) > 2000
    for row in rows:
        expected = "net" if row["kind"].startswith("net") else row["kind"]
        assert (kind_of(parse((CORPUS / row["local"]).read_bytes())), row["local"]) == (expected, row["local"])


def test_a_net_that_was_read_to_find_its_kind_is_not_read_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "net.prototxt").write_text('layer { name: "in" type: "Input" top: "in" }')
    (tmp_path / "solver.prototxt").write_text('net: "net.prototxt"\nbase_lr: 0.1\nlr_policy: "fixed"\n')
    read: list[str] = []
    parsed: list[bytes] = []

    def reading(path: str) -> bytes:
        read.append(os.path.basename(path))
        return read_source(path)

    def parsing(source: bytes) -> Tree:
        parsed.append(source)
        return parse(source)

    monkeypatch.setattr(files_in_memory, "read_source", reading)
    monkeypatch.setattr(sources, "parse", parsing)
    files = files_in_memory.Files(caffe_schema(), None)
    (unit,) = find_units([str(tmp_path)], files, [], [])
    results = run_units([(unit, Settings())], files, "", 1)
    assert sorted(read) == ["net.prototxt", "solver.prototxt"]
    assert len(parsed) == 2
    assert {os.path.basename(path) for path in results[0].sources} == {"net.prototxt", "solver.prototxt"}
