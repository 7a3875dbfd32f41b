"""Weights of a net that start at zero, and whether they look forgotten or meant to be loaded."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..layers.normalisation import uses_stored_statistics
from ..layers.sliding_windows import window_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..moments.graph import Blob, Layer, Param
    from .net import Net

_MANY = 4  # so many layers with weights make a single one without a filler look forgotten; set by hand


def weights_of(net: Net, *, idle: bool = False) -> list[Param]:
    """Return the weights of a net that learn, each once; with `idle` also those that do not."""
    return [
        param
        for param in net.params()
        if param.role == "weight" and param.owner is param and (idle or param.layer.runs_backward)
    ]


def starts_at_zero(param: Param) -> bool:
    """Whether a parameter starts at zero: without a filler, or with one that is constant 0."""
    return constant_of(param) == 0


def upsamples(layer: Layer) -> bool:
    """Whether a layer is a Deconvolution with a stride above 1, or with a window that Caffe refuses."""
    if not (layer.traits.weighted_sum and layer.traits.upsampling):
        return False
    window = window_of(layer)
    return window is None or any(stride > 1 for stride in window.stride)


def has_weights_after(layer: Layer) -> bool:
    """Whether a layer with weights comes after a layer."""
    return any(param.role == "weight" for other in layer.downstream() for param in other.params)


def zero_weights_before_others(net: Net, *, idle: bool = False) -> list[Param]:
    """Return the weights that learn and start at zero, before other weights: in iteration 0, no gradient passes them.

    Upsampling is not among them: its weights are often written by a program. With `idle`, it is taken for granted that gradients
    reach all layers.
    """
    return [
        param
        for param in weights_of(net, idle=idle)
        if param.lr_mult and starts_at_zero(param) and has_weights_after(param.layer) and not upsamples(param.layer)
    ]


def blocking_weights(net: Net, *, idle: bool = False) -> list[Param]:
    """Return the weights that start at zero before other weights, and whose layers give nothing but zeros to what follows.

    A bias that reaches the next layers is an output: their weights, and the layer's own, get a gradient in iteration 0, and the
    layers before it from iteration 1 on. Spatial transformers start so. `idle` is as for `zero_weights_before_others`.
    """
    return [param for param in zero_weights_before_others(net, idle=idle) if not outputs_bias(param.layer)]


def outputs_bias(layer: Layer) -> bool:
    """Whether a layer has an initial bias that is not 0, or is unknown, and that the layers after it do not remove."""
    bias = initial_bias(layer)
    return bias != 0 and any(_reaches(top, bias) for top in layer.tops)


def initial_bias(layer: Layer) -> float | None:
    """Return the initial value of all biases of a layer, 0 if it has none; None if they differ, or are unknown."""
    bias = next((param.owner for param in layer.params if param.role == "bias"), None)
    return 0.0 if bias is None else constant_of(bias)


def constant_of(param: Param) -> float | None:
    """Return the initial value of all elements of a parameter; None if they differ, or are unknown."""
    if param.filler is None:
        return param.constant
    value: float = param.filler["value"]
    return value if param.filler["type"] == "constant" else None


def _reaches(blob: Blob, bias: float | None) -> bool:
    """Whether a bias reaches a layer that reads a blob, and is not cut by a ReLU or subtracted as a mean of the batch."""
    reached, seen = [blob], {blob}
    for each in reached:
        for reader in each.consumers:
            if (bias is not None and bias < 0 and reader.traits.cuts_negatives(reader)) or _subtracts_mean(reader):
                continue
            if not reader.traits.keeps_order or reader.params or len(reader.bottoms) != 1:
                return True
            reached += (top for top in reader.tops if top not in seen)
            seen.update(reader.tops)
    return False


def _subtracts_mean(layer: Layer) -> bool:
    return layer.traits.stores_statistics and not uses_stored_statistics(layer)


def starts_from_scratch(net: Net, zero: Sequence[Param]) -> bool:
    """Return whether a net looks as if no trained weights are loaded, though some of its weights, `zero`, start at zero.

    Weights that neither learn nor have a filler must be loaded. If a single layer has no filler, it was probably
    forgotten; and layers whose weights are loaded come before new ones.
    """
    weights = weights_of(net, idle=True)
    if frozen_zero_weights(net):
        return False
    if len(zero) == 1 and len(weights) >= _MANY:
        return True
    if 2 * len(zero) >= len(weights):
        return False
    filled = {param.layer.index for param in weights if not starts_at_zero(param)}
    return any(layer.index in filled for param in zero for layer in param.layer.upstream())


def frozen_zero_weights(net: Net) -> list[Param]:
    """Return the weights that start at zero and do not learn, other than upsampling: they can only be loaded."""
    return [
        param
        for param in weights_of(net, idle=True)
        if param.lr_mult == 0 and starts_at_zero(param) and not upsamples(param.layer)
    ]
