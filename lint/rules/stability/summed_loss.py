"""Losses that are summed over the pixels of an image, at a learning rate for losses that are averaged."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import set_field
from ...fixes.layer_edits import EnumName, add_message
from ...layers.loss import loss_normalization
from ...moments.graph import Blob, Layer
from ...moments.layer_type import SIGMOID
from ...net.job import Job, NetInPhase
from ...net.names import named
from ...net.score_maps import is_score_map
from ...rule.finding import Hit
from ...rule.registry import rule
from ...solver.schedule import largest_rate
from ...stability.computed import stability_of

# The learning rate times the loss weight between those of public nets whose losses of pixels are sums, and are averages
# (`benchmarks/thresholds.py sums`: 1e-8 of the one, 7e-4 and more of the twelve others).
LOWEST_RATE = 2.6e-6


@rule("G113", "summed-loss", subject="job", severity="warning", fixes="unsafe")
def summed_loss(job: Job) -> Iterator[Hit]:
    """Flags a SigmoidCrossEntropyLoss that is summed over the pixels of an image, at a learning rate for averages.

    ## What it does

    Flags SigmoidCrossEntropyLoss layers without `normalization` that read a score for each pixel, if the learning rate times
    the loss weight is over 2.6e-6, which is between the rates of public nets with such sums and with averages.

    ## Why is this bad?

    SoftmaxWithLoss is an average over all labels by default, SigmoidCrossEntropyLoss is divided by the batch size only. For a
    mask of 112 x 112, its loss and gradients are 12,544 times those of an average: it dominates all other losses, and training
    diverges at learning rates that are usual for classification.

    ## When it is reported

    Reported as a **warning**, unless the training is predicted not to diverge. A smaller `loss_weight` helps as well, but has to
    be chosen anew for every size of the images.

    ## Fix

    Sets `loss_param { normalization: VALID }`. The fix is unsafe, because it changes the training. Caffe before 1.0-rc4 does not
    read it in this layer.

    ## References

    `SigmoidCrossEntropyLossLayer::LayerSetUp` and `get_normalizer` in sigmoid_cross_entropy_loss_layer.cpp.
    """
    train, rate = job.train, largest_rate(job.solver.message)
    if train is None or rate is None:
        return
    for layer in train.net.layers:
        if layer.traits.applies != SIGMOID or layer.kind is None or not layer.kind.is_loss or not layer.bottoms:
            continue
        is_summed = loss_normalization(layer) == "BATCH_SIZE" and "normalization" not in layer.message["loss_param"]
        if not is_summed or rate.value * layer.loss_weight(0) <= LOWEST_RATE or not has_pixels(train, layer.bottoms[0]):
            continue
        computed = stability_of(job)
        if computed is not None and computed.is_calm:
            return
        message = f"{named(layer)} is summed over all pixels of '{layer.bottoms[0].name}'"
        reason = "It is divided by the batch size only, so it dominates losses that are averages. Use normalization: VALID"
        reason += f" for an average per pixel, rather than a smaller loss_weight: {rate.value:g} is a rate for averages."
        yield Hit(train.file, layer.place(), message, reason, fix=_averaged(train, layer))


def has_pixels(net: NetInPhase, scores: Blob) -> bool:
    """Whether a blob has a score for each pixel: its shape says so, or it is enlarged and nothing joins the pixels again."""
    if scores.shape is not None and 1 in scores.shape[2:]:
        return False  # a row of outputs is no image
    if is_score_map(net.net, scores):
        return True
    if scores.shape is not None:
        return False
    producer = scores.producer
    while producer is not None and producer.bottoms and (producer.traits.slides or producer.traits.keeps_shape):
        if producer.traits.upsampling:
            return True
        producer = producer.bottoms[0].producer
    return False


def _averaged(net: NetInPhase, layer: Layer) -> Fix | None:
    """Return the fix that makes a loss an average, None in the oldest format."""
    if "v0" in net.net.upgraded.steps:
        return None
    tree, message = net.file.tree, layer.message
    if "loss_param" in message.entries:
        patch = set_field(tree, message["loss_param"], "normalization", EnumName("VALID"), text="VALID")
    else:
        patch = add_message(tree, net.net.message, message, "loss_param", (("normalization", EnumName("VALID")),))
    return patch.fix(net.file.path, "set normalization to VALID", safe=False)
