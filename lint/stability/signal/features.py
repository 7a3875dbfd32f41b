"""The few numbers that a verdict rests on: of iteration 0, of the simulation, and of the whole run if it were stable."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from ...layers.models.loss_models import Loss
from ...moments.statistics import root
from ...moments.weights import Weights
from ...proto.named_tuple import NamedTuple
from ...solver.step_limit import relative_step
from .gradient_flow import excess, progress
from .passes import Back, Pass, PreparedNet, initial_weights
from .simulation import Simulation, simulate
from .training import Training
from .update_rule import Update, UpdateRule, clip_factor, first_updates, step_size, update_rule_of

if TYPE_CHECKING:
    from ...moments.graph import Layer, Param
    from ...net.net import Net


class Signal(NamedTuple):
    """All that is computed of a training: iteration 0, the probe of its curvature, its updates, the simulation."""

    training: Training
    update_rule: UpdateRule
    weights: Mapping[Param, Weights]
    forward: Pass
    back: Back
    probe: Back
    l2: float
    updates: Mapping[Param, Update]
    losses: Sequence[Layer]
    sharpness: float
    simulation: Simulation
    features: dict[str, float]


# The bounds of the features, in decimal logarithms: beyond them a number carries no more information. They were set by hand
# while looking at the figures of benchmarks/verdict.py, which fits the coefficients within them; no script searches for them.
LEAST_PROGRESS, MOST_PROGRESS = -2.0, 1.0
SHARPNESS, CURVATURE_GROWTH = (-6.0, 6.0), (0.0, 4.0)
GRADIENT_GROWTH, LOSS_GROWTH, PEAK_LOSS_GROWTH, EXCESS_LOSS = (-1.0, 12.0), (-1.0, 2.0), (0.0, 1.5), (-3.0, 0.0)
# A clip threshold that lets an iteration move the weights by more than this many times their norm counts as none: numbers
# stay finite, but nothing is left of the net. Set by hand with benchmarks/verdict.py; no script searches for it.
INEFFECTIVE_CLIP = 100.0
# The least ratio of the outputs' root mean square to the one that the loss wants; smaller ones count as this. Set by hand, too.
SMALLEST_OUTPUT = 0.01
# The least loss, norm and target size that something is divided by.
TINY_LOSS, TINY_NORM, TINY_TARGET = 1e-9, 1e-12, 1e-9


class Trial(NamedTuple):
    """Changes to what the files say.

    `rate` is a factor for every learning rate, `clip` another clip_gradients (negative: none), `loss_weights` are those of
    some layers, `fillers` the initial values of some parameters (see `weights.filled_as`), `inputs` factors for the data of
    some data layers.
    """

    rate: float = 1.0
    clip: float | None = None
    loss_weights: Mapping[Layer, float] = MappingProxyType({})
    fillers: Mapping[Param, Weights] = MappingProxyType({})
    inputs: Mapping[Layer, float] = MappingProxyType({})

    def for_net(self, net: Net) -> Trial:
        """The same trial for another build of its net, such as one for images of another size."""
        return self._replace(
            loss_weights={net.layers[layer.index]: weight for layer, weight in self.loss_weights.items()},
            fillers={counterpart(param, net): start for param, start in self.fillers.items()},
            inputs={net.layers[layer.index]: factor for layer, factor in self.inputs.items()},
        )


def counterpart(param: Param, net: Net) -> Param:
    """The same parameter in another build of its net."""
    return net.layers[param.layer.index].params[param.index].owner


AS_WRITTEN = Trial()


def signal_of(training: Training) -> Signal:
    """The signal of a training."""
    weights = initial_weights(training.net, training.trained)
    return _signal(training, update_rule_of(training.solver), weights, *_first_passes(training.prepared, weights))


def signal_with(signal: Signal, trial: Trial) -> Signal:
    """The signal of the same training with the changes of a trial. For rates and clipping the first passes are reused."""
    solver = signal.update_rule.changed(trial.rate, trial.clip)
    if not (trial.loss_weights or trial.fillers or trial.inputs):
        return _signal(signal.training, solver, signal.weights, signal.forward, signal.back, signal.probe)
    prepared = signal.training.prepared.with_loss_weights(trial.loss_weights).with_scaled_inputs(trial.inputs)
    weights = {**signal.weights, **trial.fillers}
    return _signal(signal.training._replace(prepared=prepared), solver, weights, *_first_passes(prepared, weights))


def _first_passes(prepared: PreparedNet, weights: Mapping[Param, Weights]) -> tuple[Pass, Back, Back]:
    forward = Pass(prepared, weights)
    return forward, Back(forward), Back(forward, probe=True)


def _signal(
    training: Training, solver: UpdateRule, weights: Mapping[Param, Weights], forward: Pass, back: Back, probe: Back
) -> Signal:
    l2 = back.l2
    effective = _without_ineffective_clip(solver, training.net)
    losses = [layer for layer, _, weight, _ in forward.loss_terms() if weight and layer.runs_backward]
    sharpness = _sharpness(solver, back, probe)
    updates = first_updates(solver, back.gradients, weights, l2)
    simulation = simulate(training.solver, effective, forward, back, weights)
    found = Signal(training, solver, weights, forward, back, probe, l2, updates, losses, sharpness, simulation, {})
    found.features.update(_features(found))
    return found


def unit_step(rule: UpdateRule, net: Net) -> float:
    """How far gradients of norm 1 let momentum move the weights in an iteration, relative to their norm.

    That norm is the one of weights that preserve the scale of activations, whatever the fillers give: each has a variance of
    1 / fan_in, so that the squares of a layer's weights sum to its number of outputs. 0 for solvers whose steps do not grow
    with gradients.
    """
    if rule.adaptive:
        return 0.0
    shapes = [layer.params[0].shape or () for layer in net.layers if layer.params and layer.runs_backward]
    outputs = sum(shape[0] or 0 for shape in shapes if len(shape) > 1)
    return relative_step(math.sqrt(outputs), rule.largest, rule.momentum, rule.iter_size)


def _without_ineffective_clip(rule: UpdateRule, net: Net) -> UpdateRule:
    """The solver without a clip threshold that lets an iteration move the weights by many times their norm."""
    return rule._replace(clip=-1.0) if rule.clip * unit_step(rule, net) > INEFFECTIVE_CLIP else rule


def _sharpness(solver: UpdateRule, back: Back, probe: Back) -> float:
    """Learning rate times curvature: gradient descent is stable below 2, with momentum m below 2 (1 + m).

    For an adaptive solver, the rate of each parameter is its first step divided by its gradient.
    """
    total = 0.0
    for param, gradient in probe.gradients.items():
        rate = solver.rate * abs(param.lr_mult)
        if solver.adaptive:
            own = back.gradients.get(param)
            size = root(own.second_moment) if own is not None else 0.0
            rate = step_size(solver, size, rate) / size if size > 0 and math.isfinite(size) else 0.0
        total += rate * gradient.second_moment * (param.count or 1)
    return total


def curvature_growth(signal: Signal) -> float:
    """By what factor the curvature grows until the outputs are as large as the loss wants them.

    Nets with small initial weights start where the loss is flat. Their gains grow together, and the curvature with respect
    to the weights of a layer is the product of the squared gains of all others.
    """
    depth = sum(1 for param in signal.back.gradients if "weight" in param.role and signal.weights[param].mean_abs)
    size = min(1.0, output_size(signal.training.prepared, signal.losses, signal.forward))
    return max(size, SMALLEST_OUTPUT) ** -(2 - 2 / max(depth, 1)) if size == size else 1.0


def output_size(prepared: PreparedNet, losses: Sequence[Layer], forward: Pass) -> float:
    """The root mean square of the outputs, relative to the one that the loss wants; the largest of several losses, which is the
    steepest. 1 without a loss that has a model.
    """
    sizes = []
    for layer in losses:
        model, bottoms = prepared.models[layer.index], forward.steps[layer.index].bottoms
        if isinstance(model, Loss) and bottoms:
            sizes.append(root(bottoms[0].second_moment) / max(model.target_size(bottoms), TINY_TARGET))
    return max(sizes, default=1.0)


def log10_within(x: float, low: float, high: float) -> float:
    """The decimal logarithm within bounds; the upper bound for infinity and NaN."""
    if x != x or x == math.inf:
        return high
    return min(max(math.log10(x), low), high) if x > 0 else low


def _features(signal: Signal) -> dict[str, float]:
    solver = _without_ineffective_clip(signal.update_rule, signal.training.net)
    losses, finite = signal.simulation.losses, signal.simulation.finite
    norms = [norm for norm in signal.simulation.norms if math.isfinite(norm)]
    first = max(abs(losses[0]), TINY_LOSS) if losses and math.isfinite(losses[0]) else 1.0
    peak = max((abs(loss) for loss in losses if loss == loss), default=first)
    grown = max(norms) / max(norms[0], TINY_NORM) if norms and norms[0] > 0 else 1.0
    clip = clip_factor(solver, signal.l2)
    learned = progress(signal.training.solver, solver, signal.forward, signal.back, signal.weights)
    return {
        # of iteration 0
        "sharpness": log10_within(signal.sharpness * solver.momentum_gain * clip * curvature_growth(signal), *SHARPNESS),
        "curvature_growth": log10_within(curvature_growth(signal), *CURVATURE_GROWTH),  # part of sharpness
        # from the simulation
        "gradient_growth": log10_within(grown, *GRADIENT_GROWTH) if finite else GRADIENT_GROWTH[1],
        "loss_growth": log10_within(abs(losses[-1]) / first, *LOSS_GROWTH) if finite else LOSS_GROWTH[1],
        "peak_loss_growth": log10_within(peak / first, *PEAK_LOSS_GROWTH) if finite else PEAK_LOSS_GROWTH[1],
        # of the whole run, if it were stable
        "progress": log10_within(learned, LEAST_PROGRESS, MOST_PROGRESS),
        "excess_loss": log10_within(excess(signal.forward) / first, *EXCESS_LOSS),
    }
