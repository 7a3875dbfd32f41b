"""Losses whose input does not go with them: an activation applied twice, cut scores, scores instead of probabilities."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import set_field
from ...fixes.wiring import rename_blob, write_new_blob
from ...moments.graph import Layer
from ...net.job import NetInPhase
from ...net.names import named
from ...net.scores import producer_of_values, scores_as_probabilities
from ...rule.finding import Hit, Related
from ...rule.registry import rule


@rule("N207", "double-activation", subject="net", severity="warning", fixes="unsafe")
def double_activation(subject: NetInPhase) -> Iterator[Hit]:
    """Flags a Softmax or Sigmoid before a loss that applies it itself.

    ## What it does

    Flags SoftmaxWithLoss layers that read the top of a Softmax, and SigmoidCrossEntropyLoss layers that read the top of a
    Sigmoid. Layers in between that keep the values (Reshape, Flatten, Split) make no difference.

    ## Why is this bad?

    The loss treats values between 0 and 1 as scores. Softmax applied twice gives a nearly uniform distribution: with ten
    classes, the loss cannot fall below 1.46. With a Sigmoid, an output of 0 counts as a probability of one half. The net
    learns slowly and never well.

    ## When it is reported

    Reported as a **warning**. Ignore it if the second Softmax is meant to soften the scores and the lower bound of the
    loss is accepted.

    ## Fix

    Lets the loss read the bottom of the Softmax or Sigmoid. If that layer works in place, it gets a top of its own, which
    all other layers read. The fix is unsafe, because it changes what the net learns.

    ## References

    softmax_loss_layer.cpp; sigmoid_cross_entropy_loss_layer.cpp. 1.46 = log(e + 9) - 1.
    """
    for layer in subject.net.layers:
        producer = _same_activation(layer)
        if producer is None:
            continue
        message = f"{named(layer)} applies {producer.type} to the output of {producer.type} layer '{producer.name}'"
        reason = "The loss treats values between 0 and 1 as scores, so it cannot become small."
        related = (Related(subject.file, producer.place(), f"layer '{producer.name}'"),)
        fix = _bypass(subject, producer, layer)
        yield Hit(subject.file, layer.message.span("bottom"), message, reason, related=related, fix=fix)


@rule("N208", "relu-before-loss", subject="net", severity="advice")
def relu_before_loss(subject: NetInPhase) -> Iterator[Hit]:
    """Flags a ReLU between the last layer and the loss.

    ## What it does

    Flags SoftmaxWithLoss and SigmoidCrossEntropyLoss layers that read the top of a ReLU, unless the ReLU has a
    `negative_slope`.

    ## Why is this bad?

    A negative score becomes 0 and gets no gradient. A class that has been ruled out cannot come back, and with a Sigmoid
    no output can fall below one half.

    ## When it is reported

    Reported as **advice**. There is no fix, because weights that were trained with the ReLU do not fit a net without it.
    Ignore it if you use such weights.

    ## References

    `Backward_cpu` in relu_layer.cpp.
    """
    for layer in subject.net.layers:
        if not _always_applies(layer) or not layer.bottoms:
            continue
        producer = producer_of_values(layer)
        if producer is not None and producer.traits.cuts_negatives(producer):
            message = f"{named(layer)} reads its scores from {producer.type} layer '{producer.name}'"
            reason = f"{producer.type} sets negative scores to 0, so they get no gradient."
            related = (Related(subject.file, producer.place(), f"layer '{producer.name}'"),)
            yield Hit(subject.file, layer.message.span("bottom"), message, reason, related=related)


@rule("N209", "missing-softmax", subject="net", severity="warning", fixes="unsafe")
def missing_softmax(subject: NetInPhase) -> Iterator[Hit]:
    """Flags MultinomialLogisticLoss layers that read scores instead of probabilities.

    ## What it does

    Flags MultinomialLogisticLoss layers whose first bottom comes from a layer whose values may be below 0 or above 1:
    InnerProduct, Convolution, BatchNorm, Scale and the like.

    ## Why is this bad?

    The loss takes the logarithm of its input, which it limits to at least 1e-20. A negative score therefore costs 46 and
    has a gradient of 1e20. A net like LeNet trained this way had gradients of 1e16 in iteration 0 and NaN in iteration 1.

    ## When it is reported

    Reported as a **warning**. Do not ignore it: every negative score has a gradient of 1e20.

    ## Fix

    Changes the type to SoftmaxWithLoss. The fix is unsafe, because a Softmax before this loss is another way to get the
    same loss, though a worse one.

    ## References

    multinomial_logistic_loss_layer.cpp. The training above was run with BVLC Caffe on the CPU.
    """
    for layer in subject.net.layers:
        producer = scores_as_probabilities(layer)
        if producer is None:
            continue
        message = f"{named(layer)} reads scores from layer '{producer.name}' instead of probabilities"
        reason = "The loss takes the logarithm of its input, so a negative score has a gradient of 1e20."
        fix: Fix | None = None
        if "type" in layer.message and not {"v0", "v1"} & set(subject.net.upgraded.steps):
            patch = set_field(subject.file.tree, layer.message, "type", "SoftmaxWithLoss")
            fix = patch.fix(subject.file.path, 'change the type to "SoftmaxWithLoss"', safe=False)
        yield Hit(subject.file, layer.place(), message, reason, fix=fix)


def _same_activation(layer: Layer) -> Layer | None:
    """Return the Softmax or Sigmoid before a loss that applies the same activation itself."""
    producer = producer_of_values(layer) if _always_applies(layer) and layer.bottoms else None
    return producer if producer is not None and producer.traits.activation == layer.traits.applies else None


def _always_applies(layer: Layer) -> bool:
    """Return whether a layer is a loss that applies an activation itself in every version of Caffe."""
    return bool(layer.traits.applies) and not layer.traits.applies_since


def _bypass(subject: NetInPhase, producer: Layer, loss: Layer) -> Fix | None:
    """Return a fix that lets a loss read what `producer` reads, if only that loss uses the layers in between."""
    first = loss
    while (between := first.bottoms[0].producer) is not None and between is not producer:
        if between.in_place or len(between.tops[0].consumers) > 1:
            return None
        first = between
    below = producer.bottoms[0].name
    if not producer.in_place:
        if not _is_unchanged(producer, first):
            return None
        return rename_blob([(first.message, "bottom", 0)], below).fix(
            subject.file.path, f"read '{below}' instead", safe=False
        )
    if "v0" in subject.net.upgraded.steps:
        return None
    losses = [
        reader.message
        for reader in producer.tops[0].consumers
        if reader is first or _same_activation(reader) is producer
    ]
    found = write_new_blob(subject.net.message, producer.message, 0, losses)
    if found is None:
        return None
    patch, name = found
    title = f"rename the top of layer '{producer.name}' to '{name}', except for the loss"
    return patch.fix(subject.file.path, title, safe=False)


def _is_unchanged(producer: Layer, reader: Layer) -> bool:
    """Return whether the bottom of a layer is not overwritten before `reader`, a layer after it, would read it."""
    below = producer.bottoms[0]
    overwritten = any(top.below is below for other in producer.context.layers for top in other.tops)
    return below.producer is not None and not overwritten and producer.index < reader.index
