"""What simulations say of public trainings: how many get a verdict, why the others do not, what was cut, and who is said to fail.

Run: nice -n 15 python benchmarks/simulate_corpus.py [--every N] [--plan] [--budget SECONDS] [--save FILE | --load FILE]
     [../shared/corpus/files]

Public solvers were trained, so none should be said to diverge with high confidence. `--plan` simulates nothing: it counts for how
many a net of the same static signal fits into the budget. A training does not count as refused if shapes are unknown of layers
that gradients pass, such as those of Python.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from corpus_verdicts import NOT_COUNTED, jobs

from caffe_lint.net.job import Job
from caffe_lint.simulation.simulating import Plan, planned, simulate
from caffe_lint.stability.signal.basis import CannotTell
from caffe_lint.stability.signal.training import training_of

_HIGH = 0.9  # a probability that counts as high confidence


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("root", nargs="?", default="../shared/corpus/files")
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--budget", type=float, default=Plan().budget)
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--save")
    parser.add_argument("--load")
    options = parser.parse_args()
    if options.load:
        rows = [json.loads(line) for line in Path(options.load).read_text().splitlines()]
    else:
        rows = []
        for number, (name, job) in enumerate(jobs(Path(options.root))):
            if number % options.every == 0:
                rows.append(_row(name, job, options))
                if options.save:
                    with open(options.save, "a") as file:
                        file.write(json.dumps(rows[-1]) + "\n")
    _report(rows)


def _row(name: str, job: Job, options: argparse.Namespace) -> dict[str, Any]:
    plan = Plan(budget=options.budget)
    started = time.process_time()
    if options.plan:
        sized = planned(job, plan)
        if isinstance(sized, list):
            return {"name": name, "word": "fits", "cause": "", "reason": "", "shapes": True, "cut": sized[0].said, "p": 0.0,
                    "seconds": time.process_time() - started}  # fmt: skip
        found = sized
    else:
        found = simulate(job, plan)
    unknown = found.cannot_tell
    training = training_of(job)
    return {
        "name": name,
        "shapes": not isinstance(training, CannotTell) and not training.basis.shapeless,
        "word": found.word,
        "cause": unknown.cause if unknown is not None else "",
        "reason": unknown.reason if unknown is not None else "",
        "cut": found.cut,
        "p": found.p_diverges,
        "seconds": time.process_time() - started,
    }


def _report(rows: list[dict[str, Any]]) -> None:
    counted = [row for row in rows if row["cause"] not in NOT_COUNTED]
    words = Counter(row["word"] for row in counted)
    print(f"{len(counted)} trainings: " + ", ".join(f"{word} {number}" for word, number in words.most_common()))
    known = [row for row in counted if row["shapes"]]
    refused = [row for row in known if row["cause"]]
    print(f"refused {len(refused)} of {len(known)} whose shapes are known ({len(refused) / max(1, len(known)):.0%}):")
    rest = [row for row in known if row["cause"] not in ("loaded weights", "unknown weights")]
    number = sum(bool(row["cause"]) for row in rest)
    print(f"  {number} of {len(rest)} whose initial weights are known, too ({number / max(1, len(rest)):.0%})")
    for cause, number in Counter(row["cause"] for row in refused).most_common():
        reasons = Counter(row["reason"].partition("'")[0].strip() for row in refused if row["cause"] == cause)
        print(f"  {cause:20s} {number:4d}  " + ", ".join(f"{reason} {n}" for reason, n in reasons.most_common(6)))
    told = [row for row in counted if not row["cause"]]
    smaller = sum(any("layers" in text or "images" in text for text in row["cut"]) for row in told)
    print(f"{smaller} of {len(told)} with smaller images or layers; seconds: largest {max(row['seconds'] for row in told):.1f}")
    for row in told:
        if row["word"] not in ("learns", "fits"):
            sure = "  HIGH" if row["word"] == "diverges" and row["p"] >= _HIGH else ""
            print(f"  {row['word']:10s} {row['p']:.2f}{sure} {row['name']}  {'; '.join(row['cut'])}")


if __name__ == "__main__":
    main()
