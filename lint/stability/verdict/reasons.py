"""Why a training is judged as it is: the layers and factors that weigh most, each with its number."""

from __future__ import annotations

import math

from ...layers.loss import LOSS_PARAM, loss_normalization
from ...moments.layer_type import REGRESSION
from ...moments.signal_model import shape_of
from ...moments.statistics import root
from ...proto.named_tuple import NamedTuple
from ..signal.features import LEAST_LEARNING, Signal
from ..signal.gradient_flow import LEARNT_PART
from ..signal.passes import Back
from ..signal.update_rule import clip_factor
from .verdict import Verdict

# From where on a number is named as a reason. All were set by hand; no script fits them. They choose what is said, and
# (DOMINANT) whether a loss weight is tried before the rate, but do not change the verdict.
DOMINANT = 10.0  # times the gradient norms of all other losses together
LARGE_INPUT = 10.0  # mean absolute value of an input; fillers are made for 1 (LeCun et al. 1998, "Efficient BackProp")
LARGE_UPDATE = 0.1  # part of a weight that a step changes; about 0.001 is usual
MANY_OUTPUTS, LARGE_LOSS = 10, 10.0  # terms that a regression loss sums per item, and its value in the first iteration
LARGE_GAIN = 3.0  # times the root mean square of what a layer reads
VANISHING = 1e-4  # part of the largest root mean square of a weight's gradients
LOUD = 0.5  # decades that the simulated loss ends or peaks above the first


class Reason(NamedTuple):
    """What weighs, and where: `layer` is empty for the solver, `factor` a word for programs."""

    layer: str
    factor: str
    message: str

    @property
    def sentence(self) -> str:
        """The message with its layer."""
        return f"'{self.layer}': {self.message}" if self.layer else self.message


def reasons(signal: Signal, verdict: Verdict) -> list[Reason]:
    """The reasons for a verdict, the weightiest first; none for a training that learns."""
    if verdict.word == "explodes":
        return [*_dominant_loss(signal), *_rates(signal), *_inputs(signal), *_losses(signal), *_layers(signal)]
    if verdict.word == "stalls":
        return _stalling(signal)
    return []


def loss_gradient_norms(signal: Signal) -> dict[str, float]:
    """The L2 norm of the gradients of each loss alone, by its layer's name, where there are several."""
    if len(signal.losses) < 2:
        return {}
    found = {layer.name: Back(signal.forward, only=layer).l2 for layer in signal.losses}
    return {name: pull for name, pull in found.items() if math.isfinite(pull)}


def dominant_loss(signal: Signal) -> str | None:
    """The loss whose gradients are by far the largest where several pull, by its layer's name."""
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
    others = max(pull for each, pull in known.items() if each != name)
    text = f"its gradients have an L2 norm of {_number(known[name])}, those of the next loss {_number(others)}"
    return [Reason(name, "loss weight", text)]


def _rates(signal: Signal) -> list[Reason]:
    found = []
    solver = signal.update_rule
    sharpness = signal.sharpness * clip_factor(solver, signal.l2)
    stable = solver.stability_limit / solver.momentum_gain
    if sharpness > stable:
        text = (
            f"the rate times the curvature is {_number(sharpness)} in the first step:"
            f" steps overshoot from {_number(stable)} on"
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
            text = f"a step changes its {largest.role} by {_number(sizes[largest])} of its size{with_momentum}"
            found.append(Reason(largest.layer.name, "update", text))
    if not signal.simulation.finite:
        steps = len(signal.simulation.losses) - 1
        found.append(Reason("", "simulation", f"simulated in the mean, the numbers overflow after {steps} steps"))
    elif signal.features["ends_higher"] > LOUD:
        losses = signal.simulation.losses
        text = f"simulated in the mean, the loss goes from {_number(losses[0])} to {_number(losses[-1])}"
        found.append(Reason("", "simulation", text))
    return found


def _inputs(signal: Signal) -> list[Reason]:
    found = []
    for layer, step in zip(signal.training.net.layers, signal.forward.steps, strict=True):
        if layer.bottoms or not layer.traits.is_data or not step.tops:
            continue
        size = step.tops[0].mean_abs
        if size > LARGE_INPUT and layer.tops[0].consumers:
            found.append(
                Reason(
                    layer.name, "input range", f"the mean absolute value of its top is {_number(size)}, not around 1"
                )
            )
    return found


def _losses(signal: Signal) -> list[Reason]:
    found = []
    for layer, _, weight, value in signal.forward.loss_terms():
        traits = layer.traits
        if traits.normalization == LOSS_PARAM and loss_normalization(layer) == "NONE":
            text = f"it is a sum that nothing divides: {_number(weight * value)} in the first iteration"
            found.append(Reason(layer.name, "unnormalised loss", text))
        elif traits.loss_family == REGRESSION and traits.normalization != LOSS_PARAM:
            shape = shape_of(layer.bottoms[0])
            outputs = math.prod(shape[1:])
            if outputs > MANY_OUTPUTS or value > LARGE_LOSS:
                text = f"it adds up {outputs} outputs for each item: {_number(weight * value)} in the first iteration"
                found.append(Reason(layer.name, "unnormalised loss", text))
    return found


def _layers(signal: Signal) -> list[Reason]:
    """The layer that makes values most times larger, and products."""
    found = []
    most, where = LARGE_GAIN, None
    for layer, step in zip(signal.training.net.layers, signal.forward.steps, strict=True):
        if layer.params and step.bottoms and step.tops and "weight" in layer.params[0].role:
            below, above = root(step.bottoms[0].second_moment), root(step.tops[0].second_moment)
            if below > 0 and math.isfinite(above) and above / below > most:
                most, where = above / below, layer
    if where is not None:
        found.append(Reason(where.name, "filler", f"its weights make values {_number(most)} times larger"))
    for layer in signal.training.net.layers:
        if layer.traits.is_product(layer):
            found.append(Reason(layer.name, "product", "it multiplies blobs, so changes below it multiply too"))
            break
    return found


def _stalling(signal: Signal) -> list[Reason]:
    found = []
    solver = signal.update_rule
    if not solver.rate:
        found.append(Reason("", "rate", "the learning rate is 0"))
    for layer in signal.training.net.layers:
        params = layer.params
        if params and "weight" in params[0].role and not signal.weights[params[0].owner].second_moment:
            found.append(Reason(layer.name, "filler", "its weights are all 0, so no gradient passes it"))
            break
    bottoms = [
        (param, root(gradient.second_moment)) for param, gradient in signal.back.gradients.items() if "weight" in param.role
    ]
    if len(bottoms) > 1:
        least = min(bottoms, key=lambda pair: pair[1])
        most = max(bottoms, key=lambda pair: pair[1])
        if least[1] < VANISHING * most[1]:
            text = (
                f"its gradient is {_number(least[1])}, that of '{most[0].layer.name}' {_number(most[1])}:"
                " it dies on the way"
            )
            found.append(Reason(least[0].layer.name, "vanishing", text))
    if signal.features["learning"] < 0 and solver.rate:
        part = LEARNT_PART * 10 ** signal.features["learning"]
        about = "about" if signal.features["learning"] > LEAST_LEARNING else "less than"
        text = f"all iterations together would take off {about} {_number(100 * part)} % of the first loss"
        found.append(Reason("", "rate", text))
    if signal.features["rises"] > LOUD:
        text = "simulated in the mean, the loss rises and stays finite: rectifiers die, outputs freeze"
        found.append(Reason("", "simulation", text))
    return found


def _number(value: float) -> str:
    return f"{value:.3g}"
