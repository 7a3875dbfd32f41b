"""The signal and the verdict against what the real Caffe did, where its numbers are beside the checkout."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
SHARED = ROOT.parent / "shared" / "divergence"
NORMS = ROOT.parent / "shared" / "norms"
PAGE = ROOT / "docs" / "signal.md"
BENCHMARKS = ROOT / "benchmarks" / "README.md"

pytestmark = pytest.mark.skipif(not SHARED.is_dir(), reason="the trainings to judge by are not beside the checkout")


def printed(name: str, shared: Path = SHARED) -> str:
    """What a command of benchmarks/ prints."""
    command = [sys.executable, str(ROOT / "benchmarks" / name), str(shared)]
    return subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT).stdout


def published(pattern: str, page: Path = PAGE) -> list[float]:
    """The figures that a page gives, in a sentence or a row of a table. Any that is worse is a regression."""
    found = re.search(pattern.replace(" ", r"\s+"), page.read_text(encoding="utf-8"))
    assert found is not None, pattern
    return [float(figure) for figure in found.groups()]


def test_the_first_iteration_is_predicted_as_well_as_published() -> None:
    rows = {line.split()[1]: line for line in printed("signal_judge.py").splitlines() if line.startswith("all ")}
    within = {way: [round(float(x), 1) for x in re.findall(r"([\d.]+)%", line)] for way, line in rows.items()}
    forward, backward = published(r"([\d.]+) % of forward and ([\d.]+) % of backward values are within a factor of 2")
    assert within["forward"][1] >= forward
    assert within["backward"][1] >= backward
    forward, backward = published(r"([\d.]+) % and ([\d.]+) % within a factor of 1.5")
    assert within["forward"][0] >= forward
    assert within["backward"][0] >= backward
    forward, backward = published(r"([\d.]+) % and ([\d.]+) % within a factor of 10")
    assert within["forward"][2] >= forward
    assert within["backward"][2] >= backward
    zeros = re.search(r"(\d+)/(\d+)", rows["backward"])
    assert zeros is not None
    assert zeros[1] == zeros[2]


@pytest.mark.skipif(not NORMS.is_dir(), reason="the published nets to judge by are not beside the checkout")
def test_the_first_iteration_of_published_nets_is_predicted_as_well_as_published() -> None:
    text = printed("norms_judge.py", NORMS)
    for column, title in enumerate(("without mark:", "without mark, regression:")):
        group = text[text.index(f"\n{title}") :].split("\nwith", 2)[1]
        shares = {
            way: re.findall(r"([\d.]+)%", re.search(rf"\n  {way} .*", group)[0]) for way in ("forward", "backward")
        }
        given, right = (int(re.search(pattern, group)[1]) for pattern in (r"is given for (\d+)", r"right for (\d+)"))
        floor = re.findall(r"share of the floor +([\d.]+)%", group)[1]
        for name, figure in (
            ("norm given", given),
            ("norm right, of those given", right),
            ("forward within 2x", shares["forward"][1]),
            ("backward within 2x", shares["backward"][1]),
            ("forward within 1.5x", shares["forward"][0]),
            ("backward within 1.5x", shares["backward"][0]),
            ("backward within 1.5x, as a share of the floor", floor),
        ):
            wanted = published(rf"\| {name} \| ([\d.]+)[^|]* \| ([\d.]+)[^|]* \|", BENCHMARKS)[column]
            assert round(float(figure), 1) >= wanted, (title, name)
        assert float(shares["forward"][3]) + float(shares["backward"][3]) <= 5, title  # unmodelled rows


def test_the_verdict_on_families_left_out_is_as_good_as_published() -> None:
    pytest.importorskip("sklearn", reason="the verdict is fitted with scikit-learn: pip install '.[benchmark]'")
    lines = printed("verdict.py").splitlines()
    diverges, stalls = (
        {name: float(value) for name, value in re.findall(r"(accuracy|AUC) ([\d.]+)", line)}
        for line in lines
        if "this verdict" in line
    )
    figures = published(r"\| this verdict \| ([\d.]+), ([\d.]+) \| ([\d.]+), ([\d.]+) \|")
    assert diverges["AUC"] >= figures[0]
    assert diverges["accuracy"] >= figures[1]
    assert stalls["AUC"] >= figures[2]
    assert stalls["accuracy"] >= figures[3]
    for name, ours in (("ranked by base_lr", "AUC"), ("threshold on base_lr", "accuracy"), ("majority", "accuracy")):
        baselines = [re.search(ours + r" ([\d.]+)", line) for line in lines if name in line]
        for verdict, baseline in zip((diverges, stalls), baselines, strict=True):
            assert baseline is not None
            assert verdict[ours] > float(baseline[1])


def test_repairs_are_as_good_as_published() -> None:
    page = PAGE.read_text(encoding="utf-8").split("<!-- repairs -->")[1].split("<!-- end of repairs -->")[0]
    ours, theirs = repair_figures(printed("repair_judge.py")), repair_figures(page)
    assert ours.keys() == theirs.keys()
    for name, values in theirs.items():
        if name == "diverges, repairable":
            assert ours[name][1] >= values[1], name  # default repairs
        elif name in ("diverges, not repairable", "neither", "learns"):
            assert ours[name][1] <= values[1], name
        elif "supported" not in name:
            assert ours[name][0] >= values[0], name
    assert ours["unchanged by a second run"] == [360.0, 360.0, 100.0]


def repair_figures(text: str) -> dict[str, list[float]]:
    """The figures of each line that `repair_judge.py` prints, by what it says before them."""
    lines = re.findall(r"^\| ([a-z, ]+) \| (\d.*)\|$|^- ([^:\n]+): (.*)$", text, re.MULTILINE)
    return {name or title: [float(x) for x in re.findall(r"\d+", row or rest)] for name, row, title, rest in lines}
