"""The few numbers that a verdict rests on: of the first iteration, of the rehearsal, and of what could be learned."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from .fillers import Weights
from .learning import progress
from .passes import Back, Circuit, Pass, initial_weights
from .rehearsal import Rehearsal, rehearse
from .setup import Setup
from .solving import Solving, Update, clip_factor, first_updates, solving, step_size
from .statistics import root

if TYPE_CHECKING:
    from ..graph import Layer, Param


class Signal(NamedTuple):
    """All that was computed of a training: the first iteration, its probe of curvature, updates, rehearsal."""

    setup: Setup
    solving: Solving
    weights: Mapping[Param, Weights]
    forward: Pass
    back: Back
    probe: Back
    l2: float
    updates: Mapping[Param, Update]
    losses: Sequence[Layer]
    sharpness: float
    rehearsal: Rehearsal
    features: dict[str, float]


class Trial(NamedTuple):
    """What is tried in place of what the files say.

    `rate` is a factor for every rate, `clip` another clip_gradients (negative: none), `loss_weights` are those of
    some layers, `fillers` what some parameters start as (see `fillers.filled_as`), `inputs` factors for the data of
    some data layers.
    """

    rate: float = 1.0
    clip: float | None = None
    loss_weights: Mapping[Layer, float] = MappingProxyType({})
    fillers: Mapping[Param, Weights] = MappingProxyType({})
    inputs: Mapping[Layer, float] = MappingProxyType({})


AS_WRITTEN = Trial()


def signal_of(setup: Setup) -> Signal:
    """The signal of a training."""
    weights = initial_weights(setup.net)
    return _signal(setup, solving(setup.solver), weights, *_first_passes(setup.circuit, weights))


def tried(signal: Signal, trial: Trial) -> Signal:
    """The signal of the same training, were it as `trial` says. Trying rates and clipping saves the first passes."""
    solver = signal.solving.tried(trial.rate, trial.clip)
    if not (trial.loss_weights or trial.fillers or trial.inputs):
        return _signal(signal.setup, solver, signal.weights, signal.forward, signal.back, signal.probe)
    circuit = signal.setup.circuit.weighing(trial.loss_weights).scaling(trial.inputs)
    weights = {**signal.weights, **trial.fillers}
    return _signal(signal.setup._replace(circuit=circuit), solver, weights, *_first_passes(circuit, weights))


def _first_passes(circuit: Circuit, weights: Mapping[Param, Weights]) -> tuple[Pass, Back, Back]:
    forward = Pass(circuit, weights)
    return forward, Back(forward), Back(forward, probe=True)


def _signal(
    setup: Setup, solver: Solving, weights: Mapping[Param, Weights], forward: Pass, back: Back, probe: Back
) -> Signal:
    l2 = back.l2
    losses = [layer for layer, _, weight, _ in forward.loss_terms() if weight and layer.runs_backward]
    sharpness = _sharpness(solver, back, probe)
    updates = first_updates(solver, back.gradients, weights, l2)
    rehearsal = rehearse(setup.circuit, setup.solver, solver, weights)
    found = Signal(setup, solver, weights, forward, back, probe, l2, updates, losses, sharpness, rehearsal, {})
    found.features.update(_features(found))
    return found


def _sharpness(solver: Solving, back: Back, probe: Back) -> float:
    """Rate times curvature: gradient descent is stable below 2, with momentum m below 2 (1 + m).

    For a solver that scales gradients, each parameter has the rate that its first step amounts to.
    """
    total = 0.0
    for param, gradient in probe.gradients.items():
        rate = solver.rate * abs(param.lr_mult)
        if solver.adaptive:
            own = back.gradients.get(param)
            size = root(own.square) if own is not None else 0.0
            rate = step_size(solver, size, rate) / size if size > 0 and math.isfinite(size) else 0.0
        total += rate * gradient.square * (param.count or 1)
    return total


def decades(x: float, low: float, high: float) -> float:
    """The decimal logarithm between bounds; the upper one for what is not finite."""
    if x != x or x == math.inf:
        return high
    return min(max(math.log10(x), low), high) if x > 0 else low


def _features(signal: Signal) -> dict[str, float]:
    solver = signal.solving
    rehearsal = signal.rehearsal
    clip = clip_factor(solver, signal.l2)
    losses, norms = rehearsal.losses, [x for x in rehearsal.norms if math.isfinite(x)]
    ratios = [
        update.ratio
        for param, update in signal.updates.items()
        if signal.weights[param].size and "weight" in param.role
    ]
    growth = max(
        (
            root(rehearsal.weights[param].square) / max(root(weight.square), 1e-3)
            for param, weight in signal.weights.items()
            if "weight" in param.role
        ),
        default=1.0,
    )
    scores = [root(signal.forward.steps[layer.index].bottoms[0].square) for layer in signal.losses if layer.bottoms]
    normalised = any(layer.kind is not None and layer.kind.normalises for layer in signal.setup.net.layers)
    first = max(abs(losses[0]), 1e-9) if losses and math.isfinite(losses[0]) else 1.0
    peak = max((abs(x) for x in losses if x == x), default=first)
    finite = rehearsal.finite
    grown = max(norms) / max(norms[0], 1e-12) if norms and norms[0] > 0 else 1.0
    risen = decades(peak / first, 0, 1.5)
    return {
        # from the rehearsal
        "gradients_grow": decades(grown, -1, 12) if finite else 12.0,
        "weights_grow": decades(growth, -1, 8),
        "breaks": 0.0 if finite else 1.0,
        "ends_higher": decades(abs(losses[-1]) / first, -1, 2) if finite else 2.0,
        "rises_but_holds": risen if finite and not normalised else 0.0,
        # of the first iteration
        "update": decades(max(ratios, default=0.0) * solver.gain, -8, 4),
        "sharpness": decades(signal.sharpness * solver.gain * clip, -6, 6),
        "clips": 1.0 if solver.clip > 0 else 0.0,
        "adaptive": 1.0 if solver.adaptive else 0.0,
        "scores": decades(max(scores, default=0.0), -5, 1),
        "gradient": decades(signal.l2, -6, 8),
        # of the whole training, were it stable
        "progress": decades(first_order(signal), -6, 3),
        "learning": decades(progress(signal.setup.solver, solver, signal.forward, signal.back, signal.weights), -4, 1),
    }  # fmt: skip


def first_order(signal: Signal) -> float:
    """The part of the loss that the first gradient would take off over the whole training."""
    solver = signal.solving
    clip = clip_factor(solver, signal.l2)
    total = 0.0
    time = sum(_times(signal))
    time = math.sqrt(time) if solver.type == "AdaGrad" else time
    for param, gradient in signal.back.gradients.items():
        if "weight" not in param.role:
            continue
        size = root(gradient.square)
        step = step_size(solver, size * clip, solver.rate * abs(param.lr_mult))
        total += step * size * (param.count or 1) * solver.gain * time
    return total / max(abs(signal.forward.loss), 1e-9)


def _times(signal: Signal) -> list[float]:
    from .learning import total_rate

    return total_rate(signal.setup.solver, signal.solving)
