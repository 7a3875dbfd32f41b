"""Reading the files of arrays that layers name: the mean of a data layer, the matrix of an InfogainLoss."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ...rule.finding import Hit
from ...source.opener import Unreadable

if TYPE_CHECKING:
    from ...data.judging import LayerData
    from ...data.mean_file import Mean


def read_matrix(data: LayerData, span: tuple[int, int], written: str, what: str, harm: str) -> tuple[Mean | None, list[Hit]]:
    """Return what a file holds, None if it cannot be read, and the findings on it; `harm` is what values that are no numbers do."""
    from ...data import mean_file  # keeps the reader of mean files out of the start

    stops = "Caffe stops when it builds the net."
    try:
        matrix = mean_file.read(os.path.join(data.source.base, written))
    except Unreadable as error:
        return None, [Hit(data.net.file, span, f"cannot read {what} '{written}': {error.reason}", stops)]
    except mean_file.BrokenMean as error:
        return None, [Hit(data.net.file, span, f"cannot read {what} '{written}': {error}", stops)]
    faults = [Hit(data.net.file, span, f"{what} '{written}' {matrix.faulty}", harm)] if matrix.faulty else []
    return matrix, faults
