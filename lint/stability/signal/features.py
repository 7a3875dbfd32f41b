"""The few numbers that a verdict rests on: of the first iteration, of the rehearsal, and of what could be learned."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from ...layers.models.loss_models import Loss
from ...moments.statistics import root
from ...moments.weights import Weights
from ...proto.named_tuple import NamedTuple
from .learning import excess, progress
from .passes import Back, Circuit, Pass, initial_weights
from .rehearsal import Rehearsal, rehearse
from .setup import Setup
from .updates import Solving, Update, clip_factor, first_updates, solving, step_size

if TYPE_CHECKING:
    from ...moments.graph import Layer, Param
    from ...net.net import Net


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


NEXT_TO_NOTHING = -2.0  # the least that `learning` is
# Times their size that a bound may let an iteration carry the weights. What lets it more holds nothing: numbers stay
# finite, and nothing is left of what the net was.
HOLDS_NOTHING = 100.0
DEEPEST = 0.01  # of the size that outputs should have; smaller ones are as good as none


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

    def for_net(self, net: Net) -> Trial:
        """The same for another build of the net that it is for, such as one for images of another size."""
        return self._replace(
            loss_weights={net.layers[layer.index]: weight for layer, weight in self.loss_weights.items()},
            fillers={counterpart(param, net): start for param, start in self.fillers.items()},
            inputs={net.layers[layer.index]: factor for layer, factor in self.inputs.items()},
        )


def counterpart(param: Param, net: Net) -> Param:
    """The same parameter in another build of its net."""
    return net.layers[param.layer.index].params[param.index].owner


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
    held = _held(solver, setup.net)
    losses = [layer for layer, _, weight, _ in forward.loss_terms() if weight and layer.runs_backward]
    sharpness = _sharpness(solver, back, probe)
    updates = first_updates(solver, back.gradients, weights, l2)
    rehearsal = rehearse(setup.solver, held, forward, back, weights)
    found = Signal(setup, solver, weights, forward, back, probe, l2, updates, losses, sharpness, rehearsal, {})
    found.features.update(_features(found))
    return found


def reach(solving: Solving, net: Net) -> float:
    """How far gradients of norm 1 let momentum carry the weights on in an iteration, as a part of their size.

    Their size is that of weights that keep values as large as they are, whatever those are that the fillers make:
    the variance of each is 1 over fan-in, so that the squares of a layer's add up to its number of outputs. 0 for
    solvers whose steps do not grow with gradients.
    """
    if solving.adaptive:
        return 0.0
    shapes = [layer.params[0].shape or () for layer in net.layers if layer.params and layer.runs_backward]
    outputs = sum(shape[0] or 0 for shape in shapes if len(shape) > 1)
    return solving.largest / ((1 - solving.momentum) * solving.iter_size * math.sqrt(outputs)) if outputs else 0.0


def _held(solving: Solving, net: Net) -> Solving:
    """The solver without a bound that holds nothing: one that lets an iteration carry the weights many times their size."""
    return solving._replace(clip=-1.0) if solving.clip * reach(solving, net) > HOLDS_NOTHING else solving


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


def waking(signal: Signal) -> float:
    """How many times the curvature grows until the outputs are as large as the loss wants them.

    Nets with small first weights begin where nothing is steep. Their gains grow together, and the curvature by the
    weights of a layer is the product of the squared gains of all others.
    """
    depth = sum(1 for param in signal.back.gradients if "weight" in param.role and signal.weights[param].size)
    sizes = []
    for layer in signal.losses:
        carrier, bottoms = signal.setup.circuit.carriers[layer.index], signal.forward.steps[layer.index].bottoms
        if isinstance(carrier, Loss) and bottoms:
            sizes.append(root(bottoms[0].square) / max(carrier.answer(bottoms), 1e-9))
    size = min(1.0, max(sizes, default=1.0))  # the loss that is nearest to where it wants to be is steepest
    return max(size, DEEPEST) ** -(2 - 2 / max(depth, 1)) if size == size else 1.0


def decades(x: float, low: float, high: float) -> float:
    """The decimal logarithm between bounds; the upper one for what is not finite."""
    if x != x or x == math.inf:
        return high
    return min(max(math.log10(x), low), high) if x > 0 else low


def _features(signal: Signal) -> dict[str, float]:
    solver = _held(signal.solving, signal.setup.net)
    losses, finite = signal.rehearsal.losses, signal.rehearsal.finite
    norms = [norm for norm in signal.rehearsal.norms if math.isfinite(norm)]
    first = max(abs(losses[0]), 1e-9) if losses and math.isfinite(losses[0]) else 1.0
    peak = max((abs(loss) for loss in losses if loss == loss), default=first)
    grown = max(norms) / max(norms[0], 1e-12) if norms and norms[0] > 0 else 1.0
    clip = clip_factor(solver, signal.l2)
    learnt = progress(signal.setup.solver, solver, signal.forward, signal.back, signal.weights)
    return {
        # of the first iteration
        "sharpness": decades(signal.sharpness * solver.gain * clip * waking(signal), -6, 6),
        "waking": decades(waking(signal), 0, 4),  # a part of sharpness
        # from the rehearsal
        "gradients_grow": decades(grown, -1, 12) if finite else 12.0,
        "ends_higher": decades(abs(losses[-1]) / first, -1, 2) if finite else 2.0,
        "rises": decades(peak / first, 0, 1.5) if finite else 1.5,
        # of the whole training, were it stable
        "learning": decades(learnt, NEXT_TO_NOTHING, 1),
        "easy": decades(excess(signal.forward) / first, -3, 0),
    }
