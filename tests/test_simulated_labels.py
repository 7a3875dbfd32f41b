"""The labels of simulated trainings that the verdict is judged by, and the tables of the fit in the documentation."""

from __future__ import annotations

import math
import re
import sys
from pathlib import Path

import pytest

from caffe_lint.stability.verdict.verdict_table import CERTAIN, DIVERGES, STALLS

ROOT = Path(__file__).resolve().parents[1]
if not (ROOT / "benchmarks").is_dir():
    pytest.skip("the benchmarks, which keep the labels, are not here", allow_module_level=True)
PAGE = (ROOT / "docs" / "signal.md").read_text(encoding="utf-8")
sys.path.insert(0, str(ROOT / "benchmarks"))

from random_trainings import FAMILIES, training  # noqa: E402
from simulated_labels import LABELS, Label, digest, read_labels, shortened, write_labels  # noqa: E402


def label(growth: tuple[float, ...], slowness: tuple[float, ...]) -> Label:
    """A label with the numbers of some seeds."""
    return Label("lenet", 0, "", growth, slowness)


def table(name: str) -> str:
    """A table of the page that a program writes."""
    return PAGE.split(f"<!-- {name} -->")[1].split(f"<!-- end of {name} -->")[0]


@pytest.mark.parametrize(
    ("growth", "slowness", "diverges", "stalls"),
    [
        ((math.inf,), (0.0,), 1.0, None),
        ((math.log(4),), (0.0,), 1.0, None),  # four times the first loss
        ((math.log(2),), (0.0,), 0.0, 1.0),  # twice: it has not fallen
        ((-0.5,), (0.1,), 0.0, 0.0),
        ((-0.001,), (3.0,), 0.0, 1.0),  # it would fall by a thousandth
        ((2.0, -0.5), (0.0, 0.1), 0.5, 0.0),  # depends on the seed
    ],
)
def test_a_training_is_named_by_its_losses_as_the_real_ones_are(
    growth: tuple[float, ...], slowness: tuple[float, ...], diverges: float, stalls: float | None
) -> None:
    found = label(growth, slowness)
    assert (found.diverges, found.stalls) == (diverges, stalls)


def test_labels_are_read_as_they_were_written(tmp_path: Path) -> None:
    path = tmp_path / "labels.tsv"
    known = [label((math.inf, 0.25), (0.0, 1.5)), label((), ())._replace(number=1)]
    write_labels(path, known)
    assert read_labels(path) == known
    assert read_labels(tmp_path / "none.tsv") == []


def test_a_label_is_of_one_text() -> None:
    one = training("mlp", 0)
    assert digest(one) == digest(training("mlp", 0))
    assert digest(one) != digest(shortened(one))
    assert "max_iter: 150\n" in shortened(one).files["solver.prototxt"]


def test_every_family_has_labels_kept() -> None:
    known = read_labels(LABELS)
    assert {each.family for each in known} == set(FAMILIES)
    assert len({each[:2] for each in known}) == len(known)


def test_the_page_states_the_fit_in_force() -> None:
    rows = dict(re.findall(r"^\| `?(\w+)`? \| (.*) \|$", table("coefficients"), re.MULTILINE))
    for name in {*DIVERGES, *STALLS}:
        cells = [f"{fit[name]:+.2f}" if name in fit else "" for fit in (DIVERGES, STALLS)]
        assert [cell.strip() for cell in rows[name or "constant"].split("|")] == cells
    for fate, least in CERTAIN.items():
        assert f"| likely to {fate}, at high confidence | {least:g} to 1 |" in table("confidence")


def test_the_page_states_reliability_of_as_many_trainings_as_are_judged() -> None:
    cells = [row.split("|") for row in re.findall(r"^\| diverge \|.*$", table("reliability"), re.MULTILINE)]
    judged = [int(number) for number in re.findall(r"^\| real \| (\d+) ", table("fits"), re.MULTILINE)]
    assert [sum(int(row[column]) for row in cells) for column in (6, 3)] == judged
    assert judged[1] <= len(read_labels(LABELS))
