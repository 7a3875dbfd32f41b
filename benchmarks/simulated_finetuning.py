"""What simulations say of trainings that start from trained weights, judged by longer ones on real data.

Run: nice -n 15 python benchmarks/simulated_finetuning.py --data FOLDER [--every N] [--most-work SECONDS] [--save FILE | --load FILE]
     [../shared/divergence]

Of each set-up of `divergence/dev` that learns with the real Caffe, the net is trained here for 150 iterations on the data that
`divergence_data.py` wrote to FOLDER, with whole batches, and its weights are written to a .caffemodel. Then it is fine-tuned: its
last layer has another name, so that its filler makes it, and the learning rate is multiplied by 0.1, 1, 10 and 100. What becomes of
that in 150 iterations with whole batches of real data is the truth: it *diverges* if a loss is not finite, or the last tenth is over
three times the first loss or at 87.3365; it *learns* as `learning.py` says. It is compared with what `caffe-lint simulate` says, by 25
steps of made-up data and by 25 steps of the real ones, with `--weights` and without it.

The truth comes from the same operators as what is judged: this measures what 25 steps with small batches tell, not the operators.
"""

from __future__ import annotations

import argparse
import json
import math
import re
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from learning import SetUp, set_ups
from simulate_judge import auc
from simulated_repairs import work_of

from caffe_lint.data.caffemodel import read_weights
from caffe_lint.engine.files_in_memory import Files
from caffe_lint.layers.loss import LARGEST_SOFTMAX_TERM
from caffe_lint.net.data_facts import DataFacts, read_facts
from caffe_lint.net.job import Job, Nets, SolverFile
from caffe_lint.net.weights_origin import StatedOrigin
from caffe_lint.proto import caffe_pb2
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.simulation.cutting import Cut
from caffe_lint.simulation.filling import initial_weights
from caffe_lint.simulation.made_up_data import MadeUpData
from caffe_lint.simulation.simulating import REAL, Plan, simulate
from caffe_lint.simulation.stored_data import StoredData
from caffe_lint.simulation.training_run import run
from caffe_lint.stability.signal.training import CannotTell, training_of
from caffe_lint.stability.verdict.simulated import LEARNS, trivial_loss

Row = dict[str, Any]

STEPS = 150
RATES = (0.1, 1.0, 10.0, 100.0)  # times the rate of the set-up
SEED = 1000  # of the truth, which no verdict has
EXPLODED = 3.0  # times the first loss, as in `divergence/README.md`
WORDS = ("diverges", "stalls", "learns")
# The ways to judge: whether the weights are read, and the data.
WAYS = {"weights, made-up data": (True, "made"), "weights, real data": (True, "real"), "fillers, made-up data": (False, "made")}


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("root", nargs="?", default="../shared/divergence")
    parser.add_argument("--data", metavar="FOLDER", help="the data of the set-ups")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="one of N set-ups")
    parser.add_argument("--most-work", type=float, default=0.3, metavar="SECONDS", help="leave larger set-ups out")
    parser.add_argument("--save", type=Path, metavar="FILE", help="keep what is found, and go on with an earlier run")
    parser.add_argument("--load", type=Path, metavar="FILE", help="report what was saved")
    options = parser.parse_args()
    kept = options.load or options.save
    rows = [json.loads(line) for line in kept.read_text().splitlines()] if kept is not None and kept.exists() else []
    if options.load is None:
        root = Path(options.root)
        if not (root / "data.json").is_file() or options.data is None:
            print("no set-ups, or no --data")
            return
        known = {row["name"] for row in rows}
        wanted = [set_up for set_up in set_ups(root) if set_up.learns and work_of(set_up) <= options.most_work]
        for set_up in wanted[:: options.every]:
            if set_up.name in known:
                continue
            for row in _rows(set_up, read_facts(str(root / "data.json")), options.data):
                rows.append(row)
                print(_line(row), flush=True)
                if options.save is not None:
                    with options.save.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")
    _report(rows)


def _rows(set_up: SetUp, facts: DataFacts, data: str) -> Iterator[Row]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        solver, net = ((set_up.folder / file).read_text() for file in ("solver.prototxt", "net.prototxt"))
        (folder / "net.prototxt").write_text(net)
        (folder / "solver.prototxt").write_text(solver)
        weights = folder / "trained.caffemodel"
        weights.write_bytes(_trained(_job(folder, facts, StatedOrigin(from_scratch=True)), data))
        last = [layer.name for layer in set_up.signal.training.net.layers if layer.traits.weighted_sum][-1]
        (folder / "net.prototxt").write_text(net.replace(f'name: "{last}"', f'name: "{last}_new"'))
        for factor in RATES:
            changed = re.sub(r"base_lr:\s*(\S+)", lambda match: f"base_lr: {float(match[1]) * factor:g}", solver)  # noqa: B023
            (folder / "solver.prototxt").write_text(changed)
            stated = StatedOrigin(weights=str(weights), read=read_weights)
            job = _job(folder, facts, stated)
            content = f"{set_up.name} {factor}".encode()
            whole = Plan(STEPS, None, REAL, 1, 1e6, data, SEED, content=content, watch=False)
            found = simulate(job, whole)
            course = found.courses[0]
            told = {}
            for way, (reads, kind) in WAYS.items():
                judged = job if reads else _job(folder, facts, StatedOrigin(from_scratch=True))
                outcome = simulate(judged, Plan(data=kind, base=data, content=content, watch=False))
                told[way] = outcome.word, outcome.p_diverges, outcome.p_stalls
            yield {
                "name": set_up.name,
                "factor": factor,
                "first": course.before,
                "last": float(np.mean(course.losses[-max(1, len(course.losses) // 10) :])) if course.is_finite else math.inf,
                "trivial": trivial_loss(set_up.signal),
                "told": told,
            }


def _job(folder: Path, facts: DataFacts, stated: StatedOrigin) -> Job:
    files = Files(caffe_schema(), "bvlc")
    solver = SolverFile(files.get(str(folder / "solver.prototxt")), None)
    return Nets(files.get, None, facts_for=lambda path: facts, weights=stated).job(solver, None)


def _trained(job: Job, data: str) -> bytes:
    """The .caffemodel of a training on real data with whole batches."""
    training = training_of(job)
    assert not isinstance(training, CannotTell)
    net = training.net
    draw, other = map(np.random.default_rng, (1, 2))
    items = next(top.shape[0] or 1 for layer in net.layers for top in layer.tops if top.shape)
    made = MadeUpData(net, training.context.assumed, draw, whole=items, items=items)
    batches = StoredData(net, data, draw, made, (STEPS + 5) * items).batch
    loaded = {param: values.reshape(-1) for param, values in initial_weights(net, other).items()}
    run(Cut(net, loaded=loaded), job.solver.message, batches, other, STEPS, lambda number: None, watch=False)
    model = caffe_pb2.NetParameter()
    for layer in net.layers:
        if layer.params:
            entry = model.layer.add(name=layer.name)
            for param in layer.params:
                blob = entry.blobs.add()
                blob.shape.dim.extend(size or 0 for size in param.shape or ())
                blob.data.extend(loaded[param.owner].tolist())
    return model.SerializeToString()


def _truth(row: Row) -> str:
    if not row["last"] < EXPLODED * row["first"] or abs(row["last"] - LARGEST_SOFTMAX_TERM) < 1e-3:
        return "diverges"
    return "learns" if row["last"] < LEARNS * min(row["first"], row["trivial"]) else "stalls"


def _line(row: Row) -> str:
    told = ", ".join(f"{word} {p or 0:.2f} {stalls or 0:.2f} by {way}" for way, (word, p, stalls) in row["told"].items())
    return f"{row['name']} x {row['factor']:g}: {_truth(row)} ({row['first']:.3g} to {row['last']:.3g}); {told}"


def _report(rows: Sequence[Row]) -> None:
    print(f"{len(rows)} trainings of {len({row['name'] for row in rows})} nets: {_counts(map(_truth, rows))}")
    for way in WAYS:
        judged = [row for row in rows if row["told"][way][1] is not None]
        diverges = [_truth(row) == "diverges" for row in judged]
        others = [row for row in judged if _truth(row) != "diverges"]
        stalls = [_truth(row) == "stalls" for row in others]
        print(f"{way}: {len(judged)} told")
        print(f"  diverges: AUC {auc([row['told'][way][1] for row in judged], diverges):.3f}, accuracy {_right(judged, way, 1):.3f}")
        print(f"  stalls: AUC {auc([row['told'][way][2] for row in others], stalls):.3f}, accuracy {_right(others, way, 2):.3f}")
        for word in WORDS:
            print(f"  said {word}: {_counts(_truth(row) for row in judged if row['told'][way][0] == word)}")


def _right(rows: Sequence[Row], way: str, index: int) -> float:
    if not rows:
        return math.nan
    return sum((row["told"][way][index] >= 0.5) == (_truth(row) == WORDS[index - 1]) for row in rows) / len(rows)


def _counts(words: Any) -> str:
    found = Counter(words)
    return ", ".join(f"{found[word]} {word}" for word in WORDS)


if __name__ == "__main__":
    main()
