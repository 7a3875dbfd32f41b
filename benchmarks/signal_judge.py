"""How near the predicted signal of iteration 0 comes to what the real Caffe printed.

Run: python benchmarks/signal_judge.py [-v] [../shared/divergence]

For each set-up of `divergence/dev` the lines of `truth.json` are held against ours: the share within a factor
of 2 and of 10, where Caffe's are finite and not 0, and the share of exact zeros that are predicted as zeros.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections import defaultdict
from pathlib import Path

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.net.data_facts import DataFacts, read_facts
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.stability.signal.debug_lines import backward_lines, forward_lines
from caffe_lint.stability.signal.passes import Back, Pass, initial_weights
from caffe_lint.stability.signal.training import Training, training_of_file

Key = tuple[str, str, str, str]


def training_of(folder: Path, facts: DataFacts) -> Training:
    """The training in a folder."""
    files = Files(caffe_schema(), "bvlc")
    training = training_of_file(files.get(str(folder / "solver.prototxt")), files.get, facts)
    assert training is not None, folder
    return training


def predicted(training: Training) -> dict[Key, float]:
    """Our lines, by what Caffe's say they are about."""
    weights = initial_weights(training.net)
    forward = Pass(training.prepared, weights)
    back = Back(forward)
    lines: dict[Key, float] = {}
    for direction, rows, kind in (
        ("F", forward_lines(forward, weights), "top"),
        ("B", backward_lines(forward, back), "bottom"),
    ):
        for row in rows:
            what = ("param", str(row.param)) if row.param is not None else (kind, row.blob or "")
            lines[direction, row.layer, what[0], what[1]] = row.mean_abs
    return lines


def main() -> None:
    """Prints the shares, by family and for all."""
    arguments = [word for word in sys.argv[1:] if word != "-v"]
    root = Path(arguments[0] if arguments else "../shared/divergence")
    facts = read_facts(str(root / "data.json"))
    counts: dict[tuple[str, str], list[int]] = defaultdict(lambda: [0] * 6)
    worst: list[tuple[float, str]] = []
    started = time.process_time()
    folders = sorted(path.parent for path in (root / "dev").glob("*/truth.json"))
    for folder in folders:
        truth = json.loads((folder / "truth.json").read_text())
        lines = predicted(training_of(folder, facts))
        family = folder.name.rsplit("-", 1)[0]
        for direction, layer, kind, name, _, value in truth["init"]:
            ours = lines.get((direction, layer, kind, name))
            for count in (counts[family, direction], counts["all", direction]):
                if value is None:
                    continue
                if ours is None:
                    count[5] += 1
                if value == 0:
                    count[3] += 1
                    count[4] += ours == 0
                    continue
                count[0] += 1
                if not ours or not math.isfinite(ours):
                    continue
                ratio = abs(math.log(ours / value))
                count[1] += ratio <= math.log(2)
                count[2] += ratio <= math.log(10)
            if value:
                ratio = abs(math.log10(ours / value)) if ours and math.isfinite(ours) else 99.0
                if ratio > math.log10(2):
                    worst.append(
                        (ratio, f"{folder.name} {direction} {layer} {kind} {name}: Caffe {value:g}, ours {ours}")
                    )
    spent = time.process_time() - started
    print(f"{len(folders)} set-ups, {1000 * spent / max(1, len(folders)):.1f} ms each, reading included")
    print(
        f"{'family':15s} {'':9s} {'lines':>6s} {'within 2x':>10s} {'within 10x':>11s} {'zeros':>13s} {'not ours':>9s}"
    )
    for (family, direction), (total, two, ten, zeros, right, missing) in sorted(counts.items()):
        way = {"F": "forward", "B": "backward"}[direction]
        print(
            f"{family:15s} {way:9s} {total:6d} {two / max(1, total):10.2%} {ten / max(1, total):11.2%}"
            f" {right:6d}/{zeros:<6d} {missing:9d}"
        )
    if "-v" in sys.argv:
        for _, text in sorted(worst, reverse=True):
            print(text)


if __name__ == "__main__":
    main()
