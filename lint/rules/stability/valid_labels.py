"""Losses that divide by the number of valid labels, in versions of Caffe where that may be 0."""

from __future__ import annotations

import math
from collections.abc import Iterator

from ...fixes.fields import set_field
from ...moments.graph import Layer
from ...net.job import NetInPhase
from ...rule.finding import Hit
from ...rule.registry import rule
from ...source.caffe_versions import is_before

FEW = 16  # labels of a batch that may all be ignored: with half of the labels ignored, once in 65,536 batches
# Forks of versions of Caffe from before November 2015.
_UNGUARDED = frozenset({"segnet", "fast-rcnn", "faster-rcnn", "ctpn", "lisa-caffe"})


@rule("G110", "no-valid-labels", subject="net", severity="advice", fixes="unsafe")
def no_valid_labels(net: NetInPhase) -> Iterator[Hit]:
    """Flags a SoftmaxWithLoss that can divide by zero when all labels of a batch are ignored.

    ## What it does

    Flags SoftmaxWithLoss layers with an `ignore_label` and no `normalize: false` that see at most 16 labels in a batch, in
    nets for training that are read by Caffe up to 1.0-rc2 (`--caffe-version`) or by a fork made from one (SegNet, Fast and
    Faster R-CNN, CTPN, lisa-caffe).

    ## Why is this bad?

    These versions divide the loss by the number of labels that are not ignored. If every label of a batch is ignored, that is
    0 / 0: the loss, the gradients and, after that step, all weights are NaN. With half of the labels ignored, one batch of 8
    in 256 is like that. Since November 2015 Caffe divides by 1 instead.

    ## When it is reported

    As advice. Nothing is reported if the version of Caffe or the number of labels is unknown. Ignore it if no batch has only
    ignored labels, or if your Caffe guards the division.

    ## Fix

    Divides by the number of items instead, which is never 0. It is unsafe: batches with ignored labels then count for less,
    and the loss is larger by the number of labels per item.

    ## References

    softmax_loss_layer.cpp before and after commit 8b2aa7093 of 22 November 2015.
    """
    because = _unguarded(net)
    if net.phase != "TRAIN" or not because:
        return
    for layer in net.net.layers:
        labels = _labels(layer)
        if labels is None or not 0 < labels <= FEW:
            continue
        param = layer.message["loss_param"]
        all_labels = "the only label of a batch is" if labels == 1 else f"all {labels} labels of a batch are"
        patch = set_field(net.file.tree, param, "normalize", False)
        yield Hit(
            net.file,
            param.span("ignore_label"),
            f"loss '{layer.name}' divides by 0 if {all_labels} {param['ignore_label']}",
            f"Caffe did not guard this division before November 2015 ({because}): loss and weights become NaN.",
            fix=patch.fix(net.file.path, f"set normalize: false for '{layer.name}'", safe=False),
        )


def _labels(layer: Layer) -> int | None:
    """The number of labels in a batch of a loss that divides by the valid ones; None if unknown, and for other layers."""
    if layer.type != "SoftmaxWithLoss" or len(layer.bottoms) < 2 or not any(map(layer.loss_weight, range(len(layer.tops)))):
        return None
    param = layer.message["loss_param"]
    # `normalize` has no default in the schema; these versions take it for true.
    divides = param["normalize"] if "normalize" in param.entries else True
    if "ignore_label" not in param.entries or "normalization" in param.entries or not divides:
        return None
    shape = layer.bottoms[1].shape
    known = [dim for dim in shape if dim is not None] if shape is not None else []
    return math.prod(known) if shape is not None and len(known) == len(shape) else None


def _unguarded(net: NetInPhase) -> str:
    """The Caffe that does not guard the division; empty if it is unknown or guards it."""
    version = net.caffe_version
    if version is None:
        return f"as in {net.net.dialect}" if net.net.dialect in _UNGUARDED else ""
    return f"Caffe {version}" if is_before(version, "1.0-rc3") else ""
