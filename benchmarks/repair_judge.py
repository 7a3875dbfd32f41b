"""What `--fix` does to trainings that explode, and to those that do not: held against what made the real Caffe train.

Run: python benchmarks/repair_judge.py [-v] [../shared/divergence]

Of each set-up that exploded: whether its fixed files are judged safe and stay as they are in a second run, and how
strong the repair is beside the weakest single change with which the real Caffe trained. Strength is how many times
smaller the first step becomes: by the rate, a loss weight, or a bound below the norm of the gradients (which
counts nothing for solvers that scale them). Of each set-up that did not explode: whether anything but a bound was
written, and how far that is over the norm of the first gradients as Caffe printed them.
"""

from __future__ import annotations

import csv
import json
import math
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.engine.fixing import fix_unit
from caffe_lint.engine.units import Unit
from caffe_lint.net.data_facts import DataFacts, read_facts
from caffe_lint.net.job import Job, Nets, SolverFile
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.settings.settings import Settings
from caffe_lint.solver.step_limit import LARGEST_STEP
from caffe_lint.stability.advice.limits import norm_limit
from caffe_lint.stability.advice.stability import Stability
from caffe_lint.stability.computed import stability_of
from caffe_lint.stability.signal.update_rule import ADAPTIVE

# Of the single changes that were tried: what they do to the rate and to the loss weight, and their bound.
CHANGES: dict[str, tuple[float, float, float]] = {
    "clip1": (1, 1, 1),
    "clip10": (1, 1, 10),
    "lr_10": (0.1, 1, math.inf),
    "lr_100": (0.01, 1, math.inf),
    "clip1_lr_10": (0.1, 1, 1),
    "weight_10": (1, 0.1, math.inf),
}
STEPS = (0.0003, 0.001, 0.003, 0.01, 0.05, 0.1, 0.3, 1.0, 10.0, math.inf)
STRONGER = 100.0  # how many times stronger than needed is too strong


class Fixed(NamedTuple):
    """A set-up before and after: what is computed of it, and whether a second run changed anything."""

    before: Stability
    after: Stability
    weight: float  # what the heaviest loss's weight was multiplied by
    changed: frozenset[str]
    again: bool


def read_job(folder: Path, patched: Mapping[str, bytes], facts: DataFacts) -> tuple[Job, Files]:
    """A set-up as a job, with files that stand for those on disk."""
    files = Files(caffe_schema(), "bvlc")
    for path, source in patched.items():
        files.add(path, source)
    nets = Nets(files.get, None, facts=facts)
    return nets.job(SolverFile(files.get(str(folder / "solver.prototxt"))), None), files


def fix(folder: Path, facts: DataFacts) -> Fixed:
    """Fixes a set-up in memory, twice."""
    solver = str(folder / "solver.prototxt")
    settings = Settings(facts=facts)
    unit = Unit((solver,), None)
    first = fix_unit(unit, Files(caffe_schema(), "bvlc"), settings, unsafe=False).patched
    old, _ = read_job(folder, {}, facts)
    new, files = read_job(folder, first, facts)
    second = fix_unit(unit, files, settings, unsafe=False).patched
    before, after = stability_of(old), stability_of(new)
    assert before is not None, folder
    assert after is not None, folder
    assert old.train is not None
    assert new.train is not None
    changed = {
        name
        for name in ("base_lr", "clip_gradients")
        if old.solver.message[name] != new.solver.message[name]
    }
    ratios = [
        abs(b.weight / a.weight)
        for a, b in zip(old.train.net.losses, new.train.net.losses, strict=True)
        if a.weight
    ]
    if any(ratio != 1 for ratio in ratios):
        changed.add("loss_weight")
    if first and set(first) - {solver} and "loss_weight" not in changed:
        changed.add("net")
    again = any(first.get(path) != source for path, source in second.items())
    return Fixed(before, after, min(ratios), frozenset(changed), again)


def step(rate: float, weight: float, bound: float, norm: float, adaptive: bool) -> float:
    """How many times smaller the first step is with a rate, a loss weight and a bound."""
    return rate if adaptive else rate * min(norm * weight, bound) / norm


def truly(outcome: str) -> bool:
    """Whether a training ended finite and lower than it began."""
    first, _, last = outcome.partition(":")[2].partition(">")
    return bool(last) and math.isfinite(float(last)) and float(last) < float(first)


def exploded(root: Path, facts: DataFacts, verbose: bool) -> None:
    """The table of the set-ups that exploded."""
    with open(root / "rescues.tsv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    count: Counter[str] = Counter()
    for row in rows:
        fixed = fix(root / "dev" / row["setup"], facts)
        old, new = fixed.before.signal, fixed.after.signal
        count["judged safe after"] += not fixed.after.risky
        count["repaired"] += bool(fixed.changed & {"base_lr", "loss_weight"}) or fixed.before.risky
        count["changed again"] += fixed.again
        for name in fixed.changed:
            count[f"changed {name}"] += 1
        adaptive = old.update_rule.type in ADAPTIVE
        bound = new.update_rule.clip if new.update_rule.clip > 0 else math.inf
        present = old.update_rule.clip if old.update_rule.clip > 0 else math.inf
        start = min(old.l2, present)
        ours = step(new.update_rule.rate / old.update_rule.rate, fixed.weight, bound, old.l2, adaptive) * (
            1.0 if adaptive else old.l2 / start
        )
        worked = [
            step(*change[:2], min(change[2], present), old.l2, adaptive) * (1.0 if adaptive else old.l2 / start)
            for name, change in CHANGES.items()
            if truly(row[name])
        ]
        if not worked:
            count["none of the changes tried did"] += 1
            said = "none worked"
        else:
            weakest = max(worked)
            if ours > weakest * 1.001:
                said = "weaker"
            elif ours < weakest / STRONGER:
                said = "too strong"
            else:
                said = "as strong as needed"
            count[said] += 1
        if verbose:
            print(
                f"  {row['setup']:20s} {fixed.before.verdict.p_diverges:.2f} -> {fixed.after.verdict.p_diverges:.2f}"
                f"  step x {ours:.2g}, weakest that worked {max(worked, default=math.nan):.2g}: {said};"
                f" {', '.join(sorted(fixed.changed))}"
            )
    print(f"{len(rows)} set-ups that exploded")
    print_counts(count, len(rows))
    best = {name: sum(truly(row[name]) for row in rows) for name in CHANGES}
    print("  for comparison, single changes with which the real Caffe ended finite and lower than it began:")
    print("  " + ", ".join(f"{name} {number}" for name, number in best.items()))
    print(f"  any of them: {sum(any(truly(row[name]) for name in CHANGES) for row in rows)}")


def sound(root: Path, facts: DataFacts, verbose: bool) -> None:
    """The table of the set-ups that did not explode."""
    for label in ("learns", "stalled"):
        count: Counter[str] = Counter()
        number = 0
        for path in sorted((root / "dev").glob("*/truth.json")):
            truth = json.loads(path.read_text())
            if truth["label"] != label:
                continue
            number += 1
            fixed = fix(path.parent, facts)
            touched = fixed.changed - {"clip_gradients"}
            clip = fixed.after.signal.update_rule.clip
            norm = printed_norm(truth, fixed.before)
            count["nothing changed but a bound"] += not touched and not fixed.before.risky
            count["repaired"] += bool(touched) or fixed.before.risky
            count["changed again"] += fixed.again
            if not fixed.before.risky and "clip_gradients" in fixed.changed and norm is not None:
                count["bound written"] += 1
                count["of these 5 times over the printed norm"] += clip >= 5 * norm
            if verbose and (touched or fixed.before.risky):
                print(f"  {path.parent.name:20s} {fixed.before.verdict.p_diverges:.2f} {sorted(fixed.changed)}")
        print(f"{number} set-ups of which the real Caffe said: {label}")
        print_counts(count, number)


def printed_norm(truth: dict[str, Any], stability: Stability) -> float | None:
    """The L2 norm of the first gradients, from the mean absolute values that Caffe printed, as if they were Gaussian."""
    counts = {(param.layer.name, str(param.index)): param.count or 1 for param in stability.signal.back.gradients}
    total = 0.0
    for way, layer, kind, name, _, value in truth["init"]:
        if way == "B" and kind == "param" and (layer, name) in counts:
            if value is None:
                return None
            total += counts[layer, name] * (value * 1.2533) ** 2
    return math.sqrt(total)


def steps(root: Path, facts: DataFacts) -> None:
    """How far bounds let a step carry the weights, and how often trainings that exploded then learnt (`LARGEST_STEP`)."""
    with open(root / "rescues.tsv", encoding="utf-8") as file:
        rows = list(csv.DictReader(file, delimiter="\t"))
    found: dict[float, list[bool]] = {limit: [] for limit in STEPS}
    for row in rows:
        job, _ = read_job(root / "dev" / row["setup"], {}, facts)
        known = stability_of(job)
        assert known is not None
        signal = known.signal
        if signal.update_rule.adaptive:
            continue
        for name, (scale, _, clip) in CHANGES.items():
            if clip < math.inf:
                part = LARGEST_STEP * clip / norm_limit(signal, scale)
                found[next(limit for limit in STEPS if part <= limit)].append(row[name].startswith("learns"))
    print("how far clip1, clip10 and clip1_lr_10 let a step carry the weights, as a part of their size: how many learnt")
    for limit, learnt in found.items():
        print(f"  up to {limit:<8g} {sum(learnt):3d} of {len(learnt)}")


def print_counts(count: Counter[str], number: int) -> None:
    """Counts with their shares."""
    for name, times in sorted(count.items()):
        print(f"  {name:44s} {times:4d}  {times / number:.1%}")


def main() -> None:
    """Prints the tables."""
    arguments = [word for word in sys.argv[1:] if not word.startswith("-")]
    root = Path(arguments[0] if arguments else "../shared/divergence")
    if not (root / "rescues.tsv").is_file():
        print(f"{root} is not there: no set-ups")
        return
    facts = read_facts(str(root / "data.json"))
    exploded(root, facts, "-v" in sys.argv)
    sound(root, facts, "-v" in sys.argv)
    steps(root, facts)


if __name__ == "__main__":
    main()
