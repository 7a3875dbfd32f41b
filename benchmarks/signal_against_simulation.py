"""How near the predicted signal of iteration 0 comes to that of a simulated one, for every layer type.

Run: nice python benchmarks/signal_against_simulation.py [--count 10] [--seed 0] [--families NAME…] [--only trainings|probes] [-v]

For made-up trainings of each family (random_trainings.py) and for nets of one layer (layer_probes.py), the predicted mean absolute
values of blobs, of their gradients and of those of parameters are held against iteration 0 of simulations with three seeds and whole
batches. A value counts as within a factor if it is that near to the mean of the seeds, or lies between them. By the type of the
layer: how many are within a factor of 2, forward and backward, and of 10, backward; and how many misses *begin* there, as what the
layer reads is right: within 2x forward, and within 10x backward. The worst of these is named. With -v all of them are.
"""

from __future__ import annotations

import argparse
import math
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from layer_probes import probes
from random_trainings import FAMILIES, job_of_training, trainings
from signal_rows import Key, job_of, predicted

from caffe_lint.moments.graph import Param
from caffe_lint.net.job import Job
from caffe_lint.net.splits import with_splits
from caffe_lint.simulation.simulating import Plan, simulate
from caffe_lint.stability.signal.passes import unmodelled_layers
from caffe_lint.stability.signal.training import Training, training_of

SEEDS = 3
FORWARD, BACKWARD = 2.0, 10.0  # a miss is what lies outside of these
# A gradient is rounding if it is so small beside the largest of the net, or beside what it is made of: the gradient of the layer's
# top, or for a parameter the sum of all terms if none cancels. A simulation rounds the gradients of losses to 1e-6.
_NOTHING, _NOTHING_OF_TERMS = 1e-12, 3e-6


class Row(NamedTuple):
    """A value: its layer's type and key, what is predicted, the simulated ones, and whether what it is computed from is right."""

    kind: str
    name: str
    key: Key
    ours: float
    simulated: Sequence[float]
    sound: bool

    @property
    def factor(self) -> float:
        """By what factor the prediction is off, at least 1; 1 between the seeds."""
        low, high, mean = min(self.simulated), max(self.simulated), statistics.mean(self.simulated)
        if low <= self.ours <= high:
            return 1.0
        if not self.ours or not mean or not math.isfinite(self.ours):
            return math.inf
        return max(self.ours / mean, mean / self.ours)

    @property
    def is_forward(self) -> bool:
        """Whether it is a value and not a gradient."""
        return self.key[0] == "F"

    @property
    def begins_here(self) -> bool:
        """Whether it is a miss although what it is computed from is right."""
        return self.sound and self.factor > (FORWARD if self.is_forward else BACKWARD)


def simulated_rows(job: Job) -> list[dict[Key, float]] | None:
    """The values of iteration 0, for each seed; None if the job cannot be simulated."""
    found = simulate(job, Plan(steps=1, batch=None, seeds=SEEDS, all_seeds=True, budget=200.0))
    if not found.courses:
        return None
    rows = []
    for course in found.courses:
        forward, backward, _ = course.iterations[0].passes[0]
        own: dict[Key, float] = {}
        for line in (*forward, *backward):
            if not (line.role == "param" and line.direction == "Forward"):
                own[line.direction[0], line.layer, line.role, line.blob] = line.mean_abs
        rows.append(own)
    return rows


def compared(name: str, job: Job) -> Iterator[Row]:
    """The rows of a job, none if a layer of it has no signal model or cannot be simulated."""
    training = training_of(job)
    if not isinstance(training, Training) or unmodelled_layers(training.net):
        return
    simulated = simulated_rows(job)
    if simulated is None:
        return
    ours = predicted(training).rows
    largest = max((max(row[key] for row in simulated) for key in simulated[0] if key[0] == "B"), default=0.0)

    def row(kind: str, key: Key, sound: bool, terms: float = 0.0) -> Row | None:
        values = [each[key] for each in simulated if key in each]
        if key not in ours or len(values) < SEEDS or not all(map(math.isfinite, values)) or ours[key] != ours[key]:
            return None
        if key[0] == "B":
            least = max(_NOTHING * largest, _NOTHING_OF_TERMS * terms)
            if max(values) <= least:
                return Row(kind, name, key, ours[key] if ours[key] > least else 0.0, [0.0] * len(values), sound)
        return Row(kind, name, key, ours[key], values, sound)

    rows = with_splits(training.net.layers)[0]
    right: dict[str, bool] = {}
    read: dict[str, float] = {}
    for each in rows:
        sound = all(right.get(blob, True) for blob in each.bottoms)
        for top in each.tops:
            found = row(each.layer.type if each.layer is not None else "Split", ("F", each.name, "top", top), sound)
            right[top] = found is None or found.factor <= FORWARD
            read[top] = max(found.simulated) if found is not None else 0.0
            if found is not None:
                yield found
    values_right = {each.name: all(right.get(blob, True) for blob in (*each.bottoms, *each.tops)) for each in rows}
    right = {}
    sizes: dict[str, float] = {}
    for each in reversed(rows):
        sound = values_right[each.name] and all(right.get(blob, True) for blob in each.tops)
        kind = each.layer.type if each.layer is not None else "Split"
        of_tops = max((sizes.get(blob, 0.0) for blob in each.tops), default=0.0)
        of_bottoms = max((read.get(blob, 0.0) for blob in each.bottoms), default=0.0)
        places = [("bottom", blob, of_tops) for blob in each.bottoms]
        for i, param in enumerate(each.layer.params if each.layer is not None else ()):
            size = of_tops if "bias" in param.role else of_tops * of_bottoms
            places.append(("param", str(i), size * _terms(param)))
        for role, which, terms in places:
            found = row(kind, ("B", each.name, role, which), sound, terms)
            if role == "bottom":
                right[which] = found is None or found.factor <= FORWARD
                sizes[which] = max(found.simulated) if found is not None else 0.0
            if found is not None:
                yield found


def _terms(param: Param) -> float:
    """Of how many terms the gradient of an element of a parameter is the sum: about as many as an output has values."""
    layer = param.layer
    blob = layer.bottoms[0] if layer.traits.base == "Deconvolution" and "bias" not in param.role else layer.tops[0]
    return (blob.count or 1) / max(1, (param.shape or (1,))[0] or 1)


def job_of_probe(text: str, folder: Path) -> Job:
    """A training of a net of one layer, whose files are written to a folder."""
    (folder / "net.prototxt").write_text(text)
    (folder / "solver.prototxt").write_text('net: "net.prototxt"\nbase_lr: 0.001\nlr_policy: "fixed"\nmax_iter: 100\n')
    return job_of(folder)


def rows_of(options: argparse.Namespace) -> Iterator[Row]:
    """The rows of all made-up trainings and probes."""
    if options.only != "probes":
        for one in trainings(options.families, options.count, options.seed):
            yield from compared(one.name, job_of_training(one))
    if options.only != "trainings":
        for kind, name, text in probes():
            with tempfile.TemporaryDirectory() as folder:
                for row in compared(name, job_of_probe(text, Path(folder))):
                    if row.kind == kind and (kind != "InnerProduct" or row.key[1] == "y_layer"):
                        yield row


def report(rows: Sequence[Row], title: str) -> None:
    """Prints the table by layer type."""
    by_kind: Mapping[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_kind[row.kind].append(row)
        by_kind["all"].append(row)
    print(f"\n| {title} | forward | within 2x | backward | within 2x | within 10x | misses that begin here |")
    print("|---|---:|---:|---:|---:|---:|---|")
    for kind in sorted(by_kind, key=lambda kind: (kind == "all", kind)):
        own = by_kind[kind]
        forward = [row.factor for row in own if row.is_forward]
        backward = [row.factor for row in own if not row.is_forward]
        begin = sorted((row for row in own if row.begins_here), key=lambda row: -row.factor)
        worst = f"{len(begin)}, as {_shown(begin[0])}" if begin and kind != "all" else str(len(begin))
        print(
            f"| {kind} | {len(forward)} | {_share(forward, 2)} | {len(backward)} | {_share(backward, 2)}"
            f" | {_share(backward, 10)} | {worst} |"
        )


def _shown(row: Row) -> str:
    direction, layer, role, which = row.key
    values = "/".join(f"{value:.3g}" for value in row.simulated)
    return f"{row.name}: {direction} {layer} {role} {which}: {row.ours:.3g} for {values}"


def _share(factors: Sequence[float], limit: float) -> str:
    return f"{sum(factor <= limit for factor in factors) / len(factors):.1%}" if factors else "-"


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--count", type=int, default=10, help="trainings of each family")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--families", nargs="+", choices=sorted(FAMILIES), default=list(FAMILIES), metavar="NAME")
    parser.add_argument("--only", choices=("trainings", "probes"))
    parser.add_argument("-v", action="store_true", dest="verbose")
    options = parser.parse_args()
    rows = list(rows_of(options))
    probed = {name for _, name, _ in probes()}
    for title, own in (
        ("made-up trainings", [row for row in rows if row.name not in probed]),
        ("single layers", [row for row in rows if row.name in probed]),
    ):
        if own:
            report(own, title)
    if options.verbose:
        for row in sorted(rows, key=lambda row: (row.kind, -row.factor)):
            if row.begins_here:
                print(f"{row.kind} {row.factor:.3g}x {_shown(row)}")


if __name__ == "__main__":
    main()
