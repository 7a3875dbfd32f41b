"""Receptive fields: how much of the input image a value of a blob depends on.

A window of k values with dilation d, over a blob whose values are j input pixels apart and see r of them, sees
r + d (k - 1) j (Araujo et al., Computing Receptive Fields of Convolutional Neural Networks, Distill 2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction

from ..layers.sliding_windows import Window, window_of
from ..moments.graph import Blob, Layer
from ..proto.named_tuple import NamedTuple
from .net import Net

_IMAGE_AXES = 4


class Field(NamedTuple):
    """Height and width in pixels of the input that a value sees, and how many pixels apart neighbouring values are.

    `is_whole`: it sees the whole input, whatever its size; the sizes are then those before.
    """

    height: Fraction
    width: Fraction
    step_h: Fraction
    step_w: Fraction
    is_whole: bool = False


_PIXEL = Field(Fraction(1), Fraction(1), Fraction(1), Fraction(1))


def receptive_fields(net: Net) -> Mapping[Blob, Field]:
    """The receptive field of each blob; those that cannot be told are missing."""
    found: dict[Blob, Field] = {}
    for layer in net.layers:
        field = _field_of(layer, found)
        if field is not None:
            for top in layer.tops:
                if layer.bottoms or _is_image(top):
                    found[top] = field
    return found


def _field_of(layer: Layer, known: Mapping[Blob, Field]) -> Field | None:
    if not layer.bottoms:
        return _PIXEL if layer.traits.is_data or layer.traits.origin else None
    below = known.get(layer.bottoms[0])
    if below is None or layer.kind is None:
        return None
    traits = layer.traits
    if traits.slides:
        slid = window_of(layer)
        return None if slid is None else _through(slid, below, enlarges=traits.upsampling)
    if traits.weighted_sum:  # of all values of an item
        return below._replace(is_whole=True)
    if traits.reaches is not None and traits.reaches(layer):
        return None
    if traits.joins or traits.combines:
        return _joined(layer, known)
    return below if traits.keeps_shape or traits.copies or traits.trains_only else None


def _through(slid: Window, below: Field, *, enlarges: bool) -> Field | None:
    """The field after a window; a transposed convolution with stride s sees one value in s of its kernel."""
    if slid.is_whole:
        return below._replace(is_whole=True)
    if len(slid.kernel) != 2:
        return None
    sizes: list[Fraction] = []
    steps: list[Fraction] = []
    axes = ((below.height, below.step_h), (below.width, below.step_w))
    for (size, step), kernel, stride, dilation in zip(axes, slid.kernel, slid.stride, slid.dilation, strict=True):
        extent = dilation * (kernel - 1) + 1
        seen = -(-extent // stride) if enlarges else extent
        sizes.append(size + (seen - 1) * step)
        steps.append(step / stride if enlarges else step * stride)
    return Field(sizes[0], sizes[1], steps[0], steps[1], below.is_whole)


def _joined(layer: Layer, known: Mapping[Blob, Field]) -> Field | None:
    """The largest field of several bottoms, if they lie on one grid and are not joined along the image."""
    fields = [known.get(bottom) for bottom in layer.bottoms]
    shapes = {shape[2:] for blob in (*layer.bottoms, *layer.tops) if (shape := blob.shape) is not None}
    parts = [field for field in fields if field is not None]
    if len(parts) < len(fields) or len(shapes) != 1 or len({part[2:4] for part in parts}) != 1:
        return None
    first = parts[0]
    return Field(
        max(part.height for part in parts),
        max(part.width for part in parts),
        first.step_h,
        first.step_w,
        any(part.is_whole for part in parts),
    )


def _is_image(blob: Blob) -> bool:
    return blob.shape is not None and len(blob.shape) == _IMAGE_AXES
