"""Inputs so large that training diverges because of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...fixes.edit import Fix
from ...fixes.fields import Patch, number_text, set_field
from ...fixes.layer_edits import add_message
from ...layers.models.data_models import KNOWN
from ...moments.graph import Layer
from ...net.job import Job, NetInPhase
from ...net.rounding import one_digit
from ...rule.finding import Hit
from ...rule.registry import rule
from ...stability.computed import stability_of
from ...stability.verdict.verdict import confidence_in, outlook

if TYPE_CHECKING:
    from ...stability.advice.stability import Stability

OF_BYTES = 1 / 256  # the scale that brings bytes to below 1

@rule("G107", "unscaled-input", subject="job", severity="advice", fixes="unsafe")
def unscaled_input(job: Job) -> Iterator[Hit]:
    """Flags inputs so large that the training is likely to diverge because of them.

    ## What it does

    Flags data layers whose output has a mean absolute value of 10 or more after `transform_param`, if the training is likely
    to diverge with these inputs and unlikely to with inputs around 1, all else being equal.

    ## Why is this bad?

    The gradient of the first layer is proportional to its input, and the curvature to the square of it: with pixels up to 255
    the largest stable learning rate is thousands of times smaller than with pixels up to 1, and the activations of all later
    layers start too large as well. A lower rate or a clip threshold keeps such a training finite, but the layers with small
    activations then learn slowly.

    ## When it is reported

    Where the data are known from `caffe-lint.data.json` and the training can be judged (`caffe-lint signal`). Ignore it if the
    net was trained with such inputs and its weights are loaded.

    ## Fix

    Writes `scale` (1/256 for bytes) into this layer and its counterparts in other phases. It is unsafe: deploy nets, and the
    code that feeds them, have to scale the same way. With the new scale the learning rate need not be lowered, so select this
    rule alone to apply it.

    ## Example

    Comes with: G101.

    ## References

    `DataTransformer::Transform` in data_transformer.cpp. LeCun, Bottou, Orr, Müller: Efficient BackProp, 1998.
    """
    computed = stability_of(job)
    if computed is None or job.train is None or not computed.risky or computed.basis.data != KNOWN or computed.basis.open_tops:
        return
    for layer, factor in computed.large_inputs(OF_BYTES):
        if not layer.traits.transforms:
            continue
        after = computed.risk_with_inputs(layer, factor)
        if after is not None:
            size = computed.sizes_around(layer)[1]
            yield _hit(job.train, computed, layer, factor, size, after)


def _hit(net: NetInPhase, computed: Stability, layer: Layer, factor: float, size: str, after: float) -> Hit:
    scale = layer.message["transform_param"]["scale"] * factor
    scale = scale if factor == OF_BYTES else one_digit(scale)
    return Hit(
        net.file,
        layer.place(),
        f"'{layer.tops[0].name}' averages {size} in magnitude; expected about 1",
        f"Training {outlook(computed.verdict.p_diverges)}; with a scale of {number_text(scale)}, it {outlook(after)}.",
        confidence=confidence_in(computed.verdict.p_diverges, computed.signal),
        fix=_fix(net, layer, scale),
    )


def _fix(net: NetInPhase, layer: Layer, scale: float) -> Fix:
    patch = Patch()
    for message, _, _ in (layer.entry, *layer.variants()):
        if "transform_param" in message.entries:
            patch += set_field(net.file.tree, message["transform_param"], "scale", scale)
        else:
            patch += add_message(net.file.tree, net.net.message, message, "transform_param", (("scale", scale),))
    return patch.fix(net.file.path, f"set the scale of '{layer.name}' to {number_text(scale)}", safe=False)
