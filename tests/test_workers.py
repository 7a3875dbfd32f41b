"""Work that is spread over processes: each piece once, in any order, and a word for a process that dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from multiprocessing.util import Finalize
from pathlib import Path

import pytest

from caffe_lint.engine.checking import check_paths
from caffe_lint.engine.configuring import settings_of_paths
from caffe_lint.engine.files_in_memory import Files
from caffe_lint.engine.running import run_units
from caffe_lint.engine.unit_check import check_unit
from caffe_lint.engine.units import Unit
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.rule.finding import Finding
from caffe_lint.settings.in_force import CommandLine
from caffe_lint.settings.settings import Settings
from caffe_lint.source.workers import WorkerDied, spread

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the work of a test cannot be imported by name")


def children() -> set[int]:
    """The processes that this one has started and that still run."""
    found: set[int] = set()
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError):  # a thread that ends while the folder is read
            found.update(map(int, (task / "children").read_text().split()))
    return found


@pytest.mark.parametrize("jobs", [1, 2, 5])
@pytest.mark.parametrize("number", [0, 1, 2, 3, 17])
def test_each_piece_of_work_is_done_once(jobs: int, number: int) -> None:
    assert sorted(spread(lambda piece: piece * piece, number, jobs)) == [(piece, piece * piece) for piece in range(number)]


def test_a_slow_piece_does_not_hold_up_the_others() -> None:
    def work(piece: int) -> int:
        if piece == 0:
            time.sleep(1)
        return os.getpid()

    done = list(spread(work, 40, 2))
    by_the_slow_one = [piece for piece, process in done if process == dict(done)[0]]
    assert len(by_the_slow_one) <= 3  # what it was given ahead


def test_an_error_in_the_work_is_raised_and_no_process_is_left() -> None:
    before = children()

    def work(piece: int) -> int:
        return 1 // (3 - piece)

    with pytest.raises(ZeroDivisionError):
        list(spread(work, 10, 2))
    assert children() == before


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGSEGV, signal.SIGBUS])
def test_a_process_that_dies_is_named_with_its_piece_of_work(sent: signal.Signals) -> None:
    def work(piece: int) -> int:
        if piece == 3:
            os.kill(os.getpid(), sent)
        return piece

    with pytest.raises(WorkerDied, match=f"ended with {sent.name}") as caught:
        list(spread(work, 10, 2))
    assert caught.value.number == 3


def test_processes_end_by_themselves_when_all_is_done(tmp_path: Path) -> None:
    def work(piece: int) -> int:
        Finalize(None, (tmp_path / str(os.getpid())).touch, exitpriority=1)
        return os.getpid()

    processes = {process for _, process in spread(work, 4, 2)}
    assert {int(path.name) for path in tmp_path.iterdir()} == processes


def test_who_stops_early_leaves_no_process() -> None:
    before = children()
    for _, result in spread(lambda piece: piece, 100, 2):
        if result > 5:
            break
    assert children() == before


# A signal that comes while a worker is started; what a handler raises in a function that is called at a fork is lost.
AT_A_FORK = """\
import os, signal, sys
from caffe_lint.source.workers import spread
def end(*_): sys.exit(3)
def send(): os.kill(os.getpid(), signal.{sent})
signal.signal(signal.SIGTERM, end)
signal.signal(signal.SIGINT, signal.default_int_handler)
os.register_at_fork({where}=send)
try:
    print(len(list(spread(abs, 8, 2))))
except BaseException as error:
    print(type(error).__name__, error)
    children = open(f"/proc/self/task/{{os.getpid()}}/children").read()
    print("left:", children)
"""


@pytest.mark.parametrize(
    ("sent", "where", "said"),
    [
        ("SIGINT", "after_in_parent", "KeyboardInterrupt \nleft: \n"),
        ("SIGTERM", "after_in_parent", "SystemExit 3\nleft: \n"),
        ("SIGINT", "after_in_child", "8\n"),
        ("SIGTERM", "after_in_child", "WorkerDied a worker process ended with SIGTERM\nleft: \n"),
    ],
)
def test_a_signal_at_the_start_of_a_worker_is_neither_lost_nor_leaves_one(sent: str, where: str, said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", AT_A_FORK.format(sent=sent, where=where)], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == (said, "")


def test_workers_ignore_the_end_of_the_terminal_if_the_program_does() -> None:
    def work(piece: int) -> int:
        os.kill(os.getpid(), signal.SIGHUP)
        return piece

    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        assert len(list(spread(work, 4, 2))) == 4
    finally:
        signal.signal(signal.SIGHUP, before)


def test_waiting_is_told_while_the_work_takes_long() -> None:
    told = []
    list(spread(lambda piece: time.sleep(0.5), 1, 1, lambda: told.append(1)))
    assert len(told) >= 2


@pytest.mark.parametrize("patch", ["", "safe"])
def test_a_check_in_which_a_process_dies_is_named_and_the_others_are_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, patch: str
) -> None:
    """As the system's killer does it when memory runs out."""
    net = 'layer {{ name: "a" type: "{}" top: "a" input_param {{ shape {{ dim: 1 }} }} }}\n'
    for number in range(8):
        (tmp_path / f"{number}.prototxt").write_text(net.format("input"))
    here = os.getpid()

    def check(unit: Unit, files: Files, settings: Settings) -> list[Finding]:
        if unit.paths[0].endswith(("3.prototxt", "5.prototxt")):
            assert os.getpid() != here
            os.kill(os.getpid(), signal.SIGKILL)
        return check_unit(unit, files, settings)

    monkeypatch.setattr("caffe_lint.engine.fixing.check_unit" if patch else "caffe_lint.engine.running.check_unit", check)
    monkeypatch.chdir(tmp_path)
    settings = settings_of_paths(CommandLine(), caffe_schema())
    checked = check_paths((".",), Files(settings.schema, None), settings, lambda work, files: run_units(work, files, patch, 2))
    assert checked.errors == [f"{number}.prototxt: not checked: a worker process ended with SIGKILL" for number in (3, 5)]
    assert len(checked.sources) == 6
    assert len(checked.patched) == (6 if patch else 0)
