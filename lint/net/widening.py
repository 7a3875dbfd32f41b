"""Blocks that make a net wider without bringing their values to a size: upsampling, Concat, and products.

What is wider adds up more: gradients into a block grow with what it sends on. A block counts only if nothing
normalises its values before the next layer with weights has used them.
"""

from __future__ import annotations

from collections.abc import Iterator

from ..moments.graph import Blob, Layer
from ..moments.shapes import Shape
from ..proto.named_tuple import NamedTuple
from .net import Net

_STEPS = 3  # layers with weights that are looked back over for the width that a Concat started from
_REACH = 64  # blobs that are looked at around a block, so that no net takes long


class WideningBlock(NamedTuple):
    """A layer that widens, the `kind` of it (`upsampling`, `concat`, `product`), and what it joins.

    `before` and `after` are the sizes that `times` compares: elements of an item for upsampling, channels for
    Concat; for a product they are None. `into` is what reads it on.
    """

    layer: Layer
    kind: str
    joined: tuple[Blob, ...]
    before: int | None
    after: int | None
    times: float | None
    into: Layer


def widening_blocks(net: Net, times: float = 2.0) -> Iterator[WideningBlock]:
    """The blocks of a net that widen `times` or more, in the order of the file, one for each block.

    An upsampled blob that is concatenated is one block with that Concat.
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
    """Upsampling by learnt or copied values; not a fixed one, by a Deconvolution that does not learn."""
    if layer.traits.weighted_sum and not any(param.lr_mult for param in layer.params[:1]):
        return None
    growth, before, after = _growth(layer)
    if growth is None or growth < times:
        return None
    into = _used_raw(layer.tops[0])
    if into is None:
        return None
    joined = tuple(into.bottoms) if into.traits.joins else (layer.bottoms[0],)
    return WideningBlock(layer, "upsampling", joined, before, after, growth, into)


def _growth(layer: Layer) -> tuple[float | None, int | None, int | None]:
    """How many times the elements an item has behind a layer; by the stride where shapes are not known."""
    before, after = _elements(layer.bottoms[0].shape), _elements(layer.tops[0].shape)
    if before and after:
        return after / before, before, after
    times = layer.traits.growth(layer) if layer.traits.growth is not None else None
    return times, None, None


def _concat(layer: Layer, times: float) -> WideningBlock | None:
    """A Concat along the channels whose branches come from something narrower, not normalised on the way."""
    param = layer.message["concat_param"]
    if (param["axis"] if "axis" in param else param["concat_dim"]) != 1 or len(layer.bottoms) < 2:
        return None
    after = _channels(layer.tops[0].shape)
    before = _widest_before(layer)
    if not after or not before or after < times * before:
        return None
    if any(_is_settled(bottom) for bottom in layer.bottoms):
        return None
    into = _used_raw(layer.tops[0])
    if into is None:
        return None
    return WideningBlock(layer, "concat", tuple(layer.bottoms), before, after, after / before, into)


def _widest_before(layer: Layer) -> int | None:
    """The most channels of anything that the branches of a Concat are, or come from, a few layers back."""
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
    """A product of factors of which none is bounded: the gradient of one is the value of the others."""
    if any(_is_settled(blob) for blob in layer.bottoms):
        return None
    into = _used_raw(layer.tops[0])
    if into is None:
        return None
    return WideningBlock(layer, "product", tuple(layer.bottoms), None, None, None, into)


def _is_settled(blob: Blob) -> bool:
    """Whether a blob's values stay in a range: normalised, bounded, or not made by anything that learns."""
    producer = blob.producer
    while producer is not None:
        kind = producer.kind
        if kind is None or kind.normalises or kind.bounded or kind.is_data or not producer.bottoms:
            return True
        if not kind.keeps_scale or kind.joins:
            return False
        producer = producer.bottoms[0].producer
    return True


def _used_raw(blob: Blob) -> Layer | None:
    """The first layer that joins a blob or multiplies it by weights without any normalisation.

    A layer whose own result is normalised, as most are in nets with normalisation, does not count, and nor
    does more upsampling: scores for each pixel are brought to the size of the image in such steps.
    """
    reached = [blob]
    for number, each in enumerate(reached):
        if number == _REACH:
            break
        for consumer in each.consumers:
            kind = consumer.kind
            if kind is None or not consumer.tops or _settles(consumer) or kind.is_loss or kind.upsampling:
                continue
            top = consumer.tops[0]
            if kind.weighted_sum or kind.joins:
                if not _is_normalised_next(top):
                    return consumer
            elif (kind.keeps_scale or kind.combines) and top not in reached:
                reached.append(top)
    return None


def _settles(layer: Layer) -> bool:
    """Whether what a layer makes lies in a range whatever comes in."""
    return layer.traits.normalises or layer.traits.bounded


def _is_normalised_next(blob: Blob) -> bool:
    """Whether all that reads a blob normalises it, or else passes it on to what does."""
    reached = [blob]
    for number, each in enumerate(reached):
        if number == _REACH:
            break
        if not each.consumers:
            return False
        for consumer in each.consumers:
            if consumer.traits.normalises:
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
