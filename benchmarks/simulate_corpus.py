"""What simulations say of public trainings: how many get a verdict, why the others do not, what was cut, and who is said to fail.

Run: nice -n 15 python benchmarks/simulate_corpus.py [--every N] [--plan] [--budget SECONDS] [--save FILE | --load FILE]
     [../shared/corpus/files]

Public solvers were trained, so none should be said to diverge with high confidence. First it is planned what is simulated of each:
that tells how many have a net of the same static signal that fits into the budget. `--plan` ends there. Then they are simulated, the
least work first, so that a run that is stopped has as many as possible; `--save` keeps all and goes on with an earlier run. A
training does not count as refused if shapes are unknown of layers that gradients pass, such as those of Python.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import Counter
from pathlib import Path
from typing import Any

from corpus_verdicts import NOT_COUNTED, jobs

from caffe_lint.simulation.outcome import Outcome
from caffe_lint.simulation.simulating import Plan, planned, simulate
from caffe_lint.stability.signal.basis import CannotTell
from caffe_lint.stability.signal.training import training_of

Row = dict[str, Any]
FITS = "fits"  # the word of a training that is not simulated yet
_HIGH = 0.9  # a probability that counts as high confidence


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("root", nargs="?", default="../shared/corpus/files")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="one of N trainings")
    parser.add_argument("--budget", type=float, default=Plan().budget)
    parser.add_argument("--plan", action="store_true")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep what is found, and go on with an earlier run")
    parser.add_argument("--load", type=Path, metavar="FILE", help="report what was saved")
    options = parser.parse_args()
    rows = _kept(options.load or options.save)
    if not options.load:
        _plan(rows, options)
        if not options.plan:
            _simulate(rows, options)
    _report(list(rows.values()))


def _kept(path: Path | None) -> dict[str, Row]:
    """The rows of an earlier run, by the name of the solver; a later row of the same name counts."""
    lines = path.read_text().splitlines() if path is not None and path.exists() else []
    return {row["name"]: row for row in map(json.loads, lines)}


def _keep(rows: dict[str, Row], row: Row, options: argparse.Namespace) -> None:
    rows[row["name"]] = row
    if options.save:
        with options.save.open("a") as file:
            file.write(json.dumps(row) + "\n")


def _plan(rows: dict[str, Row], options: argparse.Namespace) -> None:
    """Add the rows of trainings that have none: what is simulated of each, or why nothing is."""
    for number, (name, job) in enumerate(jobs(Path(options.root))):
        if number % options.every == 0 and name not in rows:
            found = planned(job, Plan(budget=options.budget))
            training = training_of(job)
            row: Row = {"name": name, "shapes": not isinstance(training, CannotTell) and not training.basis.shapeless}
            if isinstance(found, Outcome):
                row |= _told(found)
            else:
                work = sum(each.work for each in found)
                row |= {"word": FITS, "cause": "", "reason": "", "cut": found[0].said, "p": 0.0, "work": work}
            _keep(rows, row, options)


def _simulate(rows: dict[str, Row], options: argparse.Namespace) -> None:
    """Replace the rows of trainings that are planned by what their simulation says."""
    fitting = sorted((row for row in rows.values() if row["word"] == FITS), key=lambda row: row["work"])
    for row, (name, job) in zip(fitting, jobs(Path(options.root), [row["name"] for row in fitting]), strict=True):
        started = time.process_time()
        found = simulate(job, Plan(budget=options.budget, watch=False))
        _keep(rows, {**row, **_told(found), "seconds": time.process_time() - started}, options)
        assert name == row["name"]


def _told(found: Outcome) -> Row:
    unknown = found.cannot_tell
    return {
        "word": found.word,
        "cause": unknown.cause if unknown is not None else "",
        "reason": unknown.reason if unknown is not None else "",
        "cut": found.cut,
        "p": found.p_diverges,
    }


def _report(rows: list[Row]) -> None:
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
    seconds = max((row["seconds"] for row in told if "seconds" in row), default=0.0)
    print(f"{smaller} of {len(told)} with smaller images or layers; seconds: largest {seconds:.1f}")
    for row in told:
        if row["word"] not in ("learns", FITS):
            sure = "  HIGH" if row["word"] == "diverges" and row["p"] >= _HIGH else ""
            print(f"  {row['word']:10s} {row['p']:.2f}{sure} {row['name']}  {'; '.join(row['cut'])}")


if __name__ == "__main__":
    main()
