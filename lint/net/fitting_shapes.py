"""What would make shapes fit: which `num_output` of an earlier layer, and which sizes of the images."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from ..layers.record import same_shape
from ..layers.sliding_windows import window_of
from ..moments.graph import Blob, Layer, NetContext, NetProblem
from ..moments.layer_type import REGRESSION
from ..moments.shapes import Shape, count, differ
from ..source.wording import counted
from .classes import settings_of_scores
from .net import Net

# How many layers are computed again at most to find sizes of images that fit.
_MOST_LAYERS = 20_000
_FARTHEST = 64  # pixels from the size that does not fit
_SIDES = {2: "height", 3: "width"}


def what_fits(net: Net, problem: NetProblem) -> str:
    """What to change so that a shape fits, as sentences; empty if that is unknown."""
    layer = problem.layer
    advice = _ADVICE.get(problem.kind)
    if layer is None or advice is None or any(blob.shape is None for blob in layer.bottoms):
        return ""
    return " ".join(sentence for sentence in advice(net, layer, problem) if sentence)


# -- numbers of outputs ------------------------------------------------------------------------------------


def maker_of_channels(blob: Blob) -> Layer | None:
    """The layer whose `num_output` is the number of channels of a blob, None if it is not found."""
    producer = blob.producer
    while producer is not None and producer.bottoms:
        traits = producer.traits
        if traits.weighted_sum:
            return producer if isinstance(settings_of_scores(producer).get("num_output"), int) else None
        is_part = traits.selects and producer.tops and _channels(producer.tops[0]) == _channels(producer.bottoms[0])
        if not (traits.keeps_shape or traits.keeps_channels or is_part) or traits.combines:
            return None
        producer = producer.bottoms[0].producer
    return None


def _channels(blob: Blob) -> int | None:
    return blob.shape[1] if blob.shape is not None and len(blob.shape) > 1 else None


def _same_channels(net: Net, layer: Layer, problem: NetProblem) -> Iterator[str]:
    """Say which of two layers has another number of outputs, and if it can be told, which of them is the odd one out."""
    one, other = layer.bottoms[0], _bottom_at(layer, problem)
    if other is None or not differ(_channels(one), _channels(other)):
        return
    makers = [maker for maker in (maker_of_channels(one), maker_of_channels(other)) if maker is not None]
    numbers = {maker.name: settings_of_scores(maker)["num_output"] for maker in makers}
    if len(numbers) != 2 or len(set(numbers.values())) != 2:
        return
    (first, its), (second, others) = numbers.items()
    odd = [maker for maker, right in zip(makers, (others, its), strict=True) if _has_twins(net, maker, right)]
    text = f"num_output is {its} in '{first}' and {others} in '{second}'"
    if len(odd) == 1:
        right = others if odd[0].name == first else its
        twins = [f"'{twin.name}'" for twin in _twins(net, odd[0]) if settings_of_scores(twin)["num_output"] == right]
        yield f"{text}: set it to {right} in '{odd[0].name}', as in the other {odd[0].type}, {twins[0]}."
    else:
        yield f"{text}: both must be the same."


def _twins(net: Net, layer: Layer) -> list[Layer]:
    """The other layers of the same type."""
    return [other for other in net.layers if other.type == layer.type and other is not layer]


def _has_twins(net: Net, layer: Layer, outputs: int) -> bool:
    """Whether all other layers of the same type have so many outputs, and there are some."""
    twins = {settings_of_scores(other).get("num_output") for other in _twins(net, layer)}
    return twins == {outputs}


def _outputs_of_target(net: Net, layer: Layer, problem: NetProblem) -> Iterator[str]:
    """Say how many outputs a loss needs that compares all values of an item with a target."""
    scores, target = layer.bottoms[0], layer.bottoms[1]
    maker, values = maker_of_channels(scores), count(target.shape, 1)
    if maker is None or not values:
        return
    positions = count(scores.shape, 2)
    if positions and values % positions == 0:
        yield f"'{target.name}' has {counted(values, 'value')} per item: '{maker.name}' needs num_output {values // positions}."


def _multiple(net: Net, layer: Layer, problem: NetProblem) -> Iterator[str]:
    """Say which `num_output` a Reshape, a Slice or groups divide without a rest."""
    maker = maker_of_channels(layer.bottoms[0])
    if maker is None:
        return
    outputs = settings_of_scores(maker)["num_output"]
    if problem.kind == "slice-uneven":
        divisor = len(layer.tops)
    elif problem.kind == "group" and layer.traits.settings:
        divisor = layer.message[layer.traits.settings].get("group", 1)
    elif problem.kind == "reshape-count":
        dims = layer.message["reshape_param"]["shape"]["dim"]
        positions = count(layer.bottoms[0].shape, 2)
        divisor = count(tuple(dim for dim in dims if dim > 0)) or 0
        if positions != 1 or -1 not in dims:
            return
    else:
        return
    if divisor > 1 and outputs % divisor:
        text = f"num_output {outputs} of '{maker.name}' would have to be a multiple of {divisor}"
        if problem.kind == "reshape-count":
            text += f", or the dimensions of the Reshape divisors of {outputs}"
        yield f"{text}."


# -- boxes of detectors ------------------------------------------------------------------------------------


def _head_that_is_off(net: Net, layer: Layer, problem: NetProblem) -> Iterator[str]:
    """Say which of the heads of a detector has a `num_output` that is no multiple of the number of classes."""
    settings = layer.message[layer.traits.settings]
    classes: int = settings["num_classes"]
    blob = _bottom_at(layer, problem)
    if blob is None:
        return
    of_classes = blob is layer.bottoms[1]
    unit = classes if of_classes or not settings["share_location"] else 4
    unit = 4 * classes if not of_classes and unit != 4 else unit
    heads = [head for head in _heads(blob) if settings_of_scores(head)["num_output"] % unit]
    what = f"num_classes {classes}" if unit == classes else f"{unit}"
    for head in heads[:1]:
        outputs = settings_of_scores(head)["num_output"]
        more = f" So it is in {len(heads) - 1} other heads." if len(heads) > 1 else ""
        boxes = f", such as {_nearest(outputs, unit)}" if len(heads) == 1 else ""
        yield f"num_output {outputs} of '{head.name}' is not a multiple of {what}{boxes}.{more}"


def _nearest(number: int, unit: int) -> int:
    return max(1, round(number / unit)) * unit


def _heads(blob: Blob) -> Iterator[Layer]:
    """The layers with weights that produce what is joined and rearranged into a blob."""
    waiting = [blob]
    while waiting:
        producer = waiting.pop(0).producer
        if producer is None or not producer.bottoms:
            continue
        traits = producer.traits
        if traits.weighted_sum:
            if isinstance(settings_of_scores(producer).get("num_output"), int):
                yield producer
        elif traits.joins:
            waiting = [*producer.bottoms, *waiting]
        elif traits.rearranges or traits.keeps_shape or traits.bounded:
            waiting = [producer.bottoms[0], *waiting]


# -- sizes of images ---------------------------------------------------------------------------------------


def _same_sides(net: Net, layer: Layer, problem: NetProblem) -> Iterator[str]:
    """Say which sizes of the images make two maps equal, and where the sizes were rounded."""
    one, other = layer.bottoms[0], _bottom_at(layer, problem)
    if other is None or one.shape is None or other.shape is None or len(one.shape) != 4 or len(other.shape) != 4:
        return
    axes = [axis for axis in (2, 3) if differ(one.shape[axis], other.shape[axis])]
    if not axes or (layer.traits.combines and differ(one.shape[1], other.shape[1])):
        return
    yield _rounding(one, other, axes[0])
    images = _Images(net, layer)
    for axis in axes if images.tops else ():
        size = images.size(axis)
        fits = [
            next((each for each in sizes if images.are_equal(axis, each, one, other)), None)
            for sizes in (range(size - 1, max(size - images.steps, 0), -1), range(size + 1, size + images.steps))
        ]
        found = [str(each) for each in fits if each is not None]
        if found:
            yield f"Images of {_SIDES[axis]} {' or '.join(found)} would fit, instead of {size}."


def _rounding(one: Blob, other: Blob, axis: int) -> str:
    """Say that Pooling rounds up, if a Pooling before only one of the blobs has rounded."""
    sides = [_with_producers(blob) for blob in (one, other)]
    indices = [{layer.index for layer in side} for side in sides]
    for side, others in zip(sides, reversed(indices), strict=True):
        for layer in side:
            if layer.index in others or layer.traits.settings != "pooling_param" or not layer.traits.slides:
                continue
            before, after = layer.bottoms[0].shape, layer.tops[0].shape
            if before is None or after is None or len(before) != 4 or len(after) != 4:
                continue
            bottom, top = before[axis], after[axis]
            if bottom is not None and top is not None and _is_rounded_up(layer, bottom, top, axis):
                return f"Pooling rounds up where Convolution rounds down: '{layer.name}' makes {top} of {bottom}."
    return ""


def _is_rounded_up(layer: Layer, before: int, after: int, axis: int) -> bool:
    """Whether the windows of a Pooling reach over the end of its bottom."""
    window = window_of(layer)
    return window is not None and not window.is_whole and window.side(axis - 2, after) > before


def _with_producers(blob: Blob) -> list[Layer]:
    producer = blob.producer
    return [producer, *producer.upstream()] if producer is not None else []


def _one_position(net: Net, layer: Layer, problem: NetProblem) -> Iterator[str]:
    """Say for which sizes of the images a net has one score per item, if it has one label per item."""
    scores, labels = layer.bottoms[0], layer.bottoms[1]
    if scores.shape is None or len(scores.shape) != 4 or labels.count != scores.shape[0] or layer.traits.loss_family == REGRESSION:
        return
    images = _Images(net, layer)
    ranges = []
    for axis in (2, 3) if images.tops else ():
        fits = images.sizes_for(axis, scores, 1)
        if fits is None:
            return
        ranges.append(fits)
    if len(ranges) != 2:
        return
    ends = [f"{height} x {width}" for height, width in zip(*ranges, strict=True)]
    what = " to ".join(dict.fromkeys(ends))
    now = f"{images.size(2)} x {images.size(3)}"
    yield f"There is one label per item, and '{scores.name}' has one score per class for images of {what}, instead of {now}."


class _Images:
    """The images that a layer depends on, and the shapes that blobs before it would have if these had other sizes."""

    def __init__(self, net: Net, layer: Layer) -> None:
        before = {other.index for other in layer.upstream()}
        self.layers = [other for other in net.layers[: layer.index] if other.index in before]
        tops = [top for other in self.layers if not other.bottoms for top in other.tops if _is_map(top.shape)]
        sizes = {top.shape[2:] for top in tops if top.shape is not None}
        self.tops = tops if len(sizes) == 1 else []
        self.steps = min(_FARTHEST, _MOST_LAYERS // (2 * len(self.layers) + 1)) + 1

    def size(self, axis: int) -> int:
        """The height or width of the images."""
        shape = self.tops[0].shape
        assert shape is not None
        return shape[axis] or 0

    def shapes(self, axis: int, size: int) -> Mapping[int, Shape]:
        """The shapes of all blobs, by identity, for images of another height or width."""
        found: dict[int, Shape] = {}
        for top in self.tops:
            assert top.shape is not None
            found[id(top)] = (*top.shape[:axis], size, *top.shape[axis + 1 :])
        for layer in self.layers:
            if layer.bottoms:
                found.update(_inferred(layer, found))
            else:
                found.update((id(top), found.get(id(top), top.shape)) for top in layer.tops)
        return found

    def are_equal(self, axis: int, size: int, one: Blob, other: Blob) -> bool:
        """Whether two maps have the same height or width for images of that size."""
        shapes = self.shapes(axis, size)
        a, b = _side(shapes, one, axis), _side(shapes, other, axis)
        return a is not None and a == b and a > 0

    def sizes_for(self, axis: int, blob: Blob, wanted: int) -> tuple[int, int] | None:
        """The smallest and the largest size for which a map has the wanted height or width, None if there is none."""

        def first(is_reached: Callable[[int], bool]) -> int | None:
            low, high = 0, 2 * self.size(axis)
            for _ in range(high.bit_length() + 1):
                middle = (low + high) // 2
                shapes = self.shapes(axis, middle)
                side = _side(shapes, blob, axis)
                if side is not None and is_reached(side) and all(_window_fits(layer, shapes, axis) for layer in self.layers):
                    high = middle
                else:
                    low = middle
                if high - low <= 1:
                    return high
            return None

        smallest, above = first(lambda side: side >= wanted), first(lambda side: side > wanted)
        if smallest is None or above is None or smallest >= above:
            return None
        ends = (smallest, above - 1)
        is_right = all(_side(self.shapes(axis, end), blob, axis) == wanted for end in ends)
        return ends if is_right else None


def _window_fits(layer: Layer, shapes: Mapping[int, Shape], axis: int) -> bool:
    """Whether the kernel of a Convolution fits into its bottom. Caffe rounds a size below 0 towards 0, and so misses some."""
    if not (layer.traits.slides and layer.traits.weighted_sum) or layer.traits.upsampling:
        return True
    window, side = window_of(layer), _side(shapes, layer.bottoms[0], axis)
    return window is None or side is None or len(window.kernel) != 2 or side >= window.side(axis - 2, 1)


def _is_map(shape: Shape) -> bool:
    return shape is not None and len(shape) == 4 and bool(shape[2]) and bool(shape[3])


def _side(shapes: Mapping[int, Shape], blob: Blob, axis: int) -> int | None:
    shape = shapes.get(id(blob))
    return shape[axis] if shape is not None and len(shape) == 4 else None


def _inferred(layer: Layer, shapes: Mapping[int, Shape]) -> Iterator[tuple[int, Shape]]:
    """The shapes of a layer's tops if its bottoms had other shapes; problems are left out."""
    context = layer.context
    apart = NetContext(context.dialect, [], context.upgrades, context.left_out, [])
    copy = Layer(apart, layer.entry, layer.name, layer.type, layer.kind, layer.phase)
    bottoms = []
    for bottom in layer.bottoms:
        other = Blob(bottom.name, None, 0)
        other.shape = shapes.get(id(bottom))
        bottoms.append(other)
    copy.bottoms = bottoms
    copy.tops = [Blob(top.name, copy, top.top_index) for top in layer.tops]
    if layer.kind is None or not copy.bottoms:
        return
    found = [copy.bottoms[0].shape] if layer.kind.infer is same_shape else list(layer.kind.infer(copy))
    copy.take_apart()
    for top, shape in zip(layer.tops, found):  # noqa: B905  (a layer may have too few or too many tops)
        yield id(top), shape


def _bottom_at(layer: Layer, problem: NetProblem) -> Blob | None:
    """The bottom that a problem is about, None if it is about none."""
    entries = layer.message.entries.get("bottom", [])
    return next(
        (blob for blob, (_, node, _) in zip(layer.bottoms, entries, strict=True) if node.start == problem.start), None
    )


def _in_turn(*advisers: Callable[[Net, Layer, NetProblem], Iterator[str]]) -> Callable[[Net, Layer, NetProblem], Iterator[str]]:
    def advise(net: Net, layer: Layer, problem: NetProblem) -> Iterator[str]:
        for adviser in advisers:
            yield from adviser(net, layer, problem)

    return advise


_ADVICE: dict[str, Callable[[Net, Layer, NetProblem], Iterator[str]]] = {
    "bottom-shapes": _in_turn(_same_channels, _same_sides),
    "concat-shapes": _same_sides,
    "loss-shapes": _outputs_of_target,
    "target-count": _outputs_of_target,
    "label-count": _one_position,
    "reshape-count": _multiple,
    "slice-uneven": _multiple,
    "group": _multiple,
    "prior-count": _head_that_is_off,
}
