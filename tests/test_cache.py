"""The cache: what it gives is what a check gives, whatever changed since, and nobody else can put anything into it."""

from __future__ import annotations

import ast
import builtins
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from harness import NET, SOLVER, bound_by_permissions, run

from caffe_lint.cli.check import Options, check_once
from caffe_lint.engine import cache, cache_folder
from caffe_lint.fixes.write import remove_oldest
from caffe_lint.report import FORMATS
from caffe_lint.source import questions
from caffe_lint.source.files import forget_folders
from caffe_lint.source.repository_files import forget_repositories
from caffe_lint.source.run_scripts import forget_runs
from caffe_lint.source.solver_index import forget_index

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "lint/rules/examples"
CORPUS = ROOT.parent / "shared/corpus/files"

LENET = (EXAMPLES / "G102/bad/net.prototxt").read_text()
FAST = (EXAMPLES / "G102/bad/solver.prototxt").read_text()  # base_lr is too high
SLOW = FAST.replace("base_lr: 1\n", "base_lr: 0.01\n")
_CONV, _LOSS = LENET.index('layer {\n  name: "conv1"'), LENET.index('layer {\n  name: "loss"')
DEPLOY = 'input: "data" input_dim: 1 input_dim: 1 input_dim: 28 input_dim: 28\n' + LENET[_CONV:_LOSS]
LIST = """\
layer {
  name: "data"
  type: "ImageData"
  top: "data"
  top: "label"
  include { phase: TEST }
  image_data_param { source: "list.txt" batch_size: 2 }
}
"""


def tree(folder: Path) -> Path:
    """A repository whose findings depend on much more than the text of one file."""
    for name, text in {
        ".git/HEAD": "",
        "a/solver.prototxt": FAST,
        "a/net.prototxt": LENET,
        "b/solver.prototxt": SOLVER.replace("net.prototxt", "missing.prototxt"),
        "c/solver.prototxt": SLOW.replace('net: "net', 'net: "train_val').replace("clip_gradients: 1000\n", ""),
        "c/train_val.prototxt": LENET,
        "d/solver.prototxt": SOLVER + "test_iter: 3\ntest_interval: 10\n",
        "d/net.prototxt": LIST + LENET.replace('name: "data"', 'name: "data" include { phase: TRAIN }'),
        "d/list.txt": "a.png 0\n" * 8,
        "e/net.prototxt": LENET.replace("std: 1", "std: 1000"),
        "f/net.prototxt": NET.replace("num_output: 10", "num_output: 10 numoutput: 3"),
        "h/solver.prototxt": SLOW.replace("net.prototxt", "models/far.prototxt"),
        "i/far.prototxt": LENET,
        "g/net.prototxt": LIST.replace("list.txt", "home/me/list.txt"),
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The first path of each unit that is checked in this process."""
    checked: list[str] = []
    check_unit = cache.check_unit

    def check(unit: Any, *others: Any) -> Any:
        checked.append(unit.paths[0])
        return check_unit(unit, *others)

    monkeypatch.setattr(cache, "check_unit", check)
    return checked


def report(capfdbinary: pytest.CaptureFixture[bytes], kept: Path | None, *paths: str, **options: Any) -> tuple[bytes, bytes]:
    """What a check of the working directory prints, with a cache or without, in this process."""
    forget_folders()
    forget_repositories()
    forget_runs()
    forget_index()
    check_once(paths or (".",), Options(jobs=1, cache_dir=kept and str(kept), no_cache=kept is None, **options))
    printed = capfdbinary.readouterr()
    return printed.out, printed.err


def test_an_unchanged_tree_is_not_checked_again_and_printed_the_same_in_every_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], counted: list[str]
) -> None:
    for code in sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())[::5]:
        shutil.copytree(EXAMPLES / code / "bad", tmp_path / "tree" / code)
    monkeypatch.chdir(tmp_path / "tree")
    expected = {name: report(capfdbinary, None, output_format=name) for name in FORMATS}
    assert report(capfdbinary, tmp_path / "kept") == expected["full"]
    assert len(counted) > 20
    counted.clear()
    assert {name: report(capfdbinary, tmp_path / "kept", output_format=name) for name in FORMATS} == expected
    assert counted == []


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"{CORPUS} is not there")
def test_what_is_kept_of_public_files_is_printed_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    folders = sorted(path for path in CORPUS.iterdir() if sum(file.stat().st_size for file in path.rglob("*.*")) < 30_000)[::4]
    for folder in folders:
        shutil.copytree(folder, tmp_path / "tree" / folder.name)
    monkeypatch.chdir(tmp_path / "tree")
    expected = report(capfdbinary, None, output_format="json")
    assert report(capfdbinary, tmp_path / "kept", output_format="json") == expected
    assert report(capfdbinary, tmp_path / "kept", output_format="json") == expected


def write(name: str, text: str) -> Callable[[], None]:
    """Something that changes in the tree: a file has another text, or is new."""

    def change() -> None:
        path = Path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)

    return change


def link(name: str, target: str) -> Callable[[], None]:
    """Something that changes in the tree: a file is replaced by a link."""

    def change() -> None:
        Path(name).unlink(missing_ok=True)
        Path(name).symlink_to(target)

    return change


CHANGES = {
    "a net changes": write("a/net.prototxt", LENET.replace("dim: 64 }\n    data", "dim: 63 }\n    data")),
    "a solver changes": write("a/solver.prototxt", SLOW),
    "a net disappears": lambda: os.remove("a/net.prototxt"),
    "a net that was missing appears": write("b/missing.prototxt", NET),
    "a net of that name appears elsewhere": write("z/missing.prototxt", NET),
    "a deploy net appears": write("c/deploy.prototxt", DEPLOY.replace("num_output: 10", "num_output: 11")),
    "a script loads weights": write("a/train.sh", "caffe train -solver solver.prototxt -weights base.caffemodel\n"),
    "another solver names the net": write("a/second.prototxt", SLOW.replace("base_lr: 0.01", "base_lr: 20")),
    "a solver outside what is checked names the net": write("e/other/solver.prototxt", FAST.replace("net.p", "e/net.p")),
    "the list gets shorter": write("d/list.txt", "a.png 0\n" * 6),
    "the list disappears": lambda: os.remove("d/list.txt"),
    "a folder appears where a source may be": lambda: os.makedirs("g/home"),
    "a configuration appears": write("a/caffe-lint.toml", 'ignore = ["G"]\n'),
    "a configuration above appears": write("caffe-lint.toml", '[per-file]\n"c/**" = {ignore = ["G"]}\n'),
    "a configuration excludes files": write("caffe-lint.toml", 'exclude = ["c/*"]\n'),
    "facts about the data appear": write(
        "d/caffe-lint.data.json", '{"list.txt": {"kind": "list", "items": 5, "labels": [0, 99]}}\n'
    ),
    "a .gitignore excludes a folder": write(".gitignore", "c/\n"),
    "a net becomes a link to another": link("a/net.prototxt", "../f/net.prototxt"),
    "the net is no text any more": write("a/net.prototxt", "\0" * 100),
    "the repository becomes two": write("h/.git/HEAD", ""),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_whatever_changed_the_findings_are_those_of_a_check(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], change: Callable[[], None]
) -> None:
    monkeypatch.chdir(tree(tmp_path / "tree"))
    kept = tmp_path / "kept"
    before = report(capfdbinary, kept)
    assert report(capfdbinary, kept) == before
    change()
    expected = report(capfdbinary, None)
    assert expected != before
    assert report(capfdbinary, kept) == expected
    assert report(capfdbinary, kept) == expected


def test_a_configuration_of_a_solver_that_was_found_may_break_and_be_mended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.chdir(tree(tmp_path / "tree"))
    kept = tmp_path / "kept"
    write("x/solver.prototxt", FAST.replace("net.p", "../a/net.p"))()
    for config in ("", "nonsense = 1\n", "", "select = [", 'ignore = ["G102"]\n'):
        write("x/caffe-lint.toml", config)()
        expected = report(capfdbinary, None, "a/net.prototxt")
        assert b"may train this net" not in expected[0] or config in ("nonsense = 1\n", "select = [")
        for _ in range(2):
            assert report(capfdbinary, kept, "a/net.prototxt") == expected


def test_only_what_changed_is_checked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], counted: list[str]
) -> None:
    monkeypatch.chdir(tree(tmp_path / "tree"))
    report(capfdbinary, tmp_path / "kept")
    counted.clear()
    Path("f/net.prototxt").write_text(NET)
    report(capfdbinary, tmp_path / "kept")
    assert counted == ["f/net.prototxt"]


def test_other_settings_give_other_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.chdir(tree(tmp_path / "tree"))
    kept = tmp_path / "kept"
    report(capfdbinary, kept)
    for settings in ({"ignore": ("G",)}, {"min_confidence": "high"}, {"dialect": "ssd"}, {"from_scratch": True}):
        asked = Options().settings._replace(**settings)
        assert report(capfdbinary, kept, settings=asked) == report(capfdbinary, None, settings=asked)


def test_results_that_rest_on_a_baseline_are_not_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    monkeypatch.chdir(tree(tmp_path / "tree"))
    report(capfdbinary, tmp_path / "kept")
    record = Options().settings._replace(write_baseline="known.json")
    report(capfdbinary, tmp_path / "kept", settings=record)
    known = Options().settings._replace(baseline="known.json")
    expected = report(capfdbinary, None, settings=known)
    assert expected[0].startswith(b"No findings")
    assert report(capfdbinary, tmp_path / "kept", settings=known) == expected
    assert report(capfdbinary, tmp_path / "kept", settings=known) == expected


def store(kept: Path) -> Path:
    """The one store of a folder."""
    (found,) = kept.glob("*.results")
    return found


def poisoned(line: str) -> str:
    """An entry of a store in which the fixes write something else."""
    key, _, value = line.partition(" ")
    entry = json.loads(value)
    for finding in entry["findings"]:
        if finding[8] is not None:
            finding[8][2] = [[0, 0, "poison"]]
    return f"{key} {json.dumps(entry)}"


@pytest.mark.parametrize("option", ["diff", "fix", "add_ignore"])
def test_no_edit_of_the_cache_is_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], option: str
) -> None:
    kept = tmp_path / "kept"
    results = []
    for folder in (kept, None):
        shutil.rmtree(tmp_path / "tree", ignore_errors=True)
        monkeypatch.chdir(tree(tmp_path / "tree"))
        if folder is not None:
            report(capfdbinary, kept)
            body = "".join(f"{poisoned(line)}\n" for line in store(kept).read_text().splitlines()[1:]).encode()
            store(kept).write_bytes(cache_folder._head(body) + b"\n" + body)
            assert b"poison" in report(capfdbinary, kept, output_format="json")[0]
        printed = report(capfdbinary, folder, **{option: True})
        results.append((printed, {path: path.read_bytes() for path in Path().rglob("*.prototxt")}))
    assert results[0] == results[1]
    assert "poison" not in str(results[0])


DAMAGES: dict[str, Callable[[bytes], bytes]] = {
    "it is empty": lambda content: b"",
    "it is cut off": lambda content: content[: len(content) // 2],
    "a byte is another": lambda content: content.replace(b"10", b"11"),
    "it is of another program": lambda content: content.replace(b"results 1 ", b"results 1 x", 1),
    "it is no text": lambda content: os.urandom(1000),
}
ENTRIES: dict[str, Callable[[Any], Any]] = {
    "it is a list": lambda entry: [entry],
    "it is deep": lambda entry: json.loads("[" * 500 + "]" * 500),
    "nothing was asked": lambda entry: {**entry, "asked": None},
    "it asks what is no question": lambda entry: {**entry, "asked": {'["system", ["true"], {}]': "0"}},
    "a file is missing": lambda entry: {**entry, "files": ["nowhere.prototxt"]},
    "a file is a number": lambda entry: {**entry, "files": [0]},
    "a finding is short": lambda entry: {**entry, "findings": [[1, 2]]},
    "a line is a text": lambda entry: {**entry, "findings": [[["a", "1", 1, 1, 1, ""], *finding[1:]] for finding in entry["findings"]]},
    "a rule is unknown": lambda entry: {**entry, "findings": [[finding[0], "X1", *finding[2:]] for finding in entry["findings"]]},
    "a stage is unknown": lambda entry: {
        **entry,
        "findings": [[*finding[:8], ["a", "b", [], [], True, 99], *finding[9:]] for finding in entry["findings"]],
    },
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_store_is_ignored_and_replaced(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfdbinary: pytest.CaptureFixture[bytes],
    counted: list[str],
    damage: Callable[[bytes], bytes],
) -> None:
    monkeypatch.chdir(tree(tmp_path / "tree"))
    kept = tmp_path / "kept"
    expected = report(capfdbinary, kept)
    whole = store(kept).read_bytes()
    store(kept).write_bytes(damage(whole))
    assert report(capfdbinary, kept) == expected
    counted.clear()
    assert report(capfdbinary, kept) == expected
    assert counted == []


@pytest.mark.parametrize("change", ENTRIES.values(), ids=ENTRIES)
def test_an_entry_that_no_check_has_made_is_ignored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], change: Callable[[Any], Any]
) -> None:
    monkeypatch.chdir(tree(tmp_path / "tree"))
    kept = tmp_path / "kept"
    expected = report(capfdbinary, kept)
    lines = [line.partition(" ") for line in store(kept).read_text().splitlines()[1:]]
    body = "".join(f"{key} {json.dumps(change(json.loads(value)))}\n" for key, _, value in lines).encode()
    store(kept).write_bytes(cache_folder._head(body) + b"\n" + body)
    assert report(capfdbinary, kept) == expected


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_a_folder_that_others_may_write_to_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes], counted: list[str]
) -> None:
    monkeypatch.chdir(tree(tmp_path / "tree"))
    kept = tmp_path / "kept"
    expected = report(capfdbinary, kept)
    number = len(counted)
    kept.chmod(0o777)
    counted.clear()
    assert report(capfdbinary, kept) == expected
    assert len(counted) == number
    store(kept).unlink()
    report(capfdbinary, kept)
    assert not list(kept.glob("*.results"))


@pytest.mark.skipif(os.name != "posix" or os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_user_is_not_used(tmp_path: Path) -> None:
    assert cache_folder.is_trusted(str(tmp_path))
    os.chown(tmp_path, 12345, -1)
    assert not cache_folder.is_trusted(str(tmp_path))


def test_no_configuration_names_a_folder_for_results(tmp_path: Path) -> None:
    for key in ("cache-dir", "no-cache"):
        (tree(tmp_path) / "caffe-lint.toml").write_text(f'{key} = "kept"\n')
        done = run(tmp_path, ".")
        assert (done.returncode, f"unknown key '{key}'" in done.stderr) == (2, True)
        assert not (tmp_path / "kept").exists()


def test_the_results_of_a_checkout_are_in_the_folder_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    files = {path for path in tree(tmp_path / "tree").rglob("*") if path.is_file()}
    first = run(tmp_path / "tree", ".")
    assert run(tmp_path / "tree", ".").stdout == first.stdout
    assert {path for path in (tmp_path / "tree").rglob("*") if path.is_file()} == files
    if sys.platform.startswith("linux"):
        assert store(tmp_path / "cache/caffe-lint").stat().st_mode & 0o777 == 0o600
    shutil.rmtree(tmp_path / "cache")
    assert run(tmp_path / "tree", "--no-cache", ".").stdout == first.stdout
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize("home", ["", "/dev/null", "~"])
def test_without_a_home_nothing_is_kept_and_nothing_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str) -> None:
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    expected = run(tree(tmp_path), "--no-cache", ".")
    monkeypatch.setenv("HOME", home)
    files = set(tmp_path.rglob("*"))
    done = run(tmp_path, ".", before=bound_by_permissions())
    assert (done.returncode, done.stdout, done.stderr) == (expected.returncode, expected.stdout, expected.stderr)
    assert set(tmp_path.rglob("*")) == files


def test_a_folder_that_cannot_be_written_is_no_error(tmp_path: Path) -> None:
    expected = run(tree(tmp_path / "tree"), "--no-cache", ".")
    (tmp_path / "kept").mkdir(mode=0o500)
    done = run(tmp_path / "tree", "--cache-dir", "../kept", ".", before=bound_by_permissions())
    assert (done.returncode, done.stdout, done.stderr) == (expected.returncode, expected.stdout, expected.stderr)


def test_runs_at_the_same_time_give_the_same(tmp_path: Path) -> None:
    expected = run(tree(tmp_path), "--no-cache", ".").stdout
    command = [sys.executable, "-m", "caffe_lint", "--cache-dir", "kept", "."]
    runs = [subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE) for _ in range(3)]
    assert {each.communicate()[0].decode() for each in runs} == {expected}
    assert {path.name for path in (tmp_path / "kept").iterdir()} == {".gitignore", store(tmp_path / "kept").name}


def test_a_store_keeps_what_was_used_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cache_folder, "MAX_STORE", 100)
    path = str(tmp_path / "kept/0.results")
    cache_folder.write_store(path, {str(number): "x" * 20 for number in range(50)})
    assert list(cache_folder.read_store(path)) == ["46", "47", "48", "49"]


def test_the_oldest_stores_are_removed_and_nothing_else(tmp_path: Path) -> None:
    for number in range(6):
        path = tmp_path / f"{number:032x}.results"
        path.write_bytes(b"x" * 10)
        os.utime(path, (time.time() - 100 + number,) * 2)
    other = tmp_path / "notes.results"
    other.write_bytes(b"x" * 1000)
    os.utime(other, (0, 0))
    remove_oldest(str(tmp_path), cache_folder._NAME, 35)
    assert sorted(path.name[31:] for path in tmp_path.iterdir() if path != other) == ["3.results", "4.results", "5.results"]
    assert other.exists()


def test_each_question_can_be_asked_again() -> None:
    found = {}
    for path in (ROOT / "lint").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef) and any(ast.unparse(each) == "question" for each in node.decorator_list):
                assert node.name not in found
                found[node.name] = ".".join(path.relative_to(ROOT / "lint").with_suffix("").parts)
    assert found == cache.QUESTIONS


def test_nothing_is_asked_of_the_file_system_but_by_questions(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    asked = []

    def watched(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        def call(path: Any = ".", *args: Any, **kwargs: Any) -> Any:
            if questions._state.asked is not None and not questions._state.answering and not str(path).startswith((str(ROOT), sys.prefix)):
                asked.append(f"{name} {path}")
            return function(path, *args, **kwargs)

        return call

    for code in sorted(path.name for path in EXAMPLES.iterdir() if path.is_dir())[2::5]:
        shutil.copytree(EXAMPLES / code / "bad", tmp_path / "examples" / code)
    monkeypatch.chdir(tmp_path / "examples")
    report(capfdbinary, None)  # loads what is loaded on demand
    for name in ("stat", "listdir", "scandir", "open", "walk"):
        monkeypatch.setattr(os, name, watched(name, getattr(os, name)))
    monkeypatch.setattr(builtins, "open", watched("open", builtins.open))
    report(capfdbinary, tmp_path / "kept")
    monkeypatch.chdir(tree(tmp_path / "tree"))
    report(capfdbinary, tmp_path / "kept")
    assert asked == []
