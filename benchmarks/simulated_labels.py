"""What becomes of trainings made up at random when they are simulated: the labels that the verdict is fitted to.

Run: nice -n 15 python benchmarks/simulated_labels.py [--count 100] [--seed 0] [--families NAME…] [--seconds N] [FILE]

Each training of `random_trainings.py` is simulated for 25 steps with batches of 8, and with a second seed if the first leaves in
doubt whether it diverges. It is said to last 150 iterations, as long as the real ones of ../shared/divergence, and what
becomes of it is named as there. FILE, by default `simulated_labels.tsv`, gets a row for each: its family and number, a
digest of its texts, and for each seed how far the loss grew and how slowly it fell. None of it depends on the static signal, nor on
the curves of the simulator's own verdict. Rows that are there and have the same digest are kept, so that this can be stopped,
continued, and repeated after a change of the generator. --seconds stops after so much processor time.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import math
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from random_trainings import FAMILIES, RandomTraining, job_of_training, training, trainings

from caffe_lint.simulation.simulating import Plan, simulate
from caffe_lint.simulation.training_run import Course
from caffe_lint.stability.verdict.simulated import at_end

LABELS = Path(__file__).with_name("simulated_labels.tsv")
LENGTH = 150  # iterations over which stalling is judged
# As for the real ones: a loss that ends above three times the first is exploded, and one that falls by less than 2 % has stalled.
EXPLODED, STALLED = math.log(3), -math.log10(0.02)
DOUBTFUL = 0.58, 3.76  # growth between which another seed is tried: from 1.8 to 43 times the first loss
LEAST_DROP, RISES = 1e-5, 0.8  # a drop that counts as none; what a loss that rises adds, as it moves. Set by hand
COLUMNS = ("family", "number", "digest", "growth", "slowness")


class Label(NamedTuple):
    """What became of a training with each seed, none if it cannot be simulated: see `growth` and `slowness`."""

    family: str
    number: int
    digest: str
    growth: tuple[float, ...]
    slowness: tuple[float, ...]

    @property
    def diverges(self) -> float:
        """The share of the seeds with which it diverges."""
        return sum(grown > EXPLODED for grown in self.growth) / len(self.growth)

    @property
    def stalls(self) -> float | None:
        """The share of the seeds with which it does not diverge that stall; None if it always diverges."""
        calm = [pair for pair in zip(self.growth, self.slowness, strict=True) if pair[0] <= EXPLODED]
        return sum(grown > 0 or slow >= STALLED for grown, slow in calm) / len(calm) if calm else None


def growth(course: Course) -> float:
    """The logarithm of how many times the first loss the last ones are, all but one of them; infinite if one is not finite."""
    if not course.is_finite:
        return math.inf
    return math.log(max(at_end(course.losses), 1e-6) / max(abs(course.before), 1e-6))


def slowness(course: Course) -> float:
    """Minus the decimal logarithm of the share of its loss that a training loses in 150 iterations at its pace; see RISES."""
    if not course.is_finite or not math.isfinite(course.after):
        return 0.0
    drop = (course.before - course.after) / max(abs(course.before), 1e-6) * max(1.0, LENGTH / len(course.iterations))
    found = -math.log10(min(max(abs(drop), LEAST_DROP), 1.0))
    return found if drop > 0 else found + RISES


def shortened(one: RandomTraining) -> RandomTraining:
    """A training with as many iterations as it is judged by."""
    solver = re.sub(r"max_iter: \d+", f"max_iter: {LENGTH}", one.files["solver.prototxt"])
    return one._replace(files={**one.files, "solver.prototxt": solver})


def digest(one: RandomTraining) -> str:
    """A few characters that change with any of its texts."""
    return hashlib.blake2b("".join(one.files.values()).encode(), digest_size=4).hexdigest()


def read_labels(path: Path) -> list[Label]:
    """The labels in a file."""
    if not path.exists():
        return []
    with open(path, encoding="utf-8") as file:
        return [
            Label(row["family"], int(row["number"]), row["digest"], _numbers(row["growth"]), _numbers(row["slowness"]))
            for row in csv.DictReader(file, delimiter="\t")
        ]


def labelled(path: Path, seed: int = 0) -> Iterator[tuple[Label, RandomTraining]]:
    """The labels in a file that are of a training as it is made today, each with it."""
    for label in read_labels(path):
        one = shortened(training(label.family, label.number, seed))
        if label.growth and label.digest == digest(one):
            yield label, one


def simulated(one: RandomTraining, number: int) -> Label:
    """The label of a training."""
    job = job_of_training(one)
    courses = list(simulate(job, Plan(seeds=1)).courses)
    if courses and DOUBTFUL[0] < growth(courses[0]) < DOUBTFUL[1]:
        courses += simulate(job, Plan(seeds=1, first_seed=1)).courses
    return Label(one.family, number, digest(one), tuple(map(growth, courses)), tuple(map(slowness, courses)))


def write_labels(path: Path, labels: Sequence[Label]) -> None:
    """Writes labels to a file, by family."""
    with open(path, "w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n")
        writer.writerow(COLUMNS)
        for label in sorted(labels):
            numbers = (" ".join(f"{number:.2f}" for number in each) for each in (label.growth, label.slowness))
            writer.writerow([*label[:3], *numbers])


def main() -> None:
    """Simulates what has no label yet, and prints how many there are of each."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", nargs="?", type=Path, default=LABELS)
    parser.add_argument("--families", nargs="+", choices=sorted(FAMILIES), default=list(FAMILIES), metavar="NAME")
    parser.add_argument("--count", type=int, default=100, help="trainings of each family")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--seconds", type=float, default=float("inf"), help="of processor time")
    options = parser.parse_args()
    known = {(label.family, label.number): label for label in read_labels(options.file)}
    started = time.process_time()
    for index, one in enumerate(map(shortened, trainings(options.families, options.count, options.seed))):
        if time.process_time() - started > options.seconds:
            break
        key = one.family, index // len(options.families)
        if key not in known or known[key].digest != digest(one):
            known[key] = simulated(one, key[1])
            write_labels(options.file, list(known.values()))
    _report(list(known.values()))


def _report(labels: Sequence[Label]) -> None:
    refused = Counter(label.family for label in labels if not label.growth)
    print(f"{len(labels)} trainings, not simulated: {dict(refused) or 'none'}")
    for family in (*FAMILIES, ""):
        some = [label for label in labels if label.growth and family in ("", label.family)]
        seeds = sum(0 < label.diverges < 1 for label in some)
        calm = [stalls for label in some if (stalls := label.stalls) is not None]
        diverge = sum(label.diverges == 1 for label in some)
        print(
            f"{family or 'all':18s} {len(some):5d}  diverge {diverge:4d}  depend on the seed {seeds:3d}  stall {sum(calm):6.1f}"
        )


def _numbers(text: str) -> tuple[float, ...]:
    return tuple(map(float, text.split()))


if __name__ == "__main__":
    main()
