"""How long reading and judging a large log takes, as ratios in one run, and how much memory.

    python benchmarks/log_speed.py [--megabytes 1024]

Writes a log with debug_info of one long training (a net of 60 layers), then times on it: `grep -c nan`,
`caffe-lint
log`, and a regular expression on every line in Python, as Caffe's own tools/extra/parse_log.py works (on a
part).
"""

from __future__ import annotations

import argparse
import re
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

LAYERS = 60
PART = 64 << 20  # of the log that the expression in Python is timed on


def write_log(path: Path, size: int) -> None:
    """A log of a training that goes well: as much of it as `size` bytes hold."""
    head = "I1122 06:57:08.794001 27293 {source}] {text}\n"
    forward = [("data", "data"), ("data", "label"), *((f"conv{i}", f"conv{i}") for i in range(LAYERS))]
    written = 0
    with path.open("w", encoding="ascii") as file:
        file.write(head.format(source="caffe.cpp:239", text="Starting Optimization"))
        iteration = 0
        while written < size:
            lines = []
            for layer, blob in forward:
                lines.append(
                    ("net.cpp:593", f"    [Forward] Layer {layer}, top blob {blob} data: 0.{iteration % 900 + 100}")
                )
                if layer != "data":
                    param = f"    [Forward] Layer {layer}, param blob"
                    lines += [("net.cpp:605", f"{param} {number} data: 0.0414{number}") for number in "01"]
            for layer, blob in reversed(forward[2:]):
                lines.append(
                    ("net.cpp:619", f"    [Backward] Layer {layer}, bottom blob {blob} diff: 0.00021{iteration % 90}")
                )
                param = f"    [Backward] Layer {layer}, param blob"
                lines += [("net.cpp:630", f"{param} {number} diff: 0.00328{number}") for number in "01"]
            norms = f"L1 norm = (13971.6, 516.2); L2 norm = (24.3, 1.{iteration % 900 + 100})"
            lines.append(("net.cpp:650", f"    [Backward] All net params (data, diff): {norms}"))
            loss = 2.3 / (1 + iteration / 1000)
            lines.append(("solver.cpp:239", f"Iteration {iteration} (25 iter/s, 0.04s/1 iters), loss = {loss:.6g}"))
            lines.append(("solver.cpp:258", f"    Train net output #0: loss = {loss:.6g} (* 1 = {loss:.6g} loss)"))
            lines.append(("sgd_solver.cpp:112", f"Iteration {iteration}, lr = 0.01"))
            block = "".join(head.format(source=source, text=text) for source, text in lines)
            file.write(block)
            written += len(block)
            iteration += 1


def timed(command: list[str]) -> float:
    """Seconds that a command takes; its output is dropped."""
    start = time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
    return time.perf_counter() - start


def by_expressions(path: Path) -> float:
    """Seconds for `PART` bytes, line by line, scaled to the whole."""
    loss = re.compile(r"Iteration (\d+).*loss = ([\.\deE+-]+|nan|inf)")
    debug = re.compile(
        r"\[(Forward|Backward)\] Layer (\S+), (\w+) blob (\S+) (data|diff): "
        r"([\.\deE+-]+|nan|inf)"
    )
    start = time.perf_counter()
    read = 0
    with path.open(encoding="ascii") as file:
        for line in file:
            found = loss.search(line) or debug.search(line)
            read += len(line)
            if found is not None:
                float(found[found.re.groups])
            if read > PART:
                break
    return (time.perf_counter() - start) * path.stat().st_size / max(read, 1)


def main() -> None:
    """Prints the ratios."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--megabytes", type=int, default=1024)
    size = options.parse_args().megabytes << 20
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "train.log"
        write_log(path, size)
        timed(["cat", str(path)])  # into the system's cache
        grep = timed(["grep", "-c", "nan", str(path)])
        ours = timed([sys.executable, "-m", "caffe_lint", "log", str(path)])
        memory = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        expressions = by_expressions(path)
        print(f"log {size >> 20} MB; grep -c nan {grep:.2f} s; caffe-lint log {ours:.2f} s, {memory:.0f} MB of memory")
        print(
            f"caffe-lint / grep {ours / grep:.1f} (at most 12); expressions in Python / caffe-lint "
            f"{expressions / ours:.1f}"
        )


if __name__ == "__main__":
    main()
