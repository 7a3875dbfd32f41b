"""Whether the simulator computes what the real Caffe computed, wherever nothing is left to chance.

Run: nice -n 15 python benchmarks/simulate_exact.py [--every N] [-v] [../shared]

The inputs of Caffe's runs are not kept, so what depends on them cannot be compared. What three seeds of the simulator agree on to one
part in a million depends on neither the data nor random weights: values of nets with constant weights, what zeros make of
everything below them, losses at chance, initial statistics, constant inputs. Of that, each mean absolute value of iteration 0 that
Caffe printed must be ours within 1e-4, and each loss of the first ten iterations within 1e-3. Printed by layer type, for the
set-ups of `divergence/dev`, the runs of `oracle/runs` and the nets of `norms/nets` (the last for one step, and only small ones).
"""

from __future__ import annotations

import argparse
import gzip
import json
import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import caffe_lint.simulation  # noqa: F401  # before numpy, whose threads it counts
from caffe_lint.engine.files_in_memory import Files
from caffe_lint.net.data_facts import DataFacts, read_facts
from caffe_lint.net.job import Job, Nets, SolverFile
from caffe_lint.net.weights_origin import StatedOrigin
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.simulation.outcome import Outcome
from caffe_lint.simulation.simulating import Plan, simulate

Key = tuple[str, str, str, str]  # direction (F or B), layer, role, name of the blob or of the parameter

STEPS, SEEDS = 10, 3
SAME_SEEDS, SAME_VALUE, SAME_LOSS, ROUNDING = 1e-6, 1e-4, 1e-3, 1e-7
SECONDS = 3.0  # of work; larger runs are left out
_ROW = re.compile(r"\[(Forward|Backward)\] Layer (.+), (top|bottom|param) blob (.+) (?:data|diff): (\S+)")
_LOSS = re.compile(r"Iteration (\d+)(?: \(.*\))?, loss = (\S+)")


class Truth(NamedTuple):
    """What Caffe printed of a run: the mean absolute values of iteration 0, and the losses by iteration."""

    job: Job
    rows: dict[Key, float]
    losses: dict[int, float]


class Comparison(NamedTuple):
    """What nothing leaves to chance in a run: for each value its layer type, ours and Caffe's, and the same of losses."""

    values: list[tuple[str, Key, float, float]]
    losses: list[tuple[int, float, float]]


def job_of(folder: Path, facts: DataFacts, shapes: dict[str, tuple[int, ...]] | None = None) -> Job:
    """The job in a folder, whose weights come from fillers."""
    files = Files(caffe_schema(), "bvlc")
    nets = Nets(files.get, None, facts_for=lambda path: facts, input_shapes=shapes, weights=StatedOrigin(from_scratch=True))
    return nets.job(SolverFile(files.get(str(folder / "solver.prototxt")), None), None)


def truths(root: Path) -> Iterator[tuple[str, Truth]]:
    """What Caffe printed of each run below the folder."""
    facts = read_facts(str(root / "divergence" / "data.json"))
    for folder in sorted((root / "divergence" / "dev").glob("*/")):
        truth = json.loads((folder / "truth.json").read_text())
        if truth["label"] != "fatal":
            losses = {0: truth["first"]} if truth["first"] is not None else {}
            yield folder.name, Truth(job_of(folder, facts), _rows(truth), losses)
    for folder in sorted((root / "oracle" / "runs").glob("*/")):
        rows, losses = _of_log(folder)
        if losses:
            yield folder.name, Truth(job_of(folder, {}, {"data": (0, 1, 28, 28)}), rows, losses)
    for folder in sorted((root / "norms" / "nets").glob("*/")):
        truth = json.loads((folder / "truth.json").read_text())
        yield folder.name, Truth(job_of(folder, {}), _rows(truth), {0: truth["losses"][0]})


def _rows(truth: dict[str, list[list[object]]]) -> dict[Key, float]:
    found: dict[Key, float] = {}
    for direction, layer, role, name, _, value in truth["init"]:
        if isinstance(value, (int, float)):
            found.setdefault((str(direction), str(layer), str(role), str(name)), float(value))
    return found


def _of_log(folder: Path) -> tuple[dict[Key, float], dict[int, float]]:
    """The rows of iteration 0 and the losses of a log."""
    packed = folder / "log.txt.gz"
    if not packed.exists() and not (folder / "log.txt").exists():
        return {}, {}
    raw = gzip.decompress(packed.read_bytes()) if packed.exists() else (folder / "log.txt").read_bytes()
    text = raw.decode(errors="replace")
    rows: dict[Key, float] = {}
    losses: dict[int, float] = {}
    for line in text.splitlines():
        if (match := _ROW.search(line)) and not losses:
            value = float(match[5])
            if math.isfinite(value):
                rows.setdefault((match[1][0], match[2], match[3], match[4]), value)
        elif match := _LOSS.search(line):
            losses.setdefault(int(match[1]), float(match[2]))
    return rows, losses


def compared(truth: Truth, steps: int = STEPS) -> Comparison | Outcome:
    """What nothing leaves to chance in a run, or why it is not simulated."""
    found = simulate(truth.job, Plan(steps=steps, batch=None, seeds=SEEDS, all_seeds=True, budget=SECONDS))
    if not found.courses:
        return found
    types = {layer.name: layer.type for layer in truth.job.train.net.layers} if truth.job.train is not None else {}
    runs = []
    for course in found.courses:
        own: dict[Key, float] = {}
        forward, backward, _ = course.iterations[0].passes[0]
        for line in (*forward, *backward):
            own.setdefault((line.direction[0], line.layer, line.role, line.blob), line.mean_abs)
        runs.append(own)
    values = []
    for key, caffe in truth.rows.items():
        ours = [run[key] for run in runs if key in run]
        if len(ours) == SEEDS and _agree(ours):
            values.append((types.get(key[1], "Split"), key, ours[0], caffe))
    losses = []
    for number in range(steps):
        ours = [course.losses[number] for course in found.courses if number < len(course.losses)]
        if number not in truth.losses or len(ours) < SEEDS or not _agree(ours):
            break  # what follows a loss that chance has a part in does, too
        losses.append((number, ours[0], truth.losses[number]))
    return Comparison(values, losses)


def _agree(values: list[float]) -> bool:
    return max(values) - min(values) <= SAME_SEEDS * max(map(abs, values)) if all(map(math.isfinite, values)) else False


def is_same(ours: float, caffe: float, tolerance: float) -> bool:
    """Whether two values are the same; where ours is exactly 0, what is left over by rounding in Caffe counts as 0."""
    return abs(ours - caffe) <= (tolerance * abs(caffe) if ours else ROUNDING)


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("root", nargs="?", default="../shared")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("-v", action="store_true", dest="verbose")
    options = parser.parse_args()
    same: Counter[str] = Counter()
    other: Counter[str] = Counter()
    losses: Counter[bool] = Counter()
    longest = 0
    left_out: Counter[str] = Counter()
    for number, (name, truth) in enumerate(truths(Path(options.root))):
        if number % options.every:
            continue
        found = compared(truth)
        if isinstance(found, Outcome):
            left_out[found.cannot_tell.cause if found.cannot_tell is not None else "cut"] += 1
            continue
        for kind, key, ours, caffe in found.values:
            right = is_same(ours, caffe, SAME_VALUE)
            (same if right else other)[kind] += 1
            if options.verbose and not right:
                print(f"  {name}: {' '.join(key)}: ours {ours:g}, Caffe {caffe:g}")
        for iteration, ours, caffe in found.losses:
            losses[is_same(ours, caffe, SAME_LOSS)] += 1
            if options.verbose and not is_same(ours, caffe, SAME_LOSS):
                print(f"  {name}: loss of iteration {iteration}: ours {ours:g}, Caffe {caffe:g}")
        longest = max(longest, len(found.losses))
    for kind in sorted(same | other):
        print(f"{kind:28s} {same[kind]:5d} values as Caffe's, {other[kind]:4d} not")
    print(f"all {sum(same.values()):d} values within {SAME_VALUE:g}, {sum(other.values())} not")
    print(f"losses: {losses[True]} within {SAME_LOSS:g}, {losses[False]} not, of up to {longest} iterations")
    print(f"left out: {dict(left_out)}")


if __name__ == "__main__":
    main()
