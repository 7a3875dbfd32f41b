"""Test data: overlap with the training data, and how much of them a test reads."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...rule.finding import Hit
from ...rule.registry import rule
from .test_passes import judge_pass

if TYPE_CHECKING:
    from ...data.judging import LayerData


@rule("D114", "test-iter-mismatch", subject="inputs", severity="warning", fixes="safe")
def test_iter_mismatch(data: LayerData) -> Iterator[Hit]:
    """A test does not go through the test data once.

    ## What it does

    `test_iter` times the batch size of the test net that is less than the number of items, or reaches it a batch or
    more too late.

    ## Why is this bad?

    A part of the data is never tested in that pass, or some count twice: the accuracy is that of other data each time.

    ## When it is reported

    The test data are so many that a part of them is enough.

    ## Fix

    The fix writes the number of batches, rounded up. It is safe: it changes what is tested, not what is learnt.

    ## References

    solver.cpp, Solver::Test; the data layers begin anew at the end.
    """
    if data.job is not None and data.test is not None:
        hit = judge_pass(data.job.solver, data.test, data.report.items or 0, data.batch or 0, data.name)
        if hit is not None:
            yield hit


@rule("D115", "train-test-overlap", subject="inputs", severity="warning")
def train_test_overlap(data: LayerData) -> Iterator[Hit]:
    """Items of the test data are among those of the training data.

    ## What it does

    Items with the same content, compared by a sample of up to 65,536 contents of each source that takes the same
    items of both. A test that names the source of the training is said so.

    ## Why is this bad?

    The accuracy is of what was learnt by heart, and does not show overfitting.

    ## When it is reported

    The test is there to show how well the training data are learnt.

    ## Example

    There is no fix: the items have to be taken out of one of the two.

    ## References

    The contents of the items.
    """
    if data.net.phase != "TEST":
        return
    for other in data.others:
        if other.net.phase != "TRAIN" or other.source.field != data.source.field:
            continue
        if os.path.realpath(other.source.path) == os.path.realpath(data.source.path):
            if data.from_facts:
                continue  # which a check is told by N403
            message = f"the test reads {data.name}, which the training reads too"
            yield Hit(data.net.file, data.place, message, "The accuracy is of what was learnt.")
            continue
        shared, of, examples = data.report.same_contents(other.report)
        if shared:
            mine, theirs = examples[0]
            share = f"{shared} of {of}" + (" sampled" if (data.report.items or 0) > of else "")
            message = f"{share} items of {data.name} are in {other.name} as well: {mine} is {theirs} there"
            yield Hit(data.net.file, data.place, message, "The accuracy is of what was learnt.")
