"""Losses that jump whenever the data begin anew."""

from __future__ import annotations

from collections.abc import Iterator

from ...rule.registry import rule
from ...training_log.causes import Cause, shown, step_line
from ...training_log.evidence import Evidence
from ...training_log.periods import periodic_jumps


@rule("T406", "periodic-jumps", subject="log", severity="warning")
def periodic_jumps_of_the_loss(log: Evidence) -> Iterator[Cause]:
    """Flags losses that jump with a period, as they do if the data come in a bad order.

    ## What it does

    Flags a loss that jumps to 1.5 times its usual value or more, 3 times or more, each time after the same number of iterations, while
    the learning rate does not rise. The thresholds come from `python benchmarks/log_periods.py`.

    ## Why is this bad?

    Caffe reads a database in one order in every epoch. Sorted by class, or written in groups, each part pulls the weights its own way,
    and the net forgets the others: it learns slowly, and tests worse than it could.

    ## When it is reported

    **warning**. Ignore it if the data are meant to come in that order.

    ## Example

    There is no automatic fix: shuffle the items when the database is built (`convert_imageset --shuffle`), or set `shuffle: true` in
    `image_data_param` or `hdf5_data_param`. HDF5Data reads its files in order unless it is told to shuffle.

    ## References

    data_layer.cpp, DataLayer::Next; image_data_layer.cpp and hdf5_data_layer.cpp (`shuffle`).
    """
    jumps = periodic_jumps(log)
    if jumps is None:
        return
    items = f" With a batch size of {log.batch}, that is {log.batch * jumps.period} items." if log.batch else ""
    yield Cause(
        "periodic-jumps",
        f"the loss jumps to {jumps.factor:.2g} times its usual value every {jumps.period} iterations: the order of the data",
        "Jumps that return with a period come from data that are read in the same order again and again: an "
        "epoch, or a part of it that "
        f"is sorted.{items}",
        0.7,
        iteration=jumps.steps[0].iteration,
        line=jumps.steps[0].line,
        evidence=shown(step_line(step) for step in jumps.steps[:4]),
        help="Shuffle the items when the database is built, or set shuffle: true in image_data_param or hdf5_data_param.",
    )
