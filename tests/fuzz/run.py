"""Fuzzes the targets, one after another, each in a process of its own, and appends what was run to RUNS.tsv.

    python tests/fuzz/run.py [--target log] [--seconds 600] [--executions 500000] [--seed 1]
    python tests/fuzz/run.py --totals

The seconds are shared by the targets; what one leaves goes to those after it. A target stops early when it has run often
enough and the last fifth of its executions reached no new edge: often enough are the --executions, or else what the runs in
the ledger leave of its goal. atheris mutates, guided by the edges of our bytecode. Inputs that reached something new are kept
in build/fuzz/TARGET/corpus, from which the next run starts, and crashes in build/fuzz/TARGET/crashes. At the end, the totals of
the ledger are printed, and with --totals only these. The exit status is 1 if something crashed.

One in 200 executions is held to the limits of its target, and each that takes much longer than the others. What is run is
imported and instrumented once, and each target is a fork of that process.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import hashlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from pathlib import Path
from typing import IO, Any

FOLDER = Path(__file__).resolve().parent
CHECKOUT = FOLDER.parent.parent
LEDGER = FOLDER / "RUNS.tsv"
_LIBFUZZER = re.compile(r"#(\d+)\s+(INITED|NEW|REDUCE|pulse|RELOAD|DONE)\s+cov: (\d+)")
_OURS = re.compile(r"fuzz: (\d+) executions, (\d+) crashes")
_REPORT_EVERY = 500
_LIMITS_EVERY = 200
_SLOW = 20  # times the mean: then an input is held to the limits, too
_INTERRUPTED = 72  # libFuzzer's exit status after Ctrl-C, and after SIGTERM (FuzzerOptions.h)
_WORD = re.compile(rb"[\w.-]{2,24}")
_MOST_WORDS = 300


def main() -> int:
    """Run the targets, each in a process."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--target", default="", help="one target alone, or several separated by commas")
    parser.add_argument("--seconds", type=float, default=600, help="for all targets together")
    parser.add_argument("--executions", type=int, default=0, help="stop a target after so many, if it finds nothing new")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--totals", action="store_true", help="print the totals of the ledger, and run nothing")
    arguments = parser.parse_args()
    sys.path[0] = str(FOLDER.parent)
    if arguments.totals:
        from fuzz.targets import TARGETS

        _print_totals(TARGETS)
        return 0
    with tempfile.TemporaryDirectory() as empty:
        TARGETS = _instrumented_targets()
        gc.freeze()  # what is imported stays
        here = os.getcwd()
        os.chdir(empty)  # where no file is that an input could name
        end = time.monotonic() + arguments.seconds
        names = arguments.target.split(",") if arguments.target else list(TARGETS)
        crashed = False
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the target, and ends the run after it
        with contextlib.suppress(KeyboardInterrupt):
            for number, name in enumerate(names):
                wanted = arguments.executions or max(TARGETS[name].goal - _totals()[name], 1)
                seconds = (end - time.monotonic()) / (len(names) - number)
                if seconds <= 0:
                    break
                crashed |= _run(name, TARGETS[name], seconds, wanted, arguments.seed)
        os.chdir(here)
    _print_totals(TARGETS)
    return 1 if crashed else 0


def _instrumented_targets() -> dict[str, Any]:
    from fuzz.edges import instrumented

    with instrumented():
        said, sys.stderr = sys.stderr, open(os.devnull, "w")  # noqa: SIM115 - a line for each module
        try:
            from fuzz.targets import TARGETS

            import caffe_lint.rule.registry

            caffe_lint.rule.registry.all_rules()
        finally:
            sys.stderr.close()
            sys.stderr = said
    return TARGETS


def _totals() -> Counter[str]:
    """Return how often each target was run, by the ledger."""
    totals: Counter[str] = Counter()
    for line in LEDGER.read_text().splitlines()[1:]:
        fields = line.split("\t")
        totals[fields[1]] += int(fields[3])
    return totals


def _print_totals(targets: dict[str, Any]) -> None:
    totals = _totals()
    for name, target in targets.items():
        print(f"{name:17} {totals[name]:9,} of {target.goal:9,} executions {min(totals[name] / target.goal, 1):5.0%}")
    reached = sum(totals[name] >= target.goal for name, target in targets.items())
    print(f"{reached} of {len(targets)} targets reached their goal")


def _run(name: str, target: Any, seconds: float, wanted: int, seed: int) -> bool:
    """Fuzz a target for some time, and print and keep what came of it; return whether something crashed.

    Raises KeyboardInterrupt, after that, if the target was interrupted.
    """
    started = time.monotonic()
    executions = edges = crashes = newest = status = 0
    enough = False
    seed_now = seed
    commit = _commit()
    while (left := seconds - (time.monotonic() - started)) > 0:
        child, output = _forked(name, target, seed_now, int(left) + 1)
        here = crashes_here = edges_here = 0
        last: list[str] = []
        for line in output:
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
            enough = total >= wanted and newest <= 0.8 * total
            if enough:
                os.kill(child, signal.SIGTERM)
                break
        output.close()
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        executions += here
        edges = max(edges, edges_here)
        crashes += crashes_here
        if enough or status in (0, _INTERRUPTED):
            break
        crashes += 1  # the process itself ended: a library crashed it
        sys.stderr.writelines(last)
        if not here:
            break
        seed_now += 1000
    print(f"{name}: {executions} executions, {edges} edges, the last new one at {newest}, {crashes} crashes", flush=True)
    with LEDGER.open("a") as ledger:
        ledger.write(f"{commit}\t{name}\t{seed}\t{executions}\t{edges}\t{newest}\t{crashes}\n")
    if status == _INTERRUPTED and not enough:
        raise KeyboardInterrupt
    return crashes > 0


def _forked(name: str, target: Any, seed: int, seconds: int) -> tuple[int, IO[str]]:
    """Fuzz a target in a fork of this process; return its id, and what it says."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        os.dup2(writing, 2)
        status = 1
        try:
            _fuzz(name, target, seed, seconds)
            status = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(status)  # what this process clears up at its end is still in use
    os.close(writing)
    return child, os.fdopen(reading, errors="replace")


def _commit() -> str:
    commit = _git("rev-parse", "--short=10", "HEAD")
    if _git("status", "--porcelain", "--", ":/", f":(exclude,top){LEDGER.relative_to(CHECKOUT)}"):
        commit += "-dirty"
    return commit or "-"


def _git(*arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=CHECKOUT, capture_output=True, text=True, check=False).stdout.strip()


def _fuzz(name: str, target: Any, seed: int, seconds: int) -> None:
    """Fuzz a target in this process until its time is over."""
    import atheris  # of the extra `fuzz`
    from fuzz.edges import forget, probe, tell_new
    from fuzz.limits import within

    folder = CHECKOUT / "build" / "fuzz" / name
    shutil.rmtree(folder / "seeds", ignore_errors=True)
    for part in ("seeds", "corpus", "crashes"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    words: dict[bytes, None] = {}
    for number, content in enumerate(target.seeds()):
        (folder / "seeds" / str(number)).write_bytes(content)
        words.update(dict.fromkeys(_WORD.findall(content)))
    quoted = ("".join(f"\\x{byte:02x}" for byte in word) for word in list(words)[:_MOST_WORDS])
    (folder / "words").write_text("".join(f'"{word}"\n' for word in quoted))
    warnings.simplefilter("error", RuntimeWarning)  # numpy's, which would be shown to the user
    said = os.fdopen(os.dup(2), "w", buffering=1)
    known: set[Any] = set()
    executions = 0
    clock = time.process_time
    usual = 1.0

    def run(content: bytes) -> None:
        nonlocal executions, usual
        executions += 1
        try:
            started = clock()
            target.run(content)
            spent = clock() - started
            if executions % _LIMITS_EVERY == 0 or spent > _SLOW * usual:
                within(target.limits, len(content), lambda: target.run(content), probe)
            usual += (spent - usual) / min(executions, 1000)
        except Exception as error:
            before = len(known)
            _keep(folder / "crashes", content, error, known)
            new = len(known) > before
        else:
            new = False
        tell_new()
        if new or executions % _REPORT_EVERY == 0:
            said.write(f"fuzz: {executions} executions, {len(known)} crashes\n")

    options = [f"-seed={seed}", f"-max_len={target.longest}", f"-max_total_time={seconds}", "-timeout=120"]
    options += [f"-dict={folder / 'words'}"] if words else []
    options += ["-rss_limit_mb=3000", f"-artifact_prefix={folder / 'crashes'}/", str(folder / "corpus"), str(folder / "seeds")]
    forget()
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
