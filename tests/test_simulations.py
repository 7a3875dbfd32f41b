"""A training is simulated only where its verdict may depend on that, which iteration 0 tells."""

from __future__ import annotations

import pytest
from test_clip_bound import FACTS, net, signal, solver

from caffe_lint.engine.files_in_memory import Files, nets_for
from caffe_lint.net.data_facts import DataFacts
from caffe_lint.net.job import SolverFile
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.settings.settings import Settings
from caffe_lint.stability.advice.stability import Stability
from caffe_lint.stability.computed import stability_of
from caffe_lint.stability.signal import features
from caffe_lint.stability.signal.features import Trial, signal_with
from caffe_lint.stability.verdict.verdict import (
    CERTAIN,
    DIVERGES,
    RISKY,
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


def computed(base_lr: str, facts: DataFacts | None = None, text: str | None = None) -> Stability:
    files = Files(caffe_schema(), "bvlc")
    files.add("solver.prototxt", solver(base_lr).encode())
    files.add("net.prototxt", (text or net()).encode())
    job = nets_for(files, Settings(facts=facts or {})).job(SolverFile(files.get("solver.prototxt")), None)
    found = stability_of(job)
    assert found is not None
    return found


def test_a_calm_training_on_unknown_images_is_not_simulated_for_rules(simulated: list[object]) -> None:
    calm = computed("0.001")
    assert not calm.risky
    assert not calm.stalls
    assert not calm.will_stall
    assert calm.clip_bound is not None
    assert simulated == []
    assert calm.cannot_tell is None  # which needs every point of the range
    assert len(simulated) == 3


def test_a_training_that_may_diverge_is_simulated_at_every_point(simulated: list[object]) -> None:
    assert computed("1e6").diverges
    assert len(simulated) == 3


def test_a_training_on_known_data_is_simulated_once(simulated: list[object]) -> None:
    known = computed("0.01", FACTS)
    assert not known.risky
    assert known.cannot_tell is None
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


def test_a_training_of_which_no_simulation_says_more_is_not_simulated_for_people(simulated: list[object]) -> None:
    sure = computed("0.0005", FACTS)
    least = {fate: max(most_likely(table, each) for each in sure.signals) for fate, table in (("d", DIVERGES), ("s", STALLS))}
    assert sure.is_surely_calm == (max(least.values()) < RISKY)
    assert sure.cannot_tell is None
    assert bool(simulated) != sure.is_surely_calm


NORMALISED = 'layer { name: "bn" type: "BatchNorm" bottom: "conv" top: "conv" }\n'


@pytest.mark.parametrize(("layer", "simulations"), [("", 3), (NORMALISED, 2)])  # eps tells where values are small
def test_data_that_a_batch_norm_makes_alike_are_simulated_once(layer: str, simulations: int, simulated: list[object]) -> None:
    text = net().replace("transform_param { scale: 0.00390625 }", "")
    place = text.index('layer { name: "relu"')
    found = computed("0.01", text=text[:place] + layer + text[place:])
    assert found.verdict.word
    assert len(simulated) == simulations


def test_clip_thresholds_that_no_gradient_reaches_share_a_simulation(simulated: list[object]) -> None:
    found = signal(solver("0.001"), net())
    for clip in (1e6, 1e7, -1.0, 1e6):
        assert signal_with(found, Trial(clip=clip)).simulation is signal_with(found, Trial(clip=1e6)).simulation
    assert len(simulated) == 1
    assert signal_with(found, Trial(clip=1e-6)).simulation.norms != signal_with(found, Trial(clip=1e6)).simulation.norms
    assert len(simulated) == 2
