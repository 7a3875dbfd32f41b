"""Layers whose outputs start equal and stay equal, because nothing that learns distinguishes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .zero_weights import blocking_weights, constant_of, initial_bias, upsamples, weights_of

if TYPE_CHECKING:
    from ..moments.graph import Layer, Param
    from .net import Net


def equal_units(net: Net, *, idle: bool = False) -> list[Param]:
    """Return the weights that learn and are the same for all outputs of a layer, and stay so.

    All weights of the layer are equal, and its biases. What follows treats its outputs alike, up to and including weights that
    are all equal too: so all outputs have the same gradient. Weights that let nothing pass (`blocking_weights`) are not among
    them, nor are shared ones. With `idle`, it is taken for granted that gradients reach all layers.
    """
    blocking, shared = blocking_weights(net, idle=idle), {param.owner for param in net.params() if param.owner is not param}
    return [
        param
        for param in weights_of(net, idle=idle)
        if param.lr_mult
        and param not in blocking
        and param not in shared
        and _starts_equal(param)
        and _is_read_alike(param.layer, shared, idle)
    ]


def _starts_equal(param: Param) -> bool:
    layer = param.layer
    if not _is_dense(layer) or upsamples(layer):
        return False
    return outputs_of_group(layer) > 1 and constant_of(param) is not None and initial_bias(layer) is not None


def _is_dense(layer: Layer) -> bool:
    """Whether every output of a layer reads every input, or every one of its group."""
    return layer.traits.weighted_sum and not layer.traits.distinguishes(layer)


def outputs_of_group(layer: Layer) -> int:
    """Return the number of outputs of a layer that read the same inputs."""
    settings = layer.message[layer.traits.settings]
    outputs: int = settings["num_output"]
    return outputs // max(1, groups_of(layer))


def groups_of(layer: Layer) -> int:
    """Return the number of groups of the inputs and outputs of a layer."""
    groups: int = layer.message[layer.traits.settings].get("group", 1)
    return groups


def _is_read_alike(layer: Layer, shared: set[Param], idle: bool) -> bool:
    """Whether all that reads a layer, and passes a gradient to it, treats its outputs alike, up to the next weights."""
    reached, seen = [layer], {layer}
    for each in reached:
        readers = [
            reader
            for top in each.tops
            for reader in top.consumers
            if (idle and reader.traits.has_backward and not reader.traits.measures)
            or any(bottom is top and passes for bottom, passes in zip(reader.bottoms, reader.gradient_bottoms, strict=True))
        ]
        if not readers:
            return False
        for reader in readers:
            if _is_dense(reader):
                if not _has_equal_weights(reader, shared):
                    return False
            elif not _keeps_channels(reader):
                return False
            elif reader not in seen:
                seen.add(reader)
                reached.append(reader)
    return True


def _has_equal_weights(layer: Layer, shared: set[Param]) -> bool:
    weight = next((param for param in layer.params if param.role == "weight"), None)
    if weight is None or weight.owner is not weight or weight in shared:
        return False
    return groups_of(layer) == 1 and constant_of(weight) is not None


def _keeps_channels(layer: Layer) -> bool:
    """Whether a layer computes each of its channels from one that it reads, and all alike."""
    traits = layer.traits
    keeps = (traits.keeps_shape or traits.keeps_channels or traits.rearranges) and not (traits.selects or traits.is_loss)
    if not keeps or (len(layer.bottoms) > 1 and not traits.joins) or traits.distinguishes(layer):
        return False
    return all(constant_of(param) is not None for param in layer.params)
