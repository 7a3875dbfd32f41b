"""Trainings made up at random for the benchmarks: Caffe would accept them, and the same seed gives the same ones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from harness import check_files

BENCHMARKS = Path(__file__).resolve().parent.parent / "benchmarks"
if not BENCHMARKS.is_dir():
    pytest.skip("the benchmarks, which make the trainings up, are not here", allow_module_level=True)
sys.path.insert(0, str(BENCHMARKS))
from random_trainings import FAMILIES, job_of_training, training, trainings  # noqa: E402


def test_every_family_gives_other_texts_each_time_and_the_same_by_the_same_seed() -> None:
    found = list(trainings(list(FAMILIES), 2, seed=5))
    assert len(FAMILIES) >= 20
    assert len({one.files["net.prototxt"] for one in found}) == len({one.name for one in found}) == 2 * len(FAMILIES)
    assert found == list(trainings(list(FAMILIES), 2, seed=5))
    assert training("lenet", 1, 5) in found
    assert training("lenet", 1, 6) not in found


@pytest.mark.parametrize("family", FAMILIES)
def test_caffe_would_accept_what_is_made_up(family: str) -> None:
    """No error but of what becomes of the training, and a net with known shapes that learns something."""
    for one in trainings([family], 3, seed=1):
        texts: dict[str, str | bytes] = {name: text for name, text in one.files.items() if name.endswith(".prototxt")}
        errors = [each for each in check_files(texts) if each.severity == "error" and not each.code.startswith("G")]
        assert not errors, (one.name, [(each.code, each.message) for each in errors], one.files["net.prototxt"])
        train = job_of_training(one).train
        assert train is not None, one.name
        net = train.net
        assert all(top.shape is not None and None not in top.shape for layer in net.layers for top in layer.tops), (
            one.name
        )
        assert any(layer.runs_backward for layer in net.layers), one.name
