"""The signal and the verdict against what the real Caffe did, where its numbers are beside the checkout."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "divergence"

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the trainings to judge by are not beside the checkout")


def printed(name: str) -> str:
    """What a command of benchmarks/ prints."""
    command = [sys.executable, str(ROOT / "benchmarks" / name), str(SHARED)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def test_the_first_iteration() -> None:
    rows = {line.split()[1]: line for line in printed("signal_judge.py").splitlines() if line.startswith("all ")}
    within = {way: [float(x) for x in re.findall(r"([\d.]+)%", line)] for way, line in rows.items()}
    assert within["forward"][0] >= 95
    assert within["forward"][1] >= 99
    assert within["backward"][0] >= 85
    assert within["backward"][1] >= 98
    zeros = re.search(r"(\d+)/(\d+)", rows["backward"])
    assert zeros is not None
    assert zeros[1] == zeros[2]


def test_the_verdict_on_families_left_out() -> None:
    ours = [line for line in printed("verdict.py").splitlines() if "this verdict" in line]
    explodes, stalls = (
        {name: float(value) for name, value in re.findall(r"(accuracy|AUC) ([\d.]+)", line)} for line in ours
    )
    assert explodes["AUC"] >= 0.96
    assert explodes["accuracy"] >= 0.91
    assert stalls["AUC"] >= 0.93


def test_repairs() -> None:
    exploded, learns, stalled = re.split(r"\n(?=\d+ set-ups of which)", printed("repair_judge.py"))
    share = {name.strip(): float(part) for name, part in re.findall(r"^  (\D+?) +\d+ +([\d.]+)%", exploded, re.MULTILINE)}
    assert share["judged safe after"] == 100
    assert share["as strong as needed"] >= 60
    assert share["weaker"] <= 10
    assert share["too strong"] <= 20
    for text in (exploded, learns, stalled):
        assert re.search(r"changed again +0 ", text)
    assert float(re.findall(r"nothing changed but a bound +\d+ +([\d.]+)%", learns)[0]) >= 85
