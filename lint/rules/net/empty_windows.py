"""Pooling whose last window contains no value of its map."""

from __future__ import annotations

from collections.abc import Iterator
from operator import itemgetter

from ...layers.sliding_windows import window_of
from ...net.job import NetInPhase
from ...net.names import named
from ...proto.binder import Message
from ...rule.finding import Hit
from ...rule.registry import rule


@rule("N707", "empty-pooling-window", subject="net", severity="warning")
def empty_pooling_window(subject: NetInPhase) -> Iterator[Hit]:
    """Flags Pooling layers whose last window contains no pixel.

    ## What it does

    Flags Pooling layers whose last row or column of windows starts behind the last pixel of its map.

    ## Why is this bad?

    Caffe rounds the number of windows up. If the stride is larger than the kernel and nothing is padded, the last window may
    be empty, as with a kernel of 1 and a stride of 2 on a map of even size. The average of no pixel is 0 / 0, which is NaN and
    makes the loss NaN in the first iteration. The maximum of no pixel is -3.4e38, and Caffe writes its gradient outside of the blob.

    ## When it is reported

    Only if the size of the map is known.

    ## Example

    No fix is offered. A kernel as large as the stride leaves no window empty, nor does `round_mode: FLOOR`, where your Caffe has it;
    the latter makes the output smaller by one row or column.

    ## References

    `PoolingLayer::Reshape`, `Forward_cpu` and `Backward_cpu` in pooling_layer.cpp.
    """
    for layer in subject.net.layers:
        window = window_of(layer) if layer.traits.settings == "pooling_param" else None
        shape = layer.bottoms[0].shape if layer.bottoms else None
        if window is None or window.is_whole or shape is None or max(window.dilation, default=1) > 1:
            continue
        sides = [(axis, side) for axis, side in enumerate(shape[2:]) if side is not None]
        behind = [(axis, start == side) for axis, side in sides if (start := window.last(axis, side)) >= side]
        if behind:
            settings: Message = layer.message["pooling_param"]
            axis, starts_at_end = max(behind, key=itemgetter(1))
            place = settings.span("stride" if "stride" in settings else f"stride_{'hw'[axis]}")
            sizes = f"kernel {window.kernel[axis]} and stride {window.stride[axis]} on a side of {shape[2 + axis]}"
            message = f"the last windows of {named(layer)} are empty: {sizes}"
            method = "0 / 0" if settings["pool"] == "AVE" and starts_at_end else settings["pool"]
            yield Hit(subject.file, place, message, f"{_RESULTS[method]}; a kernel as large as the stride leaves no window empty.")


_RESULTS = {
    "0 / 0": "Their averages are 0 / 0, which is NaN",
    "AVE": "Their averages are 0",
    "MAX": "Their maxima are -3.4e38, and gradients are written outside of the blob",
    "STOCHASTIC": "Their values are undefined",
}
