"""Gradient clipping: whether a solver sets it, and whether the job needs it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...fixes.edit import Fix
from ...fixes.fields import number_text
from ...moments.graph import Layer
from ...moments.layer_type import REGRESSION
from ...net.job import Job
from ...net.loss_sizes import sized_losses
from ...net.net import Net
from ...net.rounding import two_digits
from ...net.widening import widening_blocks
from ...proto.binder import Message
from ...rule.finding import Hit
from ...rule.registry import Option, rule
from ...solver.solver_types import LAYER_WISE_RATES
from ...source.written import is_absent, place_beside
from ...stability.advice.patches import CLIP_BESIDE, clip_patch
from ...stability.advice.rate_limit import FAR, judge_rate
from ...stability.computed import cannot_tell, stability_of
from ...stability.signal.update_rule import ADAPTIVE
from ...stability.verdict.verdict import RISKY

if TYPE_CHECKING:
    from ...stability.advice.stability import Stability

# How to find a threshold where none is computed; caffe-lint cannot run the training.
DECIDE = "To find a threshold, train 20 iterations with debug_info and take 10 times the largest diff L2 norm of 'All net params'."


@rule(
    "G101",
    "missing-gradient-clipping",
    subject="job",
    severity="advice",
    fixes="safe, unsafe",
    options={
        "value": Option(0.0, "the threshold for one pass, which the fix multiplies by iter_size; 0: computed", least=0),
        "deep": Option(16, "how many layers with weights are a risk without normalisation", least=1),
    },
)
def missing_gradient_clipping(job: Job, *, value: float, deep: int) -> Iterator[Hit]:
    """Flags solvers that do not set `clip_gradients`.

    ## What it does

    Flags solvers without `clip_gradients`, or with a negative one, which Caffe treats the same way. Where the training can be
    judged (`caffe-lint signal`), it also flags a threshold that is too high to prevent divergence. `clip_gradients: 0` is an
    error: it scales every gradient to zero, and only weight decay still changes the weights.

    ## Why is this bad?

    Without a clip threshold, a single bad batch or a high learning rate can produce a gradient large enough to wreck the
    weights. The next gradient is larger still, and within a few iterations the loss is 87.3365 or NaN. Caffe compares the L2
    norm of *all* gradients with `clip_gradients` and scales them down if it is exceeded.

    Clipping is a safety net, not a cure. Of 75 trainings that diverged with the real Caffe, 24 still diverged with a threshold
    of 1 and 35 with a threshold of 10, though only 1 and 2 of them ended in NaN; 33 and 30 learned. Clipping comes before
    momentum and weight decay, so it cannot compensate for values of these that are too large, and it does not stop a NaN in
    the data.

    ## When it is reported

    - **warning** if the training is judged likely to diverge and a threshold prevents it. Where it cannot be judged: if it has
      a recurrent layer, or a learning rate that G102 finds ten times too high.
    - **advice** otherwise. Most published solvers train without clipping. The finding names what else makes large gradients
      likely, where the training cannot be judged: several losses, a loss weight over 1, a squared loss, an unnormalised loss,
      an unnormalised widening block (G104), 16 or more layers with weights and no normalisation, or a learning rate that G102
      finds high. Layers of unknown types may normalise.

    With Adam, RMSProp, AdaGrad and AdaDelta, and with LARC or LARS (`larc`, `local_lr_auto` of forks), only recurrent layers
    count, since the step size does not grow with the gradient. Recurrent layers of forks that clip themselves
    (`clipping_threshold`) do not.

    Nothing is reported of a solver with `max_iter: 0`, which only tests. Ignore it if the job trains well without clipping.

    ## Fix

    Inserts `clip_gradients` beside `momentum` and `weight_decay`: about 16 times the gradient norm that is predicted for a
    healthy run, times `iter_size`, since Caffe clips the sum over `iter_size` passes before it divides by their number. A run
    that is going well does not reach it, so the fix is safe. With SGD and Nesterov it is at most the norm with which a step,
    once momentum has built up, moves the weights by half their own norm. Of 75 thresholds for trainings that learned calmly
    with Caffe, 72 are 3 to 50 times the norm that it computed, and none is below it.

    There is no fix, and the finding says why, if the norm is unknown (initial weights are loaded, a layer type has no model),
    if it depends too much on unknown data, or if no threshold is both above the norms of a healthy run and low enough. To find
    a threshold then, train 20 iterations with `debug_info: true` and `display: 1` and take 10 times the largest L2 norm of the
    gradients, the second number of "All net params (data, diff): L2 norm".

    With `--simulate`, a threshold is written only if the simulated training does not reach it or learns because of it
    (docs/simulation.md).

    A negative `clip_gradients` is there on purpose, so its fix is unsafe. If the training is judged likely to diverge, the
    threshold is low enough to prevent that.

    ## Options

    `value`: the threshold to write for one pass instead of the computed one; 0 computes it. `deep`: how many layers with
    weights count as a risk.

    ## References

    `SGDSolver::ClipGradients` and `ApplyUpdate` in sgd_solver.cpp. Pascanu, Mikolov, Bengio: On the difficulty of training
    recurrent neural networks, 2013. Figures: `python benchmarks/bounds.py`, `python benchmarks/thresholds.py clipping`.
    """
    solver = job.solver.message
    if "clip_gradients" not in solver.type.fields:  # by a caffe.proto from before October 2014
        return
    if "max_iter" in solver and solver["max_iter"] == 0:  # which only tests (S106)
        return
    written = solver["clip_gradients"]
    computed = stability_of(job)
    if written > 0:
        if computed is not None and computed.repair_clips and computed.repair.scale == 1:
            yield _diverging(job, computed, value)
    elif written == 0:
        yield _zero(job, computed, value)
    elif is_absent(solver, "clip_gradients") or "clip_gradients" in solver:
        # A training that only may diverge gets a safety net by default, and its repair, once it has one, is offered after that.
        if computed is not None and computed.repair_clips and (computed.diverges or computed.clip_bound is None):
            yield _diverging(job, computed, value)
        else:
            yield _unclipped(job, computed, value, deep)


def _place(solver: Message) -> tuple[int, int]:
    return solver.span("clip_gradients") if "clip_gradients" in solver else place_beside(solver, *CLIP_BESIDE, "base_lr")


def _state(solver: Message) -> str:
    written = solver["clip_gradients"]
    return f"clip_gradients {written:g} disables clipping" if "clip_gradients" in solver else "no clip_gradients"


def _unclipped(job: Job, computed: Stability | None, value: float, deep: int) -> Hit:
    """The finding on a solver that does not clip; its fix is a threshold that a healthy run does not reach."""
    solver = job.solver.message
    bound = value * _passes(job) or (None if computed is None or computed.diverges else computed.clip_bound)
    severity = ""
    if computed is not None:
        message = f"{_state(solver)}: initial gradient norm is {_range_text(computed.initial_norms)}"
        if bound is None:
            reason = f"There is no threshold to recommend: {computed.no_bound or 'training ' + computed.repair.outlook}. {DECIDE}"
        else:
            reason = f"{bound:g} is above every gradient norm predicted for a healthy run"
            reason += f", but training {computed.repair.outlook}." if computed.risky else "."
        reason += computed.evidence
    else:
        grave = _grave_risks(job)
        risks = grave + _risks_of_the_net(job, deep)
        message, reason = _state(solver), "Nothing limits the gradients of a bad batch or a high learning rate."
        if risks:
            message, severity = f"unclipped gradients are risky here: {risks[0]}", "warning" if grave else "advice"
            reason = f"Gradients can grow without limit here: {'; '.join(risks)}."
        unknown = cannot_tell(job)
        if unknown is not None:
            reason += f" Their norm is unknown: {unknown.reason}. To know it, {unknown.remedy}."
        reason += f" {DECIDE}"
    fix = None
    if bound is not None:
        fix = clip_fix(job, bound, safe="clip_gradients" not in solver)  # a negative one is there on purpose
    return Hit(job.solver.file, _place(solver), message, reason, severity=severity, fix=fix)


def _zero(job: Job, computed: Stability | None, value: float) -> Hit:
    """The finding on a threshold of 0."""
    bound = value * _passes(job) or (None if computed is None else computed.clip_bound)
    if bound is not None and computed is not None and computed.risk_with_clip(bound) >= RISKY:
        bound = None
    reason = "Caffe scales gradients down to a norm of 0, so only weight decay still changes the weights."
    if bound is None:
        reason += f" Remove the line to train without clipping. {DECIDE}"
    solver = job.solver
    fix = None if bound is None else clip_fix(job, bound)
    return Hit(
        solver.file,
        solver.message.span("clip_gradients"),
        "clip_gradients 0 sets every gradient to 0",
        reason,
        severity="error",
        fix=fix,
    )


def _range_text(numbers: tuple[float, float]) -> str:
    low, high = map(two_digits, numbers)
    return low if low == high else f"{low} to {high}"


def _diverging(job: Job, computed: Stability, value: float) -> Hit:
    """The finding on a training that is likely to diverge, for which a threshold is part of the repair."""
    solver = job.solver.message
    repair = computed.repair
    assert repair.clip is not None
    if solver["clip_gradients"] > 0:
        message = f"clip_gradients {solver['clip_gradients']:g} is too high to prevent divergence"
        reason = f"Training {repair.outlook} with it. With clip_gradients {repair.clip:g}"
    else:
        message = f"{_state(solver)}, and training {repair.outlook}"
        reason = f"With clip_gradients {repair.clip:g}"
    fix, severity = None, computed.severity
    if repair.scale < 1:
        reason += f" and a learning rate {1 / repair.scale:g} times lower (the fix of G102 writes both)"
        severity = "advice"
    else:
        on_purpose = "clip_gradients" in solver and solver["clip_gradients"] < 0
        fix = clip_fix(job, value * _passes(job) or repair.clip, safe=not computed.doubt and not on_purpose)
    reason += repair.in_net
    norm = computed.signal.l2
    size = f"is {two_digits(norm)}" if math.isfinite(norm) else "overflows"
    reason += f", it {repair.outlook_after}. The initial gradient norm {size}."
    return Hit(
        job.solver.file,
        _place(solver),
        message,
        f"{reason}{computed.unsafe_because}{computed.evidence}",
        severity=severity,
        fix=None if computed.is_in_steps else computed.part(fix),
        confidence=computed.confidence_in("diverge"),
    )


def _passes(job: Job) -> int:
    """The number of passes whose gradients are summed before clipping."""
    passes: int = job.solver.message.get("iter_size", 1)
    return max(1, passes)


def clip_fix(job: Job, bound: float, *, safe: bool = True) -> Fix:
    """The fix that writes a clip threshold, which is unsafe if it is not certain which net is trained."""
    return clip_patch(job, bound).fix(job.solver.file.path, clip_title(job, bound), safe=safe and not job.has_guessed_net)


def clip_title(job: Job, bound: float) -> str:
    """What the fix that writes a clip threshold is called."""
    if "clip_gradients" in job.solver.message:
        return f"set clip_gradients to {number_text(bound)}"
    return f"insert clip_gradients: {number_text(bound)}"


def _grave_risks(job: Job) -> list[str]:
    """Return what makes exploding gradients likely in comparable jobs, as clauses; the worst first."""
    if job.train is None:
        return []
    layers = job.train.net.layers
    recurrent = next((layer for layer in layers if layer.traits.recurrent and not _clips_itself(layer)), None)
    risks = [f"{recurrent.type} '{recurrent.name}' is recurrent"] if recurrent is not None else []
    return risks + _risk_of_rate(job, FAR)


def _risk_of_rate(job: Job, times: float) -> list[str]:
    """Return that the learning rate is high, if it is so many times its limit and the size of steps grows with the gradient."""
    judgement = None if _is_adaptive(job) else judge_rate(job)
    if judgement is None or judgement.excess <= times:
        return []
    return [f"a learning rate of {judgement.rate.value:g} is high (G102)"]


def _risks_of_the_net(job: Job, deep: int) -> list[str]:
    """Return what else makes large gradients likely, as noun phrases or clauses. Many published jobs train in spite of it."""
    if job.train is None or _is_adaptive(job):
        return []
    rates = [] if _risk_of_rate(job, FAR) else _risk_of_rate(job, 1)
    return rates + _risks_of_losses(job.train.net) + _risks_of_layers(job.train.net, deep)


def _is_adaptive(job: Job) -> bool:
    """Whether the size of a step does not grow with the gradient: by the solver's type, or since LARC or LARS divides by its norm."""
    solver = job.solver.message
    return solver.get("type", "SGD") in ADAPTIVE or any(solver.get(name, False) for name in LAYER_WISE_RATES)


def _clips_itself(layer: Layer) -> bool:
    """Whether a recurrent layer of a fork clips the gradients that it passes back in time."""
    return any(
        isinstance(settings, Message) and settings.get("clipping_threshold", 0.0) > 0
        for entries in layer.message.entries.values()
        for settings, _, _ in entries
    )


def _risks_of_losses(net: Net) -> list[str]:
    losses = sized_losses(net)
    risks = []
    if len(losses) > 1:
        risks.append("two losses" if len(losses) == 2 else f"{len(losses)} losses")
    heaviest = max(losses, key=lambda loss: abs(loss.loss.weight), default=None)
    if heaviest is not None and abs(heaviest.loss.weight) > 1:
        risks.append(f"a loss weight of {heaviest.loss.weight:g} ('{heaviest.layer.name}')")
    for loss in losses:
        if loss.layer.traits.squared:
            risks.append(f"the gradient of {loss.layer.type} '{loss.layer.name}' is unbounded")
            break
        if loss.unnormalised and loss.layer.traits.loss_family != REGRESSION:
            risks.append(f"{loss.layer.type} '{loss.layer.name}' is a sum over {loss.terms:g} terms")
            break
    return risks


def _is_read(layer: Layer) -> bool:
    return any(top.consumers for top in layer.tops)


def _risks_of_layers(net: Net, deep: int) -> list[str]:
    risks = []
    block = next(iter(widening_blocks(net)), None)
    if block is not None:
        risks.append(f"{block.layer.type} '{block.layer.name}' widens without normalisation (G104)")
    weighted = sum(layer.traits.weighted_sum for layer in net.layers)
    if weighted >= deep and not any(layer.may_normalise and _is_read(layer) for layer in net.layers):
        risks.append(f"{weighted} layers with weights and no normalisation")
    return risks
