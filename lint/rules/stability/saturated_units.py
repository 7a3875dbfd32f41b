"""Units that start where their function is flat: saturated sigmoids, dead ReLUs."""

from __future__ import annotations

from collections.abc import Iterator

from ...net.job import Job
from ...rule.finding import Hit
from ...rule.registry import rule
from ...stability.computed import stability_of

SATURATED = 0.95  # the share of a layer's units from which it is reported
_NEARLY_ALL = 0.9995  # which would be shown as 100.0 %


@rule("G109", "saturated-units", subject="job", severity="advice")
def saturated_units(job: Job) -> Iterator[Hit]:
    """Flags layers whose Sigmoid or TanH units start saturated, or whose ReLU units start dead.

    ## What it does

    Flags layers in which more than 95 % of the units receive, in iteration 0, inputs where the function is flat: a Sigmoid
    below -6 or above 6, a TanH below -3 or above 3 (where the slope is less than a hundredth of its maximum), a ReLU without
    `negative_slope` below 0.

    ## Why is this bad?

    The gradient of such a layer is multiplied by its slope, so almost none passes: the layers before it keep their random
    initial weights, and only those after it learn. A dead ReLU has a slope of zero and may never recover. The loss still
    falls, but only as far as a net with random features can go.

    This is advice because such trainings often get somewhere: of 360 trainings with the real Caffe, 7 are flagged, all with
    unscaled pixels up to 255 into sigmoids; 6 of them learned, 1 diverged, none stalled.

    ## When it is reported

    Where initial weights and layers are known (`caffe-lint signal`); if the data are not, only if it holds over their whole
    range. Blobs that are entirely zero are left to N205 and G106. Ignore it if random features are wanted.

    ## Example

    There is no fix: the data, the weights or the bias may be what is too large.

    ## References

    sigmoid_layer.cpp, tanh_layer.cpp, relu_layer.cpp. Glorot and Bengio: Understanding the difficulty of training deep
    feedforward neural networks, 2010. Figures: `python benchmarks/standing_still.py`.
    """
    computed = stability_of(job)
    if computed is None or job.train is None:
        return
    for layer, share in computed.saturated_layers(SATURATED):
        size = computed.sizes_around(layer)[0]
        state = "dead" if layer.traits.rectifies else "saturated"
        weighted = next((other for other in layer.upstream() if other.traits.weighted_sum), None)
        smaller = f", or use smaller initial weights in '{weighted.name}'" if weighted is not None else ""
        units = f"{share:.1%} of units" if share < _NEARLY_ALL else "nearly all units"
        yield Hit(
            job.train.file,
            layer.place(),
            f"{units} in {layer.type} '{layer.name}' start {state}: inputs average {size} in magnitude",
            f"Almost no gradient passes it, so the layers before it keep their initial weights. Scale the data{smaller}.",
        )
