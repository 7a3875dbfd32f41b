"""Activations before a loss that do not go with it."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import set_field
from ...fixes.wiring import rename_blob, write_new_blob
from ...moments.graph import Layer
from ...net.job import NetInPhase
from ...net.names import named
from ...rule.finding import Hit, Related
from ...rule.registry import rule


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
