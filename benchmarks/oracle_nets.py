"""Holds our nets against the real Caffe: built or refused and why, the shape of every blob and parameter.

    python benchmarks/oracle_nets.py [--verbose] [--oracle FOLDER] [--facts FOLDER] [--corpus FOLDER]

`nets.jsonl` has one line a file with the outcome for each phase. The data layers had been replaced by inputs of
[batch, 3, 224, 224] (crop_size instead of 224; further tops [batch], for HDF5Data [batch, 1]), as is done here.
`probes.jsonl` has small nets that were run with `caffe time`, which runs every layer backward.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from caffe_lint.net import Net, NetProblem, build, file_state
from caffe_lint.proto.binder import Entry, Message, bind
from caffe_lint.proto.parser import parse
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.proto.tree import Problem, Tree
from caffe_lint.proto.upgrade import Upgraded, upgrade
from caffe_lint.shapes import Shape
from caffe_lint.splits import with_splits

SHARED = Path(__file__).resolve().parents[2] / "shared"
REPLACED = {
    "Data": "data_param",
    "ImageData": "image_data_param",
    "WindowData": "window_data_param",
    "HDF5Data": "hdf5_data_param",
    "MemoryData": "memory_data_param",
}
TYPE_PROBLEMS = ("foreign-layer-type", "unknown-layer-type")
# What the machine of the oracle lacked: nothing that a file could tell.
ENVIRONMENT = re.compile(r"ModuleNotFoundError|File not found|^db_|^hdf5\.cpp|Failed to open")


class Reading:
    """A file read as BVLC's Caffe does, with everything that stops it before a net is built."""

    def __init__(self, source: bytes) -> None:
        self.tree: Tree = parse(source)
        bound = bind(self.tree, caffe_schema(), "NetParameter", "bvlc")
        self.syntax = [*self.tree.problems, *(p for p in bound.problems if p.kind not in TYPE_PROBLEMS)]
        self.types = [p for p in bound.problems if p.kind in TYPE_PROBLEMS]
        self.upgraded = upgrade(bound.message, caffe_schema())

    def types_in(self, net: Net) -> list[Problem]:
        """The problems with types of layers that the net keeps."""
        kept = {layer.place() for layer in net.layers}
        return [problem for problem in self.types if (problem.start, problem.end) in kept]

    def syntax_is(self, message: str) -> bool:
        """Whether a problem of syntax is what protobuf's words are about: the same line, or the same name.

        protobuf tells the place of the token behind an enum value or a field's name, maybe on a later line.
        """
        where = re.search(r"NetParameter: (\d+):", message)
        line = int(where[1]) if where else 0
        name = re.search(r'(?:value of|field named|field) "(\w+)"', message)
        return any(
            self.tree.line_of(problem.start) <= line <= self.tree.line_of(problem.end)
            or (name and re.search(rf"\b{name[1]}\b", problem.message))
            for problem in self.syntax
        )


def with_inputs(upgraded: Upgraded) -> Upgraded:
    """The net with its data layers replaced as they were for the oracle."""
    net = upgraded.message
    lifted = Message(net.type, net.block)
    lifted.entries = dict(net.entries)
    lifted.entries["layer"] = [as_input(entry) for entry in net.entries.get("layer", [])]
    return upgraded._replace(message=lifted)


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
    made.entries = {
        name: layer.entries[name]
        for name in ("name", "top", "include", "exclude", "phase")
        if name in layer.entries
    }
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


# -- comparing --------------------------------------------------------------------------------------------------


def compare_shape(ours: Shape, theirs: list[int]) -> str:
    """`equal`, `unknown` where we know less, or `different`."""
    if ours is None:
        return "unknown"
    if len(ours) != len(theirs) or any(a is not None and a != b for a, b in zip(ours, theirs, strict=True)):
        return "different"
    return "unknown" if None in ours else "equal"


def same_cause(problem: NetProblem, message: str) -> bool:
    """Whether a problem is what Caffe's words are about: the same check, and the same layer where they name one."""
    named = re.search(r"\(layer '(.*?)'|with layer '(.*?)'", message)
    layer = named and (named[1] or named[2])
    if layer and (problem.layer is None or problem.layer.name != layer):
        return False
    where = re.match(r"([\w.]+):(\d+)", message)
    if not where:
        return False
    file, _, line = problem.source.partition(":")
    return file == where[1] and (not line or line == where[2])


def refusal(reading: Reading, net: Net, message: str) -> str:
    """How we account for a refusal: `cause`, `other` (refused for something else) or `missed`."""
    types = reading.types_in(net)
    if message.startswith("protobuf"):
        return "cause" if reading.syntax_is(message) else "other" if reading.syntax else "missed"
    if "Unknown layer type" in message:
        name = re.search(r"Unknown layer type: (\S*)", message)
        if name and any(f"'{name[1]}'" in problem.message for problem in types):
            return "cause"
    fatal = [problem for problem in reading.upgraded.problems if problem.fatal]
    if message.startswith("upgrade_proto") and fatal:
        return "cause"
    if any(same_cause(problem, message) for problem in net.problems):
        return "cause"
    return "other" if types or fatal or net.problems else "missed"


def judge_nets(oracle: Path, corpus: Path, show: Any) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Outcomes, shapes and parameters over all files and phases."""
    outcomes: Counter[str] = Counter()
    shapes: Counter[str] = Counter()
    params: Counter[str] = Counter()
    for row in rows(oracle / "nets.jsonl"):
        reading = Reading((corpus / row["path"]).read_bytes())
        upgraded = with_inputs(reading.upgraded)
        for phase in ("TRAIN", "TEST"):
            said = row[phase]
            net = build(upgraded, file_state(upgraded.message, phase), dialect="bvlc")
            where = f"{row['path']} {phase}"
            if said["ok"]:
                refused = [problem.message for problem in [*reading.syntax, *reading.types_in(net)]]
                refused += [problem.message for problem in reading.upgraded.problems if problem.fatal]
                refused += [f"{p.kind}: {p.message}" for p in net.problems if p.when == "setup"]
                outcomes["built, refused by us" if refused else "built, built by us"] += 1
                if refused:
                    show(f"REFUSED BY US {where}: {refused[0]}")
                compare_net(net, said, shapes, params, where, show)
            elif ENVIRONMENT.search(said["message"]):
                outcomes["refused for what no file tells"] += 1
            else:
                outcome = refusal(reading, net, said["message"])
                outcomes[f"refused, {outcome}"] += 1
                if outcome != "cause":
                    first = [p.message for p in [*reading.syntax, *reading.types]][:1] + [
                        p.message for p in net.problems
                    ][:1]
                    show(f"{outcome.upper()} {where}: {said['message'][:300]!r} ours: {first}")
    return outcomes, shapes, params


def compare_net(
    net: Net, said: dict[str, Any], shapes: Counter[str], params: Counter[str], where: str, show: Any
) -> None:
    """Blobs, parameters, outputs and the number of learnable values of a net that Caffe built."""
    _, ours = with_splits(net)
    for name, theirs in said["blobs"].items():
        if name == "(automatic)":
            continue
        verdict = compare_shape(ours[name], theirs) if name in ours else "missing"
        shapes[verdict] += 1
        if verdict != "equal":
            show(f"SHAPE {verdict} {where}: {name} ours {ours.get(name)} Caffe's {theirs}")
    extra = set(ours) - set(said["blobs"]) - {"(automatic)"}
    shapes["not there"] += len(extra)
    if extra:
        show(f"SHAPE not there {where}: {sorted(extra)[:5]}")
    have = [
        (layer.name, layer.type, [param.shape for param in layer.params])
        for layer in net.layers
        if layer.params
    ]
    for mine, other in zip(have, said["layers"], strict=False):
        fits = mine[:2] == tuple(other[:2]) and len(mine[2]) == len(other[2])
        verdicts = (
            [compare_shape(a, b) for a, b in zip(mine[2], other[2], strict=False)] if fits else ["different"]
        )
        params.update(verdicts)
        if set(verdicts) != {"equal"}:
            show(f"PARAM {where}: ours {mine} Caffe's {other}")
    if len(have) != len(said["layers"]):
        params["different"] += 1
        show(f"PARAM {where}: {len(have)} layers with parameters, Caffe has {len(said['layers'])}")
    for what, mine, theirs in (
        ("outputs", net.outputs, said["outputs"]),
        ("learnable", net.learnable, said["learnable"]),
    ):
        same = sorted(mine) == sorted(theirs) if isinstance(mine, list) else mine == theirs
        verdict = "equal" if same else "unknown" if mine is None else "different"
        params[f"{what} {verdict}"] += 1
        if not same:
            show(f"{what.upper()} {where}: ours {mine} Caffe's {theirs}")


def judge_probes(facts: Path, show: Any) -> Counter[str]:
    """Outcomes over the small nets."""
    outcomes: Counter[str] = Counter()
    for number, row in enumerate(rows(facts / "probes.jsonl")):
        if row["mode"] != "time":
            continue
        reading = Reading(row["prototxt"].encode())
        net = build(reading.upgraded, file_state(reading.upgraded.message, row["phase"]), dialect="bvlc")
        found = [
            *reading.syntax,
            *reading.types,
            *(p for p in reading.upgraded.problems if p.fatal),
            *net.problems,
        ]
        found += net.backward_problems(every_layer=True)
        for top_name, theirs in probe_shapes(net, row):
            verdict = compare_shape(top_name, theirs)
            outcomes[f"probe shapes {verdict}"] += 1
            if verdict != "equal":
                show(
                    f"PROBE SHAPE {number} {verdict}: ours {top_name} Caffe's {theirs} in {row['prototxt']!r}"
                )
        if row["outcome"] == "ok":
            outcomes["probes run, refused by us" if found else "probes run, taken by us"] += 1
            if found:
                show(f"PROBE REFUSED BY US {number}: {found[0].message} in {row['prototxt']!r}")
            continue
        if ENVIRONMENT.search(row["at"]) or row["aux_files"] if "aux_files" in row else False:
            outcomes["probes stopped by files"] += 1
            continue
        right = (
            bool(reading.syntax)
            if row["parse_error"]
            else any(probe_cause(p, row["at"]) for p in net.problems)
            or any(probe_cause(p, row["at"]) for p in net.backward_problems(every_layer=True))
        )
        right = right or (
            row["at"].startswith("upgrade_proto") and any(p.fatal for p in reading.upgraded.problems)
        )
        right = right or (row["at"].startswith("layer_factory.hpp") and bool(reading.types))
        verdict = "cause" if right else "other" if found else "missed"
        outcomes[f"probes stopped, {verdict}"] += 1
        if not right:
            names = [getattr(p, "source", "") + " " + p.message for p in found]
            show(
                f"PROBE {verdict} {number} {row['outcome']} at {row['at']}: ours {names} in {row['prototxt']!r}"
            )
    return outcomes


def judge_broken(folder: Path, show: Any) -> Counter[str]:
    """Outcomes over files with a mistake each, and over files with one that Caffe does not see."""
    outcomes: Counter[str] = Counter()
    for path in sorted([*folder.glob("*.prototxt"), *folder.glob("accepted/*.prototxt")]):
        words = path.with_suffix(".txt")
        if not words.is_file():
            continue
        reading = Reading(path.read_bytes())
        for line in words.read_text(encoding="utf-8", errors="replace").splitlines():
            phase, _, message = line.partition(": ")
            if phase not in ("TRAIN", "TEST"):
                continue
            net = build(reading.upgraded, file_state(reading.upgraded.message, phase), dialect="bvlc")
            where = f"{path.name} {phase}"
            found = [
                *reading.syntax,
                *reading.types_in(net),
                *(p for p in reading.upgraded.problems if p.fatal),
            ]
            found += [problem for problem in net.problems if problem.when == "setup"]
            if message == "ACCEPTED":
                outcomes["broken, built, refused by us" if found else "broken, built, built by us"] += 1
                if found:
                    show(f"BROKEN REFUSED BY US {where}: {found[0].message}")
            elif ENVIRONMENT.search(message):
                outcomes["broken, refused for what no file tells"] += 1
            else:
                verdict = refusal(reading, net, message)
                outcomes[f"broken, refused, {verdict}"] += 1
                if verdict != "cause":
                    mine = [f"{getattr(problem, 'source', '')} {problem.message}" for problem in found]
                    show(f"BROKEN {verdict} {where}: {message!r} ours: {mine}")
    return outcomes


def probe_shapes(net: Net, row: dict[str, Any]) -> Iterator[tuple[Shape, list[int]]]:
    """Pairs of our shape and Caffe's for every top that the probe's log names."""
    for layer in net.layers:
        for blob, words in zip(layer.tops, row["top_shapes"].get(layer.name, []), strict=False):
            yield blob.shape, [int(word) for word in words.split()]


def probe_cause(problem: NetProblem, at: str) -> bool:
    """Whether a problem is the check at which a probe ended; crashes and hangs have no place."""
    if not at:
        return problem.how != "fatal"
    file, _, line = problem.source.partition(":")
    return file == at.partition(":")[0] and (not line or line == at.partition(":")[2])


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
    show = print if options.verbose else lambda text: None
    start = time.perf_counter()
    outcomes, shapes, params = judge_nets(options.oracle, options.corpus, show)
    probes = judge_probes(options.facts, show) + judge_broken(options.oracle / "broken", show)
    for title, counter in (
        ("nets", outcomes),
        ("blob shapes", shapes),
        ("parameters", params),
        ("small nets", probes),
    ):
        print(title)
        for name, number in sorted(counter.items()):
            print(f"  {number:8d}  {name}")
    refused = sum(number for name, number in outcomes.items() if name.startswith("refused, "))
    found = outcomes["refused, cause"]
    print(f"refusals with the right cause: {found} of {refused} ({found / max(1, refused):.2%})")
    print(f"{time.perf_counter() - start:.1f} s")
    wrong = outcomes["built, refused by us"] + shapes["different"] + params["different"]
    return int(wrong > 0 or found < 0.99 * refused)


if __name__ == "__main__":
    sys.exit(main())
