"""How fast the linter is, against protobuf's own parser, against importing its libraries, and as nets grow.

    python benchmarks/speed.py [--corpus ../shared/corpus] [--sample 200] [--part a --part b --part c --part d --part e]

All numbers are ratios of two things measured in turns in one run, so they carry over to other machines.
Times are the processor's, the least of several: what else runs on the machine makes them longer, not shorter.
For whole processes the clock's times are shown as well; both are medians there.
"""

from __future__ import annotations

import argparse
import functools
import gc
import math
import os
import platform
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Container, Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import google.protobuf
from google.protobuf import text_format
from google.protobuf.internal import api_implementation
from google.protobuf.message import Message

from caffe_lint.engine.files_in_memory import Files
from caffe_lint.engine.grouping import find_units
from caffe_lint.engine.unit_check import check_unit
from caffe_lint.proto import caffe_pb2
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.settings.settings import Settings
from caffe_lint.source.files import SourceFile

SUFFIXES = (".prototxt", ".pbtxt", ".prototxt.txt")

LONG = 0.1  # seconds

SMALL_SOLVER = """\
net: "train_val.prototxt"
test_iter: 100
test_interval: 500
base_lr: 0.01
momentum: 0.9
weight_decay: 0.0005
clip_gradients: 10
lr_policy: "inv"
gamma: 0.0001
power: 0.75
display: 100
max_iter: 10000
snapshot: 5000
snapshot_prefix: "lenet"
solver_mode: GPU
"""


def least_times(*works: Callable[[], object], repeats: int) -> list[float]:
    """The least seconds of the processor that each work takes; done in turns, garbage collected before each.

    Works that take long together are repeated less often: what disturbs them is a small part of that time.
    """
    best = [math.inf] * len(works)
    begun = time.process_time()
    for number in range(repeats):
        if number and time.process_time() - begun > LONG:
            break
        gc.collect()
        for index, work in enumerate(works):
            start = time.process_time()
            work()
            best[index] = min(best[index], time.process_time() - start)
    return best


def lint(path: str, source: bytes) -> None:
    """All that `caffe-lint path` does between reading the file and printing."""
    files = Files(caffe_schema(), None)
    files.add(path, source)
    for unit in find_units([path], files, [], []):
        check_unit(unit, files, Settings())


class Timed(NamedTuple):
    """Seconds for a file: the linter's, and those of protobuf's own parser."""

    path: str
    ours: float
    stock: float

    @property
    def ratio(self) -> float:
        return self.ours / self.stock


def timed(path: str, source: bytes, folder: str, repeats: int) -> Timed | None:
    """Both times for a file, or None if protobuf's parser refuses it or it is neither a solver nor a net."""
    kind = SourceFile(path, source, caffe_schema(), None).kind
    if kind == "other":
        return None
    message_class: type[Message] = caffe_pb2.SolverParameter if kind == "solver" else caffe_pb2.NetParameter
    # As if it stood in an empty folder: a solver's nets are files of their own, with times of their own.
    alone = os.path.join(folder, os.path.basename(path))
    try:
        stock, ours = least_times(
            lambda: text_format.Parse(source, message_class()), lambda: lint(alone, source), repeats=repeats
        )
    except (text_format.ParseError, UnicodeDecodeError):
        return None
    return Timed(path, ours, stock)


def against_stock_parser(corpus: Path, sample: int | None, repeats: int) -> None:
    """(a): parse, bind and check, against `text_format.Parse` of the same bytes.

    Files of the whole corpus are timed once each, since what disturbs the one is little among two thousand.
    """
    print("(a) the whole check of a file / google.protobuf.text_format.Parse of it; goal: at most 1.0")
    with tempfile.TemporaryDirectory() as folder:
        if corpus.is_dir():
            paths = sorted(str(path) for path in corpus.rglob("*") if path.name.endswith(SUFFIXES))
            if sample is not None:
                paths = random.Random(1).sample(paths, min(sample, len(paths)))
            times = repeats if sample is not None else 1
            results = [timed(path, Path(path).read_bytes(), folder, times) for path in paths]
            done = [result for result in results if result is not None]
            print(f"    corpus: {len(done)} of {len(paths)} files, those that both can read")
            _print_ratios("all", done)
            _print_ratios("solvers", [result for result in done if "solver" in os.path.basename(result.path)])
            _print_ratios("over 50 ms in stock", [result for result in done if result.stock > 0.05])
            worst = max(done, key=lambda result: result.ratio)
            print(f"    worst: {worst.ratio:.2f}  {worst.path}")
        else:
            print(f"    {corpus} is not there: no corpus")
        for layers in (60, 600):
            result = timed("net.prototxt", residual_net(layers).encode(), folder, repeats)
            assert result is not None
            _print_ratios(f"{layers}-layer net", [result])


def _print_ratios(what: str, results: list[Timed]) -> None:
    if not results:
        return
    ratios = sorted(result.ratio for result in results)
    ours, stock = sum(result.ours for result in results), sum(result.stock for result in results)
    line = f"    {what:20} {ours / stock:.2f}  ({ours * 1e3:.1f} ms / {stock * 1e3:.1f} ms)"
    if len(results) > 1:
        line += f"   by file: median {statistics.median(ratios):.2f}, p90 {ratios[int(0.9 * len(ratios))]:.2f}"
        line += f", at most 1.0 in {sum(ratio <= 1 for ratio in ratios) / len(ratios):.0%}"
    print(line, flush=True)


IMPORTS = "import click, google.protobuf.message_factory"
# Calls of the program on examples/digits by what follows the path, each with the most that it may take of the imports.
CALLS = (
    ("", 0.95),
    ("--output-format concise", 1.25),
    ("--diff", 2.5),
    ("--fix --output-dir patched", 2.5),
)


def processes(rounds: int) -> None:
    """(b): whole processes, started in turns, with all modules compiled beforehand."""
    print("(b) a whole process / importing click and protobuf, medians of processor time and of wall-clock time")
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": os.path.join(folder, "bytecode")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        program = os.path.join(os.path.dirname(sys.executable), "caffe-lint")
        digits = os.path.join(folder, "digits")
        shutil.copytree(Path(__file__).resolve().parent.parent / "examples" / "digits", digits)
        Path(folder, "solver.prototxt").write_text(SMALL_SOLVER, encoding="utf-8")
        solver = os.path.join(digits, "solver.prototxt")
        commands = {f"digits/solver.prototxt {options}".strip(): [program, solver, *options.split()] for options, _ in CALLS}
        commands["small-solver.prototxt"] = [program, os.path.join(folder, "solver.prototxt")]
        commands[IMPORTS] = [sys.executable, "-c", IMPORTS]
        commands["pass"] = [sys.executable, "-c", "pass"]
        times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
        for number in range(rounds + 2):
            for name, command in commands.items():
                taken = usage_of(command, environment, folder)
                if number >= 2:  # the first rounds compile
                    times[name].append(taken[:2])
    medians = {
        name: tuple(statistics.median(column) for column in zip(*taken, strict=True)) for name, taken in times.items()
    }
    limits = dict(zip(commands, (limit for _, limit in CALLS), strict=False))
    for name, (wall, cpu) in medians.items():
        line = f"    {name:52} {cpu * 1e3:6.1f} ms {wall * 1e3:6.1f} ms"
        if name != IMPORTS:
            line += f"   {cpu / medians[IMPORTS][1]:.2f} {wall / medians[IMPORTS][0]:.2f}"
        print(line + (f"   goal: at most {limits[name]}" if name in limits else ""))


def _seconds(paths: list[Path], read: Callable[[Path], object]) -> float:
    """The processor time of reading files, errors included."""
    start = time.process_time()
    for path in paths:
        with suppress(Exception):
            read(path)
    return time.process_time() - start


def _read_by(paths: list[Path], read: Callable[[Path], object]) -> list[Path]:
    """The files that a reader takes."""
    taken = []
    for path in paths:
        with suppress(Exception):
            read(path)
            taken.append(path)
    return taken


def _message_class(path: Path) -> type[Message]:
    with suppress(OSError):
        if SourceFile(str(path), path.read_bytes(), caffe_schema(), None).kind == "solver":
            return caffe_pb2.SolverParameter
    return caffe_pb2.NetParameter


def other_readers() -> dict[str, Callable[[Path], object]]:
    """Other libraries that read prototxt files, those that are installed."""
    found: dict[str, Callable[[Path], object]] = {}
    with suppress(ImportError):
        from prototxt_parser.prototxt import parse

        found["prototxt-parser"] = lambda path: parse(path.read_text(encoding="utf-8"))
    with suppress(ImportError):
        import cv2

        if hasattr(cv2.dnn, "readNetFromCaffe"):
            found["OpenCV's importer"] = lambda path: cv2.dnn.readNetFromCaffe(str(path))
    return found


def _prototxt_files(corpus: Path) -> list[Path]:
    return sorted(path for path in corpus.rglob("*") if path.name.endswith(SUFFIXES))


def _sampled(corpus: Path, sample: int, folder: Path) -> Path:
    """A folder with copies of about so many files of a corpus: all that is in every n-th of its folders with prototxt files."""
    files = _prototxt_files(corpus)
    folders = sorted({path.parent for path in files})
    for source in folders[:: max(1, round(len(files) / sample))]:
        target = folder / source.relative_to(corpus)
        target.mkdir(parents=True, exist_ok=True)
        for path in source.iterdir():
            if path.is_file():
                shutil.copy(path, target)
    return folder


def repository(corpus: Path, sample: int | None) -> None:
    """(e): a tree of files, and one job with a large net, with the goals for them."""
    if not corpus.is_dir():
        print(f"(e) {corpus} is not there: no corpus")
        return
    with tempfile.TemporaryDirectory() as folder:
        _repository(corpus if sample is None else _sampled(corpus, sample, Path(folder)))


def _repository(corpus: Path) -> None:
    program = os.path.join(os.path.dirname(sys.executable), "caffe-lint")
    paths = _prototxt_files(corpus)
    size = sum(path.stat().st_size for path in paths) / 1e6
    print(f"(e) a tree of {len(paths)} files, {size:.0f} MB; load {os.getloadavg()[0]:.1f}", flush=True)
    classes = {path: _message_class(path) for path in paths}

    def stock(path: Path) -> Message:
        return text_format.Parse(path.read_bytes(), classes[path](), allow_unknown_field=True)

    parsing = _seconds(paths, stock)
    check = [program, str(corpus), "--exit-zero", "--no-cache", "--jobs"]
    one, two = usage_of([*check, "1"]), usage_of([*check, "2"])
    listed = usage_of([*check, "1", "--output-format", "concise"])
    rows = [
        ("one process / protobuf's parser", f"{one.cpu / parsing:.2f}", "1.0", f"{one.cpu:.1f} s / {parsing:.1f} s"),
        ("the same for --output-format concise", f"{listed.cpu / parsing:.2f}", "", f"{listed.cpu:.1f} s"),
        ("memory of one process", f"{one.memory / 1e6:.0f} MB", "250 MB", ""),
        ("two processes / one, processor time", f"{two.cpu / one.cpu:.2f}", "1.15", f"{two.cpu:.1f} s"),
        ("one process / two, wall-clock time", f"{one.wall / two.wall:.2f}", "1.6 or more", f"{two.wall:.1f} s"),
    ]
    print(f"    load {os.getloadavg()[0]:.1f} after the first runs", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        kept = [program, str(corpus), "--exit-zero", "--jobs", "1", "--cache-dir", folder]
        first, again = usage_of(kept), usage_of(kept)
    rows.append(("an unchanged tree / its first check", f"{again.cpu / first.cpu:.0%}", "10%", ""))
    for report in ("people", "programs"):
        ours, theirs = large_job(with_verdict=report == "people")
        large = f"{ours * 1e3:.0f} ms / {theirs * 1e3:.0f} ms"
        rows.append((f"a 600-layer net with its solver, for {report}", f"{ours / theirs:.2f}", "1.0", large))
    for name, read in other_readers().items():
        taken = _read_by(paths[:: max(1, len(paths) // 200)], read)
        ratio = _seconds(taken, read) / _seconds(taken, stock) if taken else math.nan
        rows.append((f"{name} / protobuf's parser", f"{ratio:.2f}", "", f"{len(taken)} files that it takes"))
    for what, value, goal, note in rows:
        print(f"    {what:44} {value:>8}   {f'goal: {goal}' if goal else '':18} {note}", flush=True)


def large_job(*, with_verdict: bool) -> tuple[float, float]:
    """The least seconds of checking a solver with a net of 600 layers, signal included, and of parsing the two."""
    net = residual_net(600).encode()

    def check(folder: str) -> None:
        solver = os.path.join(folder, "solver.prototxt")
        files = Files(caffe_schema(), None)
        files.add(solver, SMALL_SOLVER.encode())
        files.add(os.path.join(folder, "train_val.prototxt"), net)
        files.with_verdicts = with_verdict
        for unit in find_units([solver], files, [], []):
            files.result(check_unit(unit, files, Settings()), (), [])
        files.take_nets_apart()

    def parse() -> None:
        text_format.Parse(SMALL_SOLVER, caffe_pb2.SolverParameter())
        text_format.Parse(net, caffe_pb2.NetParameter())

    with tempfile.TemporaryDirectory() as folder:  # outside of repositories, whose scripts may load weights
        check(folder)  # loads what computes the signal
        ours, stock = least_times(functools.partial(check, folder), parse, repeats=5)
    return ours, stock


CALL = "from caffe_lint.cli.main import main; main()"
TYPING = "import typing; from caffe_lint.proto import named_tuple; named_tuple.NamedTuple = typing.NamedTuple; "


def named_tuples(rounds: int) -> None:
    """(d): the paths-only call with the named tuples of `typing` in the place of ours, in turns."""
    print("(d) a small check with typing.NamedTuple / with proto/named_tuple.py, medians of processor time")
    digits = str(Path(__file__).resolve().parent.parent / "examples" / "digits" / "solver.prototxt")
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "PYTHONPYCACHEPREFIX": os.path.join(folder, "bytecode")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)
        times: tuple[list[float], list[float]] = ([], [])
        for number in range(rounds + 2):
            for taken, code in zip(times, (TYPING + CALL, CALL), strict=True):
                cpu = usage_of([sys.executable, "-c", code, digits], environment, folder).cpu
                if number >= 2:  # the first rounds compile
                    taken.append(cpu)
    theirs, ours = map(statistics.median, times)
    print(f"    {theirs / ours:.2f}  ({theirs * 1e3:.1f} ms / {ours * 1e3:.1f} ms)")


class Usage(NamedTuple):
    """What a process and those that it started took: seconds by clock and processor, and the peak bytes of the largest."""

    wall: float
    cpu: float
    memory: int


def usage_of(
    command: list[str],
    environment: dict[str, str] | None = None,
    folder: str | None = None,
    *,
    mapped: int | None = None,
    done: Container[int] = (0, 1),
) -> Usage:
    """What a command takes, which may map so many bytes. Statuses 0 and 1 are the linter's work done."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
        preexec_fn=None if mapped is None else lambda: resource.setrlimit(resource.RLIMIT_AS, (mapped, mapped)),
    )  # fmt: skip
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in done:
        raise SystemExit(f"{' '.join(command)} ended with status {process.returncode}")
    return Usage(time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024)


def growth(repeats: int) -> None:
    """(c): the whole check of ever longer nets; the exponent is that of the power law fitted to the times."""
    print("(c) the whole check of longer nets; goal: an exponent of 1")
    sizes = (1_000, 2_000, 5_000, 10_000, 20_000)
    for name, generate in (("residual chain", residual_net), ("one Concat of all branches", wide_net)):
        points = []
        for layers in sizes:
            check = functools.partial(lint, "net.prototxt", generate(layers).encode())
            (seconds,) = least_times(check, repeats=repeats)
            points.append((layers, seconds))
            per_layer = seconds / layers * 1e6
            print(
                f"    {name}: {layers:6} layers  {seconds * 1e3:8.1f} ms  {per_layer:6.1f} us a layer",
                flush=True,
            )
        print(f"    {name}: time grows as layers^{exponent(points):.2f}")


def exponent(points: list[tuple[int, float]]) -> float:
    """The slope of the line through the logarithms, by least squares."""
    xs, ys = ([math.log(point[axis]) for point in points] for axis in (0, 1))
    x_mean, y_mean = statistics.fmean(xs), statistics.fmean(ys)
    return sum((x - x_mean) * (y - y_mean) for x, y in zip(xs, ys, strict=True)) / sum((x - x_mean) ** 2 for x in xs)


DATA_LAYER = """\
layer {
  name: "data"
  type: "ImageData"
  top: "data"
  top: "label"
  transform_param { scale: 0.0078125 mean_value: 128 }
  image_data_param { source: "train.txt" batch_size: 32 new_height: 64 new_width: 64 shuffle: true }
}
"""

HEAD = """\
layer {{
  name: "pool"
  type: "Pooling"
  bottom: "{blob}"
  top: "pool"
  pooling_param {{ pool: AVE global_pooling: true }}
}}
layer {{
  name: "score"
  type: "InnerProduct"
  bottom: "pool"
  top: "score"
  inner_product_param {{ num_output: 100 weight_filler {{ type: "xavier" }} }}
}}
layer {{ name: "loss" type: "SoftmaxWithLoss" bottom: "score" bottom: "label" top: "loss" }}
"""


def _convolution(name: str, bottom: str) -> str:
    return f"""\
layer {{
  name: "{name}"
  type: "Convolution"
  bottom: "{bottom}"
  top: "{name}"
  param {{ lr_mult: 1 decay_mult: 1 }}
  convolution_param {{
    num_output: 32
    kernel_size: 3
    pad: 1
    bias_term: false
    weight_filler {{ type: "msra" }}
  }}
}}
layer {{
  name: "{name}/bn"
  type: "BatchNorm"
  bottom: "{name}"
  top: "{name}"
}}
layer {{
  name: "{name}/scale"
  type: "Scale"
  bottom: "{name}"
  top: "{name}"
  scale_param {{ bias_term: true }}
}}
layer {{
  name: "{name}/relu"
  type: "ReLU"
  bottom: "{name}"
  top: "{name}"
}}
"""


def residual_net(layers: int) -> str:
    """The text of a net of about so many layers: blocks of two normalised convolutions and a shortcut."""
    pieces = ['name: "Residual"\n', DATA_LAYER, _convolution("stem", "data")]
    blob = "stem"
    for number in _blocks(layers, 9):
        first, second, top = f"block{number}/a", f"block{number}/b", f"block{number}"
        pieces += [_convolution(first, blob), _convolution(second, first)]
        pieces.append(f'layer {{ name: "{top}" type: "Eltwise" bottom: "{blob}" bottom: "{second}" top: "{top}" }}\n')
        blob = top
    return "".join(pieces) + HEAD.format(blob=blob)


def wide_net(layers: int) -> str:
    """A net of about so many layers: branches beside each other that all end in one Concat."""
    branches = [f"branch{number}" for number in _blocks(layers, 4)]
    pieces = ['name: "Wide"\n', DATA_LAYER, *(_convolution(branch, "data") for branch in branches)]
    bottoms = "".join(f'  bottom: "{branch}"\n' for branch in branches)
    pieces.append(f'layer {{\n  name: "join"\n  type: "Concat"\n{bottoms}  top: "join"\n}}\n')
    return "".join(pieces) + HEAD.format(blob="join")


def _blocks(layers: int, layers_of_a_block: int) -> Iterator[int]:
    return iter(range(max(1, round((layers - 8) / layers_of_a_block))))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    root = Path(__file__).resolve().parent.parent
    parser.add_argument("--corpus", type=Path, default=root.parent / "shared" / "corpus", help="folder of real files")
    parser.add_argument("--sample", type=int, help="take so many files of the corpus (about so many for part e), not all")
    parser.add_argument("--repeats", type=int, default=3, help="times each work is done")
    parser.add_argument("--rounds", type=int, default=20, help="times each process is started")
    parser.add_argument("--part", action="append", choices=("a", "b", "c", "d", "e"), help="only this part")
    arguments = parser.parse_args()
    parts = arguments.part or ["a", "b", "c", "d", "e"]
    implementation = f"protobuf {google.protobuf.__version__} ({api_implementation.Type()})"
    print(f"Python {platform.python_version()}, {implementation}, {os.cpu_count()} processors")
    # As the program sets it for itself (cli.main); it changes next to nothing for protobuf's parser. What a first check
    # loads is there to stay: without it each collection before a measurement would take longer than most measurements.
    lint("solver.prototxt", SMALL_SOLVER.encode())
    lint("net.prototxt", residual_net(60).encode())
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 20, 20)
    if "a" in parts:
        against_stock_parser(arguments.corpus, arguments.sample, arguments.repeats)
    if "b" in parts:
        processes(arguments.rounds)
    if "c" in parts:
        growth(arguments.repeats)
    if "d" in parts:
        named_tuples(arguments.rounds)
    if "e" in parts:
        repository(arguments.corpus, arguments.sample)


if __name__ == "__main__":
    main()
