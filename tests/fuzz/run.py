"""Fuzzes the targets, one after another, each in a process of its own, and appends what was run to RUNS.tsv.

    python tests/fuzz/run.py [--target log] [--seconds 600] [--executions 500000] [--seed 1]

The seconds are shared by the targets. With --executions, a target stops when it has run so often and the last fifth of
its executions reached no new edge. atheris guides by the edges of our bytecode. Inputs that reached something new are
kept in build/fuzz/TARGET/corpus, from which the next run starts, and crashes in build/fuzz/TARGET/crashes. The exit
status is 1 if something crashed.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path
from typing import IO, Any

FOLDER = Path(__file__).resolve().parent
CHECKOUT = FOLDER.parent.parent
LEDGER = FOLDER / "RUNS.tsv"
_LIBFUZZER = re.compile(r"#(\d+)\s+(INITED|NEW|REDUCE|pulse|RELOAD|DONE)\s+cov: (\d+)")
_OURS = re.compile(r"fuzz: (\d+) executions, (\d+) crashes")
_REPORT_EVERY = 500
_LIMITS_EVERY = 50  # one in so many executions is also held to the limits, which take longer to measure


def main() -> int:
    """Run the targets, each in a process."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--target", default="", help="one target alone, or several separated by commas")
    parser.add_argument("--seconds", type=float, default=600, help="for all targets together")
    parser.add_argument("--executions", type=int, default=0, help="stop a target after so many, if it finds nothing new")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        _fuzz(arguments.child, arguments.seed)
        return 0
    names = arguments.target.split(",") if arguments.target else subprocess.run(
        [sys.executable, __file__, "--child", "list"], check=True, capture_output=True, text=True
    ).stdout.split()  # fmt: skip
    crashed = False
    for name in names:
        crashed |= _run(name, arguments.seconds / len(names), arguments.executions, arguments.seed)
    return 1 if crashed else 0


def _run(name: str, seconds: float, wanted: int, seed: int) -> bool:
    """Fuzz a target for some time, and print and keep what came of it; return whether something crashed."""
    started = time.monotonic()
    executions = edges = crashes = newest = 0
    seed_now = seed
    while (left := seconds - (time.monotonic() - started)) > 0:
        child = subprocess.Popen(
            [sys.executable, __file__, "--child", name, "--seed", str(seed_now)],
            stderr=subprocess.PIPE, text=True, errors="replace", env={**os.environ, "FUZZ_SECONDS": str(int(left) + 1)},
        )  # fmt: skip
        assert child.stderr is not None
        here = crashes_here = edges_here = 0
        last: list[str] = []
        for line in child.stderr:
            if found := _OURS.match(line):
                here, crashes_here = int(found[1]), int(found[2])
            elif found := _LIBFUZZER.match(line):
                here = max(here, int(found[1]))
                if int(found[3]) > edges_here:
                    edges_here = int(found[3])
                    newest = executions + here if edges_here > edges else newest
            else:
                last = [*last[-20:], line]
            total = executions + here
            if wanted and total >= wanted and newest <= 0.8 * total:
                child.terminate()
                break
        child.stderr.close()
        status = child.wait()
        executions += here
        edges = max(edges, edges_here)
        crashes += crashes_here
        if status == 0 or (wanted and executions >= wanted and newest <= 0.8 * executions):
            break
        crashes += 1  # the process itself ended: a library crashed it
        sys.stderr.writelines(last)
        if not here:
            break
        seed_now += 1000
    print(f"{name}: {executions} executions, {edges} edges, the last new one at {newest}, {crashes} crashes", flush=True)
    commit = _git("rev-parse", "--short=10", "HEAD")
    if _git("status", "--porcelain", "--", ":/", f":(exclude,top){LEDGER.relative_to(CHECKOUT)}"):
        commit += "-dirty"
    with LEDGER.open("a") as ledger:
        ledger.write(f"{commit or '-'}\t{name}\t{seed}\t{executions}\t{edges}\t{newest}\t{crashes}\n")
    return crashes > 0


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=False).stdout.strip()


def _fuzz(name: str, seed: int) -> None:
    """Fuzz a target in this process until its time is over."""
    sys.path[0] = str(FOLDER.parent)
    if name == "list":
        from fuzz.targets import TARGETS

        print(*TARGETS)
        return
    import atheris  # of the extra `fuzz`

    with atheris.instrument_imports(include=["caffe_lint"]):
        from fuzz.limits import within
        from fuzz.targets import TARGETS

        import caffe_lint.rule.registry

        caffe_lint.rule.registry.all_rules()
    target = TARGETS[name]
    folder = CHECKOUT / "build" / "fuzz" / name
    shutil.rmtree(folder / "seeds", ignore_errors=True)
    for part in ("seeds", "corpus", "crashes"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    for number, content in enumerate(target.seeds()):
        (folder / "seeds" / str(number)).write_bytes(content)
    warnings.simplefilter("error", RuntimeWarning)  # numpy's, which would be shown to the user
    empty = tempfile.TemporaryDirectory()
    os.chdir(empty.name)  # where no file is that an input could name
    said = os.fdopen(os.dup(2), "w", buffering=1)
    known: set[Any] = set()
    executions = 0

    def run(content: bytes) -> None:
        nonlocal executions
        executions += 1
        try:
            if executions % _LIMITS_EVERY:
                target.run(content)
            else:
                within(target.limits, len(content), lambda: target.run(content))
        except Exception as error:
            before = len(known)
            _keep(folder / "crashes", content, error, known)
            new = len(known) > before
        else:
            new = False
        if new or executions % _REPORT_EVERY == 0:
            said.write(f"fuzz: {executions} executions, {len(known)} crashes\n")

    options = [f"-seed={seed}", f"-max_len={target.longest}", f"-max_total_time={os.environ['FUZZ_SECONDS']}", "-timeout=120"]
    options += ["-rss_limit_mb=3000", f"-artifact_prefix={folder / 'crashes'}/", str(folder / "corpus"), str(folder / "seeds")]
    atheris.Setup([sys.argv[0], *options], run)
    atheris.Fuzz()


def _keep(folder: Path, content: bytes, error: Exception, known: set[Any]) -> None:
    """Keep an input that crashed, unless another one did at the same place."""
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "caffe_lint" in frame.filename or CHECKOUT.as_posix() in frame.filename]
    place = (type(error).__name__, *((frame.filename, frame.lineno) for frame in ours[-2:]))
    if place in known:
        return
    known.add(place)
    name = hashlib.sha1(repr(place).encode()).hexdigest()[:12]
    (folder / name).write_bytes(content)
    with (folder / f"{name}.txt").open("w") as report:
        _report(report, content, error)


def _report(report: IO[str], content: bytes, error: Exception) -> None:
    report.write(f"{content[:2000]!r}\n\n")
    traceback.print_exception(error, file=report)


if __name__ == "__main__":
    sys.exit(main())
