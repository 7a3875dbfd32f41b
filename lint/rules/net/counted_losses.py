"""Which losses a net learns from: none, one counted twice, one without weight, or a layer that is no loss."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import append_field
from ...moments.graph import Layer, Param
from ...moments.layer_type import FROM_PROGRAM, LEARNED
from ...net.job import NetInPhase
from ...net.names import named
from ...net.net import Net
from ...rule.finding import Hit, Related
from ...rule.registry import rule


@rule("N201", "double-counted-loss", subject="net", severity="warning")
def double_counted_loss(subject: NetInPhase) -> Iterator[Hit]:
    """A loss that another layer reads counts twice, or loses its gradient.

    ## What it does

    A loss layer whose top another layer reads: with a loss_weight of its own written, and, in nets for
    training, without one where the reader runs backward.

    ## Why is this bad?

    Where such a top has a loss_weight, Caffe inserts a Split that takes the weight over, erases those of the
    layer, and the layer then gives itself the 1 of a loss: the loss counts 1 more than is written. Without a
    weight written, the reader writes its gradient over the one that stands for the loss.

    ## When it is reported

    The net was made with the Split in mind, and its weights are what you want.

    ## Example

    Read the loss from a log, not in the net. There is no fix: only you know why it is read.

    ## References

    insert_splits.cpp, InsertSplits; loss_layer.cpp, LossLayer::LayerSetUp.
    """
    net = subject.net
    for layer in net.layers:
        kind = layer.kind
        if kind is None or not kind.loss_weight or not layer.tops:
            continue
        readers = layer.tops[0].consumers
        if not readers:
            continue
        written = [loss for loss in net.losses if loss.layer is layer and loss.entry is not None]
        related = (Related(subject.file, readers[0].place(), f"reads '{layer.tops[0].name}'"),)
        if written:
            total = sum(loss.weight for loss in net.losses if loss.layer is layer)
            message = (
                f"{named(layer)}: its loss counts {total:g}, not the {written[0].weight:g} that is written"
            )
            reason = (
                f"Layer '{readers[0].name}' reads it: Caffe splits it, and the layer adds a 1 of its own."
            )
            place = layer.message.span("loss_weight")
        elif net.phase == "TRAIN" and readers[0].runs_backward:
            message = f"{named(layer)}: layer '{readers[0].name}' reads its loss and spoils its gradient"
            reason = "It writes its own gradient over the weight that Caffe has put there for the loss."
            place = layer.message.span("top")
        else:
            continue
        yield Hit(subject.file, place, message, reason, related=related)


@rule("N202", "missing-loss-weight", subject="net", severity="warning", fixes="unsafe")
def missing_loss_weight(subject: NetInPhase) -> Iterator[Hit]:
    """A loss layer that counts nothing, since its type has no loss_weight by itself and none is written.

    ## What it does

    In nets for training, layers that nobody reads and that are a loss by their type or, for Python layers, by
    the name of their class: SmoothL1Loss in the forks for Fast R-CNN, Python layers.

    ## Why is this bad?

    BVLC's own losses weigh 1 by themselves; these weigh 0. Caffe computes and prints them, and nothing learns
    from them.

    ## When it is reported

    The loss is there to be looked at, and something else is trained.

    ## Fix

    The fix writes `loss_weight: 1` where the layer has one top. It is unsafe: a loss may be there only to be
    looked at.

    ## References

    layer.hpp, Layer::SetLossWeights; loss_layer.cpp, which gives the 1 and which these do not use.
    """
    if subject.phase != "TRAIN":
        return
    for layer in subject.net.layers:
        if "loss_weight" in layer.message or any(layer.loss_weights) or not layer.tops or not layer.bottoms:
            continue
        if any(top.consumers for top in layer.tops) or not _is_loss(layer):
            continue
        message = f"{named(layer)}: it has no loss_weight, and so nothing learns from it"
        reason = f"Caffe gives its own losses a weight of 1, {layer.type} gets 0."
        fix: Fix | None = None
        if len(layer.message["top"]) == 1 and "v0" not in subject.net.upgraded.steps:
            fix = append_field(subject.file.tree, layer.message, "loss_weight", 1).fix(
                subject.file.path, "write loss_weight: 1", safe=False
            )
        yield Hit(subject.file, layer.place(), message, reason, fix=fix)


@rule("N203", "missing-loss", subject="net", severity="warning")
def missing_loss(subject: NetInPhase) -> Iterator[Hit]:
    """A net for training has no loss.

    ## What it does

    Nets in phase TRAIN with layers that could learn, and no top with a loss_weight other than 0, by itself or
    written; also where each loss is switched off by `loss_weight: 0`. Nothing is said of nets with a layer type that
    nobody knows, which may be a loss, and of nets without a data layer, which a program runs.

    ## Why is this bad?

    Caffe trains to the end of max_iter, prints `loss = 0`, and the weights stay what they were (weight decay
    shrinks them).

    ## When it is reported

    A net in phase TRAIN that is run only forward, to look at its values.

    ## Example

    There is no fix: only you know the loss.

    ## References

    net.cpp, Net::Init (layer_need_backward_); sgd_solver.cpp, SGDSolver::Regularize.
    """
    net = subject.net
    if net.phase != "TRAIN" or any(loss.weight for loss in net.losses) or not _is_known(net):
        return
    if all(layer.bottoms or layer.traits.origin in (FROM_PROGRAM, LEARNED) for layer in net.layers):
        return  # a program runs it, as it does deploy nets
    first = next(_learning(net), None)
    losses = [layer for layer in net.layers if _is_loss(layer)]
    if first is None or any("loss_weight" not in layer.message for layer in losses):
        return  # what is there but weighs nothing is N202's
    if losses:
        message = f"{named(losses[0])}: its loss_weight is 0, and the net has no other loss: nothing learns"
        yield Hit(subject.file, losses[0].message.span("loss_weight"), message, "Caffe trains it all the same.")
        return
    message = f"the net has no loss: nothing learns, not even {named(first.layer)}"
    yield Hit(subject.file, first.layer.place(), message, "Caffe trains it all the same, and prints loss = 0.")


@rule("N204", "no-trainable-params", subject="net", severity="warning")
def no_trainable_params(subject: NetInPhase) -> Iterator[Hit]:
    """No parameter gets a gradient from any loss.

    ## What it does

    Nets for training with a loss and with layers that have parameters, where each of these has lr_mult 0, or
    propagate_down false or the order of the layers keeps the gradient from it.

    ## Why is this bad?

    Caffe trains to the end of max_iter, and the loss changes with the data only. With debug_info there is not
    one line `[Backward] Layer`.

    ## When it is reported

    A net that is trained to see its loss alone: to measure speed, or to test data.

    ## Example

    There is no fix: only you know which layers are to learn.

    ## References

    net.cpp, Net::Init (layer_need_backward_).
    """
    net = subject.net
    losses = [loss for loss in net.losses if loss.weight]
    if net.phase != "TRAIN" or not losses or not _is_known(net):
        return
    params = [param for param in net.params() if not param.layer.traits.stores_statistics]
    if not params or any(param.lr_mult != 0 and param.layer.runs_backward for param in params):
        return
    layer = losses[0].layer
    if any(param.lr_mult for param in params):
        why = "no gradient reaches the layers that could"
    else:
        why = f"all {len(params)} parameters have lr_mult 0"
    message = f"{named(layer)}: nothing learns from this loss: {why}"
    yield Hit(
        subject.file, layer.place(), message, "Caffe trains it all the same; its weights stay as they are."
    )


@rule("N210", "non-loss-with-loss-weight", subject="net", severity="warning")
def non_loss_with_loss_weight(subject: NetInPhase) -> Iterator[Hit]:
    """A layer that is no loss has a loss_weight: the sum of its values becomes part of the loss.

    ## What it does

    loss_weight over or under 0 on layers that learn, activations and layers that pass values on.

    ## Why is this bad?

    Caffe adds up all elements of the top, times the weight, and makes that small: nothing bounds it from
    below, and its gradient is the same for every element, whatever the data.

    ## When it is reported

    The sum is meant: a Reduction says so plainly, and is not reported.

    ## Example

    The weight belongs to the layer of the loss. There is no fix: only you know which that is.

    ## References

    layer.hpp, Layer::SetLossWeights; net.cpp, Net::ForwardFromTo.
    """
    for loss in subject.net.losses:
        layer = loss.layer
        if loss.entry is None or not loss.weight or not _makes_features(layer):
            continue
        node = loss.entry[1]
        message = f"{named(layer)}: it is no loss, but has loss_weight {loss.weight:g}"
        reason = f"The sum of '{loss.blob.name}' becomes part of the loss, and nothing bounds it from below."
        yield Hit(subject.file, (node.start, node.end), message, reason)


def _is_known(net: Net) -> bool:
    """Whether every layer type and every bottom is known, so that what is not there is really not."""
    joined = all(problem.kind not in ("unknown-bottom", "duplicate-top") for problem in net.problems)
    return joined and all(layer.kind is not None for layer in net.layers)


def _is_loss(layer: Layer) -> bool:
    """Whether a layer is a loss by its type; a Python layer by the name of its class."""
    if layer.traits.opaque:
        return re.search(r"loss(layer)?$", layer.message["python_param"]["layer"], re.IGNORECASE) is not None
    return layer.traits.is_loss


def _learning(net: Net) -> Iterator[Param]:
    return (param for param in net.params() if param.lr_mult and not param.layer.traits.stores_statistics)


def _makes_features(layer: Layer) -> bool:
    """Whether a loss is not meant to be put on a layer: one that learns, an activation, one that only passes values on."""
    traits = layer.traits
    if any(param.role == "weight" for param in layer.params) or traits.nonlinear or traits.normalises:
        return True
    return traits.keeps_order and not traits.is_affine
