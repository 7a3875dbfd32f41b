"""Repairs that are tried: each change is written into the files in memory, and that training is simulated.

From the smallest change up: the weight of a loss that dominates or is over 1, a clip threshold that a healthy run does not reach,
a lower learning rate, a lower threshold as well, fillers where activations vanish, the scale of large inputs. The first with which
the training *learns* - not only stays finite - is taken: with two seeds, and with 1.3 times the learning rate as a margin.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from ...net.rounding import one_digit
from ..signal.basis import CannotTell
from ..signal.features import AS_WRITTEN, Signal, Trial, signal_of, signal_with
from ..signal.training import training_of
from ..verdict.reasons import LARGE_INPUT
from ..verdict.simulated import Effort, Simulated, goes_wrong, trivial_loss
from ..verdict.verdict import Verdict
from .clip_bound import clip_bound
from .patches import OF_BYTES, changed
from .repair import Repair, first_that_fits, smaller_weights, thresholds, vanishing_weights

if TYPE_CHECKING:
    from ...net.job import Job

STEPS, SEEDS, MARGIN = 100, 2, 1.3  # of a trial; fewer steps, at least LEAST_STEPS, if more are over the budget
LEAST_STEPS = 25
BUDGET = 60.0  # seconds of one usual core for all trials of a training, counted in multiply-adds
ENOUGH_RUNS = 12  # that the budget has to suffice for
# Factors for the learning rate, the mildest first, and those of them with which lower clip thresholds are tried as well.
RATES = (1 / 3, 0.1, 1 / 30, 0.01, 1e-3)
RATES_WITH_CLIP = (1.0, 0.1, 0.01)
# None of these was searched for; benchmarks/simulated_repairs.py shows what comes of them.


class SimulationJudge:
    """Judges the training of a job by simulations, as long as the budget lasts.

    `first` is what became of it as it is, and `signal` its signal, by which its trivial loss is known. `suspected` says that the
    signal alone calls it likely to diverge.
    """

    def __init__(self, job: Job, signal: Signal, first: Simulated, *, suspected: bool = False) -> None:
        self.job, self.signal, self.first = job, signal, first
        self.suspected = suspected
        steps = max((len(course.losses) - 1 for course in first.courses), default=0)
        self._of_step = first.seconds / max(1, steps)
        affordable = BUDGET / (ENOUGH_RUNS * self._of_step) if self._of_step > 0 else STEPS
        self.steps = int(min(STEPS, affordable))
        self._left = BUDGET if self.steps >= LEAST_STEPS else 0.0

    @cached_property
    def fails(self) -> bool:
        """Whether it diverges, or stays far above the trivial loss.

        A few steps are not enough to say so: with more of them, it must not learn either. Where the signal disagrees with a few
        steps that go well, more of them decide.
        """
        if goes_wrong(self.first, trivial_loss(self.signal)):
            return self.attempt(AS_WRITTEN) is None
        if not self.suspected:
            return False
        runs = (self._simulated(self.job, Effort(self.steps, 1, seed)) for seed in range(SEEDS))
        trivial = trivial_loss(self.signal)
        return any(run is not None and goes_wrong(run, trivial) for run in runs)

    def attempt(self, trial: Trial) -> Repair | None:
        job, faster = changed(self.job, trial), changed(self.job, trial._replace(rate=trial.rate * MARGIN))
        if job is None:
            return None
        trivial = trivial_loss(signal_with(self.signal, trial))
        # Most of what does not fit shows that in a few steps. The rate of a training may not come from base_lr: no margin then.
        margins = [] if faster is None else [(faster, Effort(LEAST_STEPS, 1, seed)) for seed in range(SEEDS)]
        whole = [(job, Effort(self.steps, 1, seed)) for seed in range(SEEDS)]
        for each, effort in (*margins[:1], *whole, *margins[1:]):
            run = self._simulated(each, effort)
            if run is None or run.word not in ("learns", "stalls"):
                return None
            if each is job and not run.courses[0].learns(trivial):
                return None
        return Repair(trial, self.first.p_diverges, 0.0, 0.0, fits=True, learned=SEEDS)

    def briefly(self, trial: Trial) -> Simulated | None:
        """What becomes of a training with changes in a few steps; None if that cannot be told."""
        job = changed(self.job, trial)
        return None if job is None else self._simulated(job, Effort(LEAST_STEPS))

    def _simulated(self, job: Job, effort: Effort) -> Simulated | None:
        """What becomes of a job, None if the budget is spent or it cannot be simulated."""
        assert job.simulate is not None
        if self._left <= 0:
            return None
        found: Simulated = job.simulate(job, effort)
        self._left -= found.seconds
        return found if found.cannot_tell is None else None


def simulated_repair(judge: SimulationJudge, other: Signal | None) -> Repair:
    """The smallest change with which a training learns; if none is found, its `fits` is False.

    `other` is its signal with larger data, if their size is unknown.
    """
    found = first_that_fits(_trials(judge.signal, other), judge)
    return found or Repair(AS_WRITTEN, judge.first.p_diverges, judge.first.p_diverges, judge.first.p_stalls)


def _trials(signal: Signal, other: Signal | None) -> Iterator[Trial]:
    yield from (Trial(loss_weights=weights) for weights in smaller_weights(signal))
    present = signal.update_rule.clip
    bound = None if present > 0 else clip_bound([signal] if other is None else [signal, other]).value
    if bound is not None:
        yield Trial(clip=bound)
    yield from _with_rates(signal, AS_WRITTEN)
    fillers = vanishing_weights(other or signal)
    if fillers:
        filled = Trial(fillers=fillers).for_net(signal.training.net)
        yield filled
        yield from _with_rates(signal_with(signal, filled), filled)
    inputs = {
        layer: OF_BYTES if step.tops[0].mean_abs < 256 else 1 / step.tops[0].mean_abs
        for layer, step in zip(signal.training.net.layers, signal.forward.steps, strict=True)
        if layer.traits.transforms and not layer.bottoms and layer.tops[0].consumers and step.tops[0].mean_abs >= LARGE_INPUT
    }
    if inputs:
        scaled = Trial(inputs=inputs)
        yield scaled
        yield from _with_rates(signal_with(signal, scaled), scaled)


def _with_rates(signal: Signal, base: Trial) -> Iterator[Trial]:
    """Lower rates, then lower thresholds, at which steps are short enough, then both."""
    rate = signal.update_rule.rate
    for factor in RATES:
        scale = one_digit(rate * factor) / rate if math.log10(factor) % 1 else factor
        yield base._replace(rate=scale)
    if signal.update_rule.adaptive:
        return
    for factor in RATES_WITH_CLIP:
        allowed = [clip for clip in thresholds(signal, factor) if clip is not None]
        for clip in dict.fromkeys((*allowed[:1], *allowed[len(allowed) // 2 :][:1])):
            yield base._replace(rate=factor, clip=clip)


def trivial_loss_of(job: Job) -> float:
    """The loss of the best constant outputs of a job's training; infinite if the signal does not tell it."""
    training = training_of(job)
    if isinstance(training, CannotTell) or training.basis.unmodelled or training.basis.shapeless:
        return math.inf
    return trivial_loss(signal_of(training))


def failure_of_patch(job: Job, patched: Job) -> str:
    """Why the patch of a training that failed is of no use, as a sentence; empty if it is, or if that cannot be told.

    The patched training must not go wrong when it is simulated. If the original does, it must learn.
    """
    original = _longer(job)
    if isinstance(original, CannotTell):
        return ""
    tried = _longer(patched)
    if isinstance(tried, CannotTell):
        return ""
    trivial = trivial_loss_of(patched)
    must_learn = any(goes_wrong(run, trivial_loss_of(job)) for run in original)
    for run in tried:
        if goes_wrong(run, trivial) or (must_learn and not run.courses[0].learns(trivial)):
            return f"With this patch, training does not learn when it is simulated: {run.course}."
    return ""


def _longer(job: Job) -> list[Simulated] | CannotTell:
    """What became of a job in simulations that are longer than those for a verdict, with each seed."""
    assert job.simulate is not None
    found: list[Simulated] = []
    for seed in range(SEEDS):
        run: Simulated = job.simulate(job, Effort(STEPS, 1, seed))
        if run.cannot_tell is not None:
            return run.cannot_tell
        found.append(run)
    return found


def rate_that_learns(judge: SimulationJudge, decades: int) -> tuple[float, Verdict] | None:
    """The smallest power of ten by which a higher learning rate makes a stalled training learn, and the verdict then."""
    found = first_that_fits((Trial(rate=10.0**decade) for decade in range(1, decades + 1)), judge)
    return None if found is None else (found.scale, Verdict("learns", found.after, found.stalls))
