"""BatchNorm layers that use batch statistics in tests, or stored statistics in training."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.fields import Patch, remove_field
from ...net.job import Job, NetInPhase
from ...proto.binder import Message
from ...rule.finding import Hit
from ...rule.registry import rule


@rule("N404", "batch-statistics-in-test", subject="net", severity="warning", fixes="unsafe")
def batch_statistics_in_test(subject: NetInPhase) -> Iterator[Hit]:
    """A BatchNorm normalises by the batch where the net is tested or used.

    ## What it does

    `use_global_stats: false` in a layer of phase TEST; once in a net, with the number of layers. It is a
    warning in a net without a loss, which is there to be used, and an advice in one that tests while it
    trains.

    ## Why is this bad?

    What comes out for an image then depends on the other images of the batch, and a batch of one image at 1 x
    1 comes out as 0. Left out, the field is false in training and true in a test, which is right for both.

    ## When it is reported

    Statistics are wanted of the batch: styles that go by the image, or nets that were trained with batches so small that
    their statistics are no use.

    ## Fix

    The fix takes the field out of all of them. It is unsafe: the net gives other values in a test.

    ## References

    batch_norm_layer.cpp, LayerSetUp: use_global_stats is true in phase TEST if it is not written.
    """
    severity = "advice" if subject.net.losses else ""
    for hit in _global_stats(subject, "TEST", False):
        yield hit._replace(severity=severity)


@rule("N405", "frozen-statistics-in-training", subject="job", severity="warning", fixes="unsafe")
def frozen_statistics_in_training(job: Job) -> Iterator[Hit]:
    """A BatchNorm normalises by stored statistics while the net learns from scratch.

    ## What it does

    `use_global_stats: true` in the training net of a solver, if that looks as if it were trained from
    scratch: no weight is frozen, all have a filler that is not constant, and the solver has no `weights`. Once
    in a net, with the number of layers.

    ## Why is this bad?

    The statistics are never computed. From scratch they are 0, which makes Caffe divide by the square root of
    eps: values grow 316 times at every BatchNorm. Trained so, a net had a loss of 79 in iteration 0, and NaN
    in iteration 2.

    ## When it is reported

    Weights and statistics are loaded before training.

    ## Fix

    The fix takes the field out of all of them. It is unsafe: in a net that is fine-tuned, frozen statistics are often meant.

    ## References

    batch_norm_layer.cpp, LayerSetUp and Forward_cpu; the training with BVLC's Caffe on the CPU.
    """
    subject = job.train
    if subject is None or subject.weights_loaded:
        return
    weights = [param for param in subject.net.params() if param.role == "weight" and param.lr_mult]
    if not weights or any(param.filler is None or param.filler["type"] == "constant" for param in weights):
        return
    if any(param.role == "weight" and not param.lr_mult for param in subject.net.params()):
        return  # what is frozen was loaded
    yield from _global_stats(subject, "TRAIN", True)


def _global_stats(subject: NetInPhase, phase: str, value: bool) -> Iterator[Hit]:
    """The BatchNorm layers of a phase where use_global_stats is written with that value, as one hit."""
    layers = [
        layer
        for layer in subject.net.layers
        if layer.traits.stores_statistics
        and layer.phase == phase
        and layer.message["batch_norm_param"].get("use_global_stats") is value
    ]
    for layer in layers[:1]:
        param: Message = layer.message["batch_norm_param"]
        where = "in training" if value else "in a test"
        what = (
            "stored statistics, not those of the batch"
            if value
            else "the batch, not the statistics of training"
        )
        message = f"BatchNorm layer '{layer.name}': {where} it normalises by {what}"
        reason = f"use_global_stats is {'true' if value else 'false'} there."
        if len(layers) > 1:
            reason += f" So it is for {len(layers)} layers of this net."
        patch = Patch()
        for other in layers:
            patch += remove_field(subject.file.tree, other.message["batch_norm_param"], "use_global_stats")
        fix = patch.fix(subject.file.path, "take out use_global_stats", safe=False)
        yield Hit(subject.file, param.span("use_global_stats"), message, reason, fix=fix)
