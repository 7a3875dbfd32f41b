"""Trainings that will not get anywhere."""

from __future__ import annotations

from collections.abc import Iterator

from ...fixes.edit import Fix
from ...fixes.fields import number_text, set_field
from ...net.job import Job
from ...rule.finding import Hit
from ...rule.registry import rule
from ...solver.schedule import largest_rate
from ...stability.computed import stability_of


@rule("G108", "training-stalls", subject="job", severity="warning", fixes="unsafe")
def training_stalls(job: Job) -> Iterator[Hit]:
    """The training will stall: its loss will stay about where it starts.

    ## What it does

    Trainings from first weights that fillers make, whose signal can be computed (`caffe-lint signal`) and whose chance
    to stall is 90 % or more, or of whose first loss all iterations together would take off less than 0.3 %. The
    finding shows why: a rate, or a number of iterations, with which hardly anything would be taken off the first loss,
    gradients that fade on their way, outputs that freeze. It is a warning where the data are known from
    `caffe-lint.data.json`; where they had to be assumed, an advice, and only if data of size 1 stall as well.

    Nothing is said where weights start at 0 (N205) or too small for anything to come out of them (G106), nor of DummyData.

    ## Why is this bad?

    It runs to its end and nothing is learnt. Caffe says nothing of it: the loss looks healthy, it is only always the same
    (2.3026 for ten classes).

    Of 360 trainings with the real Caffe 105 stalled. Each family of nets judged by what the others taught, 55 have such a
    chance to stall, and 54 of these did: a precision of 98 % and a recall of 51 %. In 43 of the 55 weights are too small or
    0; the other 12, of which this rule speaks, all stalled.

    ## When it is reported

    The training starts from weights that are given on the command line (`--weights`), or goes on from a snapshot: both
    start elsewhere than the fillers, and need not come far.

    ## Fix

    The fix multiplies `base_lr` by the smallest power of ten with which the training is computed to learn, if it does not
    become likely to explode by that. It is unsafe, as it is another training. Where no rate would do there is none: look at
    the layer that the finding names.

    ## References

    docs/signal.md. Numbers: `python benchmarks/standing_still.py`. Saxe, McClelland and Ganguli: Exact solutions to the
    nonlinear dynamics of learning in deep linear neural networks, 2014.
    """
    computed = stability_of(job)
    if computed is None or not computed.will_stall:
        return
    solver, verdict = job.solver.message, computed.verdict
    because = "; ".join(each.sentence for each in computed.reasons_to_stall[:3])
    what = "Look at the layers first: no rate makes it learn."
    fix = None
    if computed.faster_rate is not None:
        times, after = computed.faster_rate
        what = f"At a rate {times:g} times as high the chance to stall is {after.p_stalls:.0%}"
        what += f", that to explode {after.p_explodes:.0%}."
        fix = _fix(job, times)
    yield Hit(
        job.solver.file,
        solver.span("base_lr"),
        f"this training will stall ({verdict.p_stalls:.0%}), from first weights made by its fillers",
        f"Computed{computed.assumed}: {because or 'its loss stays where it starts'}. {what}",
        severity="advice" if computed.assumed else "warning",
        fix=fix,
    )


def _fix(job: Job, times: float) -> Fix | None:
    """Raises base_lr, where that is what all rates go by."""
    solver = job.solver.message
    rate = largest_rate(solver)
    if rate is None or rate.field != "base_lr":
        return None
    higher = float(f"{solver['base_lr'] * times:.12g}")
    patch = set_field(job.solver.file.tree, solver, "base_lr", higher)
    return patch.fix(job.solver.file.path, f"raise base_lr to {number_text(higher)}", safe=False)
