"""Trainings whose loss will not fall."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import number_text, set_field
from ...net.job import Job
from ...rule.finding import Hit
from ...rule.registry import rule
from ...solver.schedule import largest_rate
from ...stability.computed import stability_of
from ...stability.verdict.verdict import outlook


@rule("G108", "stalled-training", subject="job", severity="warning", fixes="unsafe")
def stalled_training(job: Job) -> Iterator[Hit]:
    """Flags trainings whose loss will not fall.

    ## What it does

    Flags trainings with initial weights from fillers that are very likely to stall, or whose loss would fall by less than 0.3 %
    in all iterations together. The finding says why: a learning rate or a number of iterations that is too small, gradients
    that vanish, outputs that stop changing.

    ## Why is this bad?

    The training runs to its end and learns nothing. Caffe reports no problem: the loss looks healthy, but it stays the same
    (2.3026 for ten classes).

    Of 360 trainings with the real Caffe, 105 stalled. Judged with one family of nets left out at a time, the rule's condition
    holds for 55 trainings, 54 of which did stall: a precision of 98 % and a recall of 51 %. In 43 of the 55, weights are zero
    or too small (N205, G106); the other 12, which this rule reports, all stalled.

    ## When it is reported

    - **warning** if the data are known from `caffe-lint.data.json`;
    - **advice** if they are not, and then only if the training is nearly certain to stall over their whole range.

    Nothing is reported where weights are loaded or a layer has no signal model, for weights that start at zero (N205) or too
    small (G106), nor for DummyData. Ignore it if the training starts from a snapshot or from weights given on the command line;
    `--weights` or a script in the repository tells caffe-lint so.

    ## Fix

    Multiplies `base_lr` by the smallest power of ten with which the training is judged to learn, unless that makes it likely
    to diverge. It is unsafe, since it changes the training. If no rate is enough, no fix is offered: look at the layer that
    the finding names. With `--simulate`, it is the smallest with which simulated trainings learn.

    ## References

    docs/signal.md. Saxe, McClelland and Ganguli: Exact solutions to the nonlinear dynamics of learning in deep linear neural
    networks, 2014. Figures: `python benchmarks/standing_still.py`.
    """
    computed = stability_of(job)
    if computed is None or not computed.will_stall:
        return
    solver = job.solver.message
    because = "; ".join(each.sentence for each in computed.reasons_to_stall[:3])
    what = "No learning rate makes it learn; look at the layers first."
    fix = None
    if computed.faster_rate is not None:
        times, after = computed.faster_rate
        what = f"At a learning rate {times:g} times as high, it {outlook(after.p_stalls, 'stall')} and {outlook(after.p_diverges)}."
        fix = _fix(job, times)
    from ...training_log.symptoms import of_standstill  # only for trainings that stall

    seen = of_standstill(job.train.net) if job.train is not None else None
    if seen is not None:
        what += f" {seen.expected}"
    yield Hit(
        job.solver.file,
        solver.span("base_lr"),
        "training is likely to stall from the initial weights of its fillers",
        f"Predicted{computed.assumed}: {because or 'the loss stays at its initial value'}. {what}{computed.evidence}",
        severity="warning" if computed.basis.is_known else "advice",
        fix=fix,
        confidence=computed.confidence_in("stall"),
    )


def _fix(job: Job, times: float) -> Fix | None:
    """Raises base_lr, if the largest rate comes from it."""
    solver = job.solver.message
    rate = largest_rate(solver)
    if rate is None or rate.field != "base_lr":
        return None
    higher = float(f"{solver['base_lr'] * times:.12g}")
    patch = set_field(job.solver.file.tree, solver, "base_lr", higher)
    return patch.fix(job.solver.file.path, f"raise base_lr to {number_text(higher)}", safe=False)
