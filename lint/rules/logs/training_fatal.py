"""Where Caffe itself stopped: what its FATAL lines mean, and crashes without one.

The pages; what they describe is judged in `training_log.fatal`, which only a log needs loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...rule.registry import rule

if TYPE_CHECKING:
    from ...training_log.causes import Cause  # keeps what judges logs out of a list of rules
    from ...training_log.evidence import Evidence  # keeps what judges logs out of a list of rules


@rule("T501", "caffe-fatal-error", subject="log", severity="error")
def caffe_fatal_error(log: Evidence) -> Iterator[Cause]:
    """Caffe stopped with a FATAL line (`F… Check failed: …`): what it means.

    ## What it does

    Every first FATAL line of a run, with what it means and the layer that was being set up or is named in it. With
    `--solver` it points to that layer.

    ## Why is this bad?

    Nothing was trained from there on.

    ## When it is reported

    Never: nothing was trained from there on.

    ## Example

    `--fix` has no repair for it here: `caffe-lint` on the solver finds the mistake with its place, and often
    repairs it.

    ## References

    The source file that the line itself names.
    """
    from ...training_log.fatal import caffe_stopped as judged  # keeps what judges logs out of a list of rules

    yield from judged(log)


@rule("T502", "process-crash", subject="log", severity="error")
def process_crash(log: Evidence) -> Iterator[Cause]:
    """The process died without a FATAL line: a segmentation fault, an allocator's complaint, a kill.

    ## What it does

    `*** Aborted at`, `Segmentation fault`, `malloc(): …`, `Killed`, `std::bad_alloc` in the log of a run that did
    not end with `Optimization Done.`

    ## Why is this bad?

    A release build does not check labels: one far out of range reads or writes beside the blob. `Killed` is the
    system's, for want of memory.

    ## When it is reported

    You ended the process yourself.

    ## Example

    There is nothing to change in the solver: look for labels out of range with `caffe-lint inputs`, or give the
    process more memory. The log is that of a training which ends by itself.

    ## References

    softmax_loss_layer.cpp (checks that are compiled out). Checked by running Caffe with labels of 1e9.
    """
    from ...training_log.fatal import crashed as judged  # keeps what judges logs out of a list of rules

    yield from judged(log)
