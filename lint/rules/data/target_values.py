"""Targets that a loss cannot take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...moments.layer_type import SIGMOID
from ...net.label_sources import label_sources
from ...net.targets import advice_on_range, is_in_range
from ...rule.finding import Hit
from ...rule.registry import rule

if TYPE_CHECKING:
    from ...data.judging import LayerData


@rule("D118", "target-data-out-of-range", subject="inputs", severity="error")
def target_data_out_of_range(data: LayerData) -> Iterator[Hit]:
    """Flags data outside 0 to 1 that a SigmoidCrossEntropyLoss reads as targets.

    ## What it does

    Compares the targets of SigmoidCrossEntropyLoss layers with the range from 0 to 1: pixels, labels or HDF5 datasets, as they
    arrive after `transform_param`, Slice and Power layers.

    ## Why is this bad?

    Masks are often stored as 0 and 255. With a target above 1 or below 0 the loss has no minimum: it turns negative, the scores
    diverge, and what is learned is meaningless. Caffe does not check the targets.

    ## When it is reported

    Reported as an **error** by `caffe-lint inputs`, unless the loss has an `ignore_label`. In checks, G112 reports it.

    There is no fix: for bytes of 0 and 255, set `scale: 0.00392157` in the `transform_param` of the layer that reads them.

    ## References

    `Forward_cpu` in sigmoid_cross_entropy_loss_layer.cpp.
    """
    if data.from_facts:
        return
    for loss in data.net.net.layers:
        if loss.traits.applies != SIGMOID or len(loss.bottoms) < 2 or loss.message["loss_param"].get("ignore_label") is not None:
            continue
        for source in label_sources(loss.bottoms[1]):
            stored = data.range_of(source.top) if source.top.producer is data.layer and source.whole else None
            arriving = source.arriving(*stored) if stored is not None else None
            if stored is None or arriving is None or is_in_range(*arriving):
                continue
            low, high = arriving
            message = f"{data.name}: targets of '{loss.name}' range from {low:.4g} to {high:.4g}; expected 0 to 1"
            reason = f"The loss falls without limit, and Caffe does not check. {advice_on_range(source, *stored)}"
            yield Hit(data.net.file, data.place, message, reason.rstrip())
