"""Units that start where their function is flat: saturated sigmoids, dead rectifiers."""

from __future__ import annotations

from collections.abc import Iterator

from ...net.job import Job
from ...rule.finding import Hit
from ...rule.registry import rule
from ...stability.computed import stability_of

SURELY = 0.95  # the part of a layer's units from which it is said


@rule("G109", "flat-units", subject="job", severity="advice")
def flat_units(job: Job) -> Iterator[Hit]:
    """Nearly all units of a Sigmoid or TanH start saturated, or of a ReLU dead.

    ## What it does

    Layers of which more than 95 % of the units get, by the signal of iteration 0, values for which they are flat: a Sigmoid
    below -6 or above 6, a TanH below -3 or above 3 (their slope is there less than a hundredth of the largest), a ReLU
    without `negative_slope` below 0. Where the data are not known, only if it is so with data of size 1 as well. Blobs
    that are 0 everywhere are left to N205 and G106.

    ## Why is this bad?

    The gradient that comes to such a layer is multiplied by its slope, so next to nothing gets through: the layers below
    keep their first weights, at random, and only those behind it learn. A dead rectifier has no slope at all and may never
    wake up. The loss falls all the same, but to where a net with random features ends.

    So it is an advice: of 360 trainings with the real Caffe it is found in 7, whose pixels up to 255 go into sigmoids
    unscaled; of these 6 learnt and 1 exploded, none stalled.

    ## When it is reported

    Features at random are wanted, or weights are loaded by the command line.

    ## Example

    There is no fix: it may be the data, the weights or the bias that are too large.

    ## References

    sigmoid_layer.cpp, tanh_layer.cpp, relu_layer.cpp. Numbers: `python benchmarks/standing_still.py`. Glorot and Bengio:
    Understanding the difficulty of training deep feedforward neural networks, 2010.
    """
    computed = stability_of(job)
    if computed is None or job.train is None:
        return
    for layer, part in computed.saturated_layers(SURELY):
        size = computed.sizes_around(layer)[0]
        state = "dead" if layer.type == "ReLU" else "saturated"
        yield Hit(
            job.train.file,
            layer.place(),
            f"about {part:.1%} of the units of {layer.type} '{layer.name}' start {state}: it reads values of"
            f" {size:.3g} in the mean",
            "Its gradient is next to nothing there, so the layers below keep their first weights: scale the data, or start"
            f" the weights below '{layer.bottoms[0].name}' smaller.",
        )
