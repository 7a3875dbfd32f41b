"""Kills `caffe-lint --fix` again and again while it writes: each file stays whole, and the next run removes what was left.

    python tests/kill_loop.py [--rounds 300] [--seed 1]

It prints in how many rounds the run was killed between its first and its last write, and in how many a temporary file was left.
The exit status is 1 if a file was neither its old nor its new text, or if something was left after the last run. The tests kill a
few runs in the same way (test_ending.py).
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from test_ending import FIXED, NET, is_whole, start, wait_for

FILES = 150


def main() -> int:
    """Kill the runs and print what became of the files."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    interrupted = left = broken = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for _ in range(arguments.rounds):
            _kill_one(folder, chance)
            fixed = sum(path.read_text() == FIXED for path in folder.glob("*.prototxt"))
            interrupted += 0 < fixed < FILES
            left += len(_leftovers(folder)) > 0
            broken += not is_whole(folder)
        start(folder, ".", "--fix").communicate(timeout=120)
        is_clean = not _leftovers(folder) and all(path.read_text() == FIXED for path in folder.glob("*.prototxt"))
    print(f"{arguments.rounds} rounds: {interrupted} killed while writing, {left} left a temporary file, {broken} broke a file")
    print("the last run fixed all files and removed all that was left" if is_clean else "something was left after the last run")
    return 0 if is_clean and not broken else 1


def _kill_one(folder: Path, chance: random.Random) -> None:
    """Start a run on files to be fixed, and kill it some time after its first write."""
    for number in range(FILES):
        (folder / f"{number}.prototxt").write_text(NET)
    first = folder / "0.prototxt"
    process = start(folder, ".", "--fix")
    wait_for(lambda: first.read_text() == FIXED or process.poll() is not None, 60)
    time.sleep(chance.random() / 20)
    process.kill()
    process.communicate()


def _leftovers(folder: Path) -> list[Path]:
    return list(folder.glob(".caffe-lint-*"))


if __name__ == "__main__":
    sys.exit(main())
