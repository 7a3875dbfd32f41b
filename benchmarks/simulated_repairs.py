"""What `--fix --simulate` makes of trainings that diverge, and of healthy ones, judged by simulations that it has not seen.

Run: nice -n 15 python benchmarks/simulated_repairs.py [--save FILE] [--table FILE] [--only OUTCOME] [--every N] [--offset K]
     [--most-work SECONDS] [--data FOLDER] [../shared/divergence]

Of each set-up of `divergence/dev` (`learning.py` says what *learns* and *repairable* mean): what is said of it, what the default
fixes write, and what becomes of it then. That is judged over 100 steps with batches of 12, and with seeds and made-up data that no
trial had: it *learns* if it does with two of three seeds. A healthy one is *unharmed* if nothing is changed but a threshold that no
gradient reaches, or if with two of three seeds the mean loss of the last tenth is at most 5 % above that of the original.
With --data, it is judged as the real Caffe judged the original: on the data that `divergence_data.py` wrote to that folder, over
150 steps with whole batches.
What is left as it is and then does not learn is a refusal, counted by its cause.

The set-ups come in random order, always the same, so that any part of them is a sample: --every 2 takes a half, --offset 1 the other.
--most-work takes those of which 25 steps are at most so much work, in seconds of one usual core: all take hours.
A line is printed as each is done. --save keeps the rows and goes on with those of an earlier run; --table writes all set-ups.
"""

from __future__ import annotations

import argparse
import csv
import json
import math
import random
import statistics
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from learning import SetUp, set_ups, signal_of_job
from noise import wilson
from repair_judge import FIELDS, outcome_of, read_job

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.engine.fixing import fix_unit
from caffe_lint.engine.units import Unit
from caffe_lint.net.data_facts import DataFacts, read_facts
from caffe_lint.net.job import Job
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.settings.settings import Settings
from caffe_lint.simulation.simulating import REAL, SPEED, Plan, planned, simulate
from caffe_lint.stability.verdict.simulated import LEARNS, trivial_loss

Row = dict[str, Any]

SEEDS = (1000, 1001, 1002)  # of the judging simulations
MADE_UP = Plan(100, 12)
HARMED = 1.05  # times the mean loss of the original's last tenth
OUTCOMES = ("diverges, repairable", "learns", "diverges, not repairable", "neither")


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("root", nargs="?", default="../shared/divergence")
    parser.add_argument("--save", type=Path)
    parser.add_argument("--table", type=Path)
    parser.add_argument("--only", choices=OUTCOMES)
    parser.add_argument("--every", type=int, default=1, metavar="N", help="one of N set-ups")
    parser.add_argument("--offset", type=int, default=0, metavar="K", help="which of the N")
    parser.add_argument("--data", metavar="FOLDER", help="judge on the data of the set-ups")
    parser.add_argument("--most-work", type=float, default=math.inf, metavar="SECONDS", help="leave larger set-ups out")
    options = parser.parse_args()
    root = Path(options.root)
    if not (root / "rescues.tsv").is_file():
        print(f"{root} is not there: no set-ups")
        return
    rows = []
    wanted = (
        set_up for set_up in _wanted(root, options.only, options.every, options.offset) if work_of(set_up) <= options.most_work
    )
    plan = MADE_UP if options.data is None else Plan(150, None, REAL, base=options.data)
    for row in _rows(root, options.save, wanted, plan):
        rows.append(row)
        print(_line(row), flush=True)
    if options.table is not None:
        options.table.write_text("\n".join(_table(rows)) + "\n", encoding="utf-8")
    _report(rows)


def _rows(root: Path, save: Path | None, wanted: Iterable[SetUp], plan: Plan) -> Iterator[Row]:
    facts = read_facts(str(root / "data.json"))
    kept = [json.loads(line) for line in save.read_text().splitlines()] if save is not None and save.exists() else []
    yield from kept
    known = {row["name"] for row in kept}
    for set_up in wanted:
        if set_up.name in known:
            continue
        row = _judged(set_up, facts, plan)
        if save is not None:
            with save.open("a", encoding="utf-8") as file:
                file.write(json.dumps(row) + "\n")
        yield row


def _wanted(root: Path, only: str | None, every: int, offset: int) -> Iterator[SetUp]:
    """A part of the set-ups that have an outcome, in random order."""
    names = sorted(path.parent.name for path in (root / "dev").glob("*/truth.json"))
    with open(root / "rescues.tsv", encoding="utf-8") as file:
        exploding = {row["setup"] for row in csv.DictReader(file, delimiter="\t")}
    numbers = [i for i, name in enumerate(names) if only is None or (name in exploding) == only.startswith("diverges")]
    random.Random(0).shuffle(numbers)
    for number in numbers[offset::every]:
        set_up = next(set_ups(root, slice(number, number + 1)))
        if only in (None, outcome_of(set_up)) and set_up.label != "fatal":
            yield set_up


def work_of(set_up: SetUp) -> float:
    """The seconds of one usual core that 25 steps are."""
    files, facts = Files(caffe_schema(), "bvlc"), set_up.signal.training.net.built_with.facts
    found = planned(read_job(set_up.folder, files, facts), Plan(budget=1e6))
    return found[0].work / SPEED if isinstance(found, list) else math.inf


def _judged(set_up: SetUp, facts: DataFacts, plan: Plan) -> Row:
    """What becomes of a set-up by the default fixes, judged by simulations of that plan."""
    started = time.process_time()
    settings = Settings(facts=facts, from_scratch=True, simulate=True, select=("G",))
    files = Files(caffe_schema(), "bvlc")
    unit = Unit((str(set_up.folder / "solver.prototxt"),), None)
    result = fix_unit(unit, files, settings, unsafe=False)
    seconds = time.process_time() - started
    old, new = read_job(set_up.folder, Files(caffe_schema(), "bvlc"), facts), read_job(set_up.folder, files, facts)
    changes = list(_changes(old, new))
    trivial = trivial_loss(set_up.signal)
    if changes and any(" of '" in change for change in changes):  # another loss_weight
        trivial = trivial_loss(signal_of_job(new))
    after, before = [], []
    for seed in SEEDS:
        if set_up.learns and not changes:
            break  # it is as it was
        after.append(_judgement(new, set_up, plan, seed, trivial))
        if not set_up.learns:
            learned = sum(map(_is_learned, after))
            if 2 in (learned, len(after) - learned):
                break  # that is the answer
        elif len(changes) == 1 and changes[0].startswith("clip_gradients -1 -> ") and after[-1][2] < _clip(new):
            before.append(after[-1])  # nothing was clipped
        else:
            before.append(_judgement(old, set_up, plan, seed, trivial))
    return {
        "name": set_up.name,
        "outcome": outcome_of(set_up),
        "rescues": set_up.rescues,
        "said": " ".join(verdict.sentence for verdict in result.verdicts),
        "changes": changes,
        "after": after,
        "before": before,
        "why": "; ".join(f"{finding.code}: {finding.reason}" for finding in result.findings if finding.code < "G104"),
        "seconds": seconds,
    }


def _changes(old: Job, new: Job) -> Iterator[str]:
    for name in FIELDS:
        if old.solver.message[name] != new.solver.message[name]:
            yield f"{name} {old.solver.message[name]:g} -> {new.solver.message[name]:g}"
    assert old.train is not None
    assert new.train is not None
    for before, after in zip(old.train.net.losses, new.train.net.losses, strict=True):
        if before.weight != after.weight:
            yield f"loss_weight of '{before.layer.name}' {before.weight:g} -> {after.weight:g}"
    for one, other in zip(old.train.net.params(), new.train.net.params(), strict=True):
        if one.filler is not None and other.filler is not None and one.filler["type"] != other.filler["type"]:
            yield f"filler of {one.layer.name} {one.filler['type']} -> {other.filler['type']}"


def _judgement(job: Job, set_up: SetUp, plan: Plan, seed: int, trivial: float) -> tuple[float, float, float]:
    """The mean loss of the last tenth, the largest that counts as learned, and the largest norm of the gradients.

    The same seed has the same data and weights.
    """
    plan = plan._replace(seeds=1, budget=1e6, first_seed=seed, content=set_up.name.encode(), watch=False)
    course = simulate(job, plan).courses[0]
    norm = max(norms.l2_diff for iteration in course.iterations for _, _, norms in iteration.passes)
    if not course.is_finite:
        return math.inf, 0.0, norm
    losses = course.losses[-max(1, len(course.losses) // 10) :]
    return statistics.mean(losses), LEARNS * min(course.before, trivial), norm


def _clip(job: Job) -> float:
    return float(job.solver.message["clip_gradients"])


def _is_learned(judgement: Sequence[float]) -> bool:
    return 0 <= judgement[0] < judgement[1]


def _learns(row: Row) -> bool:
    return 2 * sum(map(_is_learned, row["after"])) > len(row["after"])


def _line(row: Row) -> str:
    """What is printed as soon as a set-up is done."""
    fate = (
        ("unharmed" if _unharmed(row) else "harmed")
        if row["outcome"] == "learns"
        else "learns"
        if _learns(row)
        else _cause(row)
    )
    return (
        f"{row['name']}: {row['outcome']}: {fate} ({', '.join(row['changes']) or 'no change'}; {row['seconds']:.0f} s)"
    )


def _unharmed(row: Row) -> bool:
    worse = sum(after[0] > HARMED * before[0] for after, before in zip(row["after"], row["before"], strict=True))
    return 2 * worse <= len(row["after"])


def share(said: Iterable[bool]) -> str:
    """How many are true, and their share with its 95 % interval."""
    values = list(said)
    if not values:
        return "none"
    low, high = wilson(sum(values), len(values))
    return f"{sum(values)} of {len(values)} ({sum(values) / len(values):.1%}, 95 % interval {low:.1%} to {high:.1%})"


def _cause(row: Row) -> str:
    """Why a set-up that diverges does not learn afterwards."""
    if any(not change.startswith("clip_gradients -1") for change in row["changes"]):
        return "repaired, but does not learn"
    if "blank" in row["why"] or "scores" in row["why"]:
        return "named: no single change mends it"
    if "No single change" in row["why"] or "No change was found" in row["why"]:
        return "no change that was tried makes it learn"
    return "not said to diverge" if "likely to diverge" not in row["said"] or "unlikely" in row["said"] else "no default fix"


def _report(rows: Sequence[Row]) -> None:
    for outcome in OUTCOMES:
        those = [row for row in rows if row["outcome"] == outcome]
        if not those:
            continue
        print(f"{outcome}: {len(those)} set-ups")
        refused = Counter(_cause(row) for row in those if not _learns(row))
        if outcome != "learns":
            print(f"  learn afterwards: {share(map(_learns, those))}")
        if outcome.startswith("diverges"):
            print(f"  the others: {', '.join(f'{cause} {number}' for cause, number in refused.most_common()) or 'none'}")
        if outcome == "learns":
            print(f"  unharmed: {share(map(_unharmed, those))}")
            print(f"  nothing changed but a bound: {share(all(c.startswith('clip') for c in row['changes']) for row in those)}")
    seconds = [row["seconds"] for row in rows]
    print(f"seconds of processor time for a fix: median {statistics.median(seconds):.1f}, largest {max(seconds):.1f}")


def _table(rows: Sequence[Row]) -> Iterator[str]:
    yield "set-up\toutcome\tlearned with\tsaid\tchanges\tlearns\tunharmed\tlast and limit\tcause"
    for row in rows:
        cells = (
            row["name"],
            row["outcome"],
            " ".join(row["rescues"]),
            row["said"],
            ", ".join(row["changes"]),
            "yes" if _learns(row) else "no",
            ("yes" if _unharmed(row) else "no") if row["before"] else "",
            " ".join(f"{last:.4g}/{limit:.4g}" for last, limit, _ in row["after"]),
            "" if _learns(row) or not row["outcome"].startswith("diverges") else _cause(row),
        )
        yield "\t".join(cells)


if __name__ == "__main__":
    main()
