"""BatchNorm layers that use batch statistics in tests, or stored statistics in training."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.fields import Patch, remove_field
from ...layers.normalisation import uses_stored_statistics
from ...moments.graph import Layer
from ...net.frozen_statistics import blank_gain, stored_statistics
from ...net.job import Job, NetInPhase
from ...net.names import also_in
from ...net.net import Net
from ...net.phases import learns
from ...proto.binder import Message
from ...rule.finding import Hit
from ...rule.registry import rule


@rule("N404", "batch-statistics-in-test", subject="net", severity="warning", fixes="unsafe")
def batch_statistics_in_test(subject: NetInPhase) -> Iterator[Hit]:
    """Flags BatchNorm layers that use batch statistics where the net is tested or used.

    ## What it does

    Flags `use_global_stats: false` in BatchNorm layers of phase TEST, once per net.

    ## Why is this bad?

    The output for an image then depends on the other images of the batch. In a batch of one, the image is normalised by its
    own statistics instead of those of the training, and an image of 1 x 1 gives zeros. If the field is not set, it is false in
    training and true in tests, which is right for both.

    ## When it is reported

    - **warning** in a net without a loss, which is there to be used;
    - **advice** in a file with a loss in any phase, and in the test net of a solver, which test while they train.

    Ignore it if you want batch statistics, for example for style transfer, which normalises each image by itself, or
    in a net that was trained with batches so small that the stored statistics are no use.

    ## Fix

    Removes the field from all these layers. The fix is unsafe, because the net then has other outputs in phase TEST.

    ## References

    `BatchNormLayer::LayerSetUp` in batch_norm_layer.cpp: `use_global_stats` is true in phase TEST if it is not set.
    """
    is_test = any(subject is test for job in subject.used_by for test in job.tests)
    severity = "advice" if is_test or learns(subject.net.message) else ""
    layers = _with_global_stats(subject, "TEST", False)
    if layers and all(layer.bottoms and (layer.bottoms[0].shape or (None,))[0] == 1 for layer in layers):
        effect = "each image is normalised by its own statistics, not by those of the training"
    else:
        effect = "the output for an image depends on the other images of the batch"
    for hit in _global_stats(subject, layers, "batch statistics in phase TEST", f"With use_global_stats: false, {effect}."):
        yield hit._replace(severity=severity)


@rule("N405", "frozen-statistics-in-training", subject="job", severity="warning", fixes="unsafe")
def frozen_statistics_in_training(job: Job) -> Iterator[Hit]:
    """Flags BatchNorm layers that use stored statistics in a net that learns from scratch.

    ## What it does

    Flags `use_global_stats: true` in the training net of a solver, once per net.

    ## Why is this bad?

    The statistics are then never computed. From scratch they are 0, so Caffe divides by the square root of `eps`:
    with the default, values grow 316-fold at every BatchNorm. A net that we trained like this had a loss of 79 in
    iteration 0 and NaN in iteration 2.

    ## When it is reported

    Reported as a **warning** if the net seems to be trained from scratch: no weight is frozen, all have a filler that
    is not constant, and neither the solver, nor a script of the repository, nor the option `--weights` loads any.

    ## Fix

    Removes the field from all these layers. The fix is unsafe, because frozen statistics are often intended in a net
    that is fine-tuned. It is not offered if the file is called a test or deploy net and a training net beside it has the same
    layers without the field: the solver then seems to name the wrong file.

    ## References

    `LayerSetUp` and `Forward_cpu` in batch_norm_layer.cpp; the training with BVLC Caffe on the CPU.
    """
    subject = job.train
    if subject is None:
        return
    weights = [param for param in subject.net.params() if param.role == "weight" and param.lr_mult]
    if not weights or any(param.filler is None or param.filler["type"] == "constant" for param in weights):
        return
    if any(param.role == "weight" and not param.lr_mult for param in subject.net.params()):
        return  # frozen weights have been loaded
    layers = stored_statistics(subject.net)
    if not layers or subject.weights_loaded:
        return
    gain = f"{blank_gain(layers[0]):.3g}"
    each = f"each of the {len(layers)} BatchNorm layers" if len(layers) > 1 else "the layer"
    reason = f"With use_global_stats: true, they are never computed: from scratch they stay 0, and {each} multiplies by {gain}."
    written = _with_global_stats(subject, "TRAIN", True)
    for hit in _global_stats(subject, written, "stored statistics in training", reason):
        hit = hit._replace(message=f"{hit.message}: blank ones, which multiply by {gain}")
        meant = job.train_beside
        if meant is not None and _computes_all(meant.net, layers):
            reason = f"{hit.reason} {meant.file.path} has these layers without it: the solver seems to name the wrong net."
            hit = hit._replace(reason=reason, fix=None)
        yield hit


def _computes_all(net: Net, layers: list[Layer]) -> bool:
    """Whether a net has all these layers, and computes their statistics."""
    computed = {layer.name for layer in net.layers if layer.traits.stores_statistics and not uses_stored_statistics(layer)}
    return computed.issuperset(layer.name for layer in layers)


def _with_global_stats(subject: NetInPhase, phase: str, value: bool) -> list[Layer]:
    """Return the BatchNorm layers of a phase that set use_global_stats to a value."""
    return [
        layer
        for layer in subject.net.layers
        if layer.traits.stores_statistics
        and layer.phase == phase
        and layer.message["batch_norm_param"].get("use_global_stats") is value
    ]


def _global_stats(subject: NetInPhase, layers: list[Layer], statistics: str, reason: str) -> Iterator[Hit]:
    """Yield one hit for all BatchNorm layers that set use_global_stats to what gives these statistics."""
    for layer in layers[:1]:
        param: Message = layer.message["batch_norm_param"]
        message = f"BatchNorm layer '{layer.name}' uses {statistics}"
        patch = Patch()
        for other in layers:
            patch += remove_field(subject.file.tree, other.message["batch_norm_param"], "use_global_stats")
        fix = patch.fix(subject.file.path, "remove use_global_stats", safe=False)
        yield Hit(subject.file, param.span("use_global_stats"), message, reason + also_in(layers, subject.file.tree), fix=fix)
