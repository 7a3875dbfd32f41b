"""Test data: how much of it a test reads, and whether it overlaps with the training data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...rule.finding import Hit
from ...rule.registry import rule
from ...source.opener import real_path
from .test_passes import judge_pass

if TYPE_CHECKING:
    from ...data.judging import LayerData


@rule("D114", "test-iter-mismatch", subject="inputs", severity="warning", fixes="unsafe")
def test_iter_mismatch(data: LayerData) -> Iterator[Hit]:
    """Flags a `test_iter` that does not cover the test data exactly once.

    ## What it does

    Compares `test_iter` times the batch size of the test net with the number of items. It flags a test that leaves items
    out, or that reads at least one batch more than all items.

    ## Why is this bad?

    If items are left out, each test measures the accuracy on another part of the data. If items are read twice, they count
    twice.

    ## When it is reported

    Reported as a **warning** by `caffe-lint inputs`, and in checks if `caffe-lint.data.json` has the number of items. If the
    batch size does not divide the number of items, the number of batches may be rounded up or down. D117 does the same for
    image lists in checks.

    Ignore it if the test data are so many that a part of them is enough.

    ## Fix

    Sets `test_iter` to the number of batches, rounded up. The fix is unsafe, because a part of the data may be enough.

    ## References

    `Solver::Test` in solver.cpp. Data layers start over at the end of the data.
    """
    if data.job is not None and data.test is not None:
        hit = judge_pass(data.job.solver, data.test, data.report.items or 0, data.batch or 0, data.name)
        if hit is not None:
            yield hit


@rule("D115", "train-test-overlap", subject="inputs", severity="warning")
def train_test_overlap(data: LayerData) -> Iterator[Hit]:
    """Flags test items that are also in the training data.

    ## What it does

    Flags items of a test source with the same content as items of a training source of the same kind. Contents are compared
    in a sample of up to 65,536 items per source, which has the same items of both sources. It also flags a test that reads
    the source of the training data.

    ## Why is this bad?

    The accuracy on items that the net was trained on says nothing about new data, and does not show overfitting.

    ## When it is reported

    Reported as a **warning** by `caffe-lint inputs`. In checks, N403 reports a test that reads the source of the training
    data. There is no fix: remove the items from one of the two sources.

    Ignore it if the test is meant to show how well the net fits its training data.

    ## References

    Compared in the data.
    """
    if data.net.phase != "TEST":
        return
    overfitting = "The accuracy includes items that the net was trained on, so it does not show overfitting."
    for other in data.others:
        if other.net.phase != "TRAIN" or other.source.field != data.source.field:
            continue
        if real_path(other.source.path) == real_path(data.source.path):
            if data.from_facts:
                continue  # N403 reports it in checks
            message = f"the test net reads {data.name}, like the training net"
            yield Hit(data.net.file, data.place, message, overfitting)
            continue
        shared, of, examples = data.report.same_contents(other.report)
        if shared:
            mine, theirs = examples[0]
            share = f"{shared} of {of}" + (" sampled" if (data.report.items or 0) > of else "")
            verb = "is" if shared == 1 else "are"
            message = f"{share} items of {data.name} {verb} also in {other.name}: {mine} is the same as {theirs}"
            yield Hit(data.net.file, data.place, message, overfitting)
