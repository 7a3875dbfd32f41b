"""The few numbers that a verdict rests on: of iteration 0, of the simulation, and of the whole run if it were stable."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ...layers.models.loss_models import Loss
from ...moments.statistics import root
from ...moments.weights import Weights, filled_as
from ...proto.named_tuple import NamedTuple
from ...solver.step_limit import relative_step
from .gradient_flow import excess, progress
from .passes import Back, Pass, PreparedNet, initial_weights
from .simulation import Simulation, simulate, steps_of
from .training import Training
from .update_rule import Update, UpdateRule, clip_factor, first_updates, step_size, update_rule_of

if TYPE_CHECKING:
    from ...moments.graph import Layer, Param
    from ...moments.signal_model import Gradient
    from ...net.net import Net
    from ...net.trained_weights import TrainedWeights
    from ...proto.binder import Message


# The bounds of the features, in decimal logarithms: beyond them a number carries no more information. They were set by hand
# while looking at the figures of benchmarks/verdict.py, which fits the coefficients within them; no script searches for them.
LEAST_PROGRESS, MOST_PROGRESS = -2.0, 1.0
SHARPNESS, CURVATURE_GROWTH = (-6.0, 6.0), (0.0, 4.0)
EXCESS_LOSS = (-3.0, 0.0)
SIMULATED = {"gradient_growth": (-1.0, 12.0), "loss_growth": (-1.0, 2.0), "peak_loss_growth": (0.0, 1.5)}
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
    some layers, `fillers` the types of the fillers of some parameters (see `weights.filled_as`), `inputs` factors for the data
    of some data layers.
    """

    rate: float = 1.0
    clip: float | None = None
    loss_weights: Mapping[Layer, float] = MappingProxyType({})
    fillers: Mapping[Param, str] = MappingProxyType({})
    inputs: Mapping[Layer, float] = MappingProxyType({})

    @property
    def kinds(self) -> int:
        """How many of these it changes: loss weights, fillers, and the solver."""
        return bool(self.loss_weights) + bool(self.fillers) + (self.rate != 1 or self.clip is not None)

    def for_net(self, net: Net) -> Trial:
        """The same trial for another build of its net, such as one for images of another size."""
        return self._replace(
            loss_weights={net.layers[layer.index]: weight for layer, weight in self.loss_weights.items()},
            fillers={counterpart(param, net): kind for param, kind in self.fillers.items()},
            inputs={net.layers[layer.index]: factor for layer, factor in self.inputs.items()},
        )


def counterpart(param: Param, net: Net) -> Param:
    """The same parameter in another build of its net."""
    return net.layers[param.layer.index].params[param.index].owner


AS_WRITTEN = Trial()


class FirstPasses:
    """The passes of iteration 0, and what follows from them for any solver, each computed when it is first asked for.

    `trained` are the weights of a file that it starts from, kept as long as the passes are known by their identity.
    """

    def __init__(
        self, prepared: PreparedNet, weights: Mapping[Param, Weights], trained: TrainedWeights | None = None
    ) -> None:
        self.weights = weights
        self.trained = trained
        self.forward = Pass(prepared, weights)
        self.back = Back(self.forward)
        self._simulated: dict[object, list[tuple[float, Simulation]]] = {}  # each with its clip threshold

    @cached_property
    def probe(self) -> Back:
        """The backward pass that measures the curvature."""
        return Back(self.forward, probe=True)

    def simulation(self, solver: Message, rule: UpdateRule) -> Simulation:
        """The simulated iterations. Solvers share them whose steps are the same, with clip thresholds that no gradient reaches."""
        rates = tuple(rule.rate_at(solver, step) for step in range(steps_of(rule)))
        known = self._simulated.setdefault((rates, rule._replace(**_ONLY_IN_RATES)), [])
        for clip, found in known:
            reached = max(found.norms[:-1], default=0.0)  # after the last one no step follows
            if clip == rule.clip or (_lets_pass(clip, reached) and _lets_pass(rule.clip, reached)):
                return found
        found = simulate(solver, rule, self.forward, self.back, self.weights)
        known.append((rule.clip, found))
        return found

    def share_simulations(self, other: FirstPasses) -> None:
        """Take the simulations of other passes through the net for its own, if the data make no difference to what is learned.

        So it is behind a BatchNorm: the losses, and the part of each parameter in the gradient, agree but for rounding.
        """
        mine, theirs = self.back, other.back
        within = _ROUNDING * theirs.l2
        if (
            self.forward.prepared.net is other.forward.prepared.net
            and abs(self.forward.loss - other.forward.loss) <= _ROUNDING * abs(other.forward.loss)
            and all(
                _are_close(gradient, theirs.gradients[param], within / math.sqrt(theirs.counts[param]))
                for param, gradient in mine.gradients.items()
            )
        ):
            self._simulated = other._simulated


# What of a solver plays no part in a simulation but through the learning rates, and its clip threshold.
_ONLY_IN_RATES: dict[str, Any] = {"rate": 0.0, "largest": 0.0, "scale": 1.0, "max_iter": 0, "l1": False, "clip": -1.0}


# What counts as rounding, relative to a loss or the norm of all gradients. Set by hand: far above what sums of floats differ by
# (1e-9 behind a BatchNorm), far below what changes a probability by a thousandth.
_ROUNDING = 1e-6


def _are_close(one: Gradient, other: Gradient, within: float) -> bool:
    """Whether the root mean squares of two gradients, and what all items agree in, differ by no more than that."""
    sizes = abs(root(one.second_moment) - root(other.second_moment))
    return sizes <= within and abs(one.common - other.common) <= within


def _lets_pass(clip: float, norm: float) -> bool:
    """Whether a clip threshold leaves gradients of that norm alone."""
    return clip < 0 or norm <= clip


class Signal:
    """What is computed of a training: iteration 0, and when it is first asked for, its updates, the simulation, the features.

    Most of the time goes into the simulation, which few jobs need (`verdict.may_be`).
    """

    def __init__(self, training: Training, rule: UpdateRule, passes: FirstPasses) -> None:
        self.training = training
        self.update_rule = rule
        self.weights = passes.weights
        self.passes = passes
        self.forward = passes.forward
        self.back = passes.back
        self.l2 = self.back.l2
        self.losses: Sequence[Layer] = [
            layer for layer, _, weight, _ in self.forward.loss_terms() if weight and layer.runs_backward
        ]

    @cached_property
    def updates(self) -> dict[Param, Update]:
        """The first update of each parameter."""
        return first_updates(self.update_rule, self.back.gradients, self.weights, self.l2)

    @cached_property
    def effective_rule(self) -> UpdateRule:
        """The solver without a clip threshold that lets an iteration move the weights by many times their norm."""
        rule = self.update_rule
        return rule._replace(clip=-1.0) if rule.clip * unit_step(rule, self.training.net) > INEFFECTIVE_CLIP else rule

    @cached_property
    def sharpness(self) -> float:
        """Learning rate times curvature: gradient descent is stable below 2, with momentum m below 2 (1 + m).

        For an adaptive solver, the rate of each parameter is its first step divided by its gradient.
        """
        rule = self.update_rule
        total = 0.0
        for param, gradient in self.passes.probe.gradients.items():
            rate = rule.rate * abs(param.lr_mult)
            if rule.adaptive:
                own = self.back.gradients.get(param)
                size = root(own.second_moment) if own is not None else 0.0
                rate = step_size(rule, size, rate) / size if size > 0 and math.isfinite(size) else 0.0
            total += rate * gradient.second_moment * (param.count or 1)
        return total

    @cached_property
    def simulation(self) -> Simulation:
        """The simulated iterations."""
        return self.passes.simulation(self.training.solver, self.effective_rule)

    @cached_property
    def unsimulated(self) -> dict[str, float]:
        """The features that need no simulation: of iteration 0, and of the whole run, if it were stable."""
        solver = self.effective_rule
        clip = clip_factor(solver, self.l2)
        learned = progress(self.training.solver, solver, self.forward, self.back, self.weights)
        growth = curvature_growth(self)
        return {
            "sharpness": log10_within(self.sharpness * solver.momentum_gain * clip * growth, *SHARPNESS),
            "curvature_growth": log10_within(growth, *CURVATURE_GROWTH),  # part of sharpness
            "progress": log10_within(learned, LEAST_PROGRESS, MOST_PROGRESS),
            "excess_loss": log10_within(excess(self.forward) / _divisor(self.forward.loss), *EXCESS_LOSS),
        }

    @cached_property
    def features(self) -> dict[str, float]:
        """All features."""
        losses = self.simulation.losses
        norms = [norm for norm in self.simulation.norms if math.isfinite(norm)]
        first = _divisor(losses[0])
        peak = max((abs(loss) for loss in losses if loss == loss), default=first)
        grown = max(norms) / max(norms[0], TINY_NORM) if norms and norms[0] > 0 else 1.0
        growth = {"gradient_growth": grown, "loss_growth": abs(losses[-1]) / first, "peak_loss_growth": peak / first}
        finite = self.simulation.finite
        simulated = {name: log10_within(growth[name], *bounds) if finite else bounds[1] for name, bounds in SIMULATED.items()}
        return {**self.unsimulated, **simulated}


def signal_of(training: Training) -> Signal:
    """The signal of a training."""
    key = (FirstPasses, id(training.prepared), id(training.trained))
    if key not in training.net.computed:
        training.net.computed[key] = FirstPasses(training.prepared, _initial_weights(training), training.trained)
    return Signal(training, update_rule_of(training.solver), training.net.computed[key])


def _initial_weights(training: Training) -> Mapping[Param, Weights]:
    """The weights that a training starts from, the same for all data."""
    computed, trained = training.net.computed, training.trained
    key = (initial_weights, id(trained))
    if key not in computed:
        computed[key] = initial_weights(training.net, trained), trained  # which keeps its identity
    weights: Mapping[Param, Weights] = computed[key][0]
    return weights


def signal_with(signal: Signal, trial: Trial) -> Signal:
    """The signal of the same training with the changes of a trial. For rates and clipping the first passes are reused."""
    rule = signal.update_rule.changed(trial.rate, trial.clip)
    if not (trial.loss_weights or trial.fillers or trial.inputs):
        return Signal(signal.training, rule, signal.passes)
    prepared = signal.training.prepared.with_loss_weights(trial.loss_weights).with_scaled_inputs(trial.inputs)
    weights = {**signal.weights, **{param: filled_as(param, kind) for param, kind in trial.fillers.items()}}
    return Signal(signal.training._replace(prepared=prepared), rule, FirstPasses(prepared, weights))


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


def _divisor(loss: float) -> float:
    """The first loss as what later ones are divided by."""
    return max(abs(loss), TINY_LOSS) if math.isfinite(loss) else 1.0
