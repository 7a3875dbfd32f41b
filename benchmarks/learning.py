"""What became of the trainings in ../shared/divergence, by one definition of learning.

A training *learns* if its loss stays finite and the mean of the last tenth is below 0.9 times the smaller of the first loss and
the trivial one, that of the best output that does not depend on the input. The label of `truth.json` says only that the loss
fell, which it also does on the way from 87 to chance.
"""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.moments.graph import Layer
from caffe_lint.moments.statistics import root
from caffe_lint.net.data_facts import DataFacts, read_facts
from caffe_lint.net.job import Job
from caffe_lint.net.loss_sizes import terms
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.stability.signal.features import Signal, Trial, signal_of
from caffe_lint.stability.signal.training import Training, training_of, training_of_file

LEARNS = 0.9  # of the smaller of the first and the trivial loss
# The changes in `rescues.tsv`: factors for the learning rate and for the largest loss weight, and `clip_gradients`.
CHANGES: dict[str, tuple[float, float, float]] = {
    "clip1": (1, 1, 1),
    "clip10": (1, 1, 10),
    "lr_10": (0.1, 1, math.inf),
    "lr_100": (0.01, 1, math.inf),
    "clip1_lr_10": (0.1, 1, 1),
    "weight_10": (1, 0.1, math.inf),
}


class Course(NamedTuple):
    """The loss of a training: in iteration 0 and the mean of the last tenth; infinite if it was not finite."""

    first: float
    last: float

    def learns(self, trivial: float) -> bool:
        """Whether it learns. A loss below 0 is one without a minimum, such as the logarithm of unbounded scores."""
        return 0 <= self.last < LEARNS * min(self.first, trivial)


class SetUp(NamedTuple):
    """A set-up, its signal, and what became of it as it is and with each change that was tried."""

    folder: Path
    label: str
    signal: Signal
    course: Course
    changed: Mapping[str, Course]

    @property
    def name(self) -> str:
        """The name of its folder."""
        return self.folder.name

    @property
    def family(self) -> str:
        """The family of its net."""
        return self.name.rsplit("-", 1)[0]

    @property
    def has_minimum(self) -> bool:
        """Whether its loss has a minimum: the logarithm of scores has none, and nothing is told of it."""
        return not self.signal.training.basis.of_scores

    @property
    def explodes(self) -> bool:
        """Whether it diverges."""
        return self.label in ("nan", "exploded")

    @property
    def learns(self) -> bool:
        """Whether it learns as it is."""
        return not self.explodes and self.course.learns(trivial_loss(self.signal))

    def learns_with(self, change: str) -> bool:
        """Whether it learns with one of the changes."""
        return self.changed[change].learns(trivial_loss(self.signal, trial_of(self.signal, change)))

    @property
    def rescues(self) -> list[str]:
        """The changes with which it learns: it is repairable if there are any."""
        return [change for change in self.changed if self.learns_with(change)]


def set_ups(root: Path, part: slice = slice(None)) -> Iterator[SetUp]:
    """The set-ups of `dev`, or a part of them."""
    facts = read_facts(str(root / "data.json"))
    with open(root / "rescues.tsv", encoding="utf-8") as file:
        rescues = {row["setup"]: row for row in csv.DictReader(file, delimiter="\t")}
    for path in sorted((root / "dev").glob("*/truth.json"))[part]:
        truth = json.loads(path.read_text())
        tried = rescues.get(path.parent.name, {})
        yield SetUp(
            path.parent,
            truth["label"],
            signal_of_folder(path.parent, facts),
            Course(_number(truth["first"]), _number(truth["last"])),
            {name: _course(tried[name]) for name in CHANGES if tried.get(name, "n/a") != "n/a"},
        )


def signal_of_folder(folder: Path, facts: DataFacts) -> Signal:
    """The signal of a set-up."""
    files = Files(caffe_schema(), "bvlc")
    training = training_of_file(files.get(str(folder / "solver.prototxt")), files.get, facts)
    assert isinstance(training, Training), folder
    return signal_of(training)


def signal_of_job(job: Job) -> Signal:
    """The signal of a job's training."""
    training = training_of(job)
    assert isinstance(training, Training), training
    return signal_of(training)


def trial_of(signal: Signal, change: str) -> Trial:
    """A change that was tried, as one of our trials."""
    rate, weight, clip = CHANGES[change]
    present = signal.update_rule.clip
    weights = {}
    if weight != 1:
        heaviest = max(signal.training.net.losses, key=lambda loss: abs(loss.weight))
        weights = {heaviest.layer: heaviest.weight * weight}
    bound = None if clip == math.inf else clip if present < 0 else min(clip, present)
    return Trial(rate=rate, clip=bound, loss_weights=weights)


def trivial_loss(signal: Signal, trial: Trial | None = None) -> float:
    """The loss of the best constant outputs: ln K for K classes, half the variance of the targets for a regression."""
    weights = trial.loss_weights if trial is not None else {}
    return sum(abs(weights.get(layer, weight)) * _trivial(layer, signal) for layer, _, weight, _ in signal.forward.loss_terms())


def _trivial(layer: Layer, signal: Signal) -> float:
    number = terms(layer) or 1.0
    if layer.traits.squared:
        return number * signal.forward.steps[layer.index].bottoms[1].variance / 2
    shape = layer.bottoms[0].shape
    classes = (shape[1] if shape is not None and len(shape) > 1 else None) or 1
    if layer.type == "HingeLoss":
        if layer.message["hinge_loss_param"]["norm"] == "L1":
            return 2.0  # -1 for every class: only the score of the right one is wrong, by 2
        return 4 * (1 - 1 / classes)  # 4 p (1 - p) for each class, of the share p
    if layer.type == "InfogainLoss" and len(layer.bottoms) > 2:
        number *= classes * root(signal.forward.steps[layer.index].bottoms[2].second_moment)
    return number * math.log(classes)


def _course(outcome: str) -> Course:
    first, _, last = outcome.partition(":")[2].partition(">")
    return Course(_number(float(first)), _number(float(last)))


def _number(value: float | None) -> float:
    return value if value is not None and math.isfinite(value) else math.inf
