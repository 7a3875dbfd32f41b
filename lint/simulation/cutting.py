"""Making a net small enough to be simulated: smaller images, and layers with fewer outputs.

A layer that reads r times fewer values multiplies what its weights give by the root of r, its gain, and its weights start as large
as in the whole net. Sums over r times fewer inputs are then as large as before, and so is what a step changes in them: an update
changes an output by the rate times the sum of squares of the inputs, times the square of the gain. This is the parametrisation of
Jacot et al. (2018), "Neural tangent kernel", in which widths cancel. Decay and the norm of all gradients stay as they are, too. For
solvers whose steps do not grow with gradients, the rate is multiplied by the gain.

Whether it holds for a net - whose statistics, losses or windows may depend on its sizes - is asked of the static signal. If not,
it is asked again with gains that make values as large as in the whole net.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from operator import gt
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..layers.loss import LOSS_PARAM, loss_normalization
from ..layers.resizing import unpooled, written_size
from ..layers.sliding_windows import window_of
from ..moments.layer_type import is_in
from ..moments.signal_model import Gradient, SignalModel, Step, positions_of, size_of
from ..moments.statistics import GAUSSIAN_MEAN_ABS, Diffs, Values, constant, root
from ..net.build import changed
from ..net.trained_weights import refusal
from ..proto.message import with_values
from ..proto.named_tuple import NamedTuple
from ..stability.signal.features import signal_of
from ..stability.signal.passes import Back, Pass, PreparedNet, initial_weights, prepare
from ..stability.signal.training import is_accepted
from .arrays import Array
from .tape import is_fed

if TYPE_CHECKING:
    from ..moments.graph import Blob, Layer, Param
    from ..moments.weights import Weights
    from ..net.net import Net
    from ..proto.message import Message
    from ..stability.signal.training import Training

# What is tried, from the smallest change up: parts of the sides of images, of the outputs of layers, and of the items.
_IMAGE_PARTS, _OUTPUT_PARTS, _BATCH_PARTS = (1, 2, 4, 8), (1, 2, 4, 8, 16), (1, 2, 4)
MOST_BATCH_PARTS = _BATCH_PARTS[-1]
PARTS = sorted(
    itertools.product(_IMAGE_PARTS, _OUTPUT_PARTS, _BATCH_PARTS), key=lambda each: (each[0] * each[1]) ** 2 * each[2]
)[1:]
_LEAST_SIDE, _LEAST_OUTPUTS, _UNIT = 28, 8, 4
_HALVED = 5  # how often nets usually halve their maps
_KERNELS = 8  # fitted to their maps one after the other, at most
# How far the static signals of the cut net and of the whole one may differ, as factors. benchmarks/simulate_judge.py --budget says
# what becomes of verdicts within them.
_SAME_LOSS, _SAME_SIZE, _SAME_NORM, _SAME_PART = 1.2, 3.0, 2.0, 3.0
_NEGLIGIBLE = 0.01  # a part of the norm of all gradients


class Cut(NamedTuple):
    """A net as it is simulated.

    By the parameters of `net`, `gains` are the factors of weights, `whole` the shapes in the whole net by which fillers compute how
    large they are, and `loaded` the values from a file, which are trained in place. `losses` are factors of the weights of losses,
    by the index of their layer; `matrices` are infogain matrices that were read from files. Of the passes of an iteration
    (iter_size) so many are run, and stand for all; None: all. `said` names what was cut.
    """

    net: Net
    gains: Mapping[Param, float] = MappingProxyType({})
    whole: Mapping[Param, tuple[int, ...]] = MappingProxyType({})
    losses: Mapping[int, float] = MappingProxyType({})
    matrices: Mapping[int, Array] = MappingProxyType({})
    loaded: Mapping[Param, Array] = MappingProxyType({})
    passes: int | None = None
    said: tuple[str, ...] = ()


def smaller(net: Net, image: int, width: int) -> Cut | None:
    """A net with the sides of its images and the outputs of its layers divided by these numbers; None if that does not fit."""
    images = [blob for layer in net.layers if is_fed(layer) for blob in layer.tops if _is_image(blob)]
    if image > 1 and max((min(_sides(blob)) for blob in images), default=0) <= (_LEAST_SIDE - 1) * image:
        return None
    changes = dict(_narrowed(net, width)) if width > 1 else {}
    if width > 1 and not changes:
        return None
    if image > 1:
        for layer in net.layers:
            if layer.traits.settings == "pooling_param" and _covers(layer):
                changes[layer.index] = _globally_pooled(layer.message)
    # Nets that shrink maps and enlarge them again count on sides that can be halved as often as in the whole net.
    is_halved = any(layer.traits.upsampling for layer in net.layers)
    sizes = {blob.name: _cut_image(blob, image, is_halved) for blob in images} if image > 1 else {}
    found = _fitted(net, changes, sizes)
    return Cut(found, *_gains(net, found), said=tuple(_said(net, found, width))) if found is not None else None


def _fitted(net: Net, changes: dict[int, Message], sizes: Mapping[str, Sequence[int]]) -> Net | None:
    """The changed net, with windows and enlarged maps as large as its maps; None if Caffe would not build it."""
    found = _changed(net, changes, sizes)
    enlarged = dict(_enlarged(net, found)) if sizes else {}
    if enlarged:
        changes.update(enlarged)
        found = _changed(net, changes, sizes)
    for _ in range(_KERNELS):
        if is_accepted(found):
            break
        windows = ((layer, _other_window(layer, _shape_in(found, layer))) for layer in net.layers)
        layer, sides = next((each for each in windows if each[1]), (None, ()))
        if layer is None:
            return None
        changes[layer.index] = _with_kernel(changes.get(layer.index, layer.message), sides)
        found = _changed(net, changes, sizes)
    return found if is_accepted(found) and len(found.layers) == len(net.layers) else None


class FirstIteration(NamedTuple):
    """The static signal of iteration 0 of a whole net."""

    forward: Pass
    back: Back


def first_iteration(training: Training) -> FirstIteration | None:
    """What a cut net must agree with; None if layers that gradients pass have no signal model, or use statistics of a file."""
    if not training.basis.unmodelled:
        signal = signal_of(training)
        return FirstIteration(signal.forward, signal.back)
    without = [layer for layer in training.basis.unmodelled if not layer.traits.is_loss]
    if any(layer.runs_backward or layer.traits.stores_statistics for layer in without):
        return None
    forward = Pass(_with_unknown_losses(training, training.prepared), initial_weights(training.net, training.trained))
    return FirstIteration(forward, Back(forward))


class _UnknownLoss(SignalModel):
    """Stands for a loss without a model: its gradients are noise of norm 1, whatever it reads (see `_is_same_to`)."""

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        return [constant(1.0)] * len(self.layer.tops)

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        squares = [1.0 / size_of(blob) for blob in self.layer.bottoms]
        return [Diffs(square, GAUSSIAN_MEAN_ABS * root(square), 0.0, 0.0, 0.0, None, 0.0) for square in squares], []


def _with_unknown_losses(training: Training, prepared: PreparedNet) -> PreparedNet:
    """A build of a training's net in which something stands for losses without a signal model."""
    models = list(prepared.models)
    for layer in training.basis.unmodelled:
        if layer.traits.is_loss:
            models[layer.index] = _UnknownLoss(prepared.net.layers[layer.index], training.context)
    return prepared._replace(models=models)


def agreeing(training: Training, first: FirstIteration, cut: Cut) -> Cut | None:
    """A cut net if its static signal is that of the whole one, as far as a verdict depends on it; otherwise None.

    Its losses that add up positions, of which it has fewer, get larger weights. Loaded weights must fit it.
    """
    if training.trained is not None and refusal(cut.net, training.trained):
        return None
    if not all(_is_same_to(layer, cut.net) for layer in training.basis.unmodelled if layer.traits.is_loss):
        return None
    prepared = _with_unknown_losses(training, prepare(cut.net, training.context, training.prepared.batches))
    found = _weighted(training, first, cut, prepared)
    if found is None:  # narrow layers and the edges of small maps make values smaller
        gains = _levelled(training, first, cut, Pass(prepared, _weights(training, cut)))
        found = _weighted(training, first, cut._replace(gains=gains), prepared)
    return found


def _weighted(training: Training, first: FirstIteration, cut: Cut, prepared: PreparedNet) -> Cut | None:
    """A cut net with the weights of its losses, if it agrees; otherwise None."""
    weights = _weights(training, cut)
    losses = dict(_loss_factors(first.forward, Pass(prepared, weights)))
    if losses:
        prepared = prepared.with_loss_weights(
            {layer: layer.loss_weights[0] * losses[layer.index] for layer in cut.net.layers if layer.index in losses}
        )
    return cut._replace(losses=losses) if _agrees(training, first, cut, Pass(prepared, weights)) else None


def _weights(training: Training, cut: Cut) -> dict[Param, Weights]:
    """The weights of a cut net before the first iteration."""
    whole = initial_weights(training.net, training.trained)
    return {
        param: whole[_same(param, training.net)].scaled(cut.gains.get(param, 1.0)) for param in initial_weights(cut.net)
    }


def _levelled(training: Training, first: FirstIteration, cut: Cut, forward: Pass) -> dict[Param, float]:
    """Gains with which each layer makes values as large, relative to what it reads, as in the whole net."""
    ratios: dict[Blob, float] = {}
    gains = dict(cut.gains)
    for layer, other in zip(training.net.layers, cut.net.layers, strict=True):
        for blob, smaller_blob in zip(layer.tops, other.tops, strict=True):
            if blob in first.forward.values and smaller_blob in forward.values:
                size, own = first.forward.values[blob].mean_abs, forward.values[smaller_blob].mean_abs
                if 0 < size < math.inf and 0 < own < math.inf:
                    ratios[blob] = size / own
        if layer.params and not layer.traits.stores_statistics and other.params[0].owner is other.params[0]:
            ratio = ratios.get(layer.tops[0], 1.0) / ratios.get(layer.bottoms[0], 1.0)
            gains[other.params[0]] = gains.get(other.params[0], 1.0) * ratio
    return gains


def _is_same_to(layer: Layer, cut: Net) -> bool:
    """Whether a loss without a model is as large with a cut net: it reads as many values there, or is a mean over them."""
    if layer.traits.normalization == LOSS_PARAM and loss_normalization(layer) in ("VALID", "FULL"):
        return True
    other = cut.layers[layer.index]
    return [blob.shape for blob in layer.bottoms] == [blob.shape for blob in other.bottoms]


def _loss_factors(whole: Pass, part: Pass) -> Iterator[tuple[int, float]]:
    """The losses that are smaller in the cut net by as much as it has fewer positions, and the number of times."""
    for (layer, _, _, value), (other, _, _, own) in zip(whole.loss_terms(), part.loss_terms(), strict=True):
        positions = [positions_of(each.bottoms[0]) for each in (layer, other) if each.bottoms]
        if len(positions) == 2 and positions[0] != positions[1] and _near(value, own * positions[0] / positions[1], _SAME_LOSS):
            yield layer.index, positions[0] / positions[1]


def _agrees(training: Training, first: FirstIteration, cut: Cut, forward: Pass) -> bool:
    if not math.isfinite(forward.loss) and not math.isfinite(first.forward.loss):
        return True  # both overflow at once
    if not _near(forward.loss, first.forward.loss, _SAME_LOSS):
        return False
    for layer, other in zip(training.net.layers, cut.net.layers, strict=True):
        if layer.runs_backward and not layer.traits.is_loss:
            for blob, smaller_blob in zip(layer.tops, other.tops, strict=True):
                if not _near(forward.values[smaller_blob].mean_abs, first.forward.values[blob].mean_abs, _SAME_SIZE):
                    return False
    gradients = Back(forward).gradients
    norms = {
        _same(param, training.net): root(gradient.second_moment * (param.count or 1)) * cut.gains.get(param, 1.0)
        for param, gradient in gradients.items()
    }
    total = math.sqrt(sum(norm * norm for norm in norms.values()))
    if not _near(total, first.back.l2, _SAME_NORM):
        return False
    for param, gradient in first.back.gradients.items():
        norm = root(gradient.second_moment * (param.count or 1))
        if norm > _NEGLIGIBLE * first.back.l2 and not _near(norms.get(param, 0.0), norm, _SAME_PART):
            return False
    return True


def _near(a: float, b: float, factor: float) -> bool:
    return a == b or (a > 0 and b > 0 and 1 / factor <= a / b <= factor)


def _same(param: Param, net: Net) -> Param:
    """The same parameter in the whole net."""
    return net.layers[param.layer.index].params[param.index].owner


# -- images ---------------------------------------------------------------------------------------------------------


def _is_image(blob: Blob) -> bool:
    return blob.shape is not None and len(blob.shape) == 4 and None not in blob.shape and min(blob.shape[2:]) > 1  # type: ignore[type-var,operator]


def _sides(blob: Blob) -> tuple[int, ...]:
    return tuple(side or 0 for side in (blob.shape or ())[2:])


def _cut_image(blob: Blob, part: int, is_halved: bool) -> tuple[int, ...]:
    """The shape of smaller images; if `is_halved`, their sides can be halved as often as before, at most `_HALVED` times."""
    units = [math.gcd(side, 2**_HALVED) if is_halved else 1 for side in _sides(blob)]
    sides = (-(-side // (part * unit)) * unit for side, unit in zip(_sides(blob), units, strict=True))
    return (*(size or 0 for size in (blob.shape or ())[:2]), *sides)


def _covers(layer: Layer) -> bool:
    """Whether a pooling has one window, which covers its whole map."""
    above, window = layer.tops[0].shape, window_of(layer)
    return above is not None and window is not None and tuple(above[2:]) == (1, 1) and not any(window.pad)


def _globally_pooled(message: Message) -> Message:
    param = message["pooling_param"]
    gone = dict.fromkeys(name for name in param.entries if name.startswith(("kernel", "stride", "pad")))
    return with_values(message, {"pooling_param": with_values(param, {"global_pooling": True, **gone})})


def _other_window(layer: Layer, shape: Sequence[int | None]) -> tuple[int, ...]:
    """The sides of a convolution's window if they have to be others on a map of that shape, otherwise nothing.

    One that covers its whole map still does, and none is larger than its map with the padding.
    """
    window = window_of(layer)
    if window is None or not layer.params or layer.traits.upsampling or not layer.traits.weighted_sum:
        return ()
    before = tuple(layer.bottoms[0].shape or ())
    sides = tuple(side or 0 for side in shape[2:])
    if len(shape) != 4 or len(before) != 4 or len(window.kernel) != 2 or min(sides) <= 0:
        return ()
    if window.kernel == before[2:] and window.kernel != (1, 1):
        return sides if sides != before[2:] else ()
    room = [side + 2 * pad for side, pad in zip(sides, window.pad, strict=True)]
    extent = [window.extent(axis) for axis in range(2)]
    return tuple(map(min, extent, room)) if any(map(gt, extent, room)) else ()


def _shape_in(net: Net, layer: Layer) -> tuple[int | None, ...]:
    """The shape of what a layer reads in another build of its net."""
    other = net.layers[layer.index] if layer.index < len(net.layers) else None
    return tuple(other.bottoms[0].shape or ()) if other is not None and other.bottoms else ()


def _with_kernel(message: Message, sides: Sequence[int]) -> Message:
    param = message["convolution_param"]
    gone = dict.fromkeys(("kernel_size", "dilation"))
    return with_values(message, {"convolution_param": with_values(param, {**gone, "kernel_h": sides[0], "kernel_w": sides[1]})})


def _enlarged(net: Net, cut: Net) -> Iterator[tuple[int, Message]]:
    """The layers that unpool to a written size, with the size of the smaller map that was pooled."""
    for layer in net.layers:
        pooled = unpooled(layer)
        if pooled is None or _sides(pooled) != written_size(layer) or pooled.producer is None:
            continue
        index = pooled.producer.tops.index(pooled)
        producer = cut.layers[pooled.producer.index] if pooled.producer.index < len(cut.layers) else None
        sides = _sides(producer.tops[index]) if producer is not None else ()
        if len(sides) == 2 and min(sides) > 0:
            param = with_values(layer.message["upsample_param"], {"upsample_h": sides[0], "upsample_w": sides[1]})
            yield layer.index, with_values(layer.message, {"upsample_param": param})


# -- outputs --------------------------------------------------------------------------------------------------------


def _narrowed(net: Net, part: int) -> Iterator[tuple[int, Message]]:
    """The layers that have fewer outputs: all with weights but those that a loss, or nothing, reads."""
    last = _last(net)
    unit = _unit(net)
    for layer in net.layers:
        settings = layer.traits.settings
        if (
            not layer.traits.weighted_sum
            or layer.index in last
            or settings not in ("convolution_param", "inner_product_param")
        ):
            continue
        param = layer.message[settings]
        values = {"num_output": _fewer(param["num_output"], part, unit)}
        if settings == "convolution_param" and param["group"] == param["num_output"]:
            values["group"] = values["num_output"]
        if values["num_output"] != param["num_output"]:
            yield layer.index, with_values(layer.message, {settings: with_values(param, values)})


def _unit(net: Net) -> int:
    """What outputs are a multiple of: they can be divided into the groups of all layers. Depthwise ones have as many as outputs."""
    slides = [layer.message["convolution_param"] for layer in net.layers if layer.traits.settings == "convolution_param"]
    return math.lcm(_UNIT, *(param["group"] for param in slides if 0 < param["group"] < param["num_output"]))


def _fewer(number: int, part: int, unit: int) -> int:
    return number if number < 2 * max(unit, _LEAST_OUTPUTS) else max(_LEAST_OUTPUTS, -(-number // (part * unit)) * unit)


def _last(net: Net) -> set[int]:
    """The layers with weights from whose tops no other layer with weights computes something, on some way."""
    found: set[int] = set()
    ends = [layer for layer in net.layers if layer.traits.is_loss or layer.traits.measures or any(layer.loss_weights)]
    ends += [blob.producer for blob in net.blobs() if not blob.consumers and blob.producer is not None]
    queue = list(dict.fromkeys(ends))
    seen = set(queue)
    for layer in queue:
        if layer.traits.weighted_sum:
            found.add(layer.index)
            continue
        for index, blob in enumerate(layer.bottoms):
            if is_in(index, layer.traits.measures_shape_of, len(layer.bottoms)):
                continue
            if blob.producer is not None and blob.producer not in seen:
                seen.add(blob.producer)
                queue.append(blob.producer)
    return found


# -- the cut net ----------------------------------------------------------------------------------------------------


def _changed(net: Net, changes: Mapping[int, Message], shapes: Mapping[str, Sequence[int]]) -> Net:
    messages = {id(net.layers[index].message): message for index, message in changes.items()}
    whole = net.message
    layers = [messages.get(id(entry[0]), entry[0]) for entry in whole.entries["layer"]]
    return changed(net, with_values(whole, {"layer": layers}), shapes)


def _gains(net: Net, cut: Net) -> tuple[dict[Param, float], dict[Param, tuple[int, ...]]]:
    gains: dict[Param, float] = {}
    whole: dict[Param, tuple[int, ...]] = {}
    for layer, other in zip(net.layers, cut.layers, strict=True):
        for param, smaller_param in zip(layer.params, other.params, strict=True):
            if param.shape == smaller_param.shape or smaller_param.owner is not smaller_param:
                continue
            whole[smaller_param] = tuple(size or 0 for size in param.shape or ())
            if param.index == 0 and (layer.traits.weighted_sum or layer.traits.recurrent):
                ratio = _fan_in(layer, param) / _fan_in(other, smaller_param)
                if ratio != 1:
                    gains[smaller_param] = math.sqrt(ratio)
    return gains, whole


def _fan_in(layer: Layer, param: Param) -> float:
    """How many values the weights of an output add up."""
    shape = tuple(size or 1 for size in param.shape or ())
    if layer.traits.upsampling:
        return float(shape[0] / layer.message["convolution_param"]["group"])
    outputs = (
        layer.message["inner_product_param"]["num_output"]
        if layer.traits.settings == "inner_product_param"
        else shape[0]
    )
    return math.prod(shape) / outputs


def _said(net: Net, cut: Net, width: int) -> Iterator[str]:
    for layer, other in zip(net.layers, cut.layers, strict=True):
        for blob, smaller_blob in zip(layer.tops, other.tops, strict=True):
            if is_fed(layer) and _is_image(blob) and blob.shape != smaller_blob.shape:
                sides = [" x ".join(map(str, (each.shape or ())[2:])) for each in (smaller_blob, blob)]
                yield f"'{blob.name}' to images of {sides[0]}, from {sides[1]}"
    if width > 1:
        number = sum(
            1
            for layer, other in zip(net.layers, cut.layers, strict=True)
            if layer.traits.weighted_sum
            and layer.params
            and (layer.params[0].shape or (0,))[0] != (other.params[0].shape or (0,))[0]
        )
        if number:
            yield f"the outputs of {number} layers to 1/{width}"
