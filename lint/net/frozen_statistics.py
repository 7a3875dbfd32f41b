"""BatchNorm layers that divide by stored statistics which nothing has computed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..layers.normalisation import uses_stored_statistics

if TYPE_CHECKING:
    from ..moments.graph import Layer
    from .net import Net


def stored_statistics(net: Net) -> list[Layer]:
    """The layers of a training net that use stored statistics, which they then never compute."""
    return [
        layer
        for layer in net.layers
        if layer.traits.stores_statistics and layer.phase == "TRAIN" and uses_stored_statistics(layer)
    ]


def blank_gain(layer: Layer) -> float:
    """By what such a layer multiplies values while its statistics are 0, infinite if its `eps` is 0.

    Source: batch_norm_layer.cpp, Forward_cpu: it divides by the square root of the variance plus `eps`.
    """
    eps: float = layer.message["batch_norm_param"]["eps"]
    return 1 / eps**0.5 if eps > 0 else float("inf")
