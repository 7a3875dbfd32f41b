"""Logs of any size are read, also with prefixes, truncated or interleaved lines."""

from __future__ import annotations

import gzip
import math
from collections.abc import Callable
from pathlib import Path

import pytest

from caffe_lint.training_log import log_lines as lines
from caffe_lint.training_log.log_reader import LogReader, Unreadable, read_log
from caffe_lint.training_log.runs import MIDDLE, Run, Thinned

PREFIX = "I1122 06:57:08.794001 27293 "


def glog(text: str, source: str = "solver.cpp:239", thread: int = 27293, severity: str = "I") -> str:
    return f"{severity}1122 06:57:08.794001 {thread} {source}] {text}\n"


def iteration(number: int, loss: str = "2.3", thread: int = 27293, diff: str = "0.01") -> str:
    """What Caffe prints with debug_info for one iteration of a tiny net."""
    return "".join(
        glog(text, source, thread)
        for source, text in (
            ("net.cpp:593", "    [Forward] Layer data, top blob data data: 0.5"),
            ("net.cpp:593", f"    [Forward] Layer ip, top blob ip data: {loss}"),
            ("net.cpp:605", "    [Forward] Layer ip, param blob 0 data: 0.1"),
            ("net.cpp:619", f"    [Backward] Layer loss, bottom blob ip diff: {diff}"),
            ("net.cpp:630", f"    [Backward] Layer ip, param blob 0 diff: {diff}"),
            (
                "net.cpp:650",
                f"    [Backward] All net params (data, diff): L1 norm = (1, {diff}); L2 norm = (2, {diff})",
            ),
            ("solver.cpp:239", f"Iteration {number} (-5.66405e-42 iter/s, 0.024s/1 iters), loss = {loss}"),
            ("solver.cpp:258", f"    Train net output #0: loss = {loss} (* 1 = {loss} loss)"),
            ("sgd_solver.cpp:112", f"Iteration {number}, lr = 0.01"),
        )
    )


def read(text: str | bytes, tmp_path: Path) -> list[Run]:
    path = tmp_path / "train.log"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_log(str(path))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (b"2.5", 2.5), (b"-5.6e-42", -5.6e-42), (b"inf", math.inf), (b"-inf", -math.inf), (b"1.#INF", math.inf),
        (b"-1.#INF00", -math.inf),
    ],
)  # fmt: skip
def test_numbers_are_read_as_cpp_prints_them(text: bytes, value: float) -> None:
    assert lines.number(text) == value


@pytest.mark.parametrize("text", [b"nan", b"-nan", b"-1.#IND", b"1.#QNAN", b"-nan(ind)"])
def test_every_spelling_of_nan_is_nan(text: bytes) -> None:
    assert math.isnan(lines.number(text))


@pytest.mark.parametrize(
    ("said", "event"),
    [
        ("Iteration 80 (7.03 iter/s, 2.84s/20 iters), loss = 316154", lines.Loss(80, 316154)),
        ("Iteration 360, loss = 0.535408", lines.Loss(360, 0.535408)),
        ("Iteration 380, lr = 0.001", lines.Rate(380, 0.001)),
        ("Iteration 2100, Testing net (#1)", lines.Testing(2100, 1)),
        ("    Test net output #1: loss = 2.3 (* 1 = 2.3 loss)", lines.Output("Test", 1, "loss", 2.3, 1)),
        ("    Train net output #1: output11 = 828.255", lines.Output("Train", 1, "output11", 828.255, None)),
        ("Test score #0: 0.067", lines.Output("Test", 0, "score 0", 0.067, None)),
        ("Optimization Done.", lines.Note("done", "Optimization Done.")),
        ("conv1 does not need backward computation.", lines.NoBackward("conv1")),
        (
            "    [debug_info] [Forward] Layer mnist, top blob data data: 7065.09 (0.140806)",
            lines.Debug("Forward", "mnist", "top", "data", "data", 0.140806),
        ),
        (
            "    [Update] Layer conv1, param 0 data: 0.1; diff: 0.002",
            lines.Debug("Update", "conv1", "param", "0", "diff", 0.002),
        ),
        (
            "Gradient clipping: scaling down gradients (L2 norm 14.7 > 10) by scale factor 0.68",
            lines.Clipping(14.7, 10),
        ),
    ],
)
def test_the_formats_of_forks_and_versions(said: str, event: lines.Event) -> None:
    assert lines.event(lines.message(glog(said).rstrip().encode())) == event


def test_values_and_lines_of_a_pass(tmp_path: Path) -> None:
    (run,) = read(iteration(0) + iteration(1, "nan"), tmp_path)
    assert [step.iteration for step in run.steps] == [0, 1]
    first = next(iter(run.steps))
    assert (first.rate, first.outputs[0].name, first.line) == (0.01, "loss", 7)
    bad = run.passes.bad
    assert bad is not None
    assert bad.iteration == 1
    value = next(value for value in bad if not value.finite)
    assert (value.key.layer, value.key.blob, value.line) == ("ip", "ip", 11)


@pytest.mark.parametrize("newline", ["\n", "\r\n"])
@pytest.mark.parametrize("wrapping", ["", "[1,0]<stderr>:", "train> "])
def test_prefixes_and_line_endings_do_not_matter(newline: str, wrapping: str, tmp_path: Path) -> None:
    text = "".join(wrapping + line + newline for line in (iteration(0) + iteration(1, "-nan")).splitlines())
    (run,) = read(text, tmp_path)
    assert len(run.steps) == 2
    assert run.passes.bad is not None
    assert run.passes.bad.iteration == 1


def prefixed(text: str, prefix: Callable[[int], str], end: str = "\n") -> str:
    """A log with a prefix before each line, which may change from line to line, and another line ending."""
    return "".join(f"{prefix(number)}{line}{end}" for number, line in enumerate(text.splitlines(), 1))


HEADER = glog("Initializing solver from parameters: ") + "base_lr: 0.5\nmax_iter: 60\n" + glog("Creating layer data", "net.cpp:84")
PREFIXES: dict[str, Callable[[int], str]] = {
    "docker logs -t": lambda n: f"2018-03-01T00:{n // 60:02}:{n % 60:02}.{n:09}Z ",
    "Jenkins": lambda n: f"[2018-03-01T00:{n // 60:02}:{n % 60:02}.{n:03}Z] ",
    "ts": lambda n: f"{('Feb', 'Mar')[n > 9]} {n % 28 + 1:02} 00:00:{n % 60:02} ",
    "ts with seconds": lambda n: f"{n}.{n % 100:02} ",
    "syslog": lambda n: f"Mar {n % 28 + 1:2} 00:00:{n % 60:02} node7 caffe[2211]: ",
    "cat -n": lambda n: f"{n:6}\t",
    "grep -n": lambda n: f"{n}:",
    "grep -Hn": lambda n: f"train.log:{n}:",
    "MPI": lambda n: "[1,0]<stderr>:",
    "docker compose": lambda n: "trainer_1  | ",
    "colours": lambda n: "\x1b[32m\x1b[0m",
}


@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES)
def test_a_prefix_that_changes_from_line_to_line_is_not_another_process(prefix: Callable[[int], str], tmp_path: Path) -> None:
    text = HEADER + iteration(0) + iteration(1, "nan") + "Killed\n"
    (plain,), (run,) = read(text, tmp_path), read(prefixed(text, prefix), tmp_path)
    assert run.solver_text == plain.solver_text == b"base_lr: 0.5\nmax_iter: 60\n"
    assert str(list(run.steps)) == str(list(plain.steps))
    assert run.passes.bad is not None
    assert [(note.kind, note.text) for note in run.notes] == [("crashed", "Killed")]


def test_processes_of_one_thread_number_are_told_apart_by_their_rank(tmp_path: Path) -> None:
    pairs = zip((HEADER + iteration(0)).splitlines(), (HEADER.replace("0.5", "0.7") + iteration(0, "9")).splitlines(), strict=True)
    runs = read("".join(f"worker-0 | {first}\nworker-1 | {second}\n" for first, second in pairs), tmp_path)
    assert [[step.loss for step in run.steps] for run in runs] == [[2.3], [9]]
    assert [run.solver_text for run in runs] == [b"base_lr: 0.5\nmax_iter: 60\n", b"base_lr: 0.7\nmax_iter: 60\n"]


@pytest.mark.parametrize("end", [" \n", "\t \n", "\r\r\n", "`\n", "<br />\n", "\x1b[0m\n", "\x1b[0m\r\n"])
@pytest.mark.parametrize("nan", ["nan", "-nan", "-nan(ind)", "-1.#IND", "inf"])
def test_what_stands_before_the_end_of_a_line_hides_no_nan(nan: str, end: str, tmp_path: Path) -> None:
    text = iteration(0) + iteration(1, diff=nan)
    (run,) = read(prefixed(text, lambda number: "", end), tmp_path)
    assert run.passes.bad is not None
    assert run.passes.bad.iteration == 1
    assert [value.key.layer for value in run.passes.bad if not value.finite] == ["loss", "ip"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_a_log_that_powershell_wrote_is_read(encoding: str, tmp_path: Path) -> None:
    mark = b"" if encoding == "utf-16" else b"\xfe\xff"
    content = mark + iteration(0).replace("\n", "\r\n").encode(encoding)
    for end in (len(content), len(content) - 1, len(content) - 31):
        (run,) = read(content[:end], tmp_path)
        assert len(run.steps) == 1


def test_debug_info_that_lost_its_prefix_is_read(tmp_path: Path) -> None:
    text = "".join(line.replace(line[: line.index("]")], "I1109 ...") + "\n" for line in iteration(0, "nan").splitlines())
    (run,) = read(text, tmp_path)
    assert run.passes.bad is not None
    assert [value.key.layer for value in run.passes.bad if not value.finite] == ["ip"]


def test_a_solver_that_one_thread_builds_and_another_trains_is_one_run(tmp_path: Path) -> None:
    (run,) = read(HEADER + iteration(0, thread=31) + iteration(1, thread=31), tmp_path)
    assert (run.solver_text, len(run.steps), run.first_line) == (b"base_lr: 0.5\nmax_iter: 60\n", 2, 1)


def test_what_ran_before_the_training_is_not_its_end(tmp_path: Path) -> None:
    (run,) = read("Note: lower the batch if out of memory\n" + iteration(0), tmp_path)
    assert run.notes == []


TRACEBACK = 'Traceback (most recent call last):\n  File "tools/solver/layer.py", line 7, in forward\n    x = a[b]\n'


def test_what_python_raised_is_noted_with_its_place(tmp_path: Path) -> None:
    (run,) = read(f"{iteration(0)}{TRACEBACK}IndexError: out of range\n", tmp_path)
    assert [(note.kind, note.text, note.source) for note in run.notes] == [("raised", "IndexError: out of range", "layer.py:7")]
    (alone,) = read(f"{TRACEBACK}numpy.linalg.LinAlgError: singular\n", tmp_path)
    assert alone.recognised
    (cut,) = read(f"{iteration(0)}{TRACEBACK}", tmp_path)
    assert cut.notes == []


def test_a_truncated_log_is_read(tmp_path: Path) -> None:
    text = iteration(0) + iteration(1)
    for end in range(0, len(text), 37):
        for run in read(text[:end], tmp_path):
            assert [step.iteration for step in run.steps] in ([], [0], [0, 1])


def test_bytes_that_are_not_text_are_skipped(tmp_path: Path) -> None:
    (run,) = read(iteration(0).encode() + b"\xff\xfe\x00 Layer \x80\n" + iteration(1).encode(), tmp_path)
    assert len(run.steps) == 2


def test_consecutive_runs_are_separated(tmp_path: Path) -> None:
    runs = read(iteration(0) + iteration(1) + iteration(0) + iteration(1) + iteration(2), tmp_path)
    assert [(run.number, len(run.steps)) for run in runs] == [(1, 2), (2, 3)]


def test_interleaved_ranks_are_separated(tmp_path: Path) -> None:
    pairs = zip(
        (iteration(0) + iteration(1)).splitlines(),
        (iteration(0, "9", 31) + iteration(1, "9", 31)).splitlines(),
        strict=True,
    )
    runs = read("".join(f"{first}\n{second}\n" for first, second in pairs), tmp_path)
    assert [[step.loss for step in run.steps] for run in runs] == [[2.3, 2.3], [9, 9]]
    assert [run.passes.count for run in runs] == [2, 2]


def test_the_header_gives_solver_and_net(tmp_path: Path) -> None:
    text = (
        glog("Initializing solver from parameters: ") + "base_lr: 0.5\nmax_iter: 60\n"
        + glog("Initializing net from parameters: ") + 'layer { name: "data" type: "Input" top: "data" '
        '}\n' + iteration(0)
    )  # fmt: skip
    (run,) = read(text, tmp_path)
    assert run.solver_text == b"base_lr: 0.5\nmax_iter: 60\n"
    assert run.net_texts == [b'layer { name: "data" type: "Input" top: "data" }\n']


def test_gzip_is_read_and_a_broken_file_is_reported(tmp_path: Path) -> None:
    (run,) = read(gzip.compress(iteration(0).encode()), tmp_path)
    assert len(run.steps) == 1
    packed = gzip.compress(iteration(0).encode() * 50)
    for content, fault in (
        (packed[:-20], "truncated"),
        (packed[:-8] + b"\0" * 8, "damaged"),
        (packed[:10] + b"\xff" * 40, "damaged"),
    ):
        with pytest.raises(Unreadable, match=rf"train\.log: its gzip data are {fault}$"):
            read(content, tmp_path)


def test_the_split_into_blocks_does_not_matter(tmp_path: Path) -> None:
    rows = "".join(iteration(number) for number in range(20)).splitlines(keepends=True)
    reader = LogReader()
    for row in rows:
        reader.feed(row.encode())
    (one,), (other,) = reader.finish(), read("".join(rows), tmp_path)
    assert list(one.steps) == list(other.steps)
    assert one.passes.count == other.passes.count == 20


def test_memory_does_not_grow_with_the_iterations() -> None:
    kept: Thinned[int] = Thinned(4, 4, MIDDLE)
    for number in range(5 * MIDDLE):
        kept.append(number)
    assert kept.count == 5 * MIDDLE
    assert len(kept) <= MIDDLE + 9
    numbers = list(kept)
    assert numbers == sorted(numbers)
    assert numbers[:4] == [0, 1, 2, 3]
    assert numbers[-1] == 5 * MIDDLE - 1


GLOG = b"I0101 00:00:00.000000  1 solver.cpp:218] "


@pytest.mark.parametrize(
    "line",
    [
        b"Iteration 1 (%s", b"Iteration %s", b"Iteration 1, a %s", b"Iteration 1, loss = %s", b"Top shape: %s",
        b"    Train net output #0: x = 1%sx", b"Train net output #0: %s", b"    [Forward] Layer a%s", b"%s: 1",
        b"    [Forward] Layer a, top b data: 1%sx", b"Test score #%s: 1", b"%s",
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "piece",
    [b" ", b"9", b"a ", b" = 1", b", top b", b", top b data: 1 x", b"Iteration 1 (", b"Train net output #0: ", b"[0] ", b"1."],
)
def test_a_line_of_any_form_is_read_in_linear_time(line: bytes, piece: bytes) -> None:
    # A pattern that is quadratic in this line takes minutes.
    reader = LogReader()
    reader.feed(GLOG + line.replace(b"%s", piece * 40_000) + b"\n")
    reader.finish()


@pytest.mark.parametrize("piece", [b" : line ", b"] [", b"] [ERROR] ", b"a.", b"a.cpp:1", b"] ", b"Check failed: ", b"@ ", b"INFO: a/"])
def test_a_line_without_a_prefix_is_read_in_linear_time(piece: bytes) -> None:
    reader = LogReader()
    reader.feed(piece * 40_000 + b"] : line 1 : x\n")
    reader.finish()


@pytest.mark.parametrize("digits", [19, 5_000])
def test_a_number_of_too_many_digits_is_no_iteration(digits: int) -> None:
    reader = LogReader()
    reader.feed(GLOG + b"Iteration " + b"9" * digits + b", loss = 1\n")
    assert not any(run.steps for run in reader.finish())
