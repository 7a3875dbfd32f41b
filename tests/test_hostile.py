"""What nobody wishes for: names that are no text, closed streams, full disks, links to nowhere; never a traceback."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from caffe_lint.report import FORMATS

NET = """\
layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 dim: 3 } } }
layer { name: "score" type: "InnerProduct" bottom: "data" top: "score" inner_product_param { num_output: 2 } }
layer { name: "prob" type: "SoftMax" bottom: "score" top: "prob" }
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "net.prototxt").write_text(NET)
    return tmp_path


def run(folder: Path, *arguments: str | bytes, redirect: str = "") -> subprocess.CompletedProcess[str]:
    """A run below a shell, which redirects its streams."""
    command = ["sh", "-c", f'exec "$@" {redirect}', "sh", sys.executable, "-m", "caffe_lint", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="surrogateescape", check=False)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    return done


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_name_that_is_no_text_is_reported_in_every_format(folder: Path, output_format: str) -> None:
    name = b"sol\xffver.prototxt"
    try:
        (folder / os.fsdecode(name)).write_text('net: "net.prototxt"\nbase_lr: 0.1\nlr_policy: "fixed"\nmax_iter: 1000\n')
    except OSError:
        pytest.skip("this file system takes only names that are UTF-8")
    done = run(folder, name, "--output-format", output_format)
    assert done.returncode == 1
    assert "S110" in done.stdout or output_format == "html"
    assert run(folder, name, "--fix").returncode in (0, 1)
    assert "SoftMax" not in (folder / "net.prototxt").read_text()


@pytest.mark.parametrize("redirect", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_a_closed_stream_changes_no_status(folder: Path, redirect: str) -> None:
    assert run(folder, "net.prototxt", redirect=redirect).returncode == 1
    assert run(folder, "net.prototxt", "--fix", redirect=redirect).returncode == 0
    assert "SoftMax" not in (folder / "net.prototxt").read_text()


@pytest.mark.parametrize("arguments", [("net.prototxt",), ("rules",), ("net", "net.prototxt")])
def test_a_full_disk_is_said(folder: Path, arguments: tuple[str, ...]) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    done = run(folder, *arguments, redirect="> /dev/full")
    assert (done.returncode, done.stderr) == (2, "caffe-lint: standard output: No space left on device\n")


def test_an_ignore_file_that_leads_nowhere_ignores_nothing(folder: Path) -> None:
    (folder / ".gitignore").symlink_to("nowhere")
    done = run(folder, ".")
    assert (done.returncode, done.stderr) == (1, "")
    assert "E116" in done.stdout


def test_a_pipe_in_a_folder_is_passed_over(folder: Path) -> None:
    os.mkfifo(folder / "pipe.prototxt")
    assert "in 1 file" in run(folder, ".").stdout


def test_links_in_a_circle_end(folder: Path) -> None:
    (folder / "a.prototxt").symlink_to("b.prototxt")
    (folder / "b.prototxt").symlink_to("a.prototxt")
    (folder / "again").symlink_to(".")
    assert "in 1 file" in run(folder, ".").stdout
    done = run(folder, "a.prototxt")
    assert done.returncode == 2
    assert "No file was checked." in done.stdout


def test_a_configuration_that_is_no_text_is_said(folder: Path) -> None:
    (folder / "caffe-lint.toml").write_bytes(b"\xff\xfe")
    done = run(folder, "net.prototxt")
    assert done.returncode == 2
    assert "caffe-lint.toml: not valid UTF-8" in done.stderr


def test_a_mistyped_command_is_recognised(folder: Path) -> None:
    done = run(folder, "ruls")
    assert done.returncode == 2
    assert "did you mean `caffe-lint rules`?" in done.stderr
    assert run(folder, "nothing.prototxt").stderr == "caffe-lint: nothing.prototxt: No such file or directory\n"


def test_ctrl_c_ends_all_processes_quietly_and_leaves_whole_files(folder: Path) -> None:
    for number in range(200):
        (folder / f"{number}.prototxt").write_text(NET)
    process = subprocess.Popen(
        [sys.executable, "-m", "caffe_lint", ".", "--fix", "--jobs", "2"],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    group = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    while process.poll() is None and group.exists() and not group.read_text().strip():
        pass
    os.killpg(process.pid, signal.SIGINT)
    said = process.communicate()[1]
    assert "Traceback" not in said
    assert process.returncode == 130
    assert {path.read_text() for path in folder.iterdir()} <= {NET, NET.replace("SoftMax", "Softmax")}
