"""Shapes of the data, as far as a log shows them."""

from __future__ import annotations

from collections.abc import Iterator

from ...rule.registry import rule
from ...training_log.causes import Cause
from ...training_log.evidence import Evidence

LEAST_SIDE = 16  # of an image
_CHANNELS = (3, 4)


@rule("T408", "channels-last-input", subject="log", severity="warning")
def channels_last_input(log: Evidence) -> Iterator[Cause]:
    """Flags data of the shape number x height x width x channels.

    ## What it does

    Flags the first layer in the log (`Top shape: 64 227 227 3 (…)`) if its last axis has 3 or 4 values, and the two before it 16 or
    more each.

    ## Why is this bad?

    Caffe takes the second axis for the channels, so a Convolution sees 227 channels of 227 x 3 pixels. It trains, but learns nothing
    of use, and no published weights fit.

    ## When it is reported

    **warning**. Ignore it if the last axis is no channel.

    ## Example

    There is no automatic fix: transpose the arrays (`image.transpose(2, 0, 1)`) before they are written.

    ## References

    blob.hpp: blobs of images are number x channels x height x width.
    """
    for layer, shapes in list(log.run.shapes.items())[:1]:
        for shape in shapes[:1]:
            if len(shape) == 4 and shape[3] in _CHANNELS and min(shape[1:3]) >= LEAST_SIDE:
                sizes = " x ".join(map(str, shape))
                yield Cause(
                    "channels-last-input",
                    f"the data of layer '{layer}' are {sizes}: height x width x channels",
                    f"Caffe takes the {shape[1]} rows for channels.",
                    0.75,
                    layer,
                    help="Transpose the arrays (`image.transpose(2, 0, 1)`) before they are written.",
                )
