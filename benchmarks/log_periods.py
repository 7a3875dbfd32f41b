"""Choose the thresholds of T406: jumps of the loss with a period, on made-up curves with and without and on real logs.

    python benchmarks/log_periods.py

Curves are sums of a decay, noise, and jumps; the families differ in how the jumps come: at the start of each epoch, for
each class of a sorted database, at random times, at rises of the rate, or not at all. For each pair of thresholds, prints
how many curves with a period are found, how many without one are reported, and what the pair that is best for the other
families does for the one that is left out. Real logs of `../shared` have no such jumps and must stay silent.
"""

from __future__ import annotations

import itertools
import math
import random
from pathlib import Path

from caffe_lint.training_log import periods
from caffe_lint.training_log.evidence import Evidence
from caffe_lint.training_log.log_reader import read_log
from caffe_lint.training_log.runs import Run, Step

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
FAMILIES = {"epochs": True, "sorted classes": True, "slow return": True, "random spikes": False, "restarts": False, "plain": False}
CURVES = 150  # of each family
GRID = tuple(itertools.product((1.15, 1.2, 1.3, 1.5, 2.0), (3.0, 4.0, 6.0, 8.0, 12.0)))


def curve(family: str, seed: int) -> Run:
    """A run with a made-up loss of a family."""
    chance = random.Random(f"{family} {seed}")
    number, display = chance.randint(40, 400), chance.choice((1, 20, 100, 500))
    gap = chance.randint(6, max(6, number // 4))
    noise, height, slow = chance.uniform(0.01, 0.15), chance.uniform(0.5, 1.6), chance.uniform(2, 6)
    decay, floor = chance.uniform(0.5, 4) / number, chance.uniform(0.02, 0.3)
    run, since = Run(1), 10**6
    spikes = {chance.randrange(5, number) for _ in range(number // gap)}
    for index in range(number):
        jump = {"epochs": index % gap == 0, "sorted classes": index % gap < 2, "slow return": index % gap == 0,
                "random spikes": index in spikes, "restarts": index % gap == 0, "plain": False}[family] and index > 0  # fmt: skip
        since = 0 if jump else since + 1
        lift = height * math.exp(-since / slow) if family in ("slow return", "restarts") else height * jump
        loss = (2.3 * math.exp(-decay * index) + floor) * math.exp(lift + chance.gauss(0, noise))
        rate = 0.1 * math.exp(-since / gap) if family == "restarts" else 0.01
        run.steps.append(Step(index * display, index + 1, loss, rate))
    return run


def shares(curves: dict[str, list[Evidence]]) -> dict[str, float]:
    """The share of the curves of each family in which jumps are found."""
    return {family: sum(periods.periodic_jumps(log) is not None for log in logs) / len(logs) for family, logs in curves.items()}


def score(found: dict[str, float], families: list[str]) -> float:
    """How right the answers on families are: a false report costs ten times what a missed one does."""
    return sum(found[family] if FAMILIES[family] else -10 * found[family] for family in families)


def main() -> None:
    """Print the shares for each pair of thresholds, and for the pair that was chosen without a family."""
    curves = {family: [Evidence(curve(family, seed)) for seed in range(CURVES)] for family in FAMILIES}
    logs = [*(SHARED / "logs").rglob("*"), *(SHARED / "oracle" / "runs").glob("*/log.txt*")] if SHARED.exists() else []
    real = [Evidence(run) for path in logs if path.is_file() and path.suffix not in (".tsv", ".md") for run in read_log(str(path))]
    table = {}
    for pair in GRID:
        periods.JUMP, periods.NOISE = pair
        table[pair] = shares(curves)
        reported = sum(periods.periodic_jumps(log) is not None for log in real)
        print(f"{pair[0]:>5} {pair[1]:>5}  " + "  ".join(f"{family} {share:.2f}" for family, share in table[pair].items())
              + f"  real {reported} of {len(real)}")  # fmt: skip
    for left in FAMILIES:
        others = [family for family in FAMILIES if family != left]
        best = max(GRID, key=lambda pair: score(table[pair], others))
        print(f"chosen without {left}: {best}: {table[best][left]:.2f}")


if __name__ == "__main__":
    main()
