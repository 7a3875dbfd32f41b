"""Blocks that widen a net without normalisation: upsampling, Concat, and products.

The gradient into a block grows with the number of values that it produces. A block counts only if nothing normalises its
values before the next layer with weights reads them.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..layers.common import axis_field
from ..moments.graph import Blob, Layer
from ..moments.shapes import Shape
from ..proto.named_tuple import NamedTuple
from .net import Net

_STEPS = 3  # how many layers with weights back the width before a Concat is searched
_REACH = 64  # how many blobs around a block are examined at most, to bound the time


class WideningBlock(NamedTuple):
    """A layer that widens the net, its `kind` (`upsampling`, `concat`, `product`), and the blobs that it joins.

    `before` and `after` are the sizes whose ratio is `times`: elements per item for upsampling, channels for Concat; None
    for a product. `into` is the layer that reads the result.
    """

    layer: Layer
    kind: str
    joined: tuple[Blob, ...]
    before: int | None
    after: int | None
    times: float | None
    into: Layer


def widening_blocks(net: Net, times: float = 2.0) -> Iterator[WideningBlock]:
    """The blocks of a net that widen it by a factor of `times` or more, in the order of the file.

    Upsampling and the Concat that reads it are one block.
    """
    covered: set[int] = set()
    for layer in net.layers:
        if layer.kind is None or layer.index in covered or not layer.tops or not layer.bottoms:
            continue
        block = None
        if layer.kind.upsampling:
            block = _upsampling(layer, times)
        elif layer.kind.joins:
            block = _concat(layer, times)
        elif layer.kind.is_product(layer):
            block = _product(layer)
        if block is not None:
            if block.into.traits.joins:
                covered.add(block.into.index)
            yield block


def _upsampling(layer: Layer, times: float) -> WideningBlock | None:
    """Upsampling by learned or copied values, but not by a Deconvolution that does not learn."""
    if layer.traits.weighted_sum and not any(param.lr_mult for param in layer.params[:1]):
        return None
    growth, before, after = _growth(layer)
    if growth is None or growth < times:
        return None
    into = _unnormalised_reader(layer.tops[0])
    if into is None:
        return None
    joined = tuple(into.bottoms) if into.traits.joins else (layer.bottoms[0],)
    return WideningBlock(layer, "upsampling", joined, before, after, growth, into)


def _growth(layer: Layer) -> tuple[float | None, int | None, int | None]:
    """By what factor the elements per item grow in a layer; from its stride if shapes are unknown."""
    before, after = _elements(layer.bottoms[0].shape), _elements(layer.tops[0].shape)
    if before and after:
        return after / before, before, after
    times = layer.traits.growth(layer) if layer.traits.growth is not None else None
    return times, None, None


def _concat(layer: Layer, times: float) -> WideningBlock | None:
    """A Concat along the channels whose branches come from narrower blobs without normalisation."""
    param = layer.message["concat_param"]
    if param[axis_field(param)] != 1 or len(layer.bottoms) < 2:
        return None
    after = _channels(layer.tops[0].shape)
    before = _widest_before(layer)
    if not after or not before or after < times * before:
        return None
    if any(_has_limited_range(bottom) for bottom in layer.bottoms):
        return None
    into = _unnormalised_reader(layer.tops[0])
    if into is None:
        return None
    return WideningBlock(layer, "concat", tuple(layer.bottoms), before, after, after / before, into)


def _widest_before(layer: Layer) -> int | None:
    """The most channels of any blob among the branches of a Concat and a few layers before them."""
    widest = 0
    seen: set[Blob] = set()
    level = [(bottom, 0) for bottom in layer.bottoms]
    for blob, steps in level:
        if blob in seen:
            continue
        if len(seen) == _REACH:
            break
        seen.add(blob)
        widest = max(widest, _channels(blob.shape) or 0)
        producer = blob.producer
        if producer is not None and producer.kind is not None and not producer.kind.is_data:
            steps += producer.kind.weighted_sum
            if steps <= _STEPS:
                level += [(bottom, steps) for bottom in producer.bottoms]
    return widest or None


def _product(layer: Layer) -> WideningBlock | None:
    """A product of unbounded factors: the gradient of each is the value of the others."""
    if any(_has_limited_range(blob) for blob in layer.bottoms):
        return None
    into = _unnormalised_reader(layer.tops[0])
    if into is None:
        return None
    return WideningBlock(layer, "product", tuple(layer.bottoms), None, None, None, into)


def _has_limited_range(blob: Blob) -> bool:
    """Whether a blob's values have a limited range: normalised, bounded, or not produced by a layer that learns."""
    producer = blob.producer
    while producer is not None:
        kind = producer.kind
        if kind is None or kind.normalises or kind.bounded or kind.is_data or not producer.bottoms:
            return True
        if not kind.keeps_scale or kind.joins:
            return False
        producer = producer.bottoms[0].producer
    return True


def _unnormalised_reader(blob: Blob) -> Layer | None:
    """The first layer that joins a blob or multiplies it by weights without normalisation.

    A layer whose own result is normalised does not count, and neither does more upsampling: per-pixel scores are enlarged to
    the size of the image in such steps.
    """
    reached = [blob]
    for number, each in enumerate(reached):
        if number == _REACH:
            break
        for consumer in each.consumers:
            kind = consumer.kind
            if kind is None or not consumer.tops or _limits_range(consumer) or kind.is_loss or kind.upsampling:
                continue
            top = consumer.tops[0]
            if kind.weighted_sum or kind.joins:
                if not _is_normalised_next(top):
                    return consumer
            elif (kind.keeps_scale or kind.combines) and top not in reached:
                reached.append(top)
    return None


def _limits_range(layer: Layer) -> bool:
    """Whether a layer's output has a limited range, whatever its input."""
    return layer.traits.normalises or layer.traits.bounded


def _is_normalised_next(blob: Blob) -> bool:
    """Whether every reader of a blob normalises it, as far as is known, or passes it on to layers that do."""
    reached = [blob]
    for number, each in enumerate(reached):
        if number == _REACH:
            break
        if not each.consumers:
            return False
        for consumer in each.consumers:
            if consumer.may_normalise:
                continue
            if not consumer.traits.keeps_scale or consumer.traits.joins or not consumer.tops:
                return False
            reached.append(consumer.tops[0])
    return True


def _channels(shape: Shape) -> int | None:
    return shape[1] if shape is not None and len(shape) > 1 else None


def _elements(shape: Shape) -> int | None:
    if shape is None or len(shape) < 2:
        return None
    product = 1
    for dim in shape[1:]:
        if dim is None:
            return None
        product *= dim
    return product
