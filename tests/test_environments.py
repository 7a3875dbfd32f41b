"""Whatever the environment - locale, home, terminal, hash seed, processes - the same is printed and written."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from harness import NET, SOLVER

# A fault with a fix in the net and one in the solver, and text that ASCII lacks in what is quoted.
BAD_NET = NET.replace('"SoftmaxWithLoss"', '"SoftMaxWithLoss"  # résumé')
BAD_SOLVER = SOLVER.replace('"fixed"', '"Fixed"')


def project(folder: Path, end: str = "\n") -> Path:
    for number in range(4):
        below = folder / str(number)
        below.mkdir(parents=True)
        (below / "net.prototxt").write_bytes(BAD_NET.replace("\n", end).encode())
        (below / "solver.prototxt").write_bytes(BAD_SOLVER.replace("\n", end).encode())
    return folder


def ran(folder: Path, *arguments: str, without: tuple[str, ...] = (), **variables: str) -> tuple[int, bytes, bytes]:
    """Status, output and errors in an environment with these variables and without those."""
    environment = {key: value for key, value in os.environ.items() if key not in without} | variables
    done = subprocess.run(
        [sys.executable, "-m", "caffe_lint", *arguments],
        cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False,
    )  # fmt: skip
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(scope="module")
def usual(tmp_path_factory: pytest.TempPathFactory) -> tuple[int, bytes, bytes]:
    """What a check prints in the environment of the tests."""
    said = ran(project(tmp_path_factory.mktemp("usual")), ".")
    assert said[0] == 1
    assert "résumé".encode() in said[1]
    return said


@pytest.mark.parametrize(
    "variables",
    [
        {"LANG": "C", "LC_ALL": "POSIX", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        {"PYTHONIOENCODING": "ascii"},
        {"HOME": "/proc/nowhere", "XDG_CACHE_HOME": "/proc/nowhere/cache", "XDG_CONFIG_HOME": "/proc/nowhere/config"},
        {"COLUMNS": "80"},
        {"COLUMNS": "200"},
        {"COLUMNS": "none", "TERM": "dumb"},
        {"NO_COLOR": "1"},
    ],
    ids=lambda variables: " ".join(variables),
)
def test_what_is_printed_into_a_pipe_depends_on_no_variable(
    variables: dict[str, str], usual: tuple[int, bytes, bytes], tmp_path: Path
) -> None:
    assert ran(project(tmp_path), ".", **variables) == usual


@pytest.mark.parametrize(
    ("variables", "is_coloured"),
    [
        ({"FORCE_COLOR": "1"}, True),
        ({"FORCE_COLOR": ""}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": "1"}, False),
        ({"FORCE_COLOR": "1", "NO_COLOR": ""}, True),
    ],
)
def test_colours_are_forced_or_forbidden_by_a_variable(
    variables: dict[str, str], is_coloured: bool, usual: tuple[int, bytes, bytes], tmp_path: Path
) -> None:
    status, printed, _ = ran(project(tmp_path), ".", **variables)
    assert (b"\x1b[" in printed) == is_coloured
    assert (status, re.sub(rb"\x1b\[[0-9;]*m", b"", printed)) == usual[:2]


def test_forced_colours_are_not_in_what_machines_read(tmp_path: Path) -> None:
    project(tmp_path)
    for output_format in ("json", "sarif", "github", "junit"):
        assert b"\x1b" not in ran(tmp_path, ".", "--output-format", output_format, FORCE_COLOR="1")[1]
    assert b"\x1b" not in ran(tmp_path, ".", "--output-file", "report.txt", FORCE_COLOR="1")[1]
    assert "\x1b" not in (tmp_path / "report.txt").read_text()


def test_no_home_is_needed(usual: tuple[int, bytes, bytes], tmp_path: Path) -> None:
    without = ("HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME", "USER", "LOGNAME")
    assert ran(project(tmp_path), ".", without=without) == usual


@pytest.mark.parametrize(("seed", "jobs"), [("0", "1"), ("1", "2"), ("random", "3")])
def test_hash_seed_and_jobs_change_nothing_printed_or_written(
    seed: str, jobs: str, usual: tuple[int, bytes, bytes], tmp_path: Path
) -> None:
    project(tmp_path)
    assert ran(tmp_path, ".", "--jobs", jobs, PYTHONHASHSEED=seed) == usual
    ran(tmp_path, ".", "--fix", "--jobs", jobs, PYTHONHASHSEED=seed)
    for below in tmp_path.iterdir():
        assert (below / "net.prototxt").read_bytes() == BAD_NET.replace("SoftMaxWith", "SoftmaxWith").encode()
        assert (below / "solver.prototxt").read_bytes() == BAD_SOLVER.replace("Fixed", "fixed").encode()


def test_files_with_crlf_have_the_same_findings_and_keep_it(usual: tuple[int, bytes, bytes], tmp_path: Path) -> None:
    project(tmp_path, "\r\n")
    said = ran(tmp_path, ".", "--output-format", "concise")
    assert said == ran(project(tmp_path / "with line feeds"), ".", "--output-format", "concise")
    ran(tmp_path / "0", ".", "--fix")
    fixed = BAD_NET.replace("SoftMaxWith", "SoftmaxWith").replace("\n", "\r\n")
    assert (tmp_path / "0" / "net.prototxt").read_bytes() == fixed.encode()


@pytest.mark.skipif(os.name != "posix", reason="closes descriptors with a POSIX shell")
@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_a_closed_stream_is_no_traceback_and_hides_no_finding(closed: str, tmp_path: Path) -> None:
    project(tmp_path)
    command = f'"{sys.executable}" -m caffe_lint . {closed}'
    done = subprocess.run(["sh", "-c", command], cwd=tmp_path, capture_output=True, check=False)
    assert b"Traceback" not in done.stderr
    assert done.returncode == 1
