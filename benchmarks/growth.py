"""How the time and the memory of a check grow with the size of a file, for files that have much of one thing.

Run: python benchmarks/growth.py [--size 2000] [--bytes 1200000] [--only-memory] [KIND ...]

Prints, for each kind of `tests/growing_inputs.py`, the processor time at SIZE pieces and at four times as many without that of
an empty file, and their ratio; then the peak memory of a check of a file of that many bytes without that of an empty file, as a
multiple of the file. Each check runs in a process of its own, which may map at most 8 GB. The exit status is 1 if a ratio is over
5, or the memory over 40 times the file. Times are the least of three; the load of the machine is printed.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "tests"))

from growing_inputs import KINDS
from speed import Usage, usage_of

MOST_GROWTH, MOST_MEMORY = 5.0, 40.0
MAPPED = 8_000_000_000
LEAST = 0.05  # seconds: growth from less is noise

def cost(folder: Path, text: str) -> Usage:
    """What a check takes in a process of its own; one that ends at a limit, with status 2, is done."""
    path = folder / "net.prototxt"
    path.write_text(text)
    command = [sys.executable, "-m", "caffe_lint", str(path), "--isolated", "--exit-zero", "--output-file", str(folder / "report")]
    return usage_of(command, mapped=MAPPED, done=(0, 2))


def main() -> int:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--size", type=int, default=2000)
    parser.add_argument("--bytes", type=int, default=1_200_000)
    parser.add_argument("--only-memory", action="store_true", help="measure no times")
    parser.add_argument("kinds", nargs="*", metavar="KIND")
    arguments = parser.parse_args()
    missed = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        base = [cost(folder, "# nothing\n") for _ in range(3)]
        start, empty = min(each.cpu for each in base), min(each.memory for each in base)
        print(f"load {os.getloadavg()[0]:.1f}, an empty file: {start:.2f} s, {empty / 1e6:.0f} MB")
        times = 0 if arguments.only_memory else 3
        print(f"{'kind':42} {'N s':>7} {'4N s':>7} {'ratio':>6} {'memory':>7}")
        for kind in arguments.kinds or KINDS:
            text = KINDS[kind]
            small, large = (
                min((cost(folder, text(size)).cpu - start for _ in range(times)), default=0.0)
                for size in (arguments.size, 4 * arguments.size)
            )
            ratio = large / max(small, LEAST)
            pieces = arguments.size * arguments.bytes // len(text(arguments.size).encode())
            whole = text(pieces)
            memory = (cost(folder, whole).memory - empty) / len(whole.encode())
            over = ratio > MOST_GROWTH or memory > MOST_MEMORY
            missed += over
            print(f"{kind:42} {small:7.2f} {large:7.2f} {ratio:6.1f} {memory:6.0f}x{' over' if over else ''}", flush=True)
    print(f"{missed} of {len(arguments.kinds or KINDS)} over {MOST_GROWTH:g}x the time or {MOST_MEMORY:g}x the file")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
