"""What `--upgrade` does to real files, held against the upgrade in memory and against Caffe's own tool.

    python benchmarks/upgrade_corpus.py [--only REPOSITORY] [--corpus ../shared/corpus] [--oracle
    ../shared/oracle]

Every net and solver of the corpus that is written in an older form is upgraded. Then: the patched file means
what the upgrade in memory makes of the old one; protoc reads it if it could read the old one; every comment
is still there; a second upgrade changes no byte. Files for which `upgrade/index.tsv` of the oracle names what
Caffe's tool wrote mean the same as that. Each miss is printed, and each file that was left as it is, with the
reason; the exit status is 1 if there is a miss. Needs grpcio-tools, which brings protoc.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from fix_corpus import comments, encoded

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.engine.grouping import find_units
from caffe_lint.engine.running import run_units
from caffe_lint.engine.units import UnitResult
from caffe_lint.proto.binder import bind, plain
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.proto.upgrade import Upgraded, upgrade, upgrade_solver
from caffe_lint.proto.wire import to_protobuf
from caffe_lint.rules.portability.legacy import UPGRADES
from caffe_lint.settings.settings import Settings
from caffe_lint.source.files import SourceFile

FORMS = {
    "v0": "V0 layers",
    "v1": "V1 layers",
    "data-transform": "data transforms of V1 layers",
    "inputs": "inputs of the net",
    "batch-norm": "BatchNorm with three params",
    "solver-type": "solver_type",
}
MISSES = (
    "other than the upgrade in memory",
    "refused by protoc",
    "comments differ",
    "a second upgrade changes it",
    "other than what Caffe's tool wrote",
    "errors",
)


class Counts(NamedTuple):
    """What was counted: files in an older form, by form; what became of them; misses by kind."""

    forms: Counter[str]
    files: Counter[str]
    misses: Counter[str]


def upgraded_file(file: SourceFile) -> Upgraded:
    """The upgrade in memory."""
    return upgrade_solver(file.message) if file.kind == "solver" else upgrade(file.message, file.schema)


def patched(path: str, source: bytes, patch: str) -> UnitResult:
    """One file after an upgrade."""
    files = Files(caffe_schema(), None)
    files.add(path, source)
    (unit,) = find_units([path], files, [], [])
    return run_units([(unit, Settings(select=UPGRADES))], files, patch, 1)[0]


def judge(path: str, source: bytes, oracle: bytes | None, counts: Counts) -> Iterator[tuple[str, str]]:
    """Upgrades one file; yields misses, and why it was left as it is, as kind and detail."""
    old = SourceFile(path, source, caffe_schema(), None)
    if old.kind == "other":
        return
    steps = upgraded_file(old).steps
    counts.files[f"{old.kind}s in all"] += 1
    if not steps:
        if oracle is not None:
            yield from compare_with_tool(old, oracle, counts)
        return
    counts.files["in an older form"] += 1
    counts.forms.update(steps)
    result = patched(path, source, "safe")
    if path not in result.patched:
        result = patched(path, source, "unsafe")
        if path in result.patched:
            counts.files["upgraded with --unsafe-fixes only"] += 1
    else:
        counts.files["upgraded"] += 1
    for sentence in result.errors:
        yield "errors", sentence
    text = result.patched.get(path, source)
    new = SourceFile(path, text, caffe_schema(), None)
    if plain(new.message) == plain(upgraded_file(old).message):
        if path not in result.patched:
            counts.files["nothing to write: it says what Caffe makes of it"] += 1
    elif path in result.patched:
        yield "other than the upgrade in memory", str(first_difference(new, old))
    else:
        counts.files["left as it is, with a finding that says why"] += 1
        yield "left", result.findings[0].reason if result.findings else "no finding"
        if not result.findings:
            yield "errors", "left without a finding"
    if path in result.patched:
        if encoded(old.kind, source) is not None:
            counts.files["read by protoc before"] += 1
            if encoded(old.kind, text) is None:
                yield "refused by protoc", ""
        if comments(source) != comments(text):
            yield (
                "comments differ",
                f"{comments(source) - comments(text)} {comments(text) - comments(source)}",
            )
        if path in patched(path, text, "unsafe").patched:
            yield "a second upgrade changes it", ""
    if oracle is not None:
        yield from compare_with_tool(new, oracle, counts)


def compare_with_tool(file: SourceFile, oracle: bytes, counts: Counts) -> Iterator[tuple[str, str]]:
    """Whether a file means what Caffe's tool wrote, with floats as C++ has them."""
    counts.files["compared with what Caffe's tool wrote"] += 1
    tool = bind(parse(oracle), file.schema, file.message.type.name).message
    if to_protobuf(tool) != to_protobuf(file.message):
        yield "other than what Caffe's tool wrote", ""


def first_difference(new: SourceFile, old: SourceFile) -> object:
    """Names of top-level fields that differ, and the first layer that does."""
    found, wanted = plain(new.message), plain(upgraded_file(old).message)
    names = sorted(name for name in {*found, *wanted} if found.get(name) != wanted.get(name))
    layers = zip(found.get("layer", ()), wanted.get("layer", ()), strict=False)
    return names, next(((a, b) for a, b in layers if a != b), None)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    shared = Path(__file__).resolve().parent.parent.parent / "shared"
    parser.add_argument("--corpus", type=Path, default=shared / "corpus", help="folder of real files")
    parser.add_argument("--oracle", type=Path, default=shared / "oracle", help="folder of what Caffe said")
    parser.add_argument("--only", action="append", help="only repositories with this in their name")
    arguments = parser.parse_args()
    folder = arguments.corpus / "files"
    if not folder.is_dir():
        print(f"{folder} is not there: nothing to upgrade")
        return 0
    written: dict[str, Path] = {}
    index = arguments.oracle / "upgrade" / "index.tsv"
    if index.is_file():
        for row in index.read_text(encoding="utf-8").splitlines()[1:]:
            name, _, file = row.split("\t")
            written[name] = index.parent / file
    counts = Counts(Counter(), Counter(), Counter(dict.fromkeys(MISSES, 0)))
    for path in sorted(folder.rglob("*")):
        name = str(path.relative_to(folder))
        if not path.is_file() or (arguments.only and not any(part in name for part in arguments.only)):
            continue
        oracle = written[name].read_bytes() if name in written else None
        for kind, detail in judge(path.name, path.read_bytes(), oracle, counts):
            if kind in MISSES:
                counts.misses[kind] += 1
            print(f"{'MISS' if kind in MISSES else 'left'} {name}: {kind} {detail}", flush=True)
    print("\nFiles with each older form:")
    for step, meaning in FORMS.items():
        print(f"{counts.forms[step]:6} {meaning}")
    print("Files:")
    for what, number in counts.files.items():
        print(f"{number:6} {what}")
    print("Misses:")
    for what, number in counts.misses.items():
        print(f"{number:6} {what}")
    return bool(sum(counts.misses.values()))


if __name__ == "__main__":
    sys.exit(main())
