"""Values that certainly leave the domain of a layer or a loss: infinity, NaN, or a loss without a minimum."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import set_field
from ...fixes.layer_edits import add_message
from ...moments.graph import Layer
from ...moments.interval import Interval
from ...moments.layer_type import SIGMOID
from ...net.intervals import intervals
from ...net.job import NetInPhase
from ...net.label_sources import PIXELS, LabelSource, label_sources
from ...net.targets import BYTES, SCALE, advice_on_range, are_unscaled_bytes, is_in_range
from ...rule.finding import Hit, Related
from ...rule.registry import rule

OVERFLOW = 88.7  # the largest exponent of e that a float holds


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

    ## Why is this bad?

    None of these layers guards its input. One infinite value makes the loss infinite and turns the gradients of all weights
    before it into NaN, in the first iteration or in the first in which such a value occurs.

    ## When it is reported

    Only if the range of the input is known. Ignore it if loaded weights keep the values inside the domain.

    ## Example

    Anything else that keeps the values inside the domain will do as well. There is no fix: the right margin depends on what
    the layer is for.

    ## References

    log_layer.cpp, power_layer.cpp, exp_layer.cpp, lrn_layer.cpp.
    """
    if not any(layer.traits.settings in _FAULTS for layer in subject.net.layers):
        return
    known = intervals(subject.net)
    for layer in subject.net.layers:
        check = _FAULTS.get(layer.traits.settings)
        if check is None or not layer.bottoms:
            continue
        fault = check(layer, known[layer.bottoms[0]])
        if fault:
            maker = layer.bottoms[0].producer
            related = (Related(subject.file, maker.place(), f"'{layer.bottoms[0].name}' comes from here"),) if maker else ()
            what, why = fault
            yield Hit(subject.file, layer.place(), f"{layer.type} '{layer.name}' {what}", why, related=related)


def _log(layer: Layer, x: Interval) -> tuple[str, str] | None:
    param = layer.message["log_param"]
    least = _least(x, param["scale"], param["shift"])
    if least is None or least > 0:
        return None
    what = "takes the logarithm of 0" if least == 0 else f"takes the logarithm of values below 0 ({_shown(least)})"
    return what, f"The result is {'-inf' if least == 0 else 'NaN'}, which Caffe does not prevent; set a `shift`."


def _power(layer: Layer, x: Interval) -> tuple[str, str] | None:
    param = layer.message["power_param"]
    power, scale, shift = param["power"], param["scale"], param["shift"]
    if not all(map(math.isfinite, (power, scale, shift))):
        return None
    least = _least(x, scale, shift)
    zero = least == 0 or (x.zero and shift == 0)
    if least is not None and least < 0 and not float(power).is_integer():
        return f"raises values below 0 to the power of {power:g}", "The result is NaN, which Caffe does not prevent."
    if zero and power < 0:
        return f"raises 0 to the power of {power:g}", "The result is infinite, which Caffe does not prevent."
    computes = layer.runs_backward and any(layer.gradient_bottoms)
    if x.zero and shift == 0 and scale and power not in (0, 1, 2) and computes:
        why = f"Caffe computes it as {power:g} * y / x, which is NaN (0 / 0) there; a small `shift` keeps x away from 0."
        return f"has no gradient at 0, which '{layer.bottoms[0].name}' contains", why
    return None


def _exp(layer: Layer, x: Interval) -> tuple[str, str] | None:
    param = layer.message["exp_param"]
    base, scale, shift = param["base"], param["scale"], param["shift"]
    if not x.reached or (base != -1 and base <= 0):
        return None
    exponent = max(shift + scale * x.low, shift + scale * x.high) * (1.0 if base == -1 else math.log(base))
    if not OVERFLOW < exponent < math.inf:
        return None
    why = f"A float overflows for exponents above {OVERFLOW:g}, so the result is infinite."
    return f"takes the exponential of values up to {exponent:.3g}", why


def _lrn(layer: Layer, x: Interval) -> tuple[str, str] | None:
    k = layer.message["lrn_param"]["k"]
    if k > 0 or not x.zero or layer.message["lrn_param"]["norm_region"] != "ACROSS_CHANNELS":
        return None
    return f"has a k of {k:g}", "Where all neighbouring channels are 0, it computes 0 times infinity, which is NaN."


_FAULTS = {"log_param": _log, "power_param": _power, "exp_param": _exp, "lrn_param": _lrn}


def _least(x: Interval, scale: float, shift: float) -> float | None:
    """The least value of shift + scale * x that certainly occurs (-inf: somewhere below 0); None if unknown."""
    if x.reached and math.isfinite(x.low) and math.isfinite(x.high):
        return float(min(shift + scale * x.low, shift + scale * x.high))
    if x.negative and scale > 0 and shift <= 0:
        return -math.inf
    return float(shift) if x.zero and (shift <= 0 or scale == 0) else None


def _shown(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "both signs occur"


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
