"""What is said of excerpts of logs, as people paste them: nothing false of healthy trainings, the explosion of others.

    python benchmarks/log_excerpts.py [--misses]

Cuts random pieces of 5 to 300 lines out of the published logs of `../shared/logs`, all of trainings that went well or that
Caffe stopped, and counts what is reported beside T401, T501 and T502. From the trainings of `../shared/oracle/runs` whose loss
became NaN, it takes the last displayed iterations before that and two after, without `debug_info` and prefixes, and counts
how often a cause is named, how often T405 asks for more, and how often nothing is said. Last, it judges which curves are
said to swing.
"""

from __future__ import annotations

import json
import math
import random
import re
import sys
from collections import Counter
from pathlib import Path

from caffe_lint import rules  # noqa: F401 - registers them
from caffe_lint.engine.diagnosis import diagnose
from caffe_lint.training_log.causes import Diagnosed
from caffe_lint.training_log.course import swings
from caffe_lint.training_log.evidence import Evidence
from caffe_lint.training_log.log_reader import LogReader, blocks
from caffe_lint.training_log.runs import Run, Step

SHARED = Path(__file__).resolve().parent.parent.parent / "shared"
LENGTHS = (5, 8, 20, 60, 300)
PIECES = 12  # of each length and log
CURVES = 200  # that swing
EXPECTED = ("T401", "T501", "T502")
BEFORE, AFTER = (3, 8, 30), 2  # displayed iterations around the first NaN
_PREFIX = re.compile(rb"^[IWEF]\d+ [\d:.]+ +\d+ [\w.]+:\d+\] ", re.MULTILINE)


def said(text: bytes) -> list[Diagnosed]:
    """The causes found in a text."""
    reader = LogReader()
    reader.feed(text)
    return diagnose(reader.finish())


def healthy(misses: list[str]) -> str:
    """Judge pieces of published logs."""
    chance, pieces, false = random.Random(1), 0, 0
    for path in sorted((SHARED / "logs").rglob("*")):
        if not path.is_file() or path.suffix in (".tsv", ".md") or path.parent.name == "issues":
            continue
        lines = b"".join(blocks(str(path))).split(b"\n")
        for length in LENGTHS:
            for _ in range(PIECES):
                start = chance.randrange(max(1, len(lines) - length))
                wrong = [each for each in said(b"\n".join(lines[start : start + length]) + b"\n") if each.code not in EXPECTED]
                pieces += 1
                false += bool(wrong)
                misses += [f"{path.name}, {length} lines from {start}: {each.code} {each.cause.message}" for each in wrong]
    return f"pieces of healthy logs: {false} of {pieces} with something false"


def diverging(number: int, misses: list[str]) -> str:
    """Judge the iterations around the first NaN of the trainings of the oracle."""
    firsts: Counter[str] = Counter()
    for path in sorted((SHARED / "oracle" / "runs").glob("*/log.txt*")):
        lines = [line for line in b"".join(blocks(str(path))).split(b"\n") if re.search(rb"Iteration \d+ \(.*loss = |, lr = ", line)]
        bad = next((index for index, line in enumerate(lines) if re.search(rb"loss = -?(nan|inf)", line)), None)
        if bad is None:
            continue
        piece = b"\n".join(lines[max(0, bad - 2 * number) : bad + 2 * AFTER]) + b"\n"
        found = said(_PREFIX.sub(b"", piece))
        firsts[found[0].code if found else "nothing"] += 1
        misses += [f"{path.parent.name}: nothing"] if not found else []
    return f"{number} iterations before NaN: " + ", ".join(f"{code} {count}" for code, count in firsts.most_common())


def swinging(misses: list[str]) -> list[str]:
    """Judge whether curves that return are told from those that do not, by the thresholds of `training_log.course`.

    The curves that return are made up: losses around a level, with rises to 3.5 to 9 times the first one at random. Those that do
    not are of set-ups of `../shared/divergence` that exploded.
    """
    chance, returning = random.Random(2), 0
    for number in range(CURVES):
        level, height, share = chance.uniform(0.2, 1.2), chance.uniform(3.5, 9), chance.uniform(0.1, 0.35)
        losses = [1.0] + [
            (height if chance.random() < share else level) * math.exp(chance.gauss(0, 0.1)) for _ in range(chance.randint(30, 200))
        ]
        losses[-2:] = [level, level]
        found = swings(_log_of(losses))
        returning += found
        misses += [] if found else [f"swings of curve {number}: level {level:.2f}, height {height:.1f}"]
    exploded = taken = 0
    for path in sorted((SHARED / "divergence" / "dev").glob("*/truth.json")):
        truth = json.loads(path.read_text(encoding="utf-8"))
        if truth["label"] == "exploded" and all(loss is not None for loss in truth["curve"]):
            exploded += 1
            taken += swings(_log_of(truth["curve"]))
    return [f"swings found: {returning} of {CURVES}", f"explosions taken for swings: {taken} of {exploded}"]


def _log_of(losses: list[float]) -> Evidence:
    run = Run(1)
    for index, loss in enumerate(losses):
        run.steps.append(Step(10 * index, index + 1, loss, 0.01))
    return Evidence(run)


def main() -> None:
    """Print the numbers."""
    if not SHARED.exists():
        sys.exit("this needs ../shared beside the checkout")
    misses: list[str] = []
    print(healthy(misses))
    for number in BEFORE:
        print(diverging(number, misses))
    print("\n".join(swinging(misses)))
    if "--misses" in sys.argv:
        print("\n".join(misses))


if __name__ == "__main__":
    main()
