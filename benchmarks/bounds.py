"""The clip thresholds that `--fix` inserts as a safety net (G101), held against the gradient norms of real runs.

Run: python benchmarks/bounds.py [-v] [../shared]

The runs are those of `divergence/course.tsv` that learn calmly (finite, the last loss not below 0, the highest at most 1.5
times the first), with the facts about their data, and the published nets of `norms/`. G101 alone fixes each in memory, since
other fixes would make another training of it; then its threshold for one pass is divided by the real norm: the larger of the
first and the median, for `norms/` the first, which is the median of three seeds. It should lie between 3 and 50 times that, and
for SGD and Nesterov a step at it should move the weights by at most half their norm. `norms/` are fixed as they were run, with
data that are made up, and as they are published (`../shared/corpus`), with data that are images in a database and batches that
are larger, so that their norms are smaller than those that were measured.

The first tables choose `FACTOR` and `GROWN` of `stability/advice/clip_bound.py` on `divergence/dev`: of the pairs with which most
runs get such a threshold, the one whose thresholds lie nearest to the middle of that range, by the mean square of the logarithm.
They are tuned on these runs, so the second table also says how many of a family are right with the pair that is best for all
others. The search does not use `norms/`, but its criterion and the definition of an ordinary net were chosen with their figures
in sight, so these are optimistic, too.
"""

from __future__ import annotations

import csv
import json
import math
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import NamedTuple

from caffe_lint.engine.files_in_memory import Files, nets_for
from caffe_lint.engine.fixing import fix_unit
from caffe_lint.engine.units import Unit
from caffe_lint.net.data_facts import DataFacts, read_facts
from caffe_lint.net.job import Job, SolverFile
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.settings.settings import Settings
from caffe_lint.stability.advice.clip_bound import FACTOR, GROWN, LARGEST_PART, clip_bound, safe_norm
from caffe_lint.stability.advice.stability import Stability
from caffe_lint.stability.computed import stability_of

LOW, HIGH = 3.0, 50.0
CALM = 1.5  # times the first loss
FACTORS = (8.0, 10.0, 12.0, 14.0, 16.0, 18.0, 20.0)
SIZES = (0.02, 0.03, 0.05, 0.07, 0.1, 0.15, 0.2, 0.3, 0.5)
IMAGES = {"data", "imagedata", "image_data"}  # types of layers that read images as bytes
# Parts of the names of types that no plain classifier of images has, but for SoftmaxWithLoss.
EXTRAORDINARY = ("loss", "hdf5", "embed", "deconvolution")


class Run(NamedTuple):
    """A training and the gradient norms of the real run; `largest` is NaN if only its first iteration was run."""

    name: str
    group: str
    solver: Path
    norm: float
    largest: float
    facts: DataFacts
    net: Path | None = None  # instead of the one that the solver names


class Outcome(NamedTuple):
    """The threshold that `--fix` wrote for one pass, or why it wrote none."""

    run: Run
    bound: float | None
    why: str
    step: float  # at the threshold, relative to the weights; 0 for solvers whose steps do not grow with gradients

    @property
    def times(self) -> float:
        """The threshold relative to the real norm."""
        return (self.bound or math.nan) / self.run.norm

    @property
    def right(self) -> bool:
        """Whether it lies in the range wanted."""
        return self.bound is not None and LOW <= self.times <= HIGH


def calm_runs(root: Path) -> Iterator[Run]:
    """The runs of `divergence/course.tsv` that learn calmly."""
    facts = read_facts(str(root / "data.json"))
    with open(root / "course.tsv", encoding="utf-8") as file:
        for row in csv.DictReader(file, delimiter="\t"):
            folder = root / "dev" / row["name"]
            truth = json.loads((folder / "truth.json").read_text())
            first, middle, largest = (float(row[f"norm_{name}"]) for name in ("first", "median", "largest"))
            if truth["label"] != "learns" or not math.isfinite(largest) or truth["last"] is None:
                continue
            if truth["last"] >= 0 and truth["peak"] <= CALM * truth["first"]:
                family = row["name"].rsplit("-", 1)[0]
                yield Run(row["name"], family, folder / "solver.prototxt", max(first, middle), largest, facts)


def published(root: Path, corpus: Path | None) -> Iterator[Run]:
    """The nets of `norms/`, as they were run or, with `corpus`, as they are published.

    The group is `marked` (made for loaded weights, or with weights that start at 0), `ordinary` (classifies images) or `other`.
    """
    courses = [json.loads(line) for line in (root / "course100.jsonl").read_text().splitlines()]
    largest = {course["name"]: math.inf if course["nonfinite"] else course["largest"] for course in courses}
    for folder in sorted((root / "nets").iterdir()):
        meta, truth = (json.loads((folder / name).read_text()) for name in ("meta.json", "truth.json"))
        types = {name.lower() for name in meta["types"]}
        others = {name for name in types if any(part in name for part in EXTRAORDINARY)} - {"softmaxwithloss", "softmax_loss"}
        ordinary = types & IMAGES and not others
        group = "marked" if meta["mark"] else "ordinary" if ordinary else "other"
        norm = median(truth["l2_diff"])
        if corpus is None:
            solver, net = folder / "solver_orig.prototxt", None
        else:
            solver, net = corpus / meta["solver"], corpus / meta["source"]
        yield Run(folder.name, group, solver, norm, largest.get(folder.name, math.nan), {}, net)


def files_of(run: Run) -> Files:
    """The files of a run, with the net that it is to have."""
    files = Files(caffe_schema(), None)
    if run.net is not None:
        text = re.sub(r"(?m)^\s*(net|train_net|test_net)\s*:.*$", "", run.solver.read_text(encoding="utf-8", errors="replace"))
        files.add(str(run.solver), f'net: "{run.net}"\n{text}'.encode())
    return files


def job_of(run: Run, files: Files) -> Job:
    """A run as a job."""
    return nets_for(files, Settings(facts=run.facts)).job(SolverFile(files.get(str(run.solver))), None)


def outcome(run: Run) -> Outcome:
    """What `--fix` does with a run."""
    files = files_of(run)
    job = job_of(run, files)
    written = job.solver.message["clip_gradients"]
    passes = max(1, job.solver.message["iter_size"])
    before = stability_of(job)
    if written > 0:
        return Outcome(run, None, "the solver has a threshold", 0.0)
    if before is not None and before.diverges:
        return Outcome(run, None, "is predicted to diverge", 0.0)
    fix_unit(Unit((str(run.solver),), None), files, Settings(facts=run.facts, select=("G101",)), unsafe=False)
    job = job_of(run, files)
    bound = job.solver.message["clip_gradients"]
    computed = stability_of(job)
    if bound <= 0:
        return Outcome(run, None, why_none(job, computed), 0.0)
    step = 0.0
    if computed is not None:
        step = LARGEST_PART * bound / passes / min(safe_norm(signal) for signal in computed.signals)
    return Outcome(run, bound / passes, "", step)


def why_none(job: Job, computed: Stability | None) -> str:
    """Why there is no threshold, in words."""
    if computed is None:
        return "cannot tell"
    return computed.no_bound or f"a threshold of {computed.clip_bound:g} is not written"


def print_outcomes(title: str, outcomes: Sequence[Outcome], verbose: bool) -> None:
    """The figures of some runs."""
    given = [each for each in outcomes if each.bound is not None]
    print(f"{title}: {len(outcomes)} runs")

    def line(name: str, found: Iterable[Outcome], of: Sequence[Outcome]) -> None:
        names = [each.run.name for each in found]
        few = f"  {', '.join(names)}" if 0 < len(names) <= 8 and len(names) < len(of) else ""
        print(f"  {name:44s} {len(names):4d} of {len(of):<4d} {len(names) / max(1, len(of)):6.1%}{few}")

    line("get a threshold", given, outcomes)
    line(f"of these, between {LOW:g} and {HIGH:g} times the norm", [each for each in given if each.right], given)
    line("below the norm", [each for each in given if each.times < 1], given)
    line(f"below {LOW:g} times", [each for each in given if each.times < LOW], given)
    line(f"over {HIGH:g} times", [each for each in given if each.times > HIGH], given)
    line("a step at it moves weights by more than half", [each for each in given if each.step > LARGEST_PART], given)
    known = [each for each in given if not math.isnan(each.run.largest)]
    line("below the largest norm of the run", [each for each in known if each.bound and each.run.largest > each.bound], known)
    reasons = Counter(re.sub(r"\d[\d.e+-]*", "N", each.why) for each in outcomes if each.bound is None)
    for why, number in reasons.most_common():
        print(f"    none: {number:3d}  {why}")
    if verbose:
        for each in outcomes:
            found = f"{each.bound:8.3g} = {each.times:6.3g} x, step {each.step:.2g}" if each.bound is not None else each.why
            print(f"    {each.run.group:14s} {each.run.name:24s} norm {each.run.norm:9.3g}  {found}")
    print()


def choose(runs: Sequence[Run]) -> None:
    """Searches the pair of numbers that suits most runs, and says how it does on a family that is left out."""
    pairs = [(factor, size) for size in SIZES for factor in FACTORS]
    times: dict[str, dict[tuple[float, float], float]] = {}
    for run in runs:
        computed = stability_of(job_of(run, files_of(run)))
        if computed is not None and not computed.diverges:
            bounds = {pair: clip_bound(computed.signals, *pair).value for pair in pairs}
            times[run.name] = {pair: bound / run.norm for pair, bound in bounds.items() if bound is not None}

    middle = math.sqrt(LOW * HIGH)

    def found(pair: tuple[float, float], names: Iterable[str]) -> list[float]:
        return [times[name][pair] for name in names if pair in times.get(name, {})]

    def right(pair: tuple[float, float], names: Iterable[str]) -> int:
        return sum(LOW <= each <= HIGH for each in found(pair, names))

    def distance(pair: tuple[float, float], names: Iterable[str]) -> float:
        return fmean(math.log(each / middle) ** 2 for each in found(pair, names))

    def best(names: Sequence[str]) -> tuple[float, float]:
        return min(pairs, key=lambda pair: (-right(pair, names), distance(pair, names)))

    names = [run.name for run in runs]
    print(f"calm runs of {len(runs)} that get a threshold of {LOW:g} to {HIGH:g} times the norm, and mean square distance from")
    print(f"{middle:.3g} times, in logarithms; tuned on these runs")
    print("  outputs grown to  " + "  ".join(f"{factor:>9g} x" for factor in FACTORS))
    for size in SIZES:
        row = (f"{right((factor, size), names):4d} ({distance((factor, size), names):.2f})" for factor in FACTORS)
        print(f"  {size:<16g}  " + "  ".join(row))
    chosen = best(names)
    print(f"  best: {chosen[0]:g} x, {chosen[1]:g}; in force: {FACTOR:g} x, {GROWN:g}")
    total = 0
    print(f"  {'family left out':16s} {'best without it':>18s} {'right with that':>16s} {'with the pair in force':>23s}")
    for family in sorted({run.group for run in runs}):
        own = [run.name for run in runs if run.group == family]
        pair = best([name for name in names if name not in own])
        total += right(pair, own)
        share = f"{right(pair, own)} of {len(own)}"
        print(f"  {family:16s} {f'{pair[0]:g} x, {pair[1]:g}':>18s} {share:>16s} {right((FACTOR, GROWN), own):23d}")
    print(f"  {'all':16s} {'':18s} {f'{total} of {len(names)}':>16s} {right((FACTOR, GROWN), names):23d}\n")


def main() -> None:
    """Prints the tables."""
    arguments = [word for word in sys.argv[1:] if not word.startswith("-")]
    root = Path(arguments[0] if arguments else "../shared").resolve()
    verbose = "-v" in sys.argv
    everything: list[Outcome] = []
    if (root / "divergence" / "course.tsv").is_file():
        runs = list(calm_runs(root / "divergence"))
        choose(runs)
        outcomes = [outcome(run) for run in runs]
        everything += outcomes
        print_outcomes("calm runs of divergence/dev (tuned on these)", outcomes, verbose)
    else:
        print(f"{root / 'divergence'} is not there")
    if (root / "norms" / "course100.jsonl").is_file():
        outcomes = [outcome(run) for run in published(root / "norms", None)]
        everything += outcomes
        print_outcomes("published nets, data made up", outcomes, verbose)
        corpus = root / "corpus"
        if (corpus / "files").is_dir():
            outcomes = [outcome(run) for run in published(root / "norms", corpus)]
            print_outcomes("published nets, as published", outcomes, verbose)
            ordinary = [each for each in outcomes if each.run.group == "ordinary"]
            print_outcomes("of these, ordinary ones: fillers, images as bytes, one class for each", ordinary, False)
    else:
        print(f"{root / 'norms'} is not there")
    given = [each for each in everything if each.bound is not None]
    print(f"all but as published: {sum(each.right for each in given)} of {len(given)} thresholds between {LOW:g} and {HIGH:g} times")


if __name__ == "__main__":
    main()
