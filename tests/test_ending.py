"""However a run ends: no worker and no half file is left, and the status says what ended it."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

NET = """\
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "prob" type: "SoftMax" bottom: "data" top: "prob" }
"""
FIXED = NET.replace("SoftMax", "Softmax")

pytestmark = pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="looks at processes as Linux shows them")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(150):
        (tmp_path / f"{number}.prototxt").write_text(NET)
    return tmp_path


def start(folder: Path, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "caffe_lint", *arguments],
        cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, start_new_session=True,
        preexec_fn=_heed_signals,
    )  # fmt: skip


def _heed_signals() -> None:
    """Undoes what nohup or a shell's background has made the tests ignore, and their children with them."""
    for sent in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(sent, signal.SIG_DFL)


def group_of(process: subprocess.Popen[str]) -> list[int]:
    """The processes that the run and its workers are, or were."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            fields = (entry / "stat").read_text().rpartition(")")[2].split() if entry.name.isdigit() else []
        except OSError:
            continue
        if fields and int(fields[2]) == process.pid and fields[0] != "Z":
            found.append(int(entry.name))
    return found


def wait_for(what: object, seconds: float = 10) -> bool:
    assert callable(what)
    end = time.monotonic() + seconds
    while not what():
        if time.monotonic() > end:
            return False
        time.sleep(0.01)
    return True


def is_whole(folder: Path) -> bool:
    return {path.read_text() for path in folder.glob("*.prototxt")} <= {NET, FIXED}


@pytest.mark.parametrize(
    ("sent", "status"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 130), (signal.SIGKILL, -9)]
)
def test_a_signal_to_the_program_alone_leaves_no_worker(folder: Path, sent: signal.Signals, status: int) -> None:
    process = start(folder, ".", "--fix", "--jobs", "2")
    assert wait_for(lambda: len(group_of(process)) >= 3)
    process.send_signal(sent)
    said = process.communicate(timeout=20)[1]
    assert process.returncode == status
    assert "Traceback" not in said
    assert wait_for(lambda: not group_of(process))
    assert is_whole(folder)


@pytest.mark.parametrize("sent", [signal.SIGTERM, signal.SIGHUP, signal.SIGINT])
def test_a_signal_at_any_moment_is_quiet(folder: Path, sent: signal.Signals) -> None:
    chance = random.Random(13)
    for _ in range(4):
        process = start(folder, ".", "--fix", "--jobs", "2")
        assert wait_for(lambda pid=process.pid: "caffe_lint" in Path(f"/proc/{pid}/cmdline").read_text())
        time.sleep(0.5 + chance.random())
        process.send_signal(sent)
        said = process.communicate(timeout=20)[1]
        assert process.returncode in (128 + sent, -sent, 0)
        assert "Traceback" not in said
        assert wait_for(lambda gone=process: not group_of(gone))
        assert is_whole(folder)
    assert not list(folder.glob(".caffe-lint-*"))


def test_a_run_that_was_killed_leaves_whole_files_and_the_next_removes_the_rest(folder: Path) -> None:
    chance = random.Random(13)
    for _ in range(6):
        for path in folder.glob("*.prototxt"):
            path.write_text(NET)
        process = start(folder, ".", "--fix")
        wait_for(lambda: FIXED in {path.read_text() for path in folder.glob("?.prototxt")})
        time.sleep(chance.random() / 20)
        process.kill()
        process.communicate()
        assert is_whole(folder)
    start(folder, ".", "--fix").communicate(timeout=60)
    assert {path.read_text() for path in folder.glob("*.prototxt")} == {FIXED}
    assert not [path.name for path in folder.iterdir() if path.name.startswith(".")]


def test_a_reader_that_leaves_ends_it_quietly_with_workers(folder: Path) -> None:
    command = f"{sys.executable} -m caffe_lint . --jobs 2 | head -c 1"
    done = subprocess.run(["sh", "-c", command], cwd=folder, capture_output=True, text=True, check=False, timeout=60)
    assert done.stderr == ""


LINE = "I0101 00:00:00.000000  1 solver.cpp:218] Iteration {}, loss = {}\n"


@pytest.mark.parametrize("way", ["renamed", "cut off", "grown"])
def test_following_goes_on_when_the_log_is_rotated(tmp_path: Path, way: str) -> None:
    log = tmp_path / "train.log"
    log.write_text("".join(LINE.format(10 * number, 2.0) for number in range(6)))
    process = start(tmp_path, "log", "train.log", "--follow", "--stop-on", "divergence")
    time.sleep(2)
    assert process.poll() is None
    if way == "renamed":
        log.rename(tmp_path / "train.log.1")
        time.sleep(1)
        log.write_text(LINE.format(60, "nan"))
    elif way == "cut off":
        log.write_text(LINE.format(60, "nan"))
    else:
        with log.open("a") as file:
            file.write(LINE.format(60, "nan"))
    said = process.communicate(timeout=20)[1]
    assert process.returncode == 3
    assert "diverged: iteration 60: the loss is nan" in said


@pytest.mark.skipif(sys.version_info < (3, 11), reason="CPython 3.10 itself crashes now and then when memory runs out")
@pytest.mark.parametrize("command", [(), ("net",), ("view",)])
def test_a_run_without_enough_memory_says_so_in_a_sentence(tmp_path: Path, command: tuple[str, ...]) -> None:
    import resource  # not on Windows

    (tmp_path / "net.prototxt").write_text(NET + 'layer { name: "a" type: "ReLU" bottom: "data" top: "a" }\n' * 60_000)
    done = subprocess.run(
        [sys.executable, "-m", "caffe_lint", *command, "net.prototxt"],
        cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (100_000_000,) * 2),
    )  # fmt: skip
    assert done.stderr == (
        "caffe-lint: out of memory: this takes more than there is, or than the limit of this process allows\n"
    )
    assert (done.returncode, done.stdout) == (2, "")
