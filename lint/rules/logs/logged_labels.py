"""Labels, as far as a log shows them."""

from __future__ import annotations

from collections.abc import Iterator

from ...rule.registry import rule
from ...training_log.causes import Cause, shown, step_line, value_line
from ...training_log.evidence import Evidence


@rule("T404", "label-out-of-range", subject="log", severity="error")
def label_out_of_range(log: Evidence) -> Iterator[Cause]:
    """Flags labels whose mean is too large for the number of classes.

    ## What it does

    In `debug_info`, flags the top of a data layer that a softmax loss over K classes takes as its labels, if its mean |x| is
    above K - 1 and the loss ignores no label. Labels that are merely shifted by one have a lower mean and leave no trace in
    the log.

    ## Why is this bad?

    Release builds do not check labels: the loss reads memory outside the row. The loss then looks healthy, or Caffe crashes
    without a message.

    ## When it is reported

    **error**, always: the loss reads memory that is not its own.

    ## Example

    There is no automatic fix. Count labels from 0, or raise num_output. `caffe-lint inputs` checks all labels.

    ## References

    softmax_loss_layer.cpp (DCHECK_GE, DCHECK_LT). Checked by running Caffe.
    """
    for out in log.outputs:
        layer = log.layers.get(out.layer)
        classes = log.classes_of(layer) if layer is not None and out.traits.log_likelihood else None
        if layer is None or classes is None or len(layer.bottoms) < 2:
            continue
        if "loss_param" in layer.message and "ignore_label" in layer.message["loss_param"]:
            continue
        for passed in (*log.run.passes.sample, *log.passes):
            label = next((v for v in log.bottoms_of(passed, out.layer) if v.key.blob == layer.bottoms[1].name), None)
            if label is None or not label.finite or label.value <= classes - 1:
                continue
            step = next((s for s in log.steps if s.iteration == passed.iteration), log.steps[-1])
            yield Cause(
                "label-out-of-range",
                f"labels are out of range: the mean of '{label.key.blob}' is {label.value:.6g} for {classes} classes",
                f"The largest valid label for '{out.layer}' is {classes - 1}. Release builds do not check labels, and "
                "read memory outside the scores.",
                0.97,
                label.key.layer,
                label.key.blob,
                passed.iteration,
                label.line,
                shown(value_line(label), step_line(step)),
            )
            return
