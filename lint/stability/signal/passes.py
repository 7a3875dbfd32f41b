"""The signal of one iteration: activations forward through a net, gradients back, as debug_info prints them."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from ...layers.models import model_class
from ...layers.models.data_models import DataSource, Output
from ...layers.models.loss_models import Loss
from ...layers.models.normalising import BatchNorm
from ...moments.concatenation import sum_with_parts
from ...moments.layer_type import IN_PLACE_WRONG_GRADIENT, IN_PLACE_WRONG_VALUES, UNMODELLED
from ...moments.signal_model import Gradient, SignalContext, SignalModel, Step, size_of, sum_of_gradients
from ...moments.statistics import BAD_DIFFS, BAD_VALUES, ZERO_DIFFS, ZERO_VALUES, Diffs, Values
from ...moments.weights import Weights, filled
from ...net.overwriting import overwritten_tops
from ...net.trained_weights import TrainedWeights, copied
from ...proto.named_tuple import NamedTuple
from .siamese import OPPOSITE, correlation_below, gradients_of_part

if TYPE_CHECKING:
    from ...moments.graph import Blob, Layer, Param
    from ...net.net import Net

NO_GRADIENT = Gradient(0.0, 0.0)
NO_WEIGHTS: Sequence[Weights] = ()
BAD_GRADIENT = Gradient(math.nan, math.nan)


class BackwardLayer(NamedTuple):
    """A layer that runs backward, and where gradients go: bottoms by their number, and for parameters the owners of shared ones."""

    layer: Layer
    tops: Sequence[Blob]
    bottoms: Sequence[tuple[int, Blob]]
    owners: Sequence[Param]


class PreparedNet(NamedTuple):
    """A net prepared for many passes: the signal model of each layer, and the loss weights of its tops."""

    net: Net
    models: Sequence[SignalModel]
    owners: Sequence[Sequence[Param]]  # the parameters of each layer; for shared ones, their owner
    backward: Sequence[BackwardLayer]  # in the order of the backward pass
    loss_weights: Sequence[Sequence[float]]  # empty for a layer that adds nothing to the loss
    counts: Mapping[Param, int]
    batches: int = 1  # of which Caffe averages the gradients, one for each GPU

    def with_loss_weights(self, weights: Mapping[Layer, float]) -> PreparedNet:
        """The same net with other loss weights for some layers."""
        changed = list(self.loss_weights)
        for layer, weight in weights.items():
            changed[layer.index] = [weight if written else 0.0 for written in changed[layer.index]]
        return self._replace(loss_weights=changed)

    def with_scaled_inputs(self, factors: Mapping[Layer, float]) -> PreparedNet:
        """The same net with the first tops of some data layers multiplied by a factor."""
        models = list(self.models)
        for layer, factor in factors.items():
            source = models[layer.index]
            if isinstance(source, DataSource):
                models[layer.index] = source.scaled(factor)
        return self._replace(models=models)

    def with_data(self, context: SignalContext) -> PreparedNet:
        """The same net with other data."""
        classes = _model_classes(self.net)
        models = [
            _model(model.layer, context, classes) if classes[index].assumes_data else model
            for index, model in enumerate(self.models)
        ]
        return self._replace(models=models)

    def without_models(self, layers: Collection[Layer], context: SignalContext) -> PreparedNet:
        """The same net, in which nothing is known of what some layers compute."""
        models = [Unmodelled(model.layer, context) if model.layer in layers else model for model in self.models]
        return self._replace(models=models)


def prepare(net: Net, context: SignalContext, batches: int = 1) -> PreparedNet:
    """Prepares a net for passes, on so many batches at a time."""
    classes = _model_classes(net)
    owners = [[param.owner for param in layer.params] for layer in net.layers]
    return PreparedNet(
        net,
        [_model(layer, context, classes) for layer in net.layers],
        owners,
        [_backward(layer, owners[layer.index]) for layer in reversed(net.layers) if layer.runs_backward],
        [_loss_weights(layer) for layer in net.layers],
        {param: param.count or 1 for param in net.params()},
        batches,
    )


def _backward(layer: Layer, owners: Sequence[Param]) -> BackwardLayer:
    bottoms = [(i, blob) for i, blob in enumerate(layer.bottoms) if layer.gradient_bottoms[i]]
    return BackwardLayer(layer, layer.tops, bottoms, owners)


def _model(layer: Layer, context: SignalContext, classes: Sequence[type[SignalModel]]) -> SignalModel:
    try:
        return classes[layer.index](layer, context)
    except (OverflowError, ZeroDivisionError):
        return Unmodelled(layer, context)


def _model_classes(net: Net) -> Sequence[type[SignalModel]]:
    """The class of each layer's model, found once for a net."""
    if _model_classes not in net.computed:
        spoilt = _spoilt_layers(net)
        net.computed[_model_classes] = [_model_class(layer, spoilt) for layer in net.layers]
    found: Sequence[type[SignalModel]] = net.computed[_model_classes]
    return found


def _model_class(layer: Layer, spoilt: Collection[Layer]) -> type[SignalModel]:
    """The class of a layer's model; in place, only of those that compute what Caffe then computes.

    A layer with too few bottoms or tops, as in an unfinished file, has none.
    """
    name = layer.traits.signal_model(layer)
    if name == UNMODELLED or layer in spoilt or _is_shapeless_code(layer) or len(layer.tops) < _least(layer.traits.tops):
        return Unmodelled
    found = model_class(name)
    if len(layer.bottoms) < (layer.traits.bottoms[0] if found.assumes_data else _least(layer.traits.bottoms)):
        return Unmodelled
    wrong = layer.in_place and layer.traits.in_place_effect(layer) in (IN_PLACE_WRONG_VALUES, IN_PLACE_WRONG_GRADIENT)
    return Unmodelled if wrong and not found.knows_in_place else found


def _is_shapeless_code(layer: Layer) -> bool:
    """Whether a layer is code of the user's that is like a type whose settings it does not have."""
    return layer.traits.opaque and bool(layer.bottoms) and any(top.shape is None for top in layer.tops)


def _least(allowed: tuple[int, int | None]) -> int:
    """How many blobs a layer needs to compute anything: some forks build it without one that it reads or writes."""
    least, most = allowed
    return least if most == 0 else max(least, 1)


def _spoilt_layers(net: Net) -> Collection[Layer]:
    """The layers whose gradient is wrong in a way that is not modelled, as another layer overwrites their top.

    A rectifier lets gradients pass only where it changes nothing.
    """
    found = set()
    for blob, layer, _ in overwritten_tops(net):
        producer = blob.producer
        if producer is None or layer.traits.cuts_negatives(layer):
            continue
        name = producer.traits.signal_model(producer)
        drops = layer.traits.trains_only and blob is layer.bottoms[0]
        if not drops or name == UNMODELLED or not model_class(name).knows_dropout:
            found.add(producer)
    return found


def unmodelled_layers(net: Net) -> list[Layer]:
    """The layers that have no signal model and pass values to a loss or to a layer that runs backward.

    If there is one, nothing computed from the net's signal means anything. A layer whose tops only report something has none
    for a layer that learns from them.
    """
    found = []
    classes = _model_classes(net)
    for layer in needed_layers(net):
        found_class = classes[layer.index]
        if found_class is Unmodelled or (found_class is Output and layer.tops):
            found.append(layer)
    return found


def needed_layers(net: Net) -> list[Layer]:
    """The layers that run backward, add to the loss, or pass values to one that does; the others only report something."""
    needed: set[Blob] = set()
    found = []
    for layer in reversed(net.layers):
        runs = layer.runs_backward or any(layer.loss_weights) or _may_be_loss(layer)
        if runs or not needed.isdisjoint(layer.tops):
            needed.update(layer.bottoms)
            found.append(layer)
    return found[::-1]


def _may_be_loss(layer: Layer) -> bool:
    """Whether a layer of a type of which nothing is known may be a loss: Caffe's have a weight of 1 if none is written."""
    if (layer.kind is not None and layer.kind.described) or "loss_weight" in layer.message.entries or not layer.tops:
        return False
    learns = any(blob.producer is not None and not blob.producer.traits.is_data for blob in layer.bottoms)
    return learns and not layer.tops[0].consumers


class Unmodelled(SignalModel):
    """A layer without a signal model, or one whose settings cannot be computed with."""

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        return [BAD_VALUES] * len(self.layer.tops)

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        return [BAD_DIFFS] * len(self.layer.bottoms), [BAD_GRADIENT] * len(self.layer.params)


def _loss_weights(layer: Layer) -> Sequence[float]:
    found = [layer.loss_weight(i) for i in range(len(layer.tops))]
    return found if any(found) else ()


class Pass:
    """A forward pass: the values of every blob, the step of every layer, and the losses with their weights.

    `before` is a pass through the same prepared net with other weights: layers that read what they read there make the same.
    """

    def __init__(self, prepared: PreparedNet, weights: Mapping[Param, Weights], before: Pass | None = None) -> None:
        self.prepared = prepared
        self.net = prepared.net
        self.values: dict[Blob, Values] = {}
        self.steps: list[Step] = []
        values, steps = self.values, self.steps
        value_of, append = values.get, steps.append
        known = before.steps if before is not None else None
        for index, layer in enumerate(prepared.net.layers):
            below, owners = layer.bottoms, prepared.owners[index]
            bottoms = [value_of(below[0], ZERO_VALUES)] if len(below) == 1 else [value_of(blob, ZERO_VALUES) for blob in below]
            own = [weights[owner] for owner in owners] if owners else NO_WEIGHTS
            if known is not None and bottoms == known[index].bottoms and own == known[index].weights:
                step = known[index]
            else:
                try:
                    tops = prepared.models[index].forward(bottoms, own)
                except (OverflowError, ZeroDivisionError):
                    tops = [BAD_VALUES] * len(layer.tops)
                step = Step(bottoms, tops, own)
            for blob, value in zip(layer.tops, step.tops):  # noqa: B905  (models of unfinished layers make too few)
                values[blob] = value
            append(step)

    def loss_terms(self) -> list[tuple[Layer, int, float, float]]:
        """The losses: layer, top, weight, and value before the weight."""
        found = []
        for loss in self.net.losses:
            if loss.weight:
                layer = loss.layer
                value = self.values.get(loss.blob, ZERO_VALUES)
                number = 1 if isinstance(self.prepared.models[layer.index], Loss) else size_of(loss.blob)
                found.append((layer, loss.top_index, self.prepared.loss_weights[layer.index][loss.top_index],
                              value.mean * number))  # fmt: skip
        return found

    @property
    def loss(self) -> float:
        """The loss as Caffe displays it."""
        return sum(weight * value for _, _, weight, value in self.loss_terms())


class Back:
    """A backward pass: for each layer the gradients of its bottoms, and those of its parameters.

    `only` restricts it to one loss; with `probe` the losses send back the gradients that measure their curvature.
    """

    def __init__(self, forward: Pass, only: Layer | None = None, probe: bool = False) -> None:
        prepared = forward.prepared
        models, steps, loss_weights = prepared.models, forward.steps, prepared.loss_weights
        self.counts = prepared.counts
        self.bottoms: list[Sequence[Diffs]] = [()] * len(models)
        self.tops: dict[Blob, Diffs] = {}
        self.of_layer: list[Sequence[Gradient]] = [()] * len(models)
        own: dict[Param, Gradient] = {}
        parts: dict[Param, Gradient] = {}  # of parameters that parts of the net share, as if nothing cancelled
        correlations: dict[Blob, list[float]] = {}  # of gradients in parts that share their weights, from each reader
        has_parts = any(model.pairs for model in models)
        tops = self.tops
        diffs_of = tops.get
        for layer, own_tops, targets, owners in prepared.backward:
            index = layer.index
            diffs = [diffs_of(own_tops[0], ZERO_DIFFS)] if len(own_tops) == 1 else [diffs_of(blob, ZERO_DIFFS) for blob in own_tops]
            weights = loss_weights[index] if only is None or only is layer else ()
            bottoms: Sequence[Diffs]
            gradients: Sequence[Gradient]
            has_gradient = diffs[0].second_moment if len(diffs) == 1 else any(diff.second_moment for diff in diffs)
            if not weights and not has_gradient:
                bottoms, gradients = [ZERO_DIFFS] * len(layer.bottoms), [NO_GRADIENT] * len(owners)
            else:
                model, step = models[index], steps[index]
                try:
                    if isinstance(model, Loss):
                        # Caffe passes a loss its weight as the gradient of its top.
                        weight = weights[0] if weights else diffs[0].mean_abs
                        bottoms = (model.curvature_probe if probe else model.gradients)(step.bottoms, weight)
                        gradients = [] if probe else model.of_params(step.bottoms)
                    else:
                        if weights and not probe:
                            diffs = [_of_weight(diff, w) for diff, w in zip(diffs, weights, strict=True)]
                        bottoms, gradients = model.backward(step, diffs)
                except (OverflowError, ZeroDivisionError):
                    bottoms, gradients = [BAD_DIFFS] * len(layer.bottoms), [BAD_GRADIENT] * len(owners)
            self.bottoms[index] = bottoms
            for number, blob in targets:
                if number < len(bottoms):
                    before = diffs_of(blob)
                    tops[blob] = bottoms[number] if before is None else sum_with_parts(before, bottoms[number])
            correlation = self._correlation(forward, layer, correlations) if has_parts else 0.0
            if not owners:
                continue
            so_far = own
            if correlation:
                _add(parts, owners, gradients)
                gradients = gradients_of_part(layer, models[index], steps[index], diffs, correlation)
                if any(owner is not param for owner, param in zip(owners, layer.params, strict=True)):
                    so_far = parts  # what cancels is not complete before the last part, the first in the net
            _add(own, owners, gradients)
            # Layers that share a parameter add to one gradient.
            self.of_layer[index] = [so_far.get(owner, NO_GRADIENT) for owner in owners]
        if prepared.batches > 1 and not probe:  # the curvature of a mean is the mean curvature
            own = {param: _averaged(gradient, prepared.batches) for param, gradient in own.items()}
        self.gradients = {param: gradient for param, gradient in own.items() if param.lr_mult != 0}
        # With force_backward Caffe computes the gradients of parameters that do not learn, too (net.cpp), and they count.
        forced = prepared.net.message["force_backward"]
        self._counted = own if forced else self.gradients

    @staticmethod
    def _correlation(forward: Pass, layer: Layer, correlations: dict[Blob, list[float]]) -> float:
        """The correlation of the gradient of a layer's top with those in the other parts; notes it for the bottoms.

        0 outside of nets with parts that share their weights, and where a blob gets other gradients, too.
        """
        model = forward.prepared.models[layer.index]
        found = correlations.get(layer.tops[0], ()) if layer.tops else ()
        above = sum(found) / len(found) if found and len(found) == len(layer.tops[0].consumers) else 0.0
        if model.pairs:
            below, blobs = OPPOSITE, layer.bottoms[:2]
        else:
            below, blobs = above and correlation_below(model, forward.steps[layer.index], above), layer.bottoms
        if below:
            for blob in blobs:
                correlations.setdefault(blob, []).append(below)
        return above

    @property
    def l2(self) -> float:
        """The L2 norm of the gradients of all parameters, which Caffe compares with clip_gradients."""
        total = sum(gradient.second_moment * self.counts[param] for param, gradient in self._counted.items())
        return math.sqrt(total) if total >= 0 else math.nan


def _add(gradients: dict[Param, Gradient], owners: Sequence[Param], more: Sequence[Gradient]) -> None:
    for owner, gradient in zip(owners, more):  # noqa: B905  (models of unfinished layers make too few)
        other = gradients.get(owner)
        gradients[owner] = gradient if other is None else sum_of_gradients(other, gradient)


def _of_weight(diff: Diffs, weight: float) -> Diffs:
    """The gradient of a top that has a loss weight of its own."""
    if not weight:
        return diff
    w2 = weight * weight
    return Diffs(
        diff.second_moment + w2, diff.mean_abs + abs(weight), diff.corr_within_item + w2,
        diff.corr_across_items + w2, diff.corr_across_both + w2, None, weight,
    )  # fmt: skip


def _averaged(gradient: Gradient, batches: int) -> Gradient:
    """A gradient averaged over batches: what all items have in common stays, the rest cancels like noise (parallel.cpp)."""
    together = min(gradient.common * gradient.common, gradient.second_moment)
    square = together + (gradient.second_moment - together) / batches
    factor = math.sqrt(square / gradient.second_moment) if gradient.second_moment else 1.0
    return Gradient(square, gradient.mean_abs * factor, gradient.common)


def initial_weights(net: Net, trained: TrainedWeights | None = None) -> dict[Param, Weights]:
    """The initial values of every parameter, shared ones once: those of a file that Caffe copies, otherwise from fillers."""
    weights = {param: filled(param) for param in net.params() if param.owner is param}
    if trained is not None:
        for param, blob in copied(net, trained).items():
            weights[param] = Weights(blob.mean, max(0.0, blob.second_moment - blob.mean * blob.mean), blob.mean_abs)
    return weights


def weight_rows(forward: Pass, weights: Mapping[Param, Weights], layer: Layer) -> list[float]:
    """The mean absolute value of a layer's parameters after the first forward pass."""
    model = forward.prepared.models[layer.index]
    if isinstance(model, BatchNorm) and layer.traits.stores_statistics and not model.stored:
        try:
            return model.statistics(forward.steps[layer.index].bottoms[0])[: len(layer.params)]
        except (OverflowError, ZeroDivisionError):
            return [math.nan] * len(layer.params)
    return [weights[param.owner].mean_abs for param in layer.params]
