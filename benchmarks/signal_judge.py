"""How near the predicted signal of iteration 0 comes to what the real Caffe printed.

Run: python benchmarks/signal_judge.py [-v] [../shared/divergence]

For each set-up of `divergence/dev` the lines of `truth.json` are held against ours: the share within a factor
of 1.5, 2 and 10, where Caffe's are finite and not 0, and the share of exact zeros that are predicted as zeros. With -v,
the lines that differ by more than a factor of 2 are listed, the worst first.
"""

from __future__ import annotations

import json
import sys
import time
from collections import defaultdict
from pathlib import Path

from signal_rows import HEADER, WAYS, Tally, caffe_rows, job_of, predicted, worst

from caffe_lint.net.data_facts import read_facts
from caffe_lint.stability.signal.training import Training, training_of


def main() -> None:
    """Prints the shares, by family and for all."""
    arguments = [word for word in sys.argv[1:] if word != "-v"]
    root = Path(arguments[0] if arguments else "../shared/divergence")
    facts = read_facts(str(root / "data.json"))
    tallies: dict[tuple[str, str], Tally] = defaultdict(Tally)
    wrong: list[tuple[float, str]] = []
    started = time.process_time()
    folders = sorted(path.parent for path in (root / "dev").glob("*/truth.json"))
    for folder in folders:
        caffe = caffe_rows(json.loads((folder / "truth.json").read_text())["init"])
        training = training_of(job_of(folder, facts))
        assert isinstance(training, Training), folder
        ours = predicted(training).rows
        family = folder.name.rsplit("-", 1)[0]
        for key, value in caffe.items():
            for name in (family, "all"):
                tallies[name, WAYS[key[0]]].add(ours.get(key), value)
        wrong += [(factor, f"{folder.name} {text}") for factor, text in worst(ours, caffe, 2.0)]
    spent = time.process_time() - started
    print(f"{len(folders)} set-ups, {1000 * spent / max(1, len(folders)):.1f} ms each, reading included")
    print(f"{'family':15s} {'':9s} {HEADER}")
    for (family, way), tally in sorted(tallies.items()):
        print(f"{family:15s} {way:9s} {tally}")
    if "-v" in sys.argv:
        for _, text in sorted(wrong, reverse=True):
            print(text)


if __name__ == "__main__":
    main()
