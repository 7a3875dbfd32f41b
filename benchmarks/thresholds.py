"""What the thresholds of family G are worth: on trainings whose end is known, and on public solvers.

    python benchmarks/thresholds.py [rate] [clipping] [losses] [widening] [sums] [--divergence FOLDER] [--corpus
    FOLDER]

The trainings are 360 set-ups of nine families of nets, run with the real Caffe for 150 iterations each
(`../shared/divergence`): `explodes` means NaN, or a last loss over three times the first. The rules see the
files only. Public solvers (`../shared/corpus`) are taken to train as they are, so what is found there is
held for wrong.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from pathlib import Path
from statistics import median
from typing import Any

from sklearn.metrics import roc_auc_score

from caffe_lint.layers.loss import loss_normalization
from caffe_lint.net.build import build
from caffe_lint.net.job import Job, Nets, SolverFile
from caffe_lint.net.loss_sizes import DOMINANT, dominant_losses, sized_losses
from caffe_lint.net.net import Net
from caffe_lint.net.widening import widening_blocks
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.rules.stability.summed_loss import LOWEST_RATE, has_pixels
from caffe_lint.solver.schedule import largest_rate
from caffe_lint.source.files import SUFFIXES, SourceFile, Unreadable, read_source
from caffe_lint.stability.advice.rate_limit import ADAPTIVE_LIMITS, judge_rate

BOUNDS = (0.1, 1, 5, 10, 35, 100)


class Setup:
    """A training of known end: its job, and what the real Caffe said of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.family = folder.name.split("-")[0]
        self.truth = json.loads((folder / "truth.json").read_text())
        self.job = job_of(folder / "solver.prototxt", folder)

    @property
    def explodes(self) -> bool:
        """Whether it ended as NaN, or far above where it began."""
        return self.truth["label"] in ("nan", "exploded")

    @property
    def solver(self) -> Any:
        """The solver's message."""
        return self.job.solver.message

    @property
    def net(self) -> Net:
        """The training net."""
        assert self.job.train is not None
        return self.job.train.net

    @cached_property
    def excess(self) -> float:
        """How many times over its limit the rate is; 0 where it is not judged."""
        judgement = judge_rate(self.job)
        return judgement.excess if judgement is not None else 0.0

    @property
    def is_adaptive(self) -> bool:
        """Whether its solver's steps do not grow with the gradients."""
        return self.solver["type"] in ADAPTIVE_LIMITS


def job_of(solver: Path, root: Path) -> Job:
    """A solver's job."""
    files: dict[str, SourceFile] = {}

    def open_file(path: str) -> SourceFile:
        if path not in files:
            files[path] = SourceFile(path, read_source(path), caffe_schema(), None)
        return files[path]

    return Nets(open_file, None).job(SolverFile(open_file(str(solver))), str(root))


def public_jobs(corpus: Path) -> Iterator[tuple[str, Job]]:
    """The jobs of all public solvers, each with its repository."""
    for repository in sorted((corpus / "files").iterdir()):
        for path in sorted(repository.rglob("*")):
            if not path.name.endswith(SUFFIXES) or not path.is_file():
                continue
            try:
                source = SourceFile(str(path), read_source(str(path)), caffe_schema(), None)
            except Unreadable:
                continue
            if source.kind == "solver":
                yield repository.name, job_of(path, repository)


def precision_and_recall(setups: Iterable[Setup], found: Callable[[Setup], bool]) -> str:
    """How many are found, how many of these explode, and how many of those that explode are found."""
    setups = list(setups)
    positive = [setup for setup in setups if found(setup)]
    right = sum(setup.explodes for setup in positive)
    explode = sum(setup.explodes for setup in setups)
    precision = f"{right / len(positive):.2f}" if positive else "   -"
    recall = f"{right / explode:.2f}" if explode else "   -"
    return (
        f"{len(setups):4} set-ups {explode:3} explode {len(positive):3} found  precision {precision}  recall {recall}"
    )


def area(setups: list[Setup]) -> float:
    """The area under the curve of `excess` for `explodes`: how often one that explodes ranks over one that does not."""
    outcomes = [setup.explodes for setup in setups]
    return float(roc_auc_score(outcomes, [setup.excess for setup in setups])) if len(set(outcomes)) == 2 else math.nan


def rate(setups: list[Setup], corpus: Path) -> None:
    """G102: `excess` over the limit, by family and solver, and on public solvers."""
    print("G102 high-learning-rate: the largest rate against its limit")
    steps = [setup for setup in setups if not setup.is_adaptive]
    adaptive = [setup for setup in setups if setup.is_adaptive]
    for times in (0.3, 0.5, 1.0, 1.5, 3.0):
        print(f"  over {times:3g} x limit  {precision_and_recall(setups, lambda each: each.excess > times)}")  # noqa: B023
    print(f"  area under the curve: all {area(setups):.3f}, SGD and Nesterov {area(steps):.3f}")
    print(f"  SGD, Nesterov     {precision_and_recall(steps, lambda each: each.excess > 1)}")
    print(f"  Adam and its kin  {precision_and_recall(adaptive, lambda each: each.excess > 1)}")
    found = [setup for setup in adaptive if setup.excess > 1]
    classes = [setup for setup in found if not any("Euclidean" in loss.layer.type for loss in sized_losses(setup.net))]
    chance = sum(not (setup.truth["last"] or math.inf) < 2.25 for setup in classes)
    print(f"      of the {len(classes)} classifiers among those found, {chance} end no better than chance or explode")
    families = sorted({setup.family for setup in setups})
    for family in families:
        own = [setup for setup in setups if setup.family == family]
        print(f"  {family:16}  {precision_and_recall(own, lambda each: each.excess > 1)}  area {area(own):.2f}")
    print("  with the limit moved to where it is best (F1) on the other families:")
    for family in families:
        others = [setup for setup in setups if setup.family != family]
        best = max((10 ** (step / 10) for step in range(-10, 11)), key=lambda times: f1(others, times))
        own = [setup for setup in setups if setup.family == family]
        print(f"  {family:16}  {precision_and_recall(own, lambda each: each.excess > best)}  at {best:.2g}")  # noqa: B023
    if (corpus / "files").is_dir():
        public(corpus)


def f1(setups: list[Setup], times: float) -> float:
    """The harmonic mean of precision and recall."""
    found = [setup for setup in setups if setup.excess > times]
    right = sum(setup.explodes for setup in found)
    return 2 * right / max(1, len(found) + sum(setup.explodes for setup in setups))


def public(corpus: Path) -> None:
    """The share of public solvers, with nets at hand, that G102 finds."""
    judged = Counter[str]()
    found: dict[str, list[str]] = defaultdict(list)
    for repository, job in public_jobs(corpus):
        if job.train is not None:
            judged[repository] += 1
            judgement = judge_rate(job)
            if judgement is not None and judgement.excess > 1:
                found[repository].append(f"{Path(job.solver.file.path).name}, {judgement.excess:.2g} x limit")
    total = sum(judged.values())
    hits = sum(map(len, found.values()))
    print(f"  public: {hits} of {total} solvers with nets ({hits / total:.1%})")
    print(f"      in {len(found)} of {len(judged)} repositories:")
    for repository, names in found.items():
        print(f"    {repository}: {'; '.join(names)}")


def clipping(setups: list[Setup], data: dict[str, Any], rescues: Path) -> None:
    """G101: the norm of all gradients in the first iteration, and what clipping made of trainings that exploded."""
    print("G101 missing-gradient-clipping")
    norms: dict[str, list[float]] = defaultdict(list)
    healthy = []
    for setup in setups:
        norm = first_norm(setup, data)
        norms[setup.truth["label"]].append(norm)
        if setup.truth["label"] == "learns" and is_plain_classifier(setup):
            healthy.append(norm)
    print("  share whose gradients have an L2 norm in iteration 0 of up to " + "  ".join(f"{b:>5g}" for b in BOUNDS))
    for name, values in (*norms.items(), ("learns: softmax, inputs around 1", healthy)):
        shares = "  ".join(f"{sum(value <= bound for value in values) / len(values):5.0%}" for bound in BOUNDS)
        print(f"    {name:34} {len(values):4}                  {shares}")
    rows = [line.split("\t") for line in rescues.read_text().splitlines()]
    for column, name in enumerate(rows[0][2:], 2):
        results = Counter(row[column].partition(":")[0] for row in rows[1:] if row[column] != "n/a")
        print(f"  exploded, then with {name:12}: " + ", ".join(f"{n} {label}" for label, n in results.most_common()))
    for bound in (-1.0, 0.1, 1.0, 10.0, 35.0):
        own = Counter(setup.truth["label"] for setup in setups if setup.solver["clip_gradients"] == bound)
        print(f"  written clip_gradients {bound:4g}: " + ", ".join(f"{n} {label}" for label, n in own.most_common()))


def is_plain_classifier(setup: Setup) -> bool:
    """Whether its inputs are scaled and its losses are softmaxes of weight 1 at most."""
    losses = sized_losses(setup.net)
    scaled = any(
        0 < layer.message["transform_param"]["scale"] < 1 for layer in setup.net.layers if layer.type == "Data"
    )
    return scaled and all(loss.layer.type == "SoftmaxWithLoss" and loss.loss.weight <= 1 for loss in losses)


def first_norm(setup: Setup, data: dict[str, Any]) -> float:
    """The L2 norm of all gradients in iteration 0, from the mean absolute values that Caffe printed.

    They are taken to be normally distributed: the mean square is pi / 2 times the square of the mean.
    """
    shapes: dict[str, tuple[int, ...]] = {}
    for layer in setup.net.layers:
        for name in ("data_param", "hdf5_data_param"):
            if layer.kind is not None and layer.kind.is_data and name in layer.message:
                facts, size = data[layer.message[name]["source"]], layer.message[name]["batch_size"]
                tops = {layer.tops[0].name: facts} if "shape" in facts else facts
                shapes |= {top: (size, *fact["shape"]) for top, fact in tops.items() if isinstance(fact, dict)}
    net = build(setup.net.upgraded, setup.net.state, dialect=setup.net.dialect, input_shapes=shapes)
    sizes = {(param.layer.name, str(param.index)): param.count for param in net.params()}
    total = 0.0
    for direction, layer_name, what, index, _, mean in setup.truth["init"]:
        if direction == "B" and what == "param":
            size = sizes[layer_name, index]
            assert size is not None
            total += size * (math.inf if mean is None else mean * mean) * math.pi / 2
    return math.sqrt(total)


def losses(setups: list[Setup]) -> None:
    """G103: the losses that dominate, beside what became of it; and the first loss, as expected and as it was."""
    print("G103 dominant-loss")
    ratios = []
    for setup in setups:
        sizes = [loss.weighted for loss in sized_losses(setup.net)]
        if len(sizes) > 1 and all(sizes) and setup.truth["first"]:
            ratios.append(setup.truth["first"] / sum(size for size in sizes if size))
        for found in dominant_losses(setup.net, DOMINANT):
            change = f"{found.loss.loss.weight:g} -> {found.balanced:g}"
            what = f"'{found.loss.layer.name}' {found.times:.2g} x '{found.other.layer.name}', weight {change}"
            print(f"  {setup.folder.name:16} {setup.truth['label']:9} {what}")
    near = sum(0.1 <= ratio <= 10 for ratio in ratios)
    print(
        f"  {len(ratios)} sums of losses: real / expected has median {median(ratios):.2g}, {near} lie within 0.1 and 10"
    )


def widening(setups: list[Setup]) -> None:
    """G104: whether trainings with a block that widens explode more often."""
    print("G104 widening-block")
    counts = Counter(
        (next((block.kind for block in widening_blocks(setup.net)), "none"), setup.explodes) for setup in setups
    )
    for kind in sorted({kind for kind, _ in counts}):
        total = counts[kind, True] + counts[kind, False]
        print(f"  {kind:10} {total:4} set-ups, {counts[kind, True]:3} explode ({counts[kind, True] / total:.0%})")


def sums(corpus: Path) -> None:
    """G113: the rates at which public nets train losses of pixels that are summed, and that are averaged; the number between them."""
    print("G113 summed-loss: learning rate times loss weight of losses of pixels in public nets, the median of each repository")
    found: dict[bool, dict[str, list[float]]] = {True: defaultdict(list), False: defaultdict(list)}
    for repository, job in public_jobs(corpus):
        rate = largest_rate(job.solver.message)
        if job.train is None or rate is None or not rate.value > 0:
            continue
        for layer in job.train.net.layers:
            if layer.kind is None or not layer.kind.is_loss or not layer.bottoms or not layer.loss_weight(0) > 0:
                continue
            if layer.type in _LOSSES_OF_PIXELS and has_pixels(job.train, layer.bottoms[0]):
                is_sum = loss_normalization(layer) != "VALID" and loss_normalization(layer) != "FULL"
                found[is_sum][repository].append(rate.value * layer.loss_weight(0))
    rows = [(is_sum, name, median(values)) for is_sum, of in found.items() for name, values in of.items()]
    for is_sum, name, value in sorted(rows, key=lambda row: row[2]):
        print(f"  {'sum' if is_sum else 'average':8} {value:8.2g}  {name}")
    if all(found.values()):
        print(f"  best between them: {best_between(rows):.2g}, now {LOWEST_RATE:g}")
        tried = [row for row in rows if len(found[row[0]]) > 1]  # without the only one of a kind, nothing is between them
        right = sum((row[2] <= best_between([other for other in rows if other[1] != row[1]])) == row[0] for row in tried)
        print(f"  with each repository left out: {right} of {len(tried)} on the right side")


_LOSSES_OF_PIXELS = ("SigmoidCrossEntropyLoss", "SoftmaxWithLoss")


def best_between(rows: list[tuple[bool, str, float]]) -> float:
    """The number that leaves most sums below it and averages above it, each kind with the same weight; the middle of the best."""
    values = sorted({value for _, _, value in rows})
    middles = [math.sqrt(low * high) for low, high in itertools.pairwise(values)]

    def share_right(limit: float) -> float:
        return sum(
            sum((value <= limit) == is_sum for is_sum, _, value in rows if is_sum is kind) / sum(row[0] is kind for row in rows)
            for kind in (True, False)
        )

    most = max(map(share_right, middles))
    best = [limit for limit in middles if share_right(limit) == most]
    return math.sqrt(best[0] * best[-1])


def main() -> int:
    """Prints the sections asked for."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("section", nargs="*", help="rate, clipping, losses, widening, sums; all by default")
    parser.add_argument("--divergence", type=Path, default=Path("../shared/divergence"))
    parser.add_argument("--corpus", type=Path, default=Path("../shared/corpus"))
    options = parser.parse_args()
    folder = options.divergence.resolve()
    if not (folder / "dev").is_dir():
        print(f"{folder} is not there: name it with --divergence", file=sys.stderr)
        return 2
    setups = [Setup(path) for path in sorted((folder / "dev").iterdir()) if (path / "truth.json").is_file()]
    sections: dict[str, Callable[[], None]] = {
        "rate": lambda: rate(setups, options.corpus.resolve()),
        "clipping": lambda: clipping(setups, json.loads((folder / "data.json").read_text()), folder / "rescues.tsv"),
        "losses": lambda: losses(setups),
        "widening": lambda: widening(setups),
        "sums": lambda: sums(options.corpus.resolve()),
    }
    for name in options.section or sections:
        if name not in sections:
            parser.error(f"no section {name}: there are {', '.join(sections)}")
        sections[name]()
    return 0


if __name__ == "__main__":
    sys.exit(main())
