"""Values that certainly leave the domain of a layer or a loss: infinity, NaN, or a loss without a minimum."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import set_field
from ...fixes.layer_edits import add_message
from ...moments.graph import Layer
from ...moments.layer_type import SIGMOID
from ...net.domain_faults import domain_faults
from ...net.intervals import intervals
from ...net.job import NetInPhase
from ...net.label_sources import PIXELS, LabelSource, label_sources
from ...net.targets import BYTES, SCALE, advice_on_range, are_unscaled_bytes, is_in_range
from ...rule.finding import Hit, Related
from ...rule.registry import rule


@rule("G111", "out-of-domain-input", subject="net", severity="warning")
def out_of_domain_input(subject: NetInPhase) -> Iterator[Hit]:
    """Flags layers whose input makes their output or gradient infinite or NaN.

    ## What it does

    Flags layers that are certain to receive values outside their domain, judging by what produces them: zeros after a ReLU or
    Dropout, both signs after a layer with random weights or a BatchNorm, the known range of the data. These are

    - Log of 0 or less
    - Power with a fractional exponent of a negative number, or a negative exponent of 0
    - Power of 0 with `shift: 0` and an exponent other than 1 and 2, whose gradient Caffe computes as y / x
    - Exp of values that exceed the largest float
    - LRN with a `k` of 0 or less after a ReLU, which divides 0 by 0 where all channels are 0
    - LRN with a negative `alpha`, whose base k + alpha / n * (sum of squares) falls below 0 as its input grows
    - BatchNorm with a negative `eps`, which takes the square root of variance + eps

    ## Why is this bad?

    None of these layers guards its input. One infinite value makes the loss infinite and turns the gradients of all weights
    before it into NaN, in the first iteration or in the first in which such a value occurs.

    ## When it is reported

    Only if the range of the input is known, or if nothing bounds the input of an LRN or BatchNorm with such a setting. Ignore it
    if loaded weights keep the values inside the domain.

    ## Example

    Anything else that keeps the values inside the domain will do as well. There is no fix: the right margin depends on what
    the layer is for.

    ## References

    log_layer.cpp, power_layer.cpp, exp_layer.cpp, lrn_layer.cpp, batch_norm_layer.cpp.
    """
    for layer, fault in domain_faults(subject.net):
        maker = layer.bottoms[0].producer
        related = (Related(subject.file, maker.place(), f"'{layer.bottoms[0].name}' comes from here"),) if maker else ()
        yield Hit(subject.file, layer.place(), f"{layer.type} '{layer.name}' {fault.what}", fault.why, related=related)


@rule("G112", "target-out-of-range", subject="net", severity="warning", fixes="unsafe")
def target_out_of_range(subject: NetInPhase) -> Iterator[Hit]:
    """Flags SigmoidCrossEntropyLoss with targets outside 0 to 1.

    ## What it does

    Flags SigmoidCrossEntropyLoss layers whose targets lie outside the range from 0 to 1, by the facts about the data, the layers
    that produce them, or the `transform_param` of the images that hold them.

    ## Why is this bad?

    For a target t and a score x the loss is log(1 + exp(x)) - t * x. If t is above 1, the loss falls without limit as x grows;
    if t is below 0, as x falls. No score is optimal: the loss turns negative, the scores diverge, and what is learned is
    meaningless. Caffe does not check the targets. Masks are often stored as 0 and 255.

    ## When it is reported

    - **warning** if the range of the targets is known, if they are pixels that a `scale` or a mean brings out of the range, or
      pixels of an image list without a `scale`;
    - **advice** for pixels of a database without a `scale`. Ignore it if they are 0 and 1.

    Nothing is reported if the loss has an `ignore_label`, which may be the only value out of range.

    ## Fix

    Sets `scale: 0.00392157`, which is 1 / 255, if the facts say that the pixels range from 0 to 255. The fix is unsafe, because the
    other values may be the wrong ones. For other targets there is none.

    ## References

    sigmoid_cross_entropy_loss_layer.cpp.
    """
    losses = [layer for layer in subject.net.layers if layer.traits.applies == SIGMOID and len(layer.bottoms) > 1]
    if not losses:
        return
    known = intervals(subject.net)
    for layer in losses:
        targets = known[layer.bottoms[1]]
        if "loss_param" in layer.message.entries and "ignore_label" in layer.message["loss_param"]:
            continue  # the target out of range may be the ignored one
        place = layer.message.span("bottom", 1)
        if targets.reached:
            if not is_in_range(targets.low, targets.high):
                message = f"targets of loss '{layer.name}' range from {targets.low:g} to {targets.high:g}; expected 0 to 1"
                source = _masks(subject, layer)
                advice = advice_on_range(source, 0.0, BYTES) if source is not None else ""
                reason = f"A target outside 0 to 1 lets the loss fall without limit, and Caffe does not check. {advice}".rstrip()
                yield Hit(subject.file, place, message, reason, fix=_scaled(subject, source))
            continue
        for source in label_sources(layer.bottoms[1]):
            if source.kind == PIXELS and source.stored(subject.net) is None and (found := _unknown_pixels(layer, source)):
                yield Hit(subject.file, place, *found, confidence="medium")
                break


def _unknown_pixels(layer: Layer, source: LabelSource) -> tuple[str, str, str] | None:
    """What is wrong with targets that are pixels of unknown values: message, reason and severity."""
    arriving = source.arriving(0.0, BYTES)
    name = f"'{source.top.name}'"
    if arriving is None:
        reason = "Pixels below the mean become negative targets, with which the loss falls without limit."
        return f"a mean is subtracted from {name}, the targets of loss '{layer.name}'", reason, ""
    low, high = arriving
    if is_in_range(low, high):
        return None
    if source.changed_by:
        message = f"targets of loss '{layer.name}' range from {low:.4g} to {high:.4g} for pixels of 0 to 255; expected 0 to 1"
        return message, "A target outside 0 to 1 lets the loss fall without limit, and Caffe does not check.", ""
    advice = advice_on_range(source, 0.0, BYTES)
    reason = f"A mask of 0 and 255 has targets of 255, with which the loss falls without limit. {advice}"
    has_list = source.top.producer is not None and source.top.producer.traits.settings == _LIST
    return f"targets of loss '{layer.name}' are pixels of {name} without a scale", reason, "" if has_list else "advice"


_LIST = "image_data_param"


def _masks(subject: NetInPhase, layer: Layer) -> LabelSource | None:
    """The images of bytes from 0 to 255 that are all the targets of a loss; None if they are something else."""
    sources = list(label_sources(layer.bottoms[1]))
    stored = sources[0].stored(subject.net) if len(sources) == 1 else None
    if stored is None or stored.minimum is None or stored.maximum is None:
        return None
    return sources[0] if are_unscaled_bytes(sources[0], stored.minimum, stored.maximum) else None


def _scaled(subject: NetInPhase, source: LabelSource | None) -> Fix | None:
    """A fix that scales the images of a source to the range from 0 to 1."""
    producer = source.top.producer if source is not None else None
    if producer is None or "v0" in subject.net.upgraded.steps:
        return None
    tree, message = subject.file.tree, producer.message
    if "transform_param" in message.entries:
        patch = set_field(tree, message["transform_param"], "scale", SCALE)
    else:
        patch = add_message(tree, subject.net.message, message, "transform_param", (("scale", SCALE),))
    return patch.fix(subject.file.path, f"set scale: {SCALE} in '{producer.name}'", safe=False)
