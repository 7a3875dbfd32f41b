"""Not a program: the rows of Caffe's debug_info held against ours, for signal_judge.py and norms_judge.py."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.moments.graph import Layer
from caffe_lint.net.data_facts import DataFacts
from caffe_lint.net.job import Job, Nets, SolverFile
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.stability.signal.debug_lines import backward_lines, forward_lines
from caffe_lint.stability.signal.passes import Back, Pass, initial_weights, unmodelled_layers
from caffe_lint.stability.signal.training import Training

# Direction (F or B), layer, kind (top, bottom or param), name of the blob or index of the parameter.
Key = tuple[str, str, str, str]
FACTORS = (1.5, 2.0, 10.0)
WAYS = {"F": "forward", "B": "backward"}
HEADER = (
    f"{'rows':>6s} {'within 1.5x':>12s} {'within 2x':>10s} {'within 10x':>11s} {'zeros':>13s}"
    f" {'unmodelled':>16s} {'not ours':>9s}"
)


def job_of(folder: Path, facts: DataFacts | None = None) -> Job:
    """The job in a folder."""
    files = Files(caffe_schema(), "bvlc")
    return Nets(files.get, None, facts_for=lambda path: facts or {}).job(
        SolverFile(files.get(str(folder / "solver.prototxt")), None), None
    )


def caffe_rows(printed: Iterable[tuple[str, str, str, str, str, float | None]]) -> dict[Key, float | None]:
    """The mean absolute values that Caffe printed; None where one is not finite."""
    return {(direction, layer, kind, name): value for direction, layer, kind, name, _, value in printed}


class Prediction(NamedTuple):
    """What we predict of iteration 0: the mean absolute values by what Caffe's are about, and the gradients' L2 norm.

    `unmodelled` are the layers without a model; what depends on them is NaN.
    """

    rows: dict[Key, float]
    l2: float
    unmodelled: list[Layer]


def predicted(training: Training) -> Prediction:
    """What we predict of a training."""
    weights = initial_weights(training.net)
    forward = Pass(training.prepared, weights)
    back = Back(forward)
    unmodelled = unmodelled_layers(training.net)
    rows: dict[Key, float] = {}
    for direction, lines, kind in (
        ("F", forward_lines(forward, weights), "top"),
        ("B", backward_lines(forward, back), "bottom"),
    ):
        for line in lines:
            what = ("param", str(line.param)) if line.param is not None else (kind, line.blob or "")
            # With a model for every layer, nothing may be unknown.
            size = math.inf if line.mean_abs != line.mean_abs and not unmodelled else line.mean_abs
            rows[direction, line.layer, what[0], what[1]] = size
    return Prediction(rows, back.l2, unmodelled)


def distance(ours: float, caffe: float) -> float:
    """By what factor two values differ, at least 1; infinity if ours is 0 or not finite."""
    if not ours or not math.isfinite(ours):
        return math.inf
    return max(ours / caffe, caffe / ours)


class Tally:
    """How many predicted rows come near to Caffe's."""

    def __init__(self) -> None:
        self.total = 0  # where Caffe's value is finite and not 0
        self.near = dict.fromkeys(FACTORS, 0)
        self.zeros = self.right_zeros = 0
        self.unmodelled = self.missing = 0

    def add(self, ours: float | None, caffe: float | None) -> None:
        """Counts a row. None for ours: there is no such row; NaN: a layer without a model affects it."""
        if caffe is None:
            return
        if ours is None:
            self.missing += 1
        elif ours != ours:
            self.unmodelled += 1
        elif caffe == 0:
            self.zeros += 1
            self.right_zeros += ours == 0
        else:
            self.total += 1
            factor = distance(ours, caffe)
            for limit in FACTORS:
                self.near[limit] += factor <= limit

    def share(self, factor: float) -> float:
        """The share of the modelled rows within a factor."""
        return self.near[factor] / max(1, self.total)

    def __str__(self) -> str:
        every = self.total + self.zeros + self.unmodelled + self.missing
        return (
            f"{self.total:6d} {self.share(1.5):12.2%} {self.share(2.0):10.2%} {self.share(10.0):11.2%}"
            f" {self.right_zeros:6d}/{self.zeros:<6d} {self.unmodelled:6d} ({self.unmodelled / max(1, every):6.2%})"
            f" {self.missing:9d}"
        )


def worst(ours: Mapping[Key, float], caffe: Mapping[Key, float | None], factor: float) -> list[tuple[float, str]]:
    """The rows that differ by more than a factor, each with it and a line of text."""
    found = []
    for key, value in caffe.items():
        mine = ours.get(key)
        if value and mine == mine:
            off = distance(mine or 0.0, value)
            if off > factor:
                found.append((off, f"{' '.join(key)}: Caffe {value:g}, ours {mine if mine is None else f'{mine:g}'}"))
    return found
