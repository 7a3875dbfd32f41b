"""Learning rates that are likely too high."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...fixes.edit import Fix
from ...net.job import Job
from ...net.loss_sizes import DOMINANT, SizedLoss, dominant_losses, sized_losses
from ...net.rounding import two_digits
from ...rule.finding import Hit, Related
from ...rule.registry import Option, rule
from ...solver.schedule import Rate, grows, largest_rate
from ...stability.advice.patches import clip_patch, loss_weight_fix, rate_patch, scaled_rate
from ...stability.advice.rate_limit import ADAPTIVE_LIMITS, FAR, Judgement, judge_rate
from ...stability.computed import cannot_tell, simulated_alone, stability_of
from ...stability.signal.features import AS_WRITTEN
from .clipping import clip_title

if TYPE_CHECKING:
    from ...stability.advice.stability import Stability
    from ...stability.verdict.simulated import Simulated

# By how many times their norm an iteration may move the weights, while gradients are clipped, after a fix. Of the set-ups that
# `benchmarks/verdict.py --limits` counts below that, most learn; set by hand on these.
SHORT_STEP = 0.1


@rule(
    "G102",
    "high-learning-rate",
    subject="job",
    severity="warning",
    fixes="safe, unsafe",
    options={"times": Option(1.0, "how many times its limit a learning rate may be", least=1)},
)
def high_learning_rate(job: Job, *, times: float) -> Iterator[Hit]:
    """Flags learning rates that are likely too high for the training.

    ## What it does

    Where the training can be judged (`caffe-lint signal`), flags rates at which it is likely to diverge and for which neither
    a lower weight of one loss (G103) nor `clip_gradients` alone (G101) is enough. The finding names the numbers that matter
    most.

    Otherwise - initial weights are loaded, a layer type has no model, a shape is unknown - and where the rate is over ten times
    the limit although the training is predicted not to diverge, it compares the largest rate of the whole run (warm-up,
    `gamma` over 1, `sigmoid`, `stagelr` included) with a limit for jobs of this kind. There is no limit that suits all:
    published trainings use rates from 1e-14 to 0.2. For SGD and Nesterov the limit starts at 0.4 (softmax, inputs around 1,
    momentum 0.9, batches of 64, no clipping) and is multiplied by:

    | setting | factor |
    |---|---|
    | momentum m | (1 - m) / 0.1 |
    | batch of n (`batch_size` times `iter_size`) | square root of n / 64 |
    | pixels up to 255 as input, no normalising layers | 1/10; 1/30 if no mean is subtracted |
    | no convolutions | 3 |
    | BatchNorm, MVN or similar | 3; the scale of the input then has no effect |
    | weight w of the only loss; the largest of several, if over 1 | 1/w; 1 / square root of w |
    | a loss that sums over n terms instead of averaging | 1/n |
    | EuclideanLoss; the same on pixels up to 255 | 1/10; 1/100 |
    | clip_gradients | 30 |
    | initial weights with a standard deviation of 0.05 or more; 0.001 or less; constant | 1/3; 3; 10 |
    | lr_mult of the layers with weights (median) | 1/lr_mult |

    3 stands for the square root of ten, 30 for ten times that. For Adam and RMSProp, whose step size is about the rate itself,
    the limit is 0.08, for AdaGrad 0.5, each divided by `lr_mult`. AdaDelta is not judged.

    ## Why is this bad?

    Steps that overshoot lead to larger gradients, and these to larger steps: the loss sits at 87.3365 (minus the logarithm of
    the smallest float) or grows by orders of magnitude, and is NaN after 3 to 30 iterations.

    With the table, the rule finds 75 % of the trainings that diverged with SGD or Nesterov, and 85 % of what it flags there
    did diverge. With Adam, RMSProp and AdaGrad trainings hardly ever reach NaN, but of 23 classifiers that it flags, 21 ended
    no better than chance. Of 540 public solvers with their nets, which are assumed to train as they are, it flags 0.7 %.

    ## When it is reported

    As a **warning** or, where divergence is less likely, as **advice**; by the table only as advice, at low confidence. Nothing
    is reported by the table where the size of a step is unknown: rates for each layer (LARS, LARC), training on several nodes,
    a `delta` of an adaptive solver over 1e-6, solver types of forks. Ignore it if the job is known to train at this rate.

    A rate that `clip_gradients` cannot make up for is a **warning** of medium confidence: while gradients are clipped, an iteration
    may move the weights by their norm or more, and without the threshold the training is likely to diverge. Such a training often
    stays finite, but of 52 trainings with Caffe none learned.

    ## Fix

    If the training can be judged: divides `base_lr` by the smallest power of ten with which the training is judged safe, and
    inserts the clip threshold that goes with it. The fix is safe if the training is said to diverge as it is and to learn
    afterwards, whatever is unknown of it, with SGD or Nesterov, and no more than a hundredth of the rate is needed; otherwise it
    is unsafe, and the finding says why. By the table: divides `base_lr` by ten until it is below the limit, which is unsafe.

    With `--simulate`, the smallest change with which simulated trainings learn is written, and it is safe. If none does, the
    finding says so and has no fix.

    None is offered where the largest rate does not come from `base_lr` (`stagelr`, `max_lr`, the start of a warm-up), where
    `gamma` over 1 makes it grow (S129), or where one loss dominates: then G103 lowers its weight. If the only loss has a weight
    over 1, that weight is lowered first, which has the same effect as a lower rate.

    ## Options

    `times`: report only rates that exceed their limit this many times.

    ## References

    `SGDSolver::GetLearningRate` in sgd_solver.cpp. Goyal et al.: Accurate, Large Minibatch SGD, 2017. Smith et al.: Don't
    Decay the Learning Rate, Increase the Batch Size, 2018. Figures: `python benchmarks/thresholds.py rate`,
    `python benchmarks/verdict.py`, `python benchmarks/repair_judge.py`.
    """
    rate = largest_rate(job.solver.message)
    for hit in _hits(job, rate, times):
        if rate is not None and rate.iteration and grows(job.solver.message):
            yield hit._replace(reason=f"{hit.reason} The rate grows because of gamma (S129).", fix=None)
        else:
            yield hit


def _hits(job: Job, rate: Rate | None, times: float) -> Iterator[Hit]:
    """The finding on the predicted training; where it cannot be predicted, on the limit for comparable ones."""
    computed = stability_of(job)
    if computed is not None and computed.risky and rate is not None and math.isfinite(rate.value):
        if computed.repair.scale < 1 or computed.repair.trial == AS_WRITTEN:
            yield _computed(job, computed, rate)
        return
    if computed is not None and computed.step_at_clip and rate is not None:
        yield _outrun(job, computed, rate)
        return
    alone = simulated_alone(job)
    if alone is not None and rate is not None:
        if alone.diverging:
            yield _simulated(job, alone, rate)
        return
    judgement = judge_rate(job)
    if judgement is None or judgement.excess <= times:
        return
    if computed is not None and computed.cannot_tell is None and judgement.excess <= times * FAR:
        return
    cause, fix = _cause_and_fix(job, judgement, times)
    solver, rate = job.solver.message, judgement.rate
    related: tuple[Related, ...] = ()
    if cause is not None and job.train is not None:
        related = (Related(job.train.file, cause.layer.place(), f"loss '{cause.layer.name}'"),)
    unknown = cannot_tell(job)
    yield Hit(
        job.solver.file,
        solver.span(rate.field, rate.position),
        _message(judgement),
        f"{_reason(job, judgement, cause)} {unknown.sentence if unknown is not None else ''}".rstrip(),
        severity="advice",
        confidence="low",
        related=related,
        fix=fix,
    )


def _computed(job: Job, computed: Stability, rate: Rate) -> Hit:
    """The finding where the signal is computed; its fix also writes the clip threshold that goes with the rate."""
    solver, repair = job.solver.message, computed.repair
    fix, change = None, f"With a learning rate {1 / repair.scale:.3g} times lower"
    lower = scaled_rate(job, repair.scale)
    if lower is not None and repair.scale < 1:
        change = f"With base_lr {lower:g}"
        patch = rate_patch(job, lower)
        title = f"lower base_lr to {lower:g}"
        if repair.clip is not None:
            patch += clip_patch(job, repair.clip)
            title += f" and {clip_title(job, repair.clip)}"
        fix = patch.fix(job.solver.file.path, title, safe=not computed.doubt)
    if repair.clip is not None:
        change += f" and clip_gradients {repair.clip:g}"
    change += repair.in_net
    change = f"{change}, it {repair.outlook_after}.{computed.unsafe_because}" if repair.scale < 1 else computed.no_change
    because = "; ".join(each.sentence for each in computed.reasons[:3]) or "the loss grows"
    from ...training_log.symptoms import of_divergence  # only for trainings that diverge

    seen = f" {of_divergence(job.train.net).expected}" if job.train is not None else ""
    when = f" in iteration {rate.iteration}" if rate.iteration and rate.field == "base_lr" else ""
    return Hit(
        job.solver.file,
        solver.span(rate.field, rate.position),
        f"training {repair.outlook} at a learning rate of {rate.value:g}{when}",
        f"Predicted: {because}.{computed.evidence} {change}{seen}",
        severity=computed.severity,
        confidence=computed.confidence_in("diverge"),
        fix=None if computed.is_in_steps else computed.part(fix),
    )


def _outrun(job: Job, computed: Stability, rate: Rate) -> Hit:
    """The finding on a rate at which the clip threshold does not keep steps short enough to learn."""
    clip, solver = computed.signal.update_rule.clip, job.solver.message
    lower = _lowered(solver["base_lr"], computed.step_at_clip / SHORT_STEP)
    fix = None
    if rate.field == "base_lr" and not rate.iteration and lower > 0:
        fix = rate_patch(job, lower).fix(job.solver.file.path, f"lower base_lr to {lower:g}", safe=False)
    return Hit(
        job.solver.file,
        solver.span(rate.field, rate.position),
        f"a learning rate of {rate.value:g} is too high for clip_gradients {clip:g}",
        f"While gradients are clipped, an iteration may move the weights by {two_digits(computed.step_at_clip)} times their norm, "
        f"once momentum has built up. Without a threshold, training {computed.outlook_unclipped}. Such trainings often stay finite, "
        "but hardly ever learn.",
        severity="warning",
        confidence="medium",
        fix=fix,
    )


def _simulated(job: Job, alone: Simulated, rate: Rate) -> Hit:
    """The finding on a training that only a simulation can tell something of: no change of it is tried."""
    unknown = cannot_tell(job)
    return Hit(
        job.solver.file,
        job.solver.message.span(rate.field, rate.position),
        f"training is {alone.fate} at a learning rate of {rate.value:g}".replace("is may", "may"),
        f"{alone.sentence} No change is tried: {unknown.reason}." if unknown is not None else alone.sentence,
    )


def _cause_and_fix(job: Job, judgement: Judgement, times: float) -> tuple[SizedLoss | None, Fix | None]:
    """The loss that makes the rate too high, if one does, and the fix for it or for the rate."""
    if job.train is not None:
        dominant = dominant_losses(job.train.net, DOMINANT)
        if dominant:
            return dominant[0].loss, None
        losses = sized_losses(job.train.net)
        if len(losses) == 1 and abs(losses[0].loss.weight) > 1:
            lower = max(1.0, _lowered(abs(losses[0].loss.weight), judgement.excess / times))
            weight = math.copysign(lower, losses[0].loss.weight)
            return losses[0], loss_weight_fix(job.train, losses[0].loss, weight, safe=False)
    rate = judgement.rate
    excess = judgement.excess / times
    if rate.field != "base_lr" or not math.isfinite(rate.value) or not 0 < excess < math.inf:
        return None, None
    base_lr = job.solver.message["base_lr"]
    lower = _lowered(base_lr, excess)
    if not lower > 0:
        return None, None
    patch = rate_patch(job, lower)
    return None, patch.fix(job.solver.file.path, f"lower base_lr to {lower:g}", safe=False)


def _lowered(value: float, excess: float) -> float:
    """A value divided by ten until it is below its limit."""
    return float(f"{value / 10 ** math.ceil(math.log10(excess) - 1e-9):.12g}")


def _message(judgement: Judgement) -> str:
    rate = judgement.rate
    when = f" in iteration {rate.iteration}" if rate.iteration and rate.field == "base_lr" else ""
    return f"a learning rate of {rate.value:g}{when} is high: likely stable up to about {judgement.limit:.2g}"


def _reason(job: Job, judgement: Judgement, cause: SizedLoss | None) -> str:
    solver = job.solver.message.get("type", "SGD")
    counted = ", ".join(factor.cause for factor in judgement.factors)
    if counted:
        reason = f"The limit accounts for {counted}."
    elif solver in ADAPTIVE_LIMITS:
        reason = f"Steps of {solver} are about as large as the learning rate, whatever the gradients."
    else:
        reason = "This is the limit for a plain classifier."
    if cause is not None:
        reason += f" Loss '{cause.layer.name}' is the main cause: lower its loss_weight, not base_lr."
    return reason
