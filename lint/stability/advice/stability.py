"""What is computed of a job for its rules: the predicted course of its training, and the change that keeps it stable."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from ...layers.models.saturation import saturated_share
from ...moments.layer_type import MADE_UP
from ...moments.statistics import share_above
from ...net.rounding import range_text, two_digits
from ...proto.named_tuple import NamedTuple
from ..signal.basis import DESCRIBE_DATA, NO_GRADIENT, Basis, CannotTell, obstacle
from ..signal.features import LEAST_PROGRESS, Signal, Trial, counterpart, signal_of, signal_with, unit_step
from ..signal.training import Training, training_of
from ..verdict.reasons import LARGE_INPUT, Reason, blank_statistics, loss_gradient_norms, reasons
from ..verdict.verdict import (
    CANNOT_TELL,
    EVEN,
    RISKY,
    Verdict,
    confidence_in,
    judge_trial,
    may_be,
    most_likely,
    outlook,
    verdict_of,
    verdict_over,
)
from ..verdict.verdict_table import DIVERGES, STALLS
from .clip_bound import ClipBound, clip_bound
from .repair import Repair, repair, vanishing_weights
from .safety import risk

if TYPE_CHECKING:
    from ...fixes.edit import Fix
    from ...moments.graph import Layer, Param
    from ...net.job import Job
    from ..verdict.simulated import Simulated
    from .trying import SimulationJudge

SURE = 0.9  # the probability of what is certain: to diverge with all seeds, and with more steps as well; to stall from there on
# From how many times their norm on, by which an iteration may move the weights while gradients are clipped, a threshold is too loose.
# Set by hand with benchmarks/verdict.py --limits, which prints how many of such set-ups learned.
LOOSE_CLIP = 1.0
ALIKE = 1.2  # the ratio up to which two growth factors count as the same; set by hand


class Flow(NamedTuple):
    """Mean absolute values before and after a chain of layers, and those of the gradients on the way back."""

    before: float
    after: float
    gradient_after: float
    gradient_before: float

    @property
    def growth(self) -> float:
        """By what factor values grow."""
        return self.after / self.before

    @property
    def gradient_growth(self) -> float:
        """By what factor gradients grow on the way back."""
        return self.gradient_before / self.gradient_after

    def text(self, *, known: bool) -> str:
        """The factors in words, with the sizes if the data are known."""
        growth, back = two_digits(self.growth), two_digits(self.gradient_growth)
        if not known:
            return f"activations change by a factor of {growth}, and gradients on the way back by {back}"
        return (
            f"activations go from {two_digits(self.before)} to {two_digits(self.after)} in magnitude (factor {growth}),"
            f" and gradients on the way back from {two_digits(self.gradient_after)} to {two_digits(self.gradient_before)}"
            f" (factor {back})"
        )


class Stability:
    """The signal of a training, and its verdict: by the signal, or by a simulation if that was asked for and can be done."""

    # The probability from which a training is said to stall. Source: benchmarks/standing_still.py, which prints precision and
    # recall for several values; chosen on these trainings, by an earlier fit.
    STALLS = 0.9
    DECADES = 6  # how many powers of ten higher the learning rate is tried; set by hand

    def __init__(self, training: Training, job: Job | None = None) -> None:
        self.training = training
        self._job = job
        self.basis: Basis = training.basis
        # The signals at some points of the range of what is not known, the most usual one first. A verdict, limit or threshold
        # may be stated only if it is the same for all of them, or covers all of them.
        self.signals: list[Signal] = [signal_of(each) for each in training.points()]
        self.signal: Signal = self.signals[0]
        for signal in self.signals[1:]:
            signal.passes.share_simulations(self.signal.passes)

    @cached_property
    def simulated(self) -> Simulated | None:
        """What became of it when it was simulated on arrays; None if that was not asked for."""
        if self._job is None or self._job.simulate is None:
            return None
        from ..verdict.simulated import FOR_VERDICT  # only if simulations are asked for

        found: Simulated = self._job.simulate(self._job, FOR_VERDICT)
        return found

    @cached_property
    def judge(self) -> SimulationJudge | None:
        """What tries changes by simulations; None if the signal decides."""
        first = self.simulated
        if first is None or first.cannot_tell is not None or self._job is None:
            return None
        suspected = min(map(risk, self.signals)) >= EVEN
        from .trying import SimulationJudge  # only if simulations are asked for

        return SimulationJudge(self._job, self.signal, first, suspected=suspected)

    @cached_property
    def verdict(self) -> Verdict:
        """What holds at every point of the range; every point is simulated for it."""
        if self.judge is not None:
            found = self.judge.first.verdict
            if self.judge.fails:
                least = SURE if self.judge.first.is_sure else EVEN
                return Verdict("diverges", max(least, found.p_diverges), 0.0)
            return found if found.word != "diverges" else Verdict("learns", 1 - found.p_diverges, 0.0)
        return verdict_over(self.signals)

    @property
    def evidence(self) -> str:
        """What was simulated or why nothing was, as a sentence with a space before it; empty if that was not asked for."""
        return f" {self.simulated.sentence}" if self.simulated is not None else ""

    @property
    def cannot_tell(self) -> CannotTell | None:
        """Why there is no verdict; None if there is one."""
        if self.judge is not None:
            return None
        if self.step_at_clip:
            clip, times = self.signal.update_rule.clip, two_digits(self.step_at_clip)
            step = f"clip_gradients {clip:g} lets an iteration move the weights by {times} times their norm"
            reason = f"{step}, and without it training {self.outlook_unclipped}"
            return CannotTell("loose clip", reason, "lower base_lr, or run caffe-lint simulate")
        blank = blank_statistics(self.signal)
        if blank is not None and not self.diverges:  # a gain of hundreds in each layer is beyond what the verdict was fitted to
            return CannotTell("blank statistics", blank.sentence, "remove use_global_stats, or load trained weights")
        if self.is_surely_calm or self.verdict.word != CANNOT_TELL:
            return None
        what = "; ".join(self.basis.assumed)
        words = [verdict_of(signal).word for signal in self.signals]
        fate = next(word for word in words if word != "learns")
        return CannotTell("data", f"whether it {fate} depends on the data ({what})", DESCRIBE_DATA)

    @property
    def risky(self) -> bool:
        """Whether it may diverge, so that it is repaired; if not all is known, only if it is said to diverge."""
        if self.judge is not None:
            return self.judge.fails
        if not self.basis.is_known:
            return self.diverges
        return most_likely(DIVERGES, self.signal) >= RISKY and self.verdict.p_diverges >= RISKY

    @cached_property
    def is_surely_calm(self) -> bool:
        """Whether it is said to be unlikely to diverge, and to stall, whatever a simulation comes to. None is run for that."""
        if self.judge is not None:
            return False  # by its simulation on arrays, which was run
        is_calm = all(most_likely(fate, signal) < RISKY for fate in (DIVERGES, STALLS) for signal in self.signals)
        return is_calm and not self.step_at_clip

    @property
    def is_calm(self) -> bool:
        """Whether it is said to be unlikely to diverge."""
        return self.cannot_tell is None and (self.is_surely_calm or self.verdict.p_diverges < RISKY)

    @cached_property
    def diverges(self) -> bool:
        """Whether it is said to diverge."""
        if self.judge is not None:
            return self.verdict.word == "diverges"
        return may_be("diverges", self.signals) and self.verdict.word == "diverges"

    @cached_property
    def step_at_clip(self) -> float:
        """By how many times their norm an iteration may move the weights while gradients are clipped.

        0 unless that is too much, though the training is not said to diverge, and it is likely to diverge without the threshold.
        """
        rule, net = self.signal.update_rule, self.training.net
        times = rule.clip * unit_step(rule, net)
        if self.judge is not None or times < LOOSE_CLIP or min(map(risk, self.unclipped)) < EVEN or self.diverges:
            return 0.0
        return times

    @cached_property
    def unclipped(self) -> list[Signal]:
        """Its signals without a clip threshold."""
        return [signal_with(signal, Trial(clip=-1.0)) for signal in self.signals]

    @property
    def outlook_unclipped(self) -> str:
        """What people are told of the training without a clip threshold."""
        return outlook(min(map(risk, self.unclipped)))

    @cached_property
    def stalls(self) -> bool:
        """Whether it is said to stall."""
        if self.judge is not None:
            return self.verdict.word == "stalls"
        return may_be("stalls", self.signals) and self.verdict.word == "stalls"

    @property
    def repair_clips(self) -> bool:
        """Whether it may diverge, and its repair has a clip threshold of its own."""
        return self.risky and self.repair.clip is not None

    @property
    def severity(self) -> str:
        """The severity of its divergence, by its probability."""
        return "warning" if self.diverges else "advice"

    @cached_property
    def repair(self) -> Repair:
        """The change that keeps it from diverging, at every point of the range."""
        by_risk = sorted(self.signals, key=risk)
        other = None if self.basis.is_known else by_risk[-1]
        if self.judge is not None:
            from .trying import simulated_repair  # only if simulations are asked for

            return simulated_repair(self.judge, other)
        return repair(by_risk[0], other).for_net(self.signal.training.net)

    @cached_property
    def doubt(self) -> str:
        """Why the repair is no default fix, as a clause; empty if it is one."""
        from .default_repair import doubt, doubt_after_trial  # only if a repair is offered

        if self._job is not None and self._job.has_guessed_net:
            return "only the end of the net's path says that it is this solver's (P101)"
        if self.judge is not None:
            return doubt_after_trial(self.judge, self.repair)
        return doubt(self.signals, self.verdict, self.repair)

    def part(self, fix: Fix | None) -> Fix | None:
        """A fix of the repair. If a repair was tried as a whole and changes solver and net, its fixes are parts of it."""
        if fix is None or self.judge is None:
            return fix
        return fix.part_of(self.judge.job.solver.file.path, self.repair.trial.kinds)

    @property
    def is_in_steps(self) -> bool:
        """Whether a loss weight is written first, and what else the training needs is computed anew after that."""
        return self.judge is None and bool(self.repair.weights)

    @property
    def no_change(self) -> str:
        """Why there is no repair, as a sentence."""
        if self.judge is not None and self.judge.ran_out:
            from .trying import BUDGET  # only if simulations are asked for

            return f"No change was found that makes it learn: trying them takes more than {BUDGET:g} s of work."
        return (
            "No single change of a loss weight, clip_gradients, base_lr, fillers or the scale of inputs makes it learn."
        )

    @property
    def fillers_were_tried(self) -> bool:
        """Whether simulated trainings learned with the fillers of the repair, which is then a default fix."""
        return self.judge is not None and self.risky and bool(self.repair.fillers) and not self.doubt

    @property
    def unsafe_because(self) -> str:
        """Why the repair is no default fix, as a sentence with a space before it; empty if it is one."""
        return f" The fix is unsafe: {self.doubt}." if self.doubt else ""

    @cached_property
    def reasons(self) -> list[Reason]:
        """Why it diverges, the most important reason first."""
        return self._reasons("diverges", min(self.signals, key=risk))

    @cached_property
    def reasons_to_stall(self) -> list[Reason]:
        """Why it stalls, the most important reason first."""
        return self._reasons("stalls", min(self.signals, key=lambda signal: verdict_of(signal).p_stalls))

    def _reasons(self, word: str, mildest: Signal) -> list[Reason]:
        """The reasons that hold at every point of the range, with the numbers of the one where the verdict is least likely."""
        verdict = self.verdict._replace(word=word)
        everywhere = [{(each.layer, each.factor) for each in reasons(signal, verdict)} for signal in self.signals]
        return [each for each in reasons(mildest, verdict) if all((each.layer, each.factor) in found for found in everywhere)]

    @cached_property
    def loss_gradient_norms(self) -> dict[str, float]:
        """The L2 norm of the gradients of each loss alone, by its layer's name, where there are several."""
        return loss_gradient_norms(self.signal)

    @cached_property
    def vanishing_weights(self) -> dict[Param, str]:
        """Weights so small that activations vanish at every point of the range, with fillers; see `repair.vanishing_weights`."""
        net = self.signal.training.net
        others = [{counterpart(param, net) for param in vanishing_weights(signal)} for signal in self.signals[1:]]
        found = vanishing_weights(self.signal)
        return {param: kind for param, kind in found.items() if all(param in other for other in others)}

    def sizes_around(self, layer: Layer) -> tuple[str, str]:
        """The mean absolute values of a layer's first bottom and first top, as text, with their range if there is one."""
        steps = [signal.forward.steps[layer.index] for signal in self.signals]
        return (
            range_text([step.bottoms[0].mean_abs if step.bottoms else 0.0 for step in steps]),
            range_text([step.tops[0].mean_abs for step in steps]),
        )

    @cached_property
    def will_stall(self) -> bool:
        """Whether it is nearly certain to stall.

        Not if weights are 0 or so small that activations vanish, since these are mostly loaded on the command line: other
        rules report these.
        """
        if any(layer.traits.origin == MADE_UP for layer in self.training.net.layers):
            return False  # data that are made up, from which nothing can be learned
        if self.signal.update_rule.max_iter <= 0:
            return False
        starts = self.signal.weights.items()
        if self.vanishing_weights or any("weight" in param.role and not start.second_moment for param, start in starts):
            return False
        if self.judge is not None:
            return self.stalls and self.verdict.p_stalls >= self.STALLS
        return all(map(_may_stall, self.signals)) and all(
            _certainly_stalls(signal, verdict_of(signal)) for signal in self.signals
        )

    @cached_property
    def faster_rate(self) -> tuple[float, Verdict] | None:
        """The smallest power of ten by which a higher learning rate makes a stalled training learn, and the verdict then."""
        if self.judge is not None:
            from .trying import rate_that_learns  # only if simulations are asked for

            return rate_that_learns(self.judge, self.DECADES)
        for decade in range(1, self.DECADES + 1):
            tried = [judge_trial(signal, Trial(rate=10.0**decade)) for signal in self.signals]
            if any(found.p_diverges >= RISKY for _, found in tried):
                return None
            if all(found.p_stalls < EVEN and not _certainly_stalls(signal, found) for signal, found in tried):
                return 10.0**decade, max((found for _, found in tried), key=lambda found: found.p_stalls)
        return None

    def saturated_layers(self, share: float) -> Iterator[tuple[Layer, float]]:
        """The layers that more than a share of their inputs saturate in iteration 0, with that share."""
        for layer in self.training.net.layers:
            if not layer.runs_backward or not layer.bottoms:
                continue
            shares = [saturated_share(layer, signal.forward.steps[layer.index].bottoms[0]) for signal in self.signals]
            least = min((each for each in shares if each is not None), default=0.0)
            if None not in shares and least > share:
                yield layer, least

    @property
    def assumed(self) -> str:
        """What was taken as given, in parentheses with a space before them; empty if nothing."""
        assumed = "; ".join(self.basis.assumed)
        return f" (assumed: {assumed})" if assumed else ""

    def negative_share(self, layer: Layer) -> float | None:
        """The least share of a layer's first bottom that is negative in iteration 0; None if all its values may be equal."""
        bottoms = [signal.forward.steps[layer.index].bottoms[0] for signal in self.signals]
        if not all(0 < values.variance < math.inf for values in bottoms):
            return None
        return min(1 - share_above(values) for values in bottoms)

    def flow(self, first: Layer, last: Layer) -> Flow | None:
        """What passes through a chain of layers: from all bottoms of the first to the first top of the last.

        None if that is unknown, or depends on what is not known.
        """
        flows = [_flow(signal, first.index, last.index) for signal in self.signals]
        if not all(0 < size < math.inf for flow in flows for size in flow):
            return None
        forward, backward = [flow.growth for flow in flows], [flow.gradient_growth for flow in flows]
        alike = max(forward) <= ALIKE * min(forward) and max(backward) <= ALIKE * min(backward)
        return flows[0] if alike else None

    def large_inputs(self, of_bytes: float) -> Iterator[tuple[Layer, float]]:
        """The data layers whose first top averages 10 or more in magnitude, and the factor that brings it to about 1."""
        for layer, step in zip(self.signal.training.net.layers, self.signal.forward.steps, strict=True):
            if layer.traits.is_data and not layer.bottoms and step.tops:
                size = step.tops[0].mean_abs
                if size >= LARGE_INPUT and layer.tops[0].consumers:
                    yield layer, of_bytes if size < 256 else 1 / size

    def risk_with_inputs(self, layer: Layer, factor: float) -> float | None:
        """The probability of divergence with a data layer's first top scaled by a factor; None if that is still risky.

        It is the largest, whatever is not known.
        """
        found = self._risk(Trial(inputs={layer: factor}))
        return found if found < RISKY else None

    @property
    def clip_bound(self) -> float | None:
        """A `clip_gradients` that a healthy run does not reach, whatever the unknown data are; None if there is none."""
        return self._clip_bound.value

    @property
    def no_bound(self) -> str:
        """Why there is no `clip_bound`, as a clause; empty if there is one."""
        return self._clip_bound.why_none

    def risk_with_clip(self, bound: float) -> float:
        """The probability of divergence with another `clip_gradients`, the largest whatever the unknown data are."""
        return self._risk(Trial(clip=bound))

    def _risk(self, trial: Trial) -> float:
        tried = self.judge.briefly(trial) if self.judge is not None else None
        if tried is not None:
            return tried.p_diverges
        return max(risk(signal, trial.for_net(signal.training.net)) for signal in self.signals)

    def confidence_in(self, fate: str) -> str:
        """The confidence of a finding that the training will `diverge` or `stall`."""
        verdict = self.verdict
        probability = verdict.p_diverges if fate == "diverge" else verdict.p_stalls
        if self.judge is None:
            return confidence_in(probability, self.signal, fate)
        # That it diverges was confirmed by more steps.
        certain = self.judge.first.is_sure if fate == "diverge" else probability >= SURE
        return "high" if certain and self.basis.is_known else "medium"

    @property
    def initial_norms(self) -> tuple[float, float]:
        """The least and the largest L2 norm of the first gradients, over the range of the unknown data."""
        norms = [signal.l2 for signal in self.signals]
        return min(norms), max(norms)

    @cached_property
    def _clip_bound(self) -> ClipBound:
        found = clip_bound(self.signals)
        if self.judge is None or found.value is None:
            return found
        reached = self.judge.first.largest_norm
        if self.risky or reached < found.value:
            return found
        return ClipBound(None, f"the simulated training learns with gradient norms up to {two_digits(reached)}")


def _flow(signal: Signal, first: int, last: int) -> Flow:
    """What passes through a chain of layers, by their indices."""
    bottoms, tops = signal.forward.steps[first].bottoms, signal.forward.steps[last].tops
    at_bottoms = signal.back.bottoms[first]
    at_top = signal.back.tops.get(signal.training.net.layers[last].tops[0])
    return Flow(
        sum(each.mean_abs for each in bottoms) / max(1, len(bottoms)),
        tops[0].mean_abs if tops else 0.0,
        at_top.mean_abs if at_top is not None else 0.0,
        sum(each.mean_abs for each in at_bottoms) / max(1, len(at_bottoms)),
    )


def _may_stall(signal: Signal) -> bool:
    """Whether a training may be nearly certain to stall. If not, that is known without a simulation."""
    return signal.unsimulated["progress"] <= LEAST_PROGRESS or most_likely(STALLS, signal) >= Stability.STALLS


def _certainly_stalls(signal: Signal, verdict: Verdict) -> bool:
    """Whether a training is nearly certain to stall: by its probability, or because it can remove almost nothing of its loss.

    The probability alone is not enough: it is lower for a loss that is easily reduced, even at a learning rate close to 0.
    """
    nothing = signal.features["progress"] <= LEAST_PROGRESS and verdict.p_diverges < RISKY
    return nothing or verdict.p_stalls >= Stability.STALLS


def computed_of(job: Job) -> Stability | CannotTell:
    """The predicted course of a job, computed anew, or why nothing can be told of it."""
    training = training_of(job)
    if isinstance(training, CannotTell):
        return training
    found = obstacle(training.basis, job.origin)
    if found is not None:
        return found
    stability = Stability(training, job)
    if not all(signal.l2 != 0 for signal in stability.signals):
        return NO_GRADIENT
    return stability
