"""Holds our findings against the real Caffe: errors on what it builds, and refusals that we do not report.

    python benchmarks/oracle_findings.py [--verbose] [--oracle FOLDER] [--corpus FOLDER]

Each net is checked as a user would check it, by itself, in the phases that it is made for, with the shapes
that the oracle gave its data (see `oracle_nets.py`). `nets.jsonl` has one line a file with Caffe's words for
each phase, `broken/` nets with a mistake each, `broken/accepted/` mistakes that Caffe takes without a word.
Files for a fork, which BVLC's Caffe cannot read, are counted apart: an error on one of them is listed, and is
right if no Caffe at all takes the file.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.engine.unit_check import check_unit
from caffe_lint.engine.units import Unit
from caffe_lint.net.phases import NetState, states_of
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.proto.upgrade import upgrade
from caffe_lint.rule.finding import Finding
from caffe_lint.settings.settings import Settings

SHARED = Path(__file__).resolve().parents[2] / "shared"
REPLACED = ("Data", "ImageData", "WindowData", "HDF5Data", "MemoryData")
# Refusals for something that no net's file tells: a Python module, a file of data, a Caffe without GPU.
ELSEWHERE = re.compile(
    r".*(ModuleNotFoundError|File not found|Failed to open|unknown engine)|db_|hdf5"
    r"|memory_data_layer\.cpp:110|pooling_layer\.cpp:235"
)
# Words of a parser or a factory that does not know what a fork has.
FOREIGN = re.compile(r"no field named|Unknown enumeration value|Unknown layer type")
# The data layers of the corpus had been replaced: nothing is known of what Caffe makes of their settings.
OF_DATA = ("batch_size", "source is not set", "input_param", "transform", "mean_", "crop_size", "new_height")

Show = Callable[[str], None]


class Checked(NamedTuple):
    """A net's findings, the states in which it was looked at, and the Caffe that it is taken to be for."""

    findings: list[Finding]
    states: tuple[NetState, ...]
    dialect: str
    tells_shapes: bool  # a MemoryData layer says what its data look like, and not what the oracle put there

    @property
    def errors(self) -> list[Finding]:
        """The findings at which Caffe is said to stop."""
        return [finding for finding in self.findings if finding.severity == "error"]

    @property
    def custom(self) -> list[Finding]:
        """What is said of custom layers as advice, because another Caffe may have them."""
        return [finding for finding in self.findings if finding.code in ("E110", "E112", "E116")]

    @property
    def phases(self) -> set[str]:
        """The phases of the states that the oracle has as well: it gave no stages."""
        return {state.phase for state in self.states if not state.stages}


def check(path: Path) -> Checked:
    """What we say of a net's file."""
    files = Files(caffe_schema(), None)
    file = files.get(str(path))
    net = upgrade(file.message, file.schema).message
    shapes: dict[str, tuple[int, ...]] = {}
    for layer, _, _ in net.entries.get("layer", ()):
        if layer["type"] in REPLACED:
            for index, top in enumerate(layer["top"]):
                rest = (0, 1) if layer["type"] == "HDF5Data" else (0,)
                shapes[top] = rest if index else (0, 3, 224, 224)
    findings = check_unit(Unit((str(path),), None), files, Settings(input_shapes=shapes))
    tells = any(layer["type"] == "MemoryData" for layer, _, _ in net.entries.get("layer", ()))
    return Checked(findings, states_of(net), file.bound.dialect, tells)


def same_cause(finding: Finding, words: str) -> bool:
    """Whether a finding is what Caffe's words are about: it quotes them, or names the same check or place."""
    parse = re.search(r"Parameter: (\d+):", words)
    if words.startswith("protobuf") and parse:  # which tells where it stopped reading, behind the mistake
        last = int(parse[1])
        syntax = finding.code < "E109"
        return last - 2 <= finding.place.line <= last or (syntax and finding.place.line <= last)
    unknown = re.search(r"Unknown layer type: (\S*)", words)
    if unknown:
        return f"'{unknown[1]}'" in finding.message
    check = re.match(r"([\w.]+)(:\d+)?", words)
    if check and (check[0] in finding.reason or f"({check[1]})" in finding.reason):
        return True
    said = finding.reason.partition(": ")[2].partition(". ")[0].rstrip(".")  # a sentence on what to do may follow
    if said and said.split(" has mismatched")[0].split(" layers")[0] in words:
        return True
    return words.startswith("upgrade_proto") and finding.code.startswith(("E1", "P"))


def judge_corpus(oracle: Path, corpus: Path, show: Show) -> Counter[str]:
    """Outcomes over the files of the corpus."""
    outcomes: Counter[str] = Counter()
    for row in rows(oracle / "nets.jsonl"):
        checked = check(corpus / row["path"])
        refused = [row[phase]["message"] for phase in checked.phases if not row[phase]["ok"]]
        errors = checked.errors
        shown = [f"{finding.code}:{finding.place.line} {finding.message}" for finding in errors[:3]]
        if not checked.phases:
            outcome = "for stages that the oracle did not give"
        elif not refused:
            real = [error for error in errors if not any(word in error.message for word in OF_DATA)]
            outcome = "built: ERROR" if real else "built: error of data" if errors else "built: no error"
            if real:
                show(f"FALSE {row['path']}: {shown}")
        elif all(ELSEWHERE.match(words) for words in refused):
            outcome = "refused for what no file tells: " + ("error" if errors else "no error")
        elif any(map(FOREIGN.search, refused)) and (checked.dialect != "bvlc" or not errors):
            outcome = "for a fork: " + ("error" if errors else "no error")
            if errors:
                show(f"FORK {checked.dialect} {row['path']}: {shown}")
        elif checked.tells_shapes and not errors:
            outcome = "refused for the data that the oracle put there"
        elif any(same_cause(finding, words) for finding in (*errors, *checked.custom) for words in refused):
            outcome = "refused: error, the cause"
        else:
            outcome = "refused: error, another" if errors else "refused: MISSED"
            show(f"{outcome} {row['path']}: {refused[0][:200]!r} ours: {shown}")
        outcomes[outcome] += 1
    return outcomes


def judge_broken(folder: Path, show: Show) -> Counter[str]:
    """Outcomes over nets with a mistake each."""
    outcomes: Counter[str] = Counter()
    for path in sorted(folder.glob("*.prototxt")):
        checked = check(path)
        words = dict(
            line.split(": ", 1)
            for line in path.with_suffix(".txt").read_text(encoding="utf-8", errors="replace").splitlines()
            if re.match(r"(TRAIN|TEST)(\+forward)?: ", line)
        )
        refused = [
            said
            for where, said in words.items()
            if said != "ACCEPTED" and where.partition("+")[0] in checked.phases
        ]
        errors = checked.errors
        shown = [f"{finding.code}:{finding.place.line} {finding.message}" for finding in checked.findings[:3]]
        if not refused:
            rest = [finding for finding in checked.findings if finding.code[0] in "EN"]
            outcome = "taken: ERROR" if errors else "taken: finding" if rest else "taken: nothing"
            show(f"{outcome} {path.name}: {shown}")
        elif all(ELSEWHERE.match(said) for said in refused):
            outcome = "refused for what no file tells"
        elif any(map(FOREIGN.search, refused)) and not errors:
            outcome = "for a fork: no error"
        elif any(same_cause(finding, said) for finding in errors for said in refused):
            outcome = "refused: error, the cause"
        else:
            crash = [finding for finding in errors if any("DIED" in said for said in refused)]
            outcome = "refused: error, without words" if crash else "refused: error, another"
            outcome = outcome if errors else "refused: MISSED"
            show(f"{outcome} {path.name}: {refused[0][:200]!r} ours: {shown}")
        outcomes[outcome] += 1
    return outcomes


def rows(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a JSON-lines file."""
    with path.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)


def main() -> int:
    """Prints the counts; 1 if one of the goals is missed."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--verbose", action="store_true", help="print each file that is not as it should be")
    parser.add_argument("--oracle", type=Path, default=SHARED / "oracle")
    parser.add_argument("--corpus", type=Path, default=SHARED / "corpus" / "files")
    options = parser.parse_args()
    if not (options.oracle / "nets.jsonl").is_file():
        print(f"{options.oracle / 'nets.jsonl'}: not there; name its folder with --oracle", file=sys.stderr)
        return 2
    show: Show = print if options.verbose else lambda text: None
    start = time.perf_counter()
    corpus = judge_corpus(options.oracle, options.corpus, show)
    broken = judge_broken(options.oracle / "broken", show)
    accepted = judge_broken(options.oracle / "broken" / "accepted", show)
    for title, counter in (
        ("corpus, files", corpus),
        ("broken nets", broken),
        ("nets taken as they are", accepted),
    ):
        print(title)
        for name, number in sorted(counter.items()):
            print(f"  {number:8d}  {name}")
    total = corpus + broken + accepted
    refused = sum(number for name, number in total.items() if name.startswith("refused: "))
    found = total["refused: error, the cause"] + total["refused: error, without words"]
    print(f"refusals found with their cause: {found} of {refused} ({found / max(1, refused):.2%})")
    print(f"errors on what Caffe builds: {corpus['built: ERROR']} files")
    print(f"{time.perf_counter() - start:.1f} s")
    return int(corpus["built: ERROR"] > 0 or found < 0.99 * refused)


if __name__ == "__main__":
    sys.exit(main())
