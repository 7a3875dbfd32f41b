"""Inputs so large that training diverges because of them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...fixes.fields import number_text
from ...layers.models.data_models import KNOWN
from ...moments.graph import Layer
from ...net.job import Job, NetInPhase
from ...rule.finding import Hit
from ...rule.registry import rule
from ...stability.advice.patches import OF_BYTES, new_scale, scale_patch
from ...stability.computed import stability_of
from ...stability.verdict.verdict import outlook

if TYPE_CHECKING:
    from ...stability.advice.stability import Stability


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
    scale = new_scale(layer, factor)
    title = f"set the scale of '{layer.name}' to {number_text(scale)}"
    return Hit(
        net.file,
        layer.place(),
        f"'{layer.tops[0].name}' averages {size} in magnitude; expected about 1",
        f"Training {outlook(computed.verdict.p_diverges)}; with a scale of {number_text(scale)}, it {outlook(after)}."
        f"{computed.evidence}",
        confidence=computed.confidence_in("diverge"),
        fix=scale_patch(net, layer, scale).fix(net.file.path, title, safe=False),
    )
