"""The matrix file of an InfogainLoss."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...rule.finding import Hit
from ...rule.registry import rule
from .matrix_files import read_matrix

if TYPE_CHECKING:
    from ...data.judging import LayerData


@rule("D120", "infogain-matrix-mismatch", subject="inputs", severity="error")
def infogain_matrix_mismatch(data: LayerData) -> Iterator[Hit]:
    """Flags InfogainLoss layers whose matrix file does not match the number of classes.

    ## What it does

    Reads the file in `infogain_loss_param.source`, and flags one that is missing or invalid, contains NaN or infinity, or does not
    have K x K values for K classes.

    ## Why is this bad?

    Caffe stops when it builds the net. With a NaN in the matrix, the loss and all weights are NaN after one iteration.

    ## When it is reported

    Reported as an **error** by `caffe-lint inputs`. There is no fix: write the matrix again, with a row and a column for each class.

    ## References

    `InfogainLossLayer::LayerSetUp` and `Reshape` in infogain_loss_layer.cpp.
    """
    if data.from_facts:
        return
    for use in data.label_uses:
        param = use.reader.message["infogain_loss_param"] if use.reader.traits.takes_matrix else None
        if param is None or len(use.reader.bottoms) > 2 or not param["source"]:
            continue
        span, written = param.span("source"), param["source"]
        matrix, faults = read_matrix(data, span, written, "matrix file", "The loss becomes NaN.")
        yield from faults
        if matrix is not None and use.classes is not None and math.prod(matrix.shape) != use.classes**2:
            shown = " x ".join(map(str, matrix.shape[1:] if matrix.shape[0] == 1 else matrix.shape))
            message = f"matrix file '{written}' is {shown}, but '{use.reader.name}' has {use.classes} classes"
            yield Hit(data.net.file, span, message, f"Caffe stops when it builds the net: it expects {use.classes} x {use.classes}.")
