"""The losses that a net learns from: none, one counted twice, one without a weight or below 0, or a layer that is not a loss."""

from __future__ import annotations

import re
from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import append_field
from ...fixes.layer_edits import set_loss_weights
from ...layers.record import traits_of
from ...moments.graph import Layer, Param
from ...moments.layer_type import FROM_PROGRAM, LEARNED
from ...net.job import NetInPhase
from ...net.loss_sizes import has_own_weight, maximised_losses
from ...net.names import named
from ...net.net import Net
from ...proto.binder import Message
from ...rule.finding import Hit, Related
from ...rule.registry import rule


@rule("N201", "double-counted-loss", subject="net", severity="warning")
def double_counted_loss(subject: NetInPhase) -> Iterator[Hit]:
    """Flags losses that count twice or lose their gradient because another layer reads them.

    ## What it does

    Flags loss layers with a `loss_weight` whose top another layer reads. In nets for training, it also flags loss layers
    without a `loss_weight` if the layer that reads the loss runs backward.

    ## Why is this bad?

    If such a top has a `loss_weight`, Caffe inserts a Split that takes over the weight, and removes it from the loss
    layer. The loss layer then gives itself the default weight of 1, so the loss counts 1 more than is written.

    If no weight is written, the layer that reads the loss writes its own gradient over the loss weight that Caffe has
    stored there.

    ## When it is reported

    Reported as a **warning**. There is no fix, because only you know why the loss is read. If you only want to
    monitor it, read it from the log. Ignore it if the net was designed with this Split in mind.

    ## References

    `InsertSplits` in insert_splits.cpp; `LossLayer::LayerSetUp` in loss_layer.cpp.
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
            message = f"{named(layer)} counts with a weight of {total:g} instead of {written[0].weight:g}"
            reason = (
                f"Layer '{readers[0].name}' reads the loss: Caffe inserts a Split that takes over the written weight,"
                " and the loss layer adds its default weight of 1."
            )
            place = layer.message.span("loss_weight")
        elif net.phase == "TRAIN" and readers[0].runs_backward:
            message = f"layer '{readers[0].name}' overwrites the gradient of {named(layer)}"
            reason = f"It reads '{layer.tops[0].name}' and writes its own gradient over the loss weight that Caffe stores there."
            place = layer.message.span("top")
        else:
            continue
        yield Hit(subject.file, place, message, reason, related=related)


@rule("N202", "missing-loss-weight", subject="net", severity="warning", fixes="unsafe")
def missing_loss_weight(subject: NetInPhase) -> Iterator[Hit]:
    """Flags loss layers without effect because their loss weight is 0.

    ## What it does

    Flags layers in nets for training whose tops no layer reads, that have no `loss_weight` and no default weight, but are
    losses by their type or, for Python layers, by the name of their class. An example is SmoothL1Loss in the forks for
    Fast R-CNN.

    ## Why is this bad?

    The losses of BVLC Caffe have a default weight of 1; these have 0. Caffe computes and prints them, but nothing learns
    from them.

    ## When it is reported

    Reported as a **warning**. Ignore it if the loss is only monitored and another one is trained.

    ## Fix

    Inserts `loss_weight: 1` if the layer has one top. The fix is unsafe, because the loss may be there only for
    monitoring.

    ## References

    `Layer::SetLossWeights` in layer.hpp; `LossLayer::LayerSetUp` in loss_layer.cpp, which sets the default weight of 1
    and is not used by these layers.
    """
    if subject.phase != "TRAIN":
        return
    for layer in subject.net.layers:
        if "loss_weight" in layer.message or any(layer.loss_weights) or not layer.tops or not layer.bottoms:
            continue
        if any(top.consumers for top in layer.tops) or not _is_loss(layer):
            continue
        message = f"{named(layer)} is a loss without loss_weight and has no effect"
        reason = f"The default loss weight of {layer.type} layers is 0, not 1 as for Caffe's own losses: nothing learns from it."
        fix: Fix | None = None
        if len(layer.message["top"]) == 1 and "v0" not in subject.net.upgraded.steps:
            fix = append_field(subject.file.tree, layer.message, "loss_weight", 1).fix(
                subject.file.path, "insert loss_weight: 1", safe=False
            )
        yield Hit(subject.file, layer.place(), message, reason, fix=fix)


@rule("N203", "missing-loss", subject="net", severity="warning")
def missing_loss(subject: NetInPhase) -> Iterator[Hit]:
    """Flags nets for training without a loss.

    ## What it does

    Flags nets in phase TRAIN that have layers to train, but no top whose loss weight, written or default, differs from 0.
    This includes nets in which `loss_weight: 0` switches off every loss.

    ## Why is this bad?

    Caffe trains until `max_iter` and prints `loss = 0`. The weights change only by weight decay, which shrinks them.

    ## When it is reported

    Reported as a **warning**. There is no fix, because only you know the loss. Nothing is reported for

    - nets with an unknown layer type, which may be a loss;
    - nets without a data layer, and nets with `force_backward: true`, which a program runs;
    - nets that are for inference: no known solver trains them, they have no loss in any phase, and no layer has a filler.

    ## References

    `Net::Init` (`layer_need_backward_`) in net.cpp; `SGDSolver::Regularize` in sgd_solver.cpp.
    """
    net = subject.net
    if net.phase != "TRAIN" or any(loss.weight for loss in net.losses) or not _is_known(net):
        return
    if net.message["force_backward"] or all(
        layer.bottoms or layer.traits.origin in (FROM_PROGRAM, LEARNED) for layer in net.layers
    ):
        return  # a program runs it, as it does deploy nets
    first = next(_trainable(net), None)
    losses = [layer for layer in net.layers if _is_loss(layer)]
    if not subject.jobs and not losses and _is_for_inference(net):
        return
    if first is None or any("loss_weight" not in layer.message for layer in losses):
        return  # losses with a weight of 0 are reported by N202
    if losses:
        message = f"{named(losses[0])} has loss_weight 0, and the net has no other loss"
        reason = "Nothing learns, but Caffe trains to the end all the same."
        yield Hit(subject.file, losses[0].message.span("loss_weight"), message, reason)
        return
    reason = f"Neither {named(first.layer)} nor any other layer learns, but Caffe trains to the end and prints loss = 0."
    yield Hit(subject.file, first.layer.place(), "the net for training has no loss", reason)


@rule("N204", "no-trainable-params", subject="net", severity="warning")
def no_trainable_params(subject: NetInPhase) -> Iterator[Hit]:
    """Flags nets for training in which no parameter gets a gradient from a loss.

    ## What it does

    Flags nets for training with a loss and with parameters, none of which can learn: each has `lr_mult: 0`, or gets no
    gradient because of `propagate_down: false` or the order of the layers.

    ## Why is this bad?

    Caffe trains until `max_iter`, and the loss changes only with the data. With `debug_info`, the log has no
    `[Backward] Layer` line.

    ## When it is reported

    Reported as a **warning**. Nothing is reported for nets with an unknown layer type. There is no fix, because only you
    know which layers are meant to learn. Ignore it if the net is trained only to measure its speed or to test the data.

    ## References

    `Net::Init` (`layer_need_backward_`) in net.cpp.
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
        why = "no gradient reaches a trainable layer"
    elif len(params) == 1:
        why = "the only parameter has lr_mult 0"
    else:
        why = f"all {len(params)} parameters have lr_mult 0"
    message = f"{named(layer)} trains nothing: {why}"
    yield Hit(subject.file, layer.place(), message, "Nothing learns, but Caffe trains to the end all the same.")


@rule("N217", "negative-loss-weight", subject="net", severity="warning", fixes="unsafe")
def negative_loss_weight(subject: NetInPhase) -> Iterator[Hit]:
    """Flags losses with a negative `loss_weight`.

    ## What it does

    Flags a `loss_weight` below 0 on loss layers in nets for training.

    ## Why is this bad?

    Caffe minimises the weighted sum of all losses, so it makes a loss with a negative weight as large as it can: the layers before it
    learn to be wrong. Such a sum has no minimum. The loss falls below 0, then gradients explode, and the loss becomes NaN.

    ## When it is reported

    Reported as a **warning**. Nothing is reported if the layer with parameters before the loss is frozen, as where a generator is
    trained against a discriminator.

    ## Fix

    Removes the sign. The fix is unsafe, because only you know whether the loss should count.

    ## References

    `Net::ForwardFromTo` in net.cpp.
    """
    if subject.phase != "TRAIN":
        return
    for loss in maximised_losses(subject.net):
        if loss.entry is None:
            continue
        node = loss.entry[1]
        message = f"{named(loss.layer)} has a negative loss_weight, {loss.weight:g}"
        reason = "Training makes this loss as large as possible: the weighted loss falls below 0, and in the end becomes NaN."
        fix: Fix | None = None
        if has_own_weight(loss):
            patch = set_loss_weights(subject.file.tree, loss.layer.message, tuple(map(abs, loss.layer.loss_weights)))
            fix = patch.fix(subject.file.path, f"make the loss_weight of '{loss.layer.name}' positive", safe=False)
        yield Hit(subject.file, (node.start, node.end), message, reason, fix=fix)


@rule("N210", "non-loss-with-loss-weight", subject="net", severity="warning")
def non_loss_with_loss_weight(subject: NetInPhase) -> Iterator[Hit]:
    """Flags layers that have a `loss_weight` but are not losses.

    ## What it does

    Flags a `loss_weight` other than 0 on layers with weights, activations, normalisation layers and layers that only pass
    values on.

    ## Why is this bad?

    Caffe adds up all elements of the top, multiplies the sum by the weight and minimises it. Nothing bounds the sum from
    below, and its gradient is the same for every element, whatever the data.

    ## When it is reported

    Reported as a **warning**. There is no fix, because only you know to which loss layer the weight belongs. Ignore it if
    the sum is meant; a Reduction layer makes this plain and is not reported.

    ## References

    `Layer::SetLossWeights` in layer.hpp; `Net::ForwardFromTo` in net.cpp.
    """
    for loss in subject.net.losses:
        layer = loss.layer
        if loss.entry is None or not loss.weight or not _makes_features(layer):
            continue
        node = loss.entry[1]
        message = f"{named(layer)} has loss_weight {loss.weight:g} but is not a loss"
        reason = f"The sum of '{loss.blob.name}' becomes part of the loss, and nothing bounds it from below."
        yield Hit(subject.file, (node.start, node.end), message, reason)


def _is_known(net: Net) -> bool:
    """Return whether every layer type and every bottom is known, so that what seems to be missing is really missing."""
    joined = all(problem.kind not in ("unknown-bottom", "duplicate-top") for problem in net.problems)
    return joined and all(layer.kind is not None for layer in net.layers)


def _is_loss(layer: Layer) -> bool:
    """Return whether a layer is a loss by its type or, for a Python layer, by the name of its class."""
    if layer.traits.opaque:
        return _is_loss_class(layer.message)
    return layer.traits.is_loss


def _is_for_inference(net: Net) -> bool:
    """Return whether nothing in a net without a loss says that it is trained: no loss of another phase, no initial weights."""
    return all(param.filler is None for param in _trainable(net)) and not any(
        _names_loss(layer) for layer, _, _ in net.dropped
    )


def _names_loss(layer: Message) -> bool:
    """Return whether a layer that another phase has is a loss, by its type, its class or its loss_weight."""
    return traits_of(layer["type"]).is_loss or any(layer["loss_weight"]) or _is_loss_class(layer)


def _is_loss_class(layer: Message) -> bool:
    return re.search(r"loss(layer)?$", layer["python_param"]["layer"], re.IGNORECASE) is not None


def _trainable(net: Net) -> Iterator[Param]:
    return (param for param in net.params() if param.lr_mult and not param.layer.traits.stores_statistics)


def _makes_features(layer: Layer) -> bool:
    """Return whether a layer is no place for a loss weight, by its type or because it has weights."""
    return layer.traits.makes_features or any(param.role == "weight" for param in layer.params)
