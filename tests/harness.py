"""How tests ask the linter: texts in, findings or patched texts out."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from inspect import signature
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from caffe_lint.cli.interactive import fix_as_chosen
from caffe_lint.engine.checking import Checked, Runner, check_paths
from caffe_lint.engine.configuring import LOOKUPS, settings_of_paths
from caffe_lint.engine.files_in_memory import Files
from caffe_lint.engine.grouping import find_units
from caffe_lint.engine.running import run_units
from caffe_lint.engine.units import UnitResult
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.rule.finding import Finding
from caffe_lint.settings.config_file import read_config
from caffe_lint.settings.in_force import CommandLine, Layer, combined
from caffe_lint.settings.settings import Settings
from caffe_lint.source.files import forget_folders
from caffe_lint.source.repository_files import forget_repositories
from caffe_lint.source.run_scripts import forget_runs
from caffe_lint.source.solver_index import forget_index


def settings_in(path: str) -> Settings:
    """The settings of a configuration file for files that it makes no difference for. Raises ConfigError."""
    return combined(Layer.of(read_config(path, LOOKUPS, is_named=False))).settings


# A net and its solver on which there is nothing to say.
NET = """\
name: "small"
layer {
  name: "data"
  type: "DummyData"
  top: "data"
  top: "label"
  dummy_data_param {
    shape { dim: 8 dim: 3 dim: 16 dim: 16 }
    shape { dim: 8 }
    data_filler { type: "gaussian" std: 1 }
    data_filler { type: "constant" value: 0 }
  }
}
layer {
  name: "score"
  type: "InnerProduct"
  bottom: "data"
  top: "score"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "score"
  bottom: "label"
  top: "loss"
}
"""
SOLVER = """\
net: "net.prototxt"
base_lr: 0.01
lr_policy: "fixed"
momentum: 0.9
max_iter: 100
clip_gradients: 10
snapshot_prefix: "snapshots/small"
"""


def check(text: str | bytes, name: str = "net.prototxt", **settings: Any) -> list[Finding]:
    """The findings on one file. `settings` are fields of `Settings`, such as `select=("G101",)`."""
    return check_files({name: text}, **settings)


def fix(text: str, name: str = "net.prototxt", *, unsafe: bool = False, **settings: Any) -> str:
    """The text of one file after its fixes."""
    return fix_files({name: text}, unsafe=unsafe, **settings)[name]


def check_files(texts: dict[str, str | bytes], **settings: Any) -> list[Finding]:
    """The findings on several files that belong together, with their names as paths; solvers find nets by them."""
    return [finding for result in _run(texts, "", settings) for finding in result.findings]


def fix_files(texts: dict[str, Any], *, unsafe: bool = False, **settings: Any) -> dict[str, str]:
    """The texts of several files after their fixes. Fails if a fix was refused."""
    patched = {name: _bytes(text) for name, text in texts.items()}
    for result in _run(texts, "unsafe" if unsafe else "safe", settings):
        assert not result.errors, result.errors
        patched.update(result.patched)
    return {name: source.decode("utf-8", "surrogateescape") for name, source in patched.items()}


def places(findings: list[Finding]) -> list[tuple[str, int]]:
    """Code and line of each finding."""
    return [(finding.code, finding.place.line) for finding in findings]


def _bytes(text: str | bytes) -> bytes:
    return text.encode() if isinstance(text, str) else text


def _run(texts: dict[str, Any], patch: str, values: dict[str, Any]) -> list[UnitResult]:
    results, said = run_in_memory({name: _bytes(text) for name, text in texts.items()}, Settings(**values), patch)
    assert not said, said
    return results


def run_in_memory(texts: Mapping[str, bytes], settings: Settings, patch: str = "") -> tuple[list[UnitResult], list[str]]:
    """The results of checking several files, patched if `patch` is `safe` or `unsafe`, and what is said of those left out."""
    files = Files(caffe_schema(), settings.dialect)
    for name, text in texts.items():
        files.add(name, text)
    said: list[str] = []
    units = find_units(list(texts), files, said, said)
    return run_units([(unit, settings) for unit in units], files, patch, 1), said


def bound_by_permissions() -> list[str]:
    """What a command begins with so that permissions of files bind it; root has to give up what frees it of them."""
    if os.name != "posix":
        pytest.skip("this system has no permissions of files")
    if os.geteuid() != 0:
        return []
    if shutil.which("setpriv") is None:
        pytest.skip("run by root, and without setpriv nothing binds root")
    return ["setpriv", "--bounding-set=-dac_override,-dac_read_search"]


def run(
    folder: Path, *arguments: str, stdin: bytes = b"", before: Sequence[str] = ()
) -> subprocess.CompletedProcess[str]:
    """Runs the program in a folder, in a process of its own. Fails at a traceback.

    The command begins with the words of `before`.
    """
    done = subprocess.run(
        [*before, sys.executable, "-m", "caffe_lint", *arguments],
        cwd=folder,
        input=stdin,
        capture_output=True,
        check=False,
    )
    assert b"Traceback" not in done.stderr, done.stderr.decode()
    return subprocess.CompletedProcess(
        done.args,
        done.returncode,
        done.stdout.decode("utf-8", "replace"),
        done.stderr.decode("utf-8", "replace"),
    )


def patched_on_disk(
    *paths: str, unsafe: bool = False, select: tuple[str, ...] = (), simulate: bool = False
) -> dict[str, bytes]:
    """The new text of each file that a check of files and folders on disk would change; nothing is written.

    Files are named relative to the working directory.
    """
    patch = "unsafe" if unsafe else "safe"
    return _patched(_check_on_disk(paths, lambda work, files: run_units(work, files, patch, 1), select, simulate=simulate))


def interactively_patched_on_disk(
    *paths: str,
    unsafe: bool = False,
    select: tuple[str, ...] = (),
    simulate: bool = False,
    answer: Callable[[str], str] = lambda question: "y",
) -> dict[str, bytes]:
    """The same with `--interactive`, with an answer to each question."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("caffe_lint.cli.interactive.print_text", lambda text: None)
        patch.setattr("caffe_lint.cli.interactive._read", answer)
        return _patched(
            _check_on_disk(
                paths,
                lambda work, files: fix_as_chosen(work, files, unsafe=unsafe, colour=False),
                select,
                simulate=simulate,
            )
        )


def findings_on_disk(*paths: str, select: tuple[str, ...] = (), simulate: bool = False) -> list[Finding]:
    """The findings on files and folders on disk."""
    return _check_on_disk(paths, lambda work, files: run_units(work, files, "", 1), select, simulate=simulate).findings


def _patched(checked: Checked) -> dict[str, bytes]:
    return {os.path.relpath(path): text for path, text in checked.patched.items()}


def _check_on_disk(
    paths: tuple[str, ...], run: Runner, select: tuple[str, ...] = (), *, simulate: bool = False
) -> Checked:
    forget_folders()
    forget_repositories()
    forget_index()
    forget_runs()
    settings = settings_of_paths(CommandLine(select=select, simulate=simulate), caffe_schema())
    checked = check_paths(paths, Files(settings.schema, None), settings, run)
    assert not checked.errors, checked.errors
    return checked


def runner() -> CliRunner:
    """A runner of commands that keeps standard output and standard error apart, as that of click 8.1 does only if it is told to."""
    apart: dict[str, Any] = {"mix_stderr": False} if "mix_stderr" in signature(CliRunner).parameters else {}
    return CliRunner(**apart)
