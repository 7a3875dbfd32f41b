"""Every way to have files fixed gives the same bytes: over the examples, and over real files with mistakes planted in them.

`tests/test_same_fixes.py` has the single cases.
"""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import interactively_patched_on_disk, patched_on_disk, run

from caffe_lint.report import diff
from caffe_lint.source.files import SUFFIXES

EXAMPLES = Path(__file__).resolve().parent.parent / "examples"
CORPUS = Path(__file__).resolve().parents[2] / "shared" / "corpus" / "files"
# Repositories of the sample: every so many, none of more files and bytes than this, so that all takes less than a minute.
EVERY, MOST_FILES, MOST_BYTES = 4, 8, 60_000


def sample() -> list[Path]:
    """The repositories of real files that are tried."""
    folders = sorted(CORPUS.iterdir())[::EVERY] if CORPUS.is_dir() else []
    files = {folder: [path for path in folder.rglob("*") if path.is_file()] for folder in folders}
    return [
        folder
        for folder in folders
        if len(files[folder]) <= MOST_FILES and sum(path.stat().st_size for path in files[folder]) <= MOST_BYTES
    ]


def copied(source: Path, folder: Path) -> Path:
    """A copy of a folder as a repository of its own."""
    shutil.copytree(source, folder)
    (folder / ".git").mkdir(exist_ok=True)
    return folder


def planted(folder: Path) -> None:
    """Make the first loss of each training net heavy, and misspell a field of every second solver."""
    solvers = 0
    for path in prototxts(folder):
        text = path.read_bytes()
        if b"base_lr" in text:
            solvers += 1
            text = text.replace(b"base_lr", b"base_rl") if solvers % 2 else text
        elif "deploy" not in path.name:
            losses = rb'type:\s*"(SoftmaxWithLoss|EuclideanLoss|SigmoidCrossEntropyLoss)"'
            text = re.sub(losses, lambda found: found[0] + b" loss_weight: 1000", text, count=1)
        path.write_bytes(text)


def prototxts(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.name.endswith(SUFFIXES))


def written(folder: Path, texts: dict[str, bytes]) -> None:
    for path, text in texts.items():
        (folder / path).write_bytes(text)


def differences(folder: Path, *, unsafe: bool) -> Iterator[str]:
    """Name each file that gets other bytes than by the check of the whole folder, and the path that leads there."""
    together = patched_on_disk(".", unsafe=unsafe)
    named = [str(path.relative_to(folder)) for path in prototxts(folder)]
    ways = {
        "all files": patched_on_disk(*named, unsafe=unsafe),
        "all files, last first": patched_on_disk(*reversed(named), unsafe=unsafe),
        "interactive": interactively_patched_on_disk(".", unsafe=unsafe),
    }
    for way, patched in ways.items():
        yield from (f"{way}: {path}" for path in {*patched, *together} if patched.get(path) != together.get(path))
    for name in named:
        alone = patched_on_disk(name, unsafe=unsafe)
        yield from (f"{name} alone: {path}" for path in {name, *alone} if alone.get(path) != together.get(path))
    before = {path: (folder / path).read_bytes() for path in named}
    for order in (named, named[::-1]):  # as a hook gets them that is called with a few files at a time
        for name in order:
            written(folder, patched_on_disk(name, unsafe=unsafe))
        for path, text in before.items():
            if (folder / path).read_bytes() != together.get(path, text):
                yield f"one after the other, {order[0]} first: {path}"
        written(folder, before)
    written(folder, together)
    yield from (f"once more: {path}" for path in patched_on_disk(".", unsafe=unsafe))
    written(folder, before)
    written(folder, patched_on_disk(".", select=("E1",)))
    later = patched_on_disk(".", unsafe=unsafe)
    for path, text in before.items():
        if later.get(path, (folder / path).read_bytes()) != together.get(path, text):
            yield f"names first: {path}"


def test_every_path_to_the_examples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copied(EXAMPLES, tmp_path / "examples")
    monkeypatch.chdir(folder)
    assert list(differences(folder, unsafe=False)) == []
    planted(folder)
    assert list(differences(folder, unsafe=True)) == []


@pytest.mark.skipif(not CORPUS.is_dir(), reason=f"there are no real files at {CORPUS}")
@pytest.mark.parametrize("source", sample(), ids=lambda path: path.name)
def test_every_path_to_real_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, source: Path) -> None:
    folder = copied(source, tmp_path / "repository")
    monkeypatch.chdir(folder)
    planted(folder)
    assert list(differences(folder, unsafe=False)) == []


def test_every_option_writes_or_shows_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = copied(EXAMPLES, tmp_path / "examples")
    monkeypatch.chdir(folder)
    planted(folder)
    before = {str(path.relative_to(folder)): path.read_bytes() for path in prototxts(folder)}
    together = patched_on_disk(".")
    expected = {**before, **together}
    assert len(together) > 4
    shown = "".join(diff.render(path, before[path], together[path], colour=False) for path in sorted(together))
    assert run(folder, ".", "--diff").stdout == shown
    for jobs in ("1", "2"):
        run(folder, ".", "--fix", "--output-dir", str(tmp_path / jobs), "--jobs", jobs)
        copies = {path: (tmp_path / jobs / path).read_bytes() for path in expected}
        assert copies == expected
    for number, (path, text) in enumerate(before.items()):
        name = (path, os.path.join(".", path), str(folder / path))[number % 3]
        assert run(folder, "-", "--stdin-filename", name, "--fix", stdin=text).stdout == expected[path].decode(), name
    run(folder, ".", "--fix")
    assert {path: (folder / path).read_bytes() for path in expected} == expected
