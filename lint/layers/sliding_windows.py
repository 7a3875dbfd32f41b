"""The window that a layer slides over its bottom, as the file gives it; whether Caffe accepts it is judged with the shapes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..proto.binder import Message
from ..proto.named_tuple import NamedTuple

if TYPE_CHECKING:
    from ..moments.graph import Layer


class Window(NamedTuple):
    """Sizes along the spatial axes, in values. `kernel` is empty if the window covers the whole bottom (global pooling)."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    pad: tuple[int, ...]
    dilation: tuple[int, ...]


def window_of(layer: Layer) -> Window | None:
    """Return the window of a Convolution, Pooling or similar layer; None for layers without one, or if no kernel is set."""
    name = layer.traits.settings
    if not layer.traits.slides or not name:
        return None
    param = layer.message[name]
    shape = layer.bottoms[0].shape if layer.bottoms else None
    axes = max(len(shape) - 2, 1) if shape is not None else 2
    if name == "pooling_param" and param["global_pooling"]:
        return Window((), (1,) * axes, (0,) * axes, (1,) * axes)
    kernel = _sizes(param, "kernel_size", "kernel", axes, 0)
    if not all(kernel):
        return None
    dilation = _sizes(param, "dilation", "dilation", axes, 1)
    return Window(kernel, _sizes(param, "stride", "stride", axes, 1), _sizes(param, "pad", "pad", axes, 0), dilation)


def _sizes(param: Message, name: str, stem: str, axes: int, otherwise: int) -> tuple[int, ...]:
    entries = param.entries
    if f"{stem}_h" in entries or f"{stem}_w" in entries:
        return param[f"{stem}_h"], param[f"{stem}_w"]
    written = [entry[0] for entry in entries.get(name, ())] or [otherwise]
    return tuple(written) if len(written) > 1 else (written[0],) * axes
