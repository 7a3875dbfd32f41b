"""What a check of one solver and its net loads: no library, and only those files of ours that it needs."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

DIGITS = Path(__file__).resolve().parent.parent / "examples" / "digits"
CODE = "import os, sys; os._exit = lambda status: print(*sys.modules); from caffe_lint.cli.main import main; main()"


def loaded(folder: Path) -> set[str]:
    """The modules that a check of a solver in a folder loads, beside those of Python itself and of what measures it."""

    def said(*command: str) -> str:
        return subprocess.run([sys.executable, *command], cwd=folder, capture_output=True, text=True, check=True).stdout

    output = said("-c", CODE, "calm/solver.prototxt")
    assert "no problem found" in output
    return set(output.splitlines()[-1].split()) - set(said("-c", "import sys; print(*sys.modules)").split())


def test_a_check_of_a_calm_training_in_a_fresh_clone_loads_no_more_than_it_needs(tmp_path: Path) -> None:
    shutil.copytree(DIGITS, tmp_path / "calm")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("*.py[cod]\n/build/\n*.caffemodel\n")
    (tmp_path / "convert.py").write_text("print('no training')\n")
    found = loaded(tmp_path)
    assert found.isdisjoint({"click", "google.protobuf", "jinja2", "numpy", "pathspec", "inspect", "json", "hashlib", "multiprocessing"})
    ours = {name.removeprefix("caffe_lint.") for name in found if name.startswith("caffe_lint.")}
    assert {"stability.signal.simulation", "source.run_scripts"} <= ours
    assert ours.isdisjoint({"source.script_trainings", "source.python_text", "stability.advice.trying", "stability.advice.default_repair"})
    assert ours.isdisjoint({"engine.fixing", "fixes.apply", "fixes.unreadable_text", "fixes.write"})
    assert not any(name.startswith(("server.", "simulation.", "training_log.", "rules.logs.", "report.view.")) for name in ours)


def test_what_reads_scripts_and_compiles_patterns_is_loaded_where_it_is_needed(tmp_path: Path) -> None:
    shutil.copytree(DIGITS, tmp_path / "calm")
    (tmp_path / ".git").mkdir()
    (tmp_path / ".gitignore").write_text("train*\n")
    (tmp_path / "train.sh").write_text("caffe train --solver calm/solver.prototxt --weights a.caffemodel\n")
    assert "pathspec" in loaded(tmp_path)
    (tmp_path / ".gitignore").write_text("*.pyc\n")
    found = loaded(tmp_path)
    assert "pathspec" not in found
    assert "caffe_lint.source.script_trainings" in found
