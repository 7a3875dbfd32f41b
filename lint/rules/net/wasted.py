"""Wasted work: two consecutive linear layers that could be one, and pixels that no window reads."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.fields import Patch
from ...fixes.layer_edits import Fields, free_name, insert_layers, state_rules
from ...layers.sliding_windows import window_of
from ...moments.graph import Layer
from ...net.job import NetInPhase
from ...net.names import named
from ...proto.binder import Message
from ...rule.finding import Hit, Related
from ...rule.registry import rule
from ...source.wording import counted
from ..in_all_nets import PatchOf, in_all_nets, shared_names, so_in


@rule("N704", "missing-nonlinearity", subject="net", severity="advice", fixes="unsafe", in_all_nets=True)
def missing_nonlinearity(subject: NetInPhase) -> Iterator[Hit]:
    """Flags two linear layers with no nonlinearity between them.

    ## What it does

    Flags an InnerProduct that reads another InnerProduct, and a Convolution that reads another Convolution, directly
    or through Dropout, Flatten, Reshape, Scale and Bias, if the first has at least as many outputs as the second. A
    first Convolution must also have at least as many output channels as input channels.

    ## Why is this bad?

    The product of two matrices is one matrix, and two convolutions are one with a larger kernel. The first layer adds
    weights, but nothing that the second could not do alone.

    ## When it is reported

    Reported as **advice** in nets for training. Nothing is reported

    - for bottlenecks: first layers with fewer outputs, which save weights;
    - if another layer reads the top of the first, if it is a loss, or if the weights of a layer are frozen or shared;
    - for convolutions with groups, dilation or kernels that are not square;
    - if the file has fields or values that no known Caffe has.

    Ignore it if the net has to stay as published, or if the first layer is to be split up later.

    ## Fix

    Inserts a ReLU between the two, in all nets of the solver that have them: the training net, the test nets, and the deploy
    net if it is known (N407). No fix is offered where one of them has another layer in between, or is not to be changed.
    The fix is unsafe, because it changes what the net computes.

    ## References

    inner_product_layer.cpp and base_conv_layer.cpp: both compute a matrix product and add a bias.
    """
    net = subject.net
    if subject.phase != "TRAIN" or not net.losses or subject.file.is_for_unknown_caffe:
        return
    for first in net.layers:
        second = _next_linear(first)
        if second is None or not _does_both(first, second):
            continue
        message = f"no nonlinearity between {first.type} layers '{first.name}' and '{second.name}'"
        wider = " with a larger kernel" if _kernel(first) > 1 else ""
        reason = f"Together they compute nothing that '{second.name}' could not compute alone{wider}."
        related = (Related(subject.file, second.place(), "the next linear layer"),)
        parts = in_all_nets(subject, [first], f"insert a ReLU after '{first.name}'", _with_relu(subject, first, second))
        yield Hit(subject.file, first.place(), message, reason + parts.obstacle, related=related, fix=parts.own)
        for part in parts.others:
            yield Hit(part.net.file, part.layer.place(), message, so_in(subject), fix=part.fix)


def _next_linear(layer: Layer) -> Layer | None:
    """Return the layer that alone reads a layer with weights, as it is or through layers that keep their product linear."""
    reader = _only_reader(layer) if layer.traits.weighted_sum and not layer.traits.upsampling else None
    while reader is not None and _keeps_product_linear(reader):
        reader = _only_reader(reader)
    return reader


def _only_reader(layer: Layer) -> Layer | None:
    """Return the only layer that reads the only top of a layer; None if there are more, or if the top is a loss."""
    if len(layer.tops) != 1 or layer.loss_weight(0):
        return None
    readers = [reader for reader in layer.tops[0].consumers if not reader.traits.discards]
    return readers[0] if len(readers) == 1 else None


def _keeps_product_linear(layer: Layer) -> bool:
    """Return whether two linear layers are still one linear map with this layer between them."""
    traits = layer.traits
    return traits.linear and not traits.joins and (traits.keeps_shape or traits.is_alias(layer))


def _does_both(first: Layer, second: Layer) -> bool:
    """Return whether the second of two linear layers could compute alone what both compute."""
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
        return False  # a bottleneck, which saves weights
    weights = first.params[0].shape if first.params else None
    if weights is None or weights[1] != shape[1]:
        return False  # it reads only some of the channels
    square = all(len(settings["kernel_size"]) == 1 for settings in (own, other))  # 3 x 1 and 1 x 3 save weights
    dense = all(step == 1 for settings in (own, other) for step in (settings["group"], *settings["dilation"]))
    return bool(square and dense)


def _kernel(layer: Layer) -> int:
    """Return the kernel size of a convolution, 1 for an InnerProduct."""
    window = window_of(layer)
    return max(window.kernel, default=1) if window is not None else 1


def _with_relu(subject: NetInPhase, first: Layer, second: Layer) -> PatchOf:
    """Return what inserts a ReLU of one name between two layers, and between their variants for other phases."""
    name = free_name(shared_names(subject), f"{first.name}_relu")

    def patch_of(net: NetInPhase, here: Layer, layer: Layer) -> Patch | None:
        reader = _next_linear(here)
        if net.net.upgraded.steps or reader is None or reader.name != second.name:
            return None
        top = here.tops[0].name
        patch = Patch()
        for entry in (here.entry, *here.variants()):
            fields: Fields = (("name", name), ("type", "ReLU"), ("bottom", top), ("top", top), *state_rules(entry[0]))
            added = insert_layers(net.file.tree, net.net.message, entry, (fields,))
            if added is None:
                return None
            patch += added
        return patch

    return patch_of


@rule("N705", "stride-larger-than-kernel", subject="net", severity="advice")
def stride_larger_than_kernel(subject: NetInPhase) -> Iterator[Hit]:
    """Flags Pooling and Convolution layers whose stride is larger than their kernel.

    ## What it does

    Flags Pooling and Convolution layers with a kernel of at least 2 pixels and a larger stride, in height or width.

    ## Why is this bad?

    No window reads the pixels in between, so their values are lost. Usually stride and kernel size were swapped. N707 tells where
    the last window of such a Pooling contains no pixel at all.

    ## When it is reported

    Reported as **advice**. Nothing is reported for a kernel of 1, which only takes every n-th pixel, or for a kernel
    with dilation. Ignore it if pixels are skipped on purpose.

    ## Example

    No fix is offered, because only you know the two numbers.

    ## References

    `PoolingLayer::Forward_cpu` in pooling_layer.cpp; im2col.cpp.
    """
    for layer in subject.net.layers:
        window = window_of(layer)
        if window is None or layer.traits.upsampling or max(window.dilation, default=1) > 1:
            continue
        settings: Message = layer.message[layer.traits.settings]
        for axis, (kernel, stride) in enumerate(zip(window.kernel, window.stride, strict=False)):
            if 1 < kernel < stride:
                place = settings.span("stride" if "stride" in settings else f"stride_{'hw'[axis]}")
                message = f"stride {stride} of {named(layer)} is larger than its kernel {kernel}"
                reason = f"No window reads the {counted(stride - kernel, 'pixel')} between two windows."
                yield Hit(subject.file, place, message, reason)
                break
