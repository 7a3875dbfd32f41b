"""A training is simulated only where its verdict may depend on that, which iteration 0 tells."""

from __future__ import annotations

import pytest
from harness import check_files
from test_clip_bound import FACTS, net, signal, solver

from caffe_lint.stability.signal import features
from caffe_lint.stability.verdict.verdict import (
    CERTAIN,
    DIVERGES,
    STALLS,
    may_be,
    most_likely,
    verdict_of,
    verdict_over,
)


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> list[object]:
    """The solvers whose training was simulated so far."""
    found: list[object] = []
    simulate = features.simulate

    def counted(solver: object, *arguments: object) -> object:
        found.append(solver)
        return simulate(solver, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(features, "simulate", counted)
    return found


def checked(base_lr: str, **options: object) -> list[str]:
    files = {"solver.prototxt": solver(base_lr), "net.prototxt": net()}
    return [finding.code for finding in check_files(files, select=("G",), **options)]  # type: ignore[arg-type]


def test_a_calm_training_on_unknown_images_is_not_simulated(simulated: list[object]) -> None:
    assert checked("0.001") == ["G101"]
    assert simulated == []


def test_a_training_that_may_diverge_is_simulated_at_every_point(simulated: list[object]) -> None:
    assert checked("1e6") == ["G101"]
    assert len(simulated) == 3


def test_a_training_on_known_data_is_simulated_once(simulated: list[object]) -> None:
    assert checked("0.01", facts=FACTS) == ["G101"]
    assert len(simulated) == 1


@pytest.mark.parametrize("base_lr", ["1e-9", "1e-6", "1e-3", "0.1", "10", "1e3", "1e6"])
@pytest.mark.parametrize("filler", ['type: "xavier"', 'type: "gaussian" std: 1e-4', 'type: "gaussian" std: 2'])
def test_what_iteration_0_excludes_is_never_the_verdict(base_lr: str, filler: str) -> None:
    found = signal(solver(base_lr), net(filler))
    verdict = verdict_of(found)
    assert verdict.p_diverges <= most_likely(DIVERGES, found)
    assert verdict.p_stalls <= most_likely(STALLS, found)
    for signals in ([found], [found, found]):
        word = verdict_over(signals).word
        assert word not in ("diverges", "stalls") or may_be(word, signals)
    assert set(CERTAIN) == {"diverge", "stall"}
