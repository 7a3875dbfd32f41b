"""Work that is lost: two linear layers in a row, which one could do, and pixels that no window reads."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...fixes.edit import Fix
from ...fixes.layer_edits import Fields, free_name, insert_layers, names_in, state_rules
from ...moments.graph import Layer
from ...net.job import NetInPhase
from ...net.names import named
from ...proto.binder import Message
from ...rule.finding import Hit, Related
from ...rule.registry import rule
from ..problems import is_for_unknown_caffe


@rule("N704", "missing-nonlinearity", subject="net", severity="advice", fixes="unsafe")
def missing_nonlinearity(subject: NetInPhase) -> Iterator[Hit]:
    """Two linear layers follow each other with nothing nonlinear between them.

    ## What it does

    In nets for training: an InnerProduct that reads another one, or a Convolution that reads another, directly or
    through Dropout, Flatten, Reshape, Scale and Bias, where the first makes at least as many values as the second (and a
    convolution as many channels as it reads). A first one that makes fewer is a bottleneck, as it is used to save
    weights, and left out; so are layers whose top is read elsewhere, those that are frozen, and convolutions with groups,
    dilation or kernels that are not square.

    ## Why is this bad?

    Two matrices one after the other are one matrix, and two convolutions are one with a larger kernel: the first layer
    adds weights and nothing that the second could not do alone.

    ## When it is reported

    The net is to be as published, or the first layer is to be taken apart later.

    ## Fix

    The fix puts a ReLU in between. It is unsafe: the net is another one.

    ## References

    inner_product_layer.cpp and base_conv_layer.cpp: a product and a sum.
    """
    net = subject.net
    if subject.phase != "TRAIN" or not net.losses or is_for_unknown_caffe(subject.file):
        return
    for first in net.layers:
        second = _only_reader(first) if first.traits.weighted_sum and not first.traits.upsampling else None
        while second is not None and _stays_linear(second):
            second = _only_reader(second)
        if second is None or not _is_one_with(first, second):
            continue
        message = f"{named(first)}: nothing nonlinear stands between it and {named(second)}"
        wider = " with a larger kernel" if _kernel(first) > 1 else ""
        reason = f"The two together can do no more than {second.type} layer '{second.name}' alone{wider}."
        related = (Related(subject.file, second.place(), "the next linear layer"),)
        yield Hit(subject.file, first.place(), message, reason, related=related, fix=_with_relu(subject, first))


def _only_reader(layer: Layer) -> Layer | None:
    """The layer that reads the one top of a layer, None if there are several, or the top is a loss."""
    if len(layer.tops) != 1 or layer.loss_weight(0):
        return None
    readers = [reader for reader in layer.tops[0].consumers if not reader.traits.discards]
    return readers[0] if len(readers) == 1 else None


def _stays_linear(layer: Layer) -> bool:
    """Whether a product of two linear layers stays linear with a layer between them, and stays where it is."""
    traits = layer.traits
    return traits.linear and not traits.joins and (traits.keeps_shape or traits.is_alias(layer))


def _is_one_with(first: Layer, second: Layer) -> bool:
    """Whether the second of two linear layers could do alone what both do."""
    if second.type != first.type or len(second.bottoms) != 1:
        return False
    own: Message = first.message[first.traits.settings]
    other: Message = second.message[second.traits.settings]
    if not own["num_output"] or own["num_output"] < other["num_output"]:
        return False
    if any(param.lr_mult == 0 or param.name for layer in (first, second) for param in layer.params[:1]):
        return False
    if not first.traits.slides:
        return bool(own["axis"] == other["axis"])
    shape = first.bottoms[0].shape
    if shape is None or len(shape) < 2 or shape[1] is None or own["num_output"] < shape[1]:
        return False  # it makes fewer channels than it reads, which saves weights
    weights = first.params[0].shape if first.params else None
    if weights is None or weights[1] != shape[1]:
        return False  # it has weights for some of the channels only
    square = all(len(settings["kernel_size"]) == 1 for settings in (own, other))  # 3 x 1 and 1 x 3 save weights
    dense = all(step == 1 for settings in (own, other) for step in (settings["group"], *settings["dilation"]))
    return bool(square and dense)


def _kernel(layer: Layer) -> int:
    """The size of a convolution's kernel, 1 for an InnerProduct."""
    sizes = layer.message["convolution_param"]["kernel_size"] if layer.traits.slides else []
    return int(sizes[0]) if sizes else 1


def _with_relu(subject: NetInPhase, layer: Layer) -> Fix | None:
    net = subject.net
    if net.upgraded.steps:
        return None
    top = layer.tops[0].name
    name = free_name(names_in(net.message), f"{layer.name}_relu")
    fields: Fields = (("name", name), ("type", "ReLU"), ("bottom", top), ("top", top), *state_rules(layer.message))
    patch = insert_layers(subject.file.tree, net.message, layer.entry, (fields,))
    return patch.fix(subject.file.path, f"put a ReLU behind '{layer.name}'", safe=False) if patch is not None else None


@rule("N705", "stride-larger-than-kernel", subject="net", severity="advice")
def stride_larger_than_kernel(subject: NetInPhase) -> Iterator[Hit]:
    """A Pooling or Convolution whose windows stand further apart than they are large.

    ## What it does

    Pooling and Convolution layers with a stride larger than the kernel, of more than one pixel. A kernel of 1, which
    only takes every n-th pixel, is left out; so is a kernel with dilation.

    ## Why is this bad?

    The pixels between the windows are read by none, so what stands there is lost. Mostly stride and kernel were
    exchanged.

    ## When it is reported

    The skipping is meant.

    ## Example

    There is no fix: only you know the two numbers.

    ## References

    pooling_layer.cpp, Forward_cpu; im2col.cpp.
    """
    for layer in subject.net.layers:
        name = layer.traits.settings
        if not layer.traits.slides or layer.traits.upsampling:
            continue
        if any(step > 1 for step in layer.message[name].get("dilation", ())):
            continue
        settings: Message = layer.message[name]
        for side in ("", "_h", "_w"):
            kernel, stride = _first(settings[f"kernel{side or '_size'}"]), _first(settings[f"stride{side}"])
            if 1 < kernel < stride:
                shown = f"its windows are {kernel} pixels large and {stride} apart"
                place = settings.span(f"stride{side}")
                message = f"{named(layer)}: {shown}"
                reason = f"The {stride - kernel} between two windows are read by none."
                yield Hit(subject.file, place, message, reason)
                break


def _first(value: Any) -> int:
    """A size, of several the first; 0 for none."""
    if isinstance(value, list):
        return value[0] if value else 0
    return int(value)
