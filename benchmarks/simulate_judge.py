"""How well simulated trainings say what became of the real ones.

Run: nice -n 15 python benchmarks/simulate_judge.py [--every N] [--steps 25] [--batch 8] [--seeds 3] [--save FILE | --load FILE]
     [--fit] [--budget SECONDS] [--thorough FOLDER] [../shared/divergence]

For each set-up of `divergence/dev`, trained by the real Caffe, `caffe-lint simulate` with made-up data: AUC and accuracy of
"diverges" and "stalls" (of those that do not diverge), seconds of processor time, and refusals by cause. --save keeps the
losses and goes on with those of an earlier run, and --load judges kept ones again. --thorough does what that option of the
command does, on the data that `divergence_data.py` wrote to a folder: 50 steps of whole batches. --fit prints the logistic
curves of `simulation/outcome.py`, and accuracies with each family judged by the curves of the others.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections import Counter
from collections.abc import Sequence
from itertools import repeat
from pathlib import Path
from typing import Any

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.net.data_facts import read_facts
from caffe_lint.net.job import Job, Nets, SolverFile
from caffe_lint.net.weights_origin import StatedOrigin
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.simulation.outcome import DIVERGES, STALLS, diverging_score, judged, logistic, stalling_score
from caffe_lint.simulation.simulating import REAL, Plan, simulate
from caffe_lint.simulation.training_run import Course, Iteration, Norms
from caffe_lint.stability.computed import stability_of

Row = dict[str, Any]
Curve = tuple[float, float]


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("root", nargs="?", default="../shared/divergence")
    for name, default in (("every", 1), ("steps", 25), ("batch", 8), ("seeds", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--budget", type=float, default=20.0, help="with a small one, nets are cut")
    parser.add_argument("--thorough", metavar="FOLDER")
    parser.add_argument("--save", type=Path)
    parser.add_argument("--load", type=Path)
    parser.add_argument("--fit", action="store_true")
    parser.add_argument("-v", action="store_true", dest="verbose")
    options = parser.parse_args()
    rows = _kept(options.load) if options.load else _simulated(Path(options.root), options)
    _report(rows, options)


def _kept(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def _simulated(root: Path, options: argparse.Namespace) -> list[Row]:
    facts = read_facts(str(root / "data.json"))
    plan = Plan(steps=options.steps, batch=options.batch, seeds=options.seeds, budget=options.budget)
    if options.thorough:
        plan = plan._replace(steps=50, batch=None, data=REAL, base=options.thorough, budget=1e6)
    rows = _kept(options.save) if options.save and options.save.exists() else []
    done = {row["name"] for row in rows}
    folders = sorted(path.parent for path in (root / "dev").glob("*/truth.json"))[:: options.every]
    for folder in folders:
        truth = json.loads((folder / "truth.json").read_text())
        if truth["label"] == "fatal" or folder.name in done:
            continue
        files = Files(caffe_schema(), "bvlc")
        solver = SolverFile(files.get(str(folder / "solver.prototxt")), None)
        job = Nets(files.get, None, facts_for=lambda path: facts, weights=StatedOrigin(from_scratch=True)).job(solver, None)
        started = time.process_time()
        found = simulate(job, plan)
        rows.append(
            {
                "name": folder.name,
                "label": truth["label"],
                "static": _static(job),
                "told": [found.p_diverges, found.p_stalls],
                "cut": found.cut[1:],
                "length": job.solver.message["max_iter"],
                "cause": found.cannot_tell.cause if found.cannot_tell is not None else "",
                "reason": found.cannot_tell.reason if found.cannot_tell is not None else "",
                "courses": [
                    [course.losses, course.before, course.after, _norms(course), [each.is_dead for each in course.iterations]]
                    for course in found.courses
                ],
                "seconds": time.process_time() - started,
            }
        )
        if options.save:
            with options.save.open("a") as file:
                file.write(json.dumps(rows[-1]) + "\n")
    return rows


def _static(job: Job) -> float | None:
    """The probability of "diverges" that the static signal gives."""
    found = stability_of(job)
    return found.verdict.p_diverges if found is not None else None


def _norms(course: Course) -> list[tuple[float, float]]:
    """The norms of weights and of gradients in each iteration."""
    return [each.passes[-1][2][2:] for each in course.iterations]


def _courses(row: Row) -> list[Course]:
    found = []
    for losses, before, after, norms, dead in row["courses"]:
        passes = [(([], [], Norms(0.0, 0.0, *each)),) for each in norms]
        iterations = [Iteration(*each) for each in zip(losses, repeat(0.0), repeat(()), passes, repeat(None), dead)]
        found.append(Course(iterations, losses[-1], before, after))
    return found


def _report(rows: Sequence[Row], options: argparse.Namespace) -> None:
    told = [row for row in rows if row["courses"]]
    refused = Counter(row["cause"] for row in rows if not row["courses"])
    print(f"{len(rows)} set-ups, {len(told)} simulated; refused: {dict(refused) or 'none'}")
    print(f"smaller nets than written in {sum(bool(row['cut']) for row in told)}")
    seconds = [row["seconds"] for row in told]
    print(f"seconds of processor time: median {statistics.median(seconds):.2f}, largest {max(seconds):.1f}")
    courses = {row["name"]: _courses(row) for row in told}
    scores = {name: statistics.mean(map(diverging_score, found)) for name, found in courses.items()}
    rests = {
        row["name"]: statistics.mean(stalling_score(course, row["length"]) for course in courses[row["name"]]) for row in told
    }
    exploded = {row["name"]: row["label"] in ("nan", "exploded") for row in told}
    calm = [row for row in told if not exploded[row["name"]]]
    stalled = {row["name"]: row["label"] == "stalled" for row in calm}
    families = sorted({row["name"].rsplit("-", 1)[0] for row in told})
    verdicts = {row["name"]: judged(courses[row["name"]], row["length"]) for row in told}
    for family in (*families, "all"):
        some = [row["name"] for row in told if family in ("all", row["name"].rsplit("-", 1)[0])]
        rest = [name for name in some if name in stalled]
        p = {name: verdicts[name][1] for name in some}
        q = {name: verdicts[name][2] for name in rest}
        print(
            f"{family:14s} {len(some):4d}  diverges: AUC {auc([scores[n] for n in some], [exploded[n] for n in some]):.3f}"
            f" accuracy {_share((p[n] >= 0.5) == exploded[n] for n in some):.3f}"
            f"   stalls: AUC {auc([rests[n] for n in rest], [stalled[n] for n in rest]):.3f}"
            f" accuracy {_share((q[n] >= 0.5) == stalled[n] for n in rest):.3f}"
        )
    _together(told, scores, exploded)
    _as_told(told, exploded, stalled)
    if options.verbose:
        for row in told:
            name = row["name"]
            wrong = (verdicts[name][1] >= 0.5) != exploded[name]
            if wrong or (name in stalled and (verdicts[name][2] >= 0.5) != stalled[name]):
                losses = row["courses"][0][0]
                print(f"{name} {row['label']}: said {verdicts[name][0]} {scores[name]:.2f} {rests[name]:.2f}", losses[:3], losses[-3:])
    if options.fit:
        _fit("DIVERGES", scores, exploded)
        _fit("STALLS", {name: rests[name] for name in stalled}, stalled)
        print(f"in force: DIVERGES {DIVERGES}, STALLS {STALLS}")


def _together(told: Sequence[Row], scores: dict[str, float], exploded: dict[str, bool]) -> None:
    """The figures of "diverges" by the simulation and the static signal together, with equal weights of their log odds."""
    both = [row for row in told if row.get("static") is not None]
    if not both:
        return
    labels = [exploded[row["name"]] for row in both]
    static = [_log_odds(row["static"]) for row in both]
    simulated = [_log_odds(logistic(DIVERGES, scores[row["name"]])) for row in both]
    joined = [(a + b) / 2 for a, b in zip(static, simulated, strict=True)]
    for title, found in (("static signal", static), ("simulation", simulated), ("together", joined)):
        right = _share((a >= 0) == b for a, b in zip(found, labels, strict=True))
        print(f"{title:14s} {len(both):4d}  diverges: AUC {auc(found, labels):.3f} accuracy {right:.3f}")


def _as_told(told: Sequence[Row], exploded: dict[str, bool], stalled: dict[str, bool]) -> None:
    """The figures of what people are told, in which a cut net is weighed with the static signal of the whole one."""
    rows = [row for row in told if "told" in row]
    if not rows:
        return
    calm = [row for row in rows if row["name"] in stalled]
    p, q = [row["told"][0] for row in rows], [row["told"][1] for row in calm]
    yes, still = [exploded[row["name"]] for row in rows], [stalled[row["name"]] for row in calm]
    right = _share((a >= 0.5) == b for a, b in zip(p, yes, strict=True))
    also = _share((a >= 0.5) == b for a, b in zip(q, still, strict=True))
    print(
        f"{'as told':14s} {len(rows):4d}  diverges: AUC {auc(p, yes):.3f} accuracy {right:.3f}"
        f"   stalls: AUC {auc(q, still):.3f} accuracy {also:.3f}"
    )


def _log_odds(p: float) -> float:
    p = min(max(p, 1e-4), 1 - 1e-4)
    return math.log(p / (1 - p))


def _fit(title: str, scores: dict[str, float], labels: dict[str, bool]) -> None:
    names = list(scores)
    curve = fitted([scores[name] for name in names], [labels[name] for name in names])
    right = 0
    for family in {name.rsplit("-", 1)[0] for name in names}:
        others = [name for name in names if name.rsplit("-", 1)[0] != family]
        own = fitted([scores[name] for name in others], [labels[name] for name in others])
        right += sum((logistic(own, scores[n]) >= 0.5) == labels[n] for n in names if n.rsplit("-", 1)[0] == family)
    print(f"{title} = ({curve[0]:.3f}, {curve[1]:.3f})  accuracy with families left out {right / len(names):.3f}")


def fitted(scores: Sequence[float], labels: Sequence[bool], pull: float = 0.01) -> Curve:
    """A logistic regression of one number, by Newton's method, with a slope that is pulled a little toward 0."""
    a = b = 0.0
    for _ in range(100):
        g = [0.0, pull * b]
        h = [1e-9, 0.0, pull]
        for x, y in zip(scores, labels, strict=True):
            p = logistic((a, b), x)
            g[0] += p - y
            g[1] += (p - y) * x
            w = p * (1 - p)
            h[0] += w
            h[1] += w * x
            h[2] += w * x * x
        determinant = h[0] * h[2] - h[1] * h[1]
        if abs(determinant) < 1e-12:
            break
        step = (h[2] * g[0] - h[1] * g[1]) / determinant, (h[0] * g[1] - h[1] * g[0]) / determinant
        size = max(1.0, math.hypot(*step))
        a, b = a - step[0] / size, b - step[1] / size
    return a, b


def auc(scores: Sequence[float], labels: Sequence[bool]) -> float:
    """The share of pairs of a true and a false one in which the true one has the higher score; ties count half."""
    yes = [score for score, label in zip(scores, labels, strict=True) if label]
    no = [score for score, label in zip(scores, labels, strict=True) if not label]
    if not yes or not no:
        return math.nan
    return sum((a > b) + 0.5 * (a == b) for a in yes for b in no) / (len(yes) * len(no))


def _share(right: Any) -> float:
    found = list(right)
    return sum(found) / len(found) if found else math.nan


if __name__ == "__main__":
    main()
