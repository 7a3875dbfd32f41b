"""Repairs that are tried: each change is written into the files in memory, and that training is simulated.

From the smallest change up: the weight of a loss that dominates or is over 1, a clip threshold that a healthy run does not reach,
lower learning rates with such a threshold, lower thresholds, a lower weight with lower rates, lower rates and thresholds together,
fillers where activations vanish, the scale of large inputs. The first with which the training *learns* - not only stays finite - is
taken: with two seeds, or four if it only just does, and with 1.3 times the learning rate as a margin. Otherwise it is, of those that
learn with two seeds and never diverge, the one that comes nearest to learning with the next, and then one that only nearly learns
with a few items of each batch, but does with more of them and for longer.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from ...net.rounding import one_digit
from ..signal.basis import OVER_BUDGET, CannotTell
from ..signal.features import AS_WRITTEN, Signal, Trial, signal_of, signal_with
from ..signal.training import training_of
from ..verdict.reasons import LARGE_INPUT
from ..verdict.simulated import FOR_VERDICT, HIGH, LEARNS, Effort, Simulated, goes_wrong, trivial_loss
from ..verdict.verdict import Verdict
from .clip_bound import clip_bound
from .patches import OF_BYTES, changed
from .repair import BOUNDS, LOOSEST, Repair, first_that_fits, smaller_weights, thresholds, vanishing_weights

if TYPE_CHECKING:
    from ...net.job import Job

# Of a trial. A large net is cut for it; one that cannot be cut is simulated for fewer steps, at least LEAST_STEPS.
STEPS, SEEDS, MARGIN = 100, 2, 1.3
LEAST_STEPS = 25
BUDGET = 140.0  # seconds of one usual core for all trials of a training, counted in multiply-adds
KEPT = 80.0  # of these, for what nearly learned with few items, if anything did
OF_RUN = 5.0  # seconds that a simulation of STEPS may cost
OFTEN = 5  # times STEPS, with whole batches, that are so cheap that no part of a batch is simulated
OF_STEP = 0.002  # seconds that a step costs beside its multiply-adds
# What is left of the loss, as a part of the trivial one, with which a training learns beyond doubt, and the seeds that are simulated
# in addition where more is left.
SURELY_LEARNS, MORE_SEEDS = 0.75, 2
# With few items of each batch, a training is noisier. What is left then may be this much for it to be tried with more of them and
# for more steps, and this much is then enough to learn, if slowly.
NEARLY_LEARNS, LEARNS_SLOWLY = 1.5, 0.95
LONGER, LARGER_RUNS = 1.5, 4  # times STEPS, and such simulations that what is left of the budget has to suffice for
LEAST_TIMES = 2.0  # as many items as usual, if that many simulations are possible; otherwise there are fewer
ALIKE = 0.1  # what is left differs by chance by as much
# Factors for the learning rate, the mildest first, and those of them with which lower clip thresholds are tried as well.
RATES = (1 / 3, 0.1, 1 / 30, 0.01, 1 / 300, 1e-3)
MILD_RATES = 4  # of these, which are tried before a lower loss weight together with a lower rate
RATES_WITH_CLIP, MORE_RATES_WITH_CLIP = (0.1, 0.01), (1.0, 0.3, 0.1, 0.03, 0.01)
# None of these was searched for; benchmarks/simulated_repairs.py shows what comes of them.


class SimulationJudge:
    """Judges the training of a job by simulations, as long as the budget lasts: afterwards it `ran_out`.

    `first` is what became of it as it is, and `signal` its signal, by which its trivial loss is known. `suspected` says that the
    signal alone calls it likely to diverge.
    """

    def __init__(self, job: Job, signal: Signal, first: Simulated, *, suspected: bool = False) -> None:
        self.job, self.signal, self.first = job, signal, first
        self.suspected = suspected
        self._of_step = first.seconds / FOR_VERDICT.steps + OF_STEP
        self._of_run, self._steps = OF_RUN, STEPS
        self._is_larger = False  # whether more of each batch is simulated now
        affordable = self._of_run / self._of_step
        self._steps_uncut = int(min(STEPS, affordable))
        self._left, self._kept = BUDGET, 0.0
        # What learns with two seeds and nearly with the others, and at a higher rate.
        self.second_best: Repair | None = None
        self._least = math.inf
        self._near: list[tuple[int, int, float, Trial]] = []
        # Whole batches are less noisy, so they are simulated where they are cheap.
        self._times = math.inf if first.part < 1 and affordable * first.part >= OFTEN * STEPS else 1.0

    @property
    def ran_out(self) -> bool:
        """Whether nothing more can be simulated."""
        return self._left <= self._kept

    @cached_property
    def fails(self) -> bool:
        """Whether it diverges, or stays far above the trivial loss.

        A few steps are not enough to say so: with more of them, it must not learn either. Where the signal disagrees with a few
        steps that go well, more of them decide.
        """
        trivial = trivial_loss(self.signal)
        wrong = goes_wrong(self.first, trivial)
        if not wrong and not self.suspected:
            return False
        for effort in self._efforts(trivial)[:SEEDS]:
            run = self._simulated(self.job, effort)
            if run is None:
                return wrong  # by a few steps: more are over the budget
            if goes_wrong(run, trivial) or (wrong and not run.courses[0].learns(trivial)):
                return True
        return False

    def attempt(self, trial: Trial) -> Repair | None:
        job, faster = changed(self.job, trial), changed(self.job, trial._replace(rate=trial.rate * MARGIN))
        if job is None:
            return None
        trivial = trivial_loss(signal_with(self.signal, trial))
        if self._is_larger:
            return self._attempt_with_more(trial, job, faster, trivial)
        efforts = self._efforts(trivial)
        # Most of what does not fit shows that in a few steps. The rate of a training may not come from base_lr: no margin then.
        quick = [] if faster is None else [(faster, self._effort(LEAST_STEPS))]
        margin = [] if faster is None else [(faster, self._effort(STEPS, SEEDS - 1, trivial))]
        left: list[float] = []
        for each, effort in (*quick, *((job, effort) for effort in efforts), *margin):
            if each is job and len(left) == SEEDS and max(left) < SURELY_LEARNS:
                continue
            run = self._simulated(each, effort)
            if run is None or run.word not in ("learns", "stalls"):
                return None
            now = run.courses[0].left(trivial)
            if now >= LEARNS and (each, effort) not in quick:
                if len(left) >= SEEDS:
                    if now < NEARLY_LEARNS:
                        self._keep(trial, len(left), now)
                elif run.part < 1 and now < NEARLY_LEARNS:
                    self._near.append((round(now / ALIKE), trial.kinds, -run.courses[0].norm_growth, trial))
                    self._kept = KEPT if self.second_best is None else 0.0
                return None
            if each is job:
                left.append(now)
        return self._repair(trial, len(left))

    def _attempt_with_more(self, trial: Trial, job: Job, faster: Job | None, trivial: float) -> Repair | None:
        """As `attempt`, in larger simulations: the first seed tries the change, the second one its margin.

        If it only learns without the margin, with both seeds, it is kept, unless it diverges with it.
        """
        first, second = self._efforts(trivial)[:SEEDS]
        if faster is not None and self._left_with(faster, self._effort(LEAST_STEPS), trivial) == math.inf:
            return None
        if self._left_with(job, first, trivial) >= LEARNS_SLOWLY:
            return None
        left = self._left_with(faster or job, second, trivial)
        if left < LEARNS_SLOWLY:
            return self._repair(trial, 1 if faster is not None else SEEDS)
        if faster is not None and left < math.inf and (again := self._left_with(job, second, trivial)) < LEARNS_SLOWLY:
            self._keep(trial, SEEDS, again)
        return None

    def _left_with(self, job: Job, effort: Effort, trivial: float) -> float:
        """What is left of the loss, as a part of the trivial one; infinite if it diverges or cannot be simulated any more."""
        run = self._simulated(job, effort)
        return run.courses[0].left(trivial) if run is not None and run.word in ("learns", "stalls") else math.inf

    def nearest(self) -> Iterator[Trial]:
        """The changes with which it nearly learned, the nearest first; of those that are alike, single ones, with growing gradients.

        From here on, more of each batch is simulated, or a net is cut less, for more steps.
        """
        self._kept, steps = 0.0, int(LONGER * STEPS)
        of_run, cost = self._left / LARGER_RUNS, self._of_step * steps
        if of_run < LEAST_TIMES * cost:
            of_run = self._left / SEEDS
        times = max(1.0, of_run / cost)
        is_cut_less = self._steps_uncut < STEPS and of_run > OF_RUN
        if not self._near or not (times >= LEAST_TIMES or is_cut_less):
            return
        self._is_larger, self._steps = True, steps
        self._times = times if times * self.first.part < 1 else math.inf
        self._of_run = of_run
        tried: list[Trial] = []
        for *_, trial in sorted(self._near, key=lambda near: near[:3]):
            if trial not in tried:
                tried.append(trial)
                yield trial

    def _keep(self, trial: Trial, learned: int, left: float) -> None:
        """Keep a change with which it learns with so many seeds, if less is left in the simulation that fails than with others."""
        self._kept = 0.0  # what nearly learns is not tried again then
        if left < self._least:
            self._least, self.second_best = left, self._repair(trial, learned)

    def _repair(self, trial: Trial, learned: int) -> Repair:
        return Repair(trial, self.first.p_diverges, 0.0, 0.0, fits=True, learned=learned)

    def briefly(self, trial: Trial) -> Simulated | None:
        """What becomes of a training with changes in a few steps; None if that cannot be told."""
        job = changed(self.job, trial)
        return None if job is None else self._simulated(job, self._effort(LEAST_STEPS))

    def _efforts(self, trivial: float) -> list[Effort]:
        """How what must learn is simulated. What is still far above the trivial loss half-way will not."""
        efforts = (self._effort(self._steps, seed, trivial) for seed in range(SEEDS + MORE_SEEDS))
        return [effort._replace(times=self._times) for effort in efforts]

    def _effort(self, steps: int, seed: int = 0, trivial: float = math.inf) -> Effort:
        return Effort(steps, 1, seed, seconds=self._of_run * steps / self._steps, high=HIGH * trivial)

    def _simulated(self, job: Job, effort: Effort) -> Simulated | None:
        """What becomes of a job, None if the budget is spent or it cannot be simulated."""
        assert job.simulate is not None
        if self.ran_out:
            return None
        found: Simulated = job.simulate(job, effort)
        if found.cannot_tell is not None:
            if effort.times > 1:
                return self._simulated(job, effort._replace(times=1.0))
            if found.cannot_tell.cause != OVER_BUDGET or effort.seconds is None:
                return None
            if self._steps_uncut < LEAST_STEPS:
                self._left = 0.0  # for not even one
                return None
            return self._simulated(job, effort._replace(seconds=None, steps=min(effort.steps, self._steps_uncut)))
        done = max(len(course.losses) - 1 for course in found.courses)
        self._left -= found.seconds * min(1.0, done / effort.steps) + OF_STEP * done
        return found


def simulated_repair(judge: SimulationJudge, other: Signal | None) -> Repair:
    """The smallest change with which a training learns; AS_WRITTEN, which does not fit, if none is found.

    `other` is its signal with larger data, if their size is unknown.
    """
    found = (
        first_that_fits(_trials(judge.signal, other), judge)
        or judge.second_best
        or first_that_fits(judge.nearest(), judge)
        or judge.second_best
        or first_that_fits(_with_smaller_inputs(judge.signal, other), judge)
    )
    return found or Repair(AS_WRITTEN, judge.first.p_diverges, judge.first.p_diverges, judge.first.p_stalls)


def _trials(signal: Signal, other: Signal | None) -> Iterator[Trial]:
    lighter = [Trial(loss_weights=weights) for weights in smaller_weights(signal)]
    yield from lighter
    bound = _bound(signal, other)
    if bound is not None:
        yield Trial(clip=bound)
    slower = list(_slower(signal, other, AS_WRITTEN))
    yield from slower[:MILD_RATES]
    factors: tuple[float, ...] = (1.0, *RATES_WITH_CLIP)
    if lighter and len(signal.losses) > 1:
        yield from _clipped(signal, AS_WRITTEN, 1.0)
        yield from _with_rates(signal, other, lighter[-1])
        factors = factors[1:]
    yield from slower[MILD_RATES:]
    yield from _clipped(signal, AS_WRITTEN, *factors)
    fillers = vanishing_weights(other or signal)
    if fillers:
        filled = Trial(fillers=fillers).for_net(signal.training.net)
        yield filled
        yield from _with_rates(signal, other, filled)
    if not signal.update_rule.adaptive:
        for factor in MORE_RATES_WITH_CLIP:
            bounds = (bound * signal.update_rule.iter_size for bound in BOUNDS)
            yield from (Trial(rate=factor, clip=clip) for clip in _clips(signal, bounds))


def _with_smaller_inputs(signal: Signal, other: Signal | None) -> Iterator[Trial]:
    """What is never a default fix, since deploy nets would have to change as well."""
    inputs = {
        layer: OF_BYTES if step.tops[0].mean_abs < 256 else 1 / step.tops[0].mean_abs
        for layer, step in zip(signal.training.net.layers, signal.forward.steps, strict=True)
        if layer.traits.transforms and not layer.bottoms and layer.tops[0].consumers and step.tops[0].mean_abs >= LARGE_INPUT
    }
    if inputs:
        scaled = Trial(inputs=inputs)
        yield scaled
        yield from _with_rates(signal, other, scaled)


def _bound(signal: Signal, other: Signal | None) -> float | None:
    """The clip threshold that a healthy run does not reach, if there is none yet; `other` is the signal with larger data."""
    if signal.update_rule.clip > 0:
        return None
    return clip_bound([signal] if other is None else [signal, other]).value


def _with_rates(signal: Signal, other: Signal | None, base: Trial) -> Iterator[Trial]:
    """Other changes with lower rates, then with lower thresholds, at which steps are short."""
    yield from _slower(signal, other, base)
    yield from _clipped(signal, base, 1.0, *RATES_WITH_CLIP)


def _slower(signal: Signal, other: Signal | None, base: Trial) -> Iterator[Trial]:
    """Other changes with lower rates, each with the threshold that suits it."""
    rate = signal.update_rule.rate
    for factor in RATES:
        scale = one_digit(rate * factor) / rate if math.log10(factor) % 1 else factor
        trial = base._replace(rate=scale)
        larger = None if other is None else signal_with(other, trial.for_net(other.training.net))
        yield trial._replace(clip=_bound(signal_with(signal, trial), larger))


def _clipped(signal: Signal, base: Trial, *factors: float) -> Iterator[Trial]:
    """Other changes with thresholds that bite, at factors of the rate; none for solvers whose steps do not grow with gradients."""
    if signal.update_rule.adaptive:
        return
    based = signal_with(signal, base)
    for factor in factors:
        for clip in _lower_clips(based, factor):
            yield base._replace(rate=factor, clip=clip)


def _lower_clips(signal: Signal, factor: float) -> list[float]:
    """Thresholds that bite: the loosest, 1 per pass, one between, and those with which steps are short at a factor of the rate."""
    rule = signal.update_rule
    allowed = [clip for clip in thresholds(signal, factor) if clip is not None]
    biting = [clip for clip in BOUNDS if 1.0 <= clip <= LOOSEST * signal.l2] or BOUNDS[-1:]
    of_one_pass = {biting[0], biting[len(biting) // 2], 1.0}
    clips = {clip * rule.iter_size for clip in of_one_pass}
    return _clips(signal, {*clips, *allowed[:1], *allowed[len(allowed) // 2 :][:1]})


def _clips(signal: Signal, clips: Iterable[float]) -> list[float]:
    """Those of some thresholds that are lower than the present one, the loosest first."""
    present = signal.update_rule.clip
    return sorted((clip for clip in clips if not 0 < present <= clip), reverse=True)


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
        run: Simulated = job.simulate(job, Effort(STEPS, 1, seed, watch=True))
        if run.cannot_tell is not None:
            return run.cannot_tell
        found.append(run)
    return found


def rate_that_learns(judge: SimulationJudge, decades: int) -> tuple[float, Verdict] | None:
    """The smallest power of ten by which a higher learning rate makes a stalled training learn, and the verdict then."""
    found = first_that_fits((Trial(rate=10.0**decade) for decade in range(1, decades + 1)), judge)
    return None if found is None else (found.scale, Verdict("learns", found.after, found.stalls))
