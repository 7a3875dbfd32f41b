"""Holds our nets against the real Caffe: built or refused and why, the shape of every blob and parameter.

    python benchmarks/oracle_nets.py [--verbose] [--oracle FOLDER] [--facts FOLDER] [--corpus FOLDER]

`nets.jsonl` has one line a file with the outcome for each phase. The data layers had been replaced by
inputs of [batch, 3, 224, 224] (crop_size instead of 224; other tops [batch], for HDF5Data [batch, 1]); so
it is done here. `broken/` holds nets with a mistake each and Caffe's words, `probes.jsonl` small nets
that were run with `caffe time`, which runs every layer backward.
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
from typing import Any

from caffe_lint.moments.graph import NetProblem
from caffe_lint.moments.shapes import Shape
from caffe_lint.net.build import build
from caffe_lint.net.net import Net
from caffe_lint.net.phases import file_state
from caffe_lint.net.splits import with_splits
from caffe_lint.proto.binder import Entry, Message, bind
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.proto.tree import Problem
from caffe_lint.proto.upgrade import Upgraded, upgrade

SHARED = Path(__file__).resolve().parents[2] / "shared"
REPLACED = {
    "Data": "data_param",
    "ImageData": "image_data_param",
    "WindowData": "window_data_param",
    "HDF5Data": "hdf5_data_param",
    "MemoryData": "memory_data_param",
}
TYPE_PROBLEMS = ("foreign-layer-type", "unknown-layer-type")
# Refusals for something that no net's file tells: a Python module, a file of data, its contents.
ELSEWHERE = re.compile(
    r".*ModuleNotFoundError|.*File not found|.*Failed to open|db_|hdf5\.cpp|data_transformer\.cpp:498"
    r"|memory_data_layer\.cpp:110"
)

Show = Callable[[str], None]


class Reading:
    """A file read as BVLC's Caffe does, with all that stops it before a net is built."""

    def __init__(self, source: bytes) -> None:
        self.tree = parse(source)
        bound = bind(self.tree, caffe_schema(), "NetParameter", "bvlc")
        self.syntax = [*self.tree.problems, *(p for p in bound.problems if p.kind not in TYPE_PROBLEMS)]
        self.types = [p for p in bound.problems if p.kind in TYPE_PROBLEMS]
        self.upgraded = upgrade(bound.message, caffe_schema())
        self.lifting = [problem for problem in self.upgraded.problems if problem.fatal]

    def types_in(self, net: Net) -> list[Problem]:
        """The problems with types of layers that the net keeps."""
        kept = {layer.place() for layer in net.layers}
        return [problem for problem in self.types if (problem.start, problem.end) in kept]

    def stops(self, net: Net) -> list[str]:
        """All that we say Caffe stops at before the first pass."""
        said = [problem.message for problem in [*self.syntax, *self.types_in(net)]]
        said += [problem.message for problem in self.lifting]
        return said + [f"{p.source} {p.message}" for p in net.problems if p.when == "setup"]

    def account(self, net: Net, words: str) -> str:
        """How we account for a refusal: `cause`, `other` (refused for something else) or `missed`."""
        if words.startswith("protobuf"):
            right = self.is_syntax(words)
        elif words.startswith("layer_factory.hpp"):
            name = words.partition("Unknown layer type: ")[2].split(" ")[0]  # not told of a probe
            right = any(name in problem.message for problem in self.types_in(net))
        elif self.lifting and (words.startswith("upgrade_proto") or self.upgraded.undefined_inputs):
            right = True
        else:
            right = False
        if right or any(is_cause(problem, words) for problem in net.problems):
            return "cause"
        return "other" if self.stops(net) else "missed"

    def is_syntax(self, words: str) -> bool:
        """Whether a problem of syntax is what protobuf's words are about: the same line, or the same name.

        protobuf gives the place of the token behind an enum's value or a field's name, maybe on a later
        line, and of a brace too few it sees only that the next thing has no place there.
        """
        where = re.search(r"NetParameter: (\d+):", words)
        line = int(where[1]) if where else 0
        name = re.search(r'(?:value of|field|field named) "(\w+)"', words)
        return any(
            problem.kind == "unclosed"
            or self.tree.line_of(problem.start) <= line <= self.tree.line_of(problem.end)
            or (name is not None and re.search(rf"\b{name[1]}\b", problem.message) is not None)
            for problem in self.syntax
        )


def is_cause(problem: NetProblem, words: str) -> bool:
    """Whether a problem is what Caffe's words are about: the same check, the same layer if they name one."""
    named = re.search(r"\(layer '(.*?)'|with layer '(.*?)'", words)
    if named and (problem.layer is None or problem.layer.name != (named[1] or named[2])):
        return False
    where = re.match(r"([\w.]+):(\d+)", words)
    if not where:
        return not words and problem.how != "fatal"  # it died without a word
    file, _, line = problem.source.partition(":")
    return file == where[1] and (not line or line == where[2])


def with_inputs(upgraded: Upgraded) -> Upgraded:
    """The net with its data layers replaced as they were for the oracle."""
    net = upgraded.message
    changed = Message(net.type, net.block)
    changed.entries = dict(net.entries)
    changed.entries["layer"] = [as_input(entry) for entry in net.entries.get("layer", [])]
    return upgraded._replace(message=changed)


def as_input(entry: Entry) -> Entry:
    """An Input layer in place of a data layer."""
    layer, node, field = entry
    place = REPLACED.get(layer["type"])
    if place is None:
        return entry
    batch = layer[place]["batch_size"] or 1
    crop = layer["transform_param"]["crop_size"] or 224
    schema = caffe_schema()
    made = Message(layer.type, layer.block)
    for name in ("name", "top", "include", "exclude", "phase"):
        if name in layer.entries:
            made.entries[name] = layer.entries[name]
    made.entries["type"] = [("Input", node, field)]
    param = Message(schema.message("InputParameter"), layer.block)
    param.entries["shape"] = []
    for i in range(len(layer["top"])):
        dims = [batch, 3, crop, crop] if i == 0 else [batch, 1] if layer["type"] == "HDF5Data" else [batch]
        shape = Message(schema.message("BlobShape"), layer.block)
        shape.entries["dim"] = [(dim, node, field) for dim in dims]
        param.entries["shape"].append((shape, node, field))
    made.entries["input_param"] = [(param, node, field)]
    return made, node, field


# -- comparing -------------------------------------------------------------------------------------------


def judge_nets(oracle: Path, corpus: Path, show: Show) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Outcomes, shapes and parameters over all files and phases."""
    outcomes: Counter[str] = Counter()
    shapes: Counter[str] = Counter()
    params: Counter[str] = Counter()
    for row in rows(oracle / "nets.jsonl"):
        reading = Reading((corpus / row["path"]).read_bytes())
        upgraded = with_inputs(reading.upgraded)
        for phase in ("TRAIN", "TEST"):
            said = row[phase]
            where = f"{row['path']} {phase}"
            net = build(upgraded, file_state(upgraded.message, phase), dialect="bvlc")
            outcomes[judge(reading, net, "" if said["ok"] else said["message"], said["ok"], where, show)] += 1
            if said["ok"]:
                compare_blobs(net, said["blobs"], shapes, where, show)
                compare_params(net, said, params, where, show)
    return outcomes, shapes, params


def judge(reading: Reading, net: Net, words: str, built: bool, where: str, show: Show) -> str:
    """The outcome for one net."""
    stops = reading.stops(net)
    if built:
        if stops:
            show(f"REFUSED BY US {where}: {stops[0]}")
        return "built, refused by us" if stops else "built, built by us"
    if ELSEWHERE.match(words):
        return "refused for what no file tells"
    verdict = reading.account(net, words)
    if verdict != "cause":
        show(f"{verdict.upper()} {where}: {words[:300]!r} ours: {stops[:2]}")
    return f"refused, {verdict}"


def compare_blobs(
    net: Net, theirs: dict[str, list[int]], shapes: Counter[str], where: str, show: Show
) -> None:
    """Every blob of a net that Caffe built, Caffe's splits too."""
    _, ours = with_splits(net)
    for name in [*theirs, *(set(ours) - set(theirs))]:
        if name == "(automatic)":
            continue
        both = name in ours and name in theirs
        verdict = compare(ours[name], theirs[name]) if both else "different"
        shapes[verdict] += 1
        if verdict != "equal":
            show(f"BLOB {where}: {name} is {ours.get(name)} here, {theirs.get(name)} in Caffe")


def compare_params(net: Net, said: dict[str, Any], params: Counter[str], where: str, show: Show) -> None:
    """Parameters, outputs and the number of learnable values of a net that Caffe built."""
    have = [
        [layer.name, layer.type, *(p.shape for p in layer.params)] for layer in net.layers if layer.params
    ]
    theirs = [[name, kind, *(tuple(shape) for shape in shapes)] for name, kind, shapes in said["layers"]]
    for kind, mine, other in (
        ("layers with parameters", have, theirs),
        ("outputs", sorted(net.outputs), sorted(said["outputs"])),
        ("learnable values", net.learnable, said["learnable"]),
    ):
        verdict = "equal" if mine == other else "different"
        params[f"{kind}: {verdict}"] += 1
        if mine != other:
            show(f"{kind.upper()} {where}: {mine} here, {other} in Caffe")


def judge_probes(facts: Path, show: Show) -> tuple[Counter[str], Counter[str]]:
    """Outcomes and shapes over the small nets."""
    outcomes: Counter[str] = Counter()
    shapes: Counter[str] = Counter()
    for number, row in enumerate(rows(facts / "probes.jsonl")):
        if row["mode"] != "time":
            continue
        reading = Reading(row["prototxt"].encode())
        net = build(reading.upgraded, file_state(reading.upgraded.message, row["phase"]), dialect="bvlc")
        # The probes ran the net, and on a Caffe without GPU.
        passes = [problem for problem in net.problems if problem.when != "setup"]
        passes += net.backward_problems(every_layer=True)
        words = f"protobuf: {row['at']}" if row["parse_error"] else row["at"]
        where = f"probe {number} {row['prototxt']!r}"
        if row["outcome"] == "ok" and passes:
            show(f"REFUSED BY US {where}: {passes[0].message}")
            outcomes["built, refused by us"] += 1
        elif (row["parse_error"] and reading.syntax) or any(is_cause(problem, words) for problem in passes):
            outcomes["refused, cause"] += 1
        else:
            outcomes[judge(reading, net, words, row["outcome"] == "ok", where, show)] += 1
        for mine, theirs in probe_shapes(net, row):
            verdict = compare(mine, theirs)
            shapes[verdict] += 1
            if verdict != "equal":
                show(f"BLOB {where}: {mine} here, {theirs} in Caffe")
    return outcomes, shapes


def probe_shapes(net: Net, row: dict[str, Any]) -> Iterator[tuple[Shape, list[int]]]:
    """Pairs of our shape and Caffe's for every top that the probe's log names."""
    for layer in net.layers:
        for blob, words in zip(layer.tops, row["top_shapes"].get(layer.name, []), strict=False):
            yield blob.shape, [int(word) for word in words.split()]


def judge_broken(folder: Path, show: Show) -> Counter[str]:
    """Outcomes over files with a mistake each, and over files with one that Caffe does not see."""
    outcomes: Counter[str] = Counter()
    for path in sorted([*folder.glob("*.prototxt"), *folder.glob("accepted/*.prototxt")]):
        if not path.with_suffix(".txt").is_file():
            continue
        reading = Reading(path.read_bytes())
        upgraded = reading.upgraded
        for line in path.with_suffix(".txt").read_text(encoding="utf-8", errors="replace").splitlines():
            phase, _, words = line.partition(": ")
            if phase in ("TRAIN", "TEST"):
                net = build(upgraded, file_state(upgraded.message, phase), dialect="bvlc")
                outcomes[judge(reading, net, words, words == "ACCEPTED", f"{path.name} {phase}", show)] += 1
    return outcomes


def compare(ours: Shape, theirs: list[int]) -> str:
    """`equal`, `unknown` where we know less, or `different`."""
    if ours is None:
        return "unknown"
    if len(ours) != len(theirs) or any(a is not None and a != b for a, b in zip(ours, theirs, strict=True)):
        return "different"
    return "unknown" if None in ours else "equal"


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
    parser.add_argument("--verbose", action="store_true", help="print every miss")
    parser.add_argument("--oracle", type=Path, default=SHARED / "oracle")
    parser.add_argument("--facts", type=Path, default=SHARED / "facts")
    parser.add_argument("--corpus", type=Path, default=SHARED / "corpus" / "files")
    options = parser.parse_args()
    if not (options.oracle / "nets.jsonl").is_file():
        print(f"{options.oracle / 'nets.jsonl'}: not there; name its folder with --oracle", file=sys.stderr)
        return 2

    def show(text: str) -> None:
        if options.verbose:
            print(text)

    start = time.perf_counter()
    outcomes, shapes, params = judge_nets(options.oracle, options.corpus, show)
    broken = judge_broken(options.oracle / "broken", show)
    probes, probe_blobs = judge_probes(options.facts, show)
    for title, counter in (
        ("real nets, in each phase", outcomes),
        ("their blobs", shapes),
        ("their parameters", params),
        ("broken nets", broken),
        ("probes", probes),
        ("tops of probes", probe_blobs),
    ):
        print(title)
        for name, number in sorted(counter.items()):
            print(f"  {number:8d}  {name}")
    total = outcomes + broken + probes
    refused = sum(number for name, number in total.items() if name.startswith("refused, "))
    found = total["refused, cause"]
    print(f"refusals found with the right cause: {found} of {refused} ({found / max(1, refused):.2%})")
    print(f"{time.perf_counter() - start:.1f} s")
    different = shapes["different"] + probe_blobs["different"]
    different += sum(number for name, number in params.items() if name.endswith("different"))
    return int(total["built, refused by us"] > 0 or different > 0 or found < 0.99 * refused)


if __name__ == "__main__":
    sys.exit(main())
