"""Nets that Caffe trains without a word, and that learn nothing or something else than was meant."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import append_field, set_field
from ...fixes.wiring import rename_blob, write_new_blob
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


@rule("N206", "dropout-ratio-one", subject="net", severity="warning")
def dropout_ratio_one(subject: NetInPhase) -> Iterator[Hit]:
    """A Dropout drops everything, and gives NaN.

    ## What it does

    `dropout_ratio: 1`; an advice, once in a net, in phase TEST, where nothing is dropped. Over 1 Caffe stops,
    which is E209.

    ## Why is this bad?

    What is left is scaled by 1 / (1 - ratio), which is infinite, and 0 times infinity is NaN: in the first
    forward pass, in every value.

    ## When it is reported

    Never in training. In a net for tests it does no harm.

    ## Example

    There is no fix: only you know the ratio. It is the share that is dropped, not the one that is kept.

    ## References

    dropout_layer.cpp, LayerSetUp.
    """
    for layer in subject.net.layers:
        if layer.traits.settings == "dropout_param":
            param = layer.message["dropout_param"]
            if param["dropout_ratio"] == 1:
                message = f"{named(layer)}: dropout_ratio is 1, so everything is dropped"
                reason = "What is left is scaled by 1 / (1 - 1): in training every value becomes NaN."
                severity = "" if layer.phase == "TRAIN" else "advice"
                yield Hit(subject.file, param.span("dropout_ratio"), message, reason, severity)
                if severity:
                    return  # once is enough where it does no harm


@rule("N207", "double-activation", subject="net", severity="warning", fixes="unsafe")
def double_activation(subject: NetInPhase) -> Iterator[Hit]:
    """A Softmax or Sigmoid stands before a loss that applies it by itself.

    ## What it does

    SoftmaxWithLoss that reads the top of a Softmax, SigmoidCrossEntropyLoss that reads that of a Sigmoid,
    with nothing but layers that keep values (Reshape, Flatten, Split) in between.

    ## Why is this bad?

    The loss then sees numbers from 0 to 1 as scores. With ten classes it cannot fall below 1.46, and with a
    Sigmoid an output of 0 is taken for a probability of one half: it learns slowly, and never well.

    ## When it is reported

    A second Softmax is meant, to soften the scores, and its floor is accepted.

    ## Fix

    The fix lets the loss read what the Softmax reads; one that works in place gets a top of its own, which all others
    read. It is unsafe, since what the net learns changes.

    ## References

    softmax_loss_layer.cpp, sigmoid_cross_entropy_loss_layer.cpp. 1.46 = log(e + 9) - 1.
    """
    for layer in subject.net.layers:
        maker = _squashing(layer)
        if maker is None:
            continue
        message = f"{named(layer)}: it applies a {maker.type} to the top of {maker.type} layer '{maker.name}'"
        reason = "The loss sees numbers from 0 to 1 where it wants scores: it cannot become small."
        related = (Related(subject.file, maker.place(), f"layer '{maker.name}'"),)
        fix = _past(subject, maker, layer)
        yield Hit(subject.file, layer.message.span("bottom"), message, reason, related=related, fix=fix)


@rule("N208", "relu-before-loss", subject="net", severity="advice")
def relu_before_loss(subject: NetInPhase) -> Iterator[Hit]:
    """A ReLU stands between the last layer and the loss.

    ## What it does

    SoftmaxWithLoss and SigmoidCrossEntropyLoss that read the top of a ReLU.

    ## Why is this bad?

    A score under 0 becomes 0 and gets no gradient: a class that is ruled out cannot come back, and with a
    Sigmoid no output can fall below one half.

    ## When it is reported

    The ReLU was there when the weights were trained, and they are to be kept.

    ## Example

    There is no fix: weights that were trained with the ReLU go with it.

    ## References

    relu_layer.cpp, Backward_cpu.
    """
    for layer in subject.net.layers:
        if not _surely_applies(layer) or not layer.bottoms:
            continue
        maker = _maker_of_values(layer)
        if maker is not None and maker.traits.cuts_negatives(maker):
            message = f"{named(layer)}: its scores come from {maker.type} layer '{maker.name}', which cuts them at 0"
            reason = "Scores under 0 become 0 and get no gradient."
            related = (Related(subject.file, maker.place(), f"layer '{maker.name}'"),)
            yield Hit(subject.file, layer.message.span("bottom"), message, reason, related=related)


@rule("N209", "missing-softmax", subject="net", severity="warning", fixes="unsafe")
def missing_softmax(subject: NetInPhase) -> Iterator[Hit]:
    """A MultinomialLogisticLoss reads scores instead of probabilities.

    ## What it does

    MultinomialLogisticLoss whose first bottom comes from a layer whose values may be under 0 or over 1:
    InnerProduct, Convolution, BatchNorm, Scale and the like.

    ## Why is this bad?

    It takes the logarithm of what it reads, cut off at 1e-20: a score under 0 costs 46, and gives a gradient
    of 1e20. Trained so, a net like LeNet had
    gradients of 1e16 in iteration 0 and NaN in iteration 1.

    ## When it is reported

    Never: the gradient is 1e20 where a score is under 0.

    ## Fix

    The fix changes the type to SoftmaxWithLoss. It is unsafe: a Softmax before this loss does the same, but
    worse.

    ## References

    multinomial_logistic_loss_layer.cpp; the training with BVLC's Caffe on the CPU.
    """
    for layer in subject.net.layers:
        if not layer.traits.wants_probabilities or not layer.bottoms:
            continue
        maker = _maker_of_values(layer)
        if maker is None or not _makes_scores(maker):
            continue
        message = f"{named(layer)}: it wants probabilities and gets the scores of {named(maker)}"
        reason = "It takes their logarithm: a score under 0 gives a gradient of 1e20."
        fix: Fix | None = None
        if "type" in layer.message and not {"v0", "v1"} & set(subject.net.upgraded.steps):
            patch = set_field(subject.file.tree, layer.message, "type", "SoftmaxWithLoss")
            fix = patch.fix(subject.file.path, 'write "SoftmaxWithLoss"', safe=False)
        yield Hit(subject.file, layer.place(), message, reason, fix=fix)


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


@rule("N211", "invalid-lr-mult", subject="net", severity="warning")
def invalid_lr_mult(subject: NetInPhase) -> Iterator[Hit]:
    """A parameter has a learning rate or decay of the wrong sign, or one that is no number.

    ## What it does

    lr_mult and decay_mult under 0, infinite or NaN.

    ## Why is this bad?

    With lr_mult under 0 a parameter climbs up the loss; with decay_mult under 0 it grows without end. Caffe
    checks neither.

    ## When it is reported

    A gradient is turned around on purpose, to learn what confuses a second net (adversarial training).

    ## Example

    There is no fix: only you know the value.

    ## References

    sgd_solver.cpp, SGDSolver::ComputeUpdateValue and Regularize.
    """
    for param in subject.net.params():
        if param.spec is None:
            continue
        for field, what in (("lr_mult", "climbs up the loss"), ("decay_mult", "grows without end")):
            value = param.spec.get(field, 1.0)
            if value >= 0 and math.isfinite(value):
                continue
            message = f"{named(param.layer)}: {field} of its {param.role} is {value:g}"
            reason = f"The {param.role} {what}." if value < 0 else "It becomes NaN in the first update."
            yield Hit(subject.file, param.spec.span(field), message, reason)


def _is_known(net: Net) -> bool:
    """Whether every layer type and every bottom is known, so that what is not there is really not."""
    joined = all(problem.kind not in ("unknown-bottom", "duplicate-top") for problem in net.problems)
    return joined and all(layer.kind is not None for layer in net.layers)


def _is_loss(layer: Layer) -> bool:
    """Whether a layer is a loss by its type; a Python layer by the name of its class."""
    if layer.traits.opaque:
        return re.search(r"loss(layer)?$", layer.message["python_param"]["layer"], re.IGNORECASE) is not None
    return layer.kind is not None and layer.kind.is_loss


def _learning(net: Net) -> Iterator[Param]:
    return (param for param in net.params() if param.lr_mult and not param.layer.traits.stores_statistics)


def _maker_of_values(layer: Layer) -> Layer | None:
    """The layer that computed the values of the first bottom, past those that only give them another form."""
    maker = layer.bottoms[0].producer
    while maker is not None and maker.traits.is_alias(maker) and maker.bottoms:
        maker = maker.bottoms[0].producer
    return maker


def _squashing(layer: Layer) -> Layer | None:
    """The Softmax or Sigmoid before a loss that applies the same by itself."""
    maker = _maker_of_values(layer) if _surely_applies(layer) and layer.bottoms else None
    return maker if maker is not None and maker.traits.activation == layer.traits.applies else None


def _surely_applies(layer: Layer) -> bool:
    """Whether a layer is a loss that applies an activation by itself, in whatever Caffe."""
    return bool(layer.traits.applies) and not layer.traits.applies_since


def _makes_scores(layer: Layer) -> bool:
    """Whether a layer leaves values below 0 and over 1 as they come: scores, not probabilities."""
    traits = layer.traits
    return traits.is_affine or traits.stores_statistics or traits.combines


def _makes_features(layer: Layer) -> bool:
    """Whether a loss is not meant to be put on a layer: one that learns, an activation, one that only passes values on."""
    traits = layer.traits
    if any(param.role == "weight" for param in layer.params) or traits.nonlinear or traits.normalises:
        return True
    return traits.keeps_order and not traits.is_affine


def _past(subject: NetInPhase, maker: Layer, loss: Layer) -> Fix | None:
    """Lets a loss read what a layer before it reads, if whatever stands between the two is there for it alone."""
    first = loss
    while (between := first.bottoms[0].producer) is not None and between is not maker:
        if between.in_place or len(between.tops[0].consumers) > 1:
            return None
        first = between
    below = maker.bottoms[0].name
    if not maker.in_place:
        if not _still_there(maker, first):
            return None
        return rename_blob([(first.message, "bottom", 0)], below).fix(subject.file.path, f"read '{below}'", safe=False)
    if "v0" in subject.net.upgraded.steps:
        return None
    losses = [reader.message for reader in maker.tops[0].consumers if reader is first or _squashing(reader) is maker]
    found = write_new_blob(subject.net.message, maker.message, 0, losses)
    if found is None:
        return None
    patch, name = found
    return patch.fix(subject.file.path, f"write '{name}' in layer '{maker.name}', and read '{below}'", safe=False)


def _still_there(maker: Layer, reader: Layer) -> bool:
    """Whether what a layer has read is not overwritten until another, further down, would read it."""
    below = maker.bottoms[0]
    overwritten = any(top.below is below for other in maker.context.layers for top in other.tops)
    return below.producer is not None and not overwritten and maker.index < reader.index
