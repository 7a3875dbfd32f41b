"""Why a training gets its verdict: the layers and factors that matter most, each with its number."""

from __future__ import annotations

import math

from ...layers.loss import LOSS_PARAM, loss_normalization
from ...moments.layer_type import REGRESSION
from ...moments.signal_model import shape_of
from ...moments.statistics import root
from ...net.frozen_statistics import blank_gain, stored_statistics
from ...net.rounding import two_digits
from ...proto.named_tuple import NamedTuple
from ...source.wording import counted
from ..signal.features import LEAST_PROGRESS, Signal
from ..signal.gradient_flow import LEARNED_SHARE
from ..signal.passes import Back
from ..signal.update_rule import clip_factor
from .verdict import Verdict

# Limits above which a number is named as a reason. All were set by hand; no script fits them. They choose what is said,
# and (DOMINANT) whether a loss weight is tried before the learning rate, but do not change the verdict.
DOMINANT = 10.0  # times the gradient norms of all other losses together
LARGE_INPUT = 10.0  # mean absolute value of an input; fillers are made for 1 (LeCun et al. 1998, "Efficient BackProp")
LARGE_UPDATE = 0.1  # part of a weight that a step changes; about 0.001 is usual
MANY_OUTPUTS, LARGE_LOSS = 10, 10.0  # terms that a regression loss sums per item, and its value in the first iteration
LARGE_GAIN = 3.0  # times the root mean square of what a layer reads
VANISHING = 1e-4  # part of the largest root mean square of a weight's gradients
NOTABLE_GROWTH = 0.5  # decades that the simulated loss ends or peaks above the initial loss


class Reason(NamedTuple):
    """A reason and its place: `layer` is empty for the solver, `factor` is a name for programs."""

    layer: str
    factor: str
    message: str

    @property
    def sentence(self) -> str:
        """The message with its layer."""
        return f"'{self.layer}': {self.message}" if self.layer else self.message


def reasons(signal: Signal, verdict: Verdict) -> list[Reason]:
    """The reasons for a verdict, the most important first; none for a training that learns."""
    blank = blank_statistics(signal)
    if verdict.word == "diverges" and blank is not None:
        return [blank]  # whatever else is large is so because of it
    if verdict.word == "diverges":
        return [*_dominant_loss(signal), *_rates(signal), *_inputs(signal), *_losses(signal), *_layers(signal)]
    if verdict.word == "stalls":
        return _stalling(signal)
    return []


def blank_statistics(signal: Signal) -> Reason | None:
    """That a BatchNorm uses statistics that are 0, which no change of rate, clipping or fillers mends; None if none does."""
    layers = [
        layer
        for layer in stored_statistics(signal.training.net)
        if not any(signal.weights[param.owner].second_moment for param in layer.params)
    ]
    if not layers:
        return None
    more = f", as do those of {counted(len(layers) - 1, 'other layer')}" if len(layers) > 1 else ""
    text = f"its statistics are blank (use_global_stats) and multiply values by {blank_gain(layers[0]):.3g}{more}"
    return Reason(layers[0].name, "blank statistics", text)


def loss_gradient_norms(signal: Signal) -> dict[str, float]:
    """The L2 norm of the gradients of each loss alone, by its layer's name, where there are several."""
    if len(signal.losses) < 2:
        return {}
    found = {layer.name: Back(signal.forward, only=layer).l2 for layer in signal.losses}
    return {name: norm for name, norm in found.items() if math.isfinite(norm)}


def dominant_loss(signal: Signal) -> str | None:
    """The name of the layer whose loss has by far the largest gradients of several; None if there is none."""
    known = loss_gradient_norms(signal)
    if len(known) < 2:
        return None
    name = max(known, key=lambda each: known[each])
    return name if known[name] > DOMINANT * (sum(known.values()) - known[name]) else None


def _dominant_loss(signal: Signal) -> list[Reason]:
    name = dominant_loss(signal)
    if name is None:
        return []
    known = loss_gradient_norms(signal)
    others = max(norm for each, norm in known.items() if each != name)
    text = f"its gradient norm is {two_digits(known[name])}, against {two_digits(others)} for the next largest loss"
    return [Reason(name, "loss weight", text)]


def _rates(signal: Signal) -> list[Reason]:
    found = []
    solver = signal.update_rule
    sharpness = signal.sharpness * clip_factor(solver, signal.l2)
    stable = solver.stability_limit / solver.momentum_gain
    if sharpness > stable:
        text = (
            f"learning rate times curvature is {two_digits(sharpness)} in iteration 0"
            f" (steps overshoot above {two_digits(stable)})"
        )
        found.append(Reason("", "rate", text))
    sizes = {
        param: update.ratio * solver.momentum_gain
        for param, update in signal.updates.items()
        if signal.weights[param].mean_abs and "weight" in param.role
    }
    if sizes:
        largest = max(sizes, key=lambda param: sizes[param])
        if sizes[largest] > LARGE_UPDATE:
            with_momentum = " once momentum has built up" if solver.momentum_gain > 1 else ""
            text = f"updates are {two_digits(sizes[largest])} times the size of its {largest.role}{with_momentum}"
            found.append(Reason(largest.layer.name, "update", text))
    if not signal.simulation.finite:
        number = len(signal.simulation.losses) - 1
        iterations = "1 iteration" if number == 1 else f"{number} iterations"
        found.append(Reason("", "simulation", f"simulated training overflows after {iterations}"))
    elif signal.features["loss_growth"] > NOTABLE_GROWTH:
        losses = signal.simulation.losses
        text = f"simulated loss grows {two_digits(losses[0])} -> {two_digits(losses[-1])} within {len(losses)} iterations"
        found.append(Reason("", "simulation", text))
    return found


def _inputs(signal: Signal) -> list[Reason]:
    found = []
    for layer, step in zip(signal.training.net.layers, signal.forward.steps, strict=True):
        if layer.bottoms or not layer.traits.is_data or not step.tops:
            continue
        size = step.tops[0].mean_abs
        if size > LARGE_INPUT and layer.tops[0].consumers:
            text = f"inputs average {two_digits(size)} in magnitude (expected about 1)"
            found.append(Reason(layer.name, "input range", text))
    return found


def _losses(signal: Signal) -> list[Reason]:
    found = []
    for layer, _, weight, value in signal.forward.loss_terms():
        traits = layer.traits
        if traits.normalization == LOSS_PARAM and loss_normalization(layer) == "NONE":
            text = f"it is an unnormalised sum, {two_digits(weight * value)} in iteration 0"
            found.append(Reason(layer.name, "unnormalised loss", text))
        elif traits.loss_family == REGRESSION and traits.normalization != LOSS_PARAM:
            shape = shape_of(layer.bottoms[0])
            outputs = math.prod(shape[1:])
            if outputs > MANY_OUTPUTS or value > LARGE_LOSS:
                text = f"it sums {outputs} outputs per item, {two_digits(weight * value)} in iteration 0"
                found.append(Reason(layer.name, "unnormalised loss", text))
    return found


def _layers(signal: Signal) -> list[Reason]:
    """The layer that amplifies activations most, and products."""
    found = []
    largest, where = LARGE_GAIN, None
    for layer, step in zip(signal.training.net.layers, signal.forward.steps, strict=True):
        if layer.params and step.bottoms and step.tops and "weight" in layer.params[0].role:
            before, after = root(step.bottoms[0].second_moment), root(step.tops[0].second_moment)
            if before > 0 and math.isfinite(after) and after / before > largest:
                largest, where = after / before, layer
    if where is not None:
        found.append(Reason(where.name, "filler", f"its weights amplify activations {two_digits(largest)} times"))
    for layer in signal.training.net.layers:
        if layer.traits.is_product(layer):
            found.append(Reason(layer.name, "product", "it multiplies blobs, so changes before it multiply as well"))
            break
    return found


def _stalling(signal: Signal) -> list[Reason]:
    found = []
    solver = signal.update_rule
    if not solver.rate:
        found.append(Reason("", "rate", "the learning rate is 0"))
    for layer in signal.training.net.layers:
        params = layer.params
        has_weights_before = any(other.params for other in layer.upstream())
        if params and "weight" in params[0].role and has_weights_before and not signal.weights[params[0].owner].second_moment:
            found.append(Reason(layer.name, "filler", "all its weights are 0, so no gradient passes it"))
            break
    sizes = [
        (param, root(gradient.second_moment)) for param, gradient in signal.back.gradients.items() if "weight" in param.role
    ]
    if len(sizes) > 1:
        least = min(sizes, key=lambda pair: pair[1])
        most = max(sizes, key=lambda pair: pair[1])
        if least[1] < VANISHING * most[1]:
            text = (
                f"its gradient is {two_digits(least[1])}, against {two_digits(most[1])} for '{most[0].layer.name}':"
                " it vanishes on the way"
            )
            found.append(Reason(least[0].layer.name, "vanishing", text))
    if signal.features["progress"] < 0 and solver.rate:
        share = LEARNED_SHARE * 10 ** signal.features["progress"]
        about = "about" if signal.features["progress"] > LEAST_PROGRESS else "less than"
        text = f"all iterations together would remove {about} {two_digits(100 * share)}% of the initial loss"
        found.append(Reason("", "rate", text))
    if signal.features["peak_loss_growth"] > NOTABLE_GROWTH:
        text = "simulated loss rises but stays finite: ReLUs die and outputs stop changing"
        found.append(Reason("", "simulation", text))
    return found
