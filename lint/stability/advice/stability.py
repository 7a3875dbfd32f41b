"""What is computed of a job for its rules: the course of its training, and the change that keeps it from exploding."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from ...layers.models.saturation import saturated_share
from ...moments.layer_type import MADE_UP
from ...moments.statistics import share_above
from ...proto.named_tuple import NamedTuple
from ...solver.schedule import learning_rate
from ..signal.features import LEAST_LEARNING, Signal, Trial, signal_of
from ..signal.passes import unmodelled_layers
from ..signal.training import Training, training_of
from ..verdict.reasons import LARGE_INPUT, Reason, loss_gradient_norms, reasons
from ..verdict.verdict import EVEN, RISKY, Verdict, judge, judge_trial, verdict_of
from .limits import healthy_bound
from .repair import Repair, repair, vanishing_weights
from .safety import risk

if TYPE_CHECKING:
    from ...moments.graph import Layer, Param
    from ...net.job import Job
    from ...net.net import Net
    from ...proto.binder import Message

SOLVERS = frozenset({"SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"})


class Flow(NamedTuple):
    """Mean absolute values before and behind a stretch of layers, and those of the gradients on the way back."""

    before: float
    after: float
    gradient_after: float
    gradient_before: float

    @property
    def is_known(self) -> bool:
        """Whether there is a signal both ways."""
        return all(0 < size < math.inf for size in self)


class Stability:
    """The signal of a training and its verdict."""

    # The probability to stall from which it is said that a training will. Source: benchmarks/standing_still.py, which prints
    # precision and recall for several; chosen on the trainings that also fit it.
    STALLS = 0.9
    DECADES = 6  # how many times a rate is tried ten times as high; set by hand

    def __init__(self, training: Training) -> None:
        self.training = training
        self.signal: Signal
        self.verdict: Verdict
        self.signal, self.verdict = judge(training)

    @property
    def risky(self) -> bool:
        """Whether it is likely enough to explode that it is repaired; with assumed data, only if it is called so."""
        return self.verdict.word == "explodes" or (not self.training.context.assumed and self.verdict.p_explodes >= RISKY)

    @property
    def severity(self) -> str:
        """How bad it is that it explodes, by how likely it does."""
        return "warning" if self.verdict.word == "explodes" else "advice"

    @cached_property
    def repair(self) -> Repair:
        """What keeps it from exploding."""
        return repair(self.signal, self._assumed)

    @cached_property
    def reasons(self) -> list[Reason]:
        """Why it explodes, the weightiest reason first."""
        return reasons(self.signal, self.verdict._replace(word="explodes"))

    @cached_property
    def reasons_to_stall(self) -> list[Reason]:
        """Why it stalls."""
        return reasons(self.signal, self.verdict._replace(word="stalls"))

    @cached_property
    def loss_gradient_norms(self) -> dict[str, float]:
        """The L2 norm of the gradients of each loss alone, by its layer's name, where there are several."""
        return loss_gradient_norms(self.signal)

    @cached_property
    def vanishing_weights(self) -> dict[Param, str]:
        """Weights that start too small for anything to come out of them; see `repair.dying`."""
        return vanishing_weights(self.signal)

    def sizes_around(self, layer: Layer) -> tuple[float, float]:
        """The mean absolute values of a layer's first bottom and first top."""
        step = self.signal.forward.steps[layer.index]
        return step.bottoms[0].mean_abs if step.bottoms else 0.0, step.tops[0].mean_abs

    @cached_property
    def will_stall(self) -> bool:
        """Whether it will surely stall, with data of size 1 as well where they are not known.

        Not where weights are 0 or too small for anything to come out of them, as these are mostly loaded when the
        training is started, nor where there are no gradients at all: for all of them there are rules.
        """
        if any(layer.traits.origin == MADE_UP for layer in self.training.net.layers):
            return False  # data that are made up, of which nothing is to be learnt
        if not _surely_stalls(self.signal, self.verdict) or self.training.has_open_shapes or self.signal.update_rule.max_iter <= 0:
            return False
        if not self.signal.l2 > 0:
            return False
        starts = self.signal.weights.items()
        if self.vanishing_weights or any("weight" in param.role and not start.second_moment for param, start in starts):
            return False
        return self._other is None or _surely_stalls(self._other, verdict_of(self._other))

    @cached_property
    def faster_rate(self) -> tuple[float, Verdict] | None:
        """The smallest power of ten for the rate with which a training that stands still learns, and its verdict then."""
        for decade in range(1, self.DECADES + 1):
            signal, found = judge_trial(self.signal, Trial(rate=10.0**decade))
            if found.p_explodes >= RISKY:
                return None
            if found.p_stalls < EVEN and not _surely_stalls(signal, found):
                return 10.0**decade, found
        return None

    def saturated_layers(self, part: float) -> Iterator[tuple[Layer, float]]:
        """The layers for which more than a part of the values they read at iteration 0 lie where they are flat."""
        for layer in self.training.net.layers:
            if not layer.runs_backward or not layer.bottoms:
                continue
            found = saturated_share(layer, self.signal.forward.steps[layer.index].bottoms[0])
            if found is None or found <= part:
                continue
            if self._other is not None:
                other = saturated_share(layer, self._other.forward.steps[layer.index].bottoms[0])
                if other is None or other <= part:
                    continue
                found = min(found, other)
            yield layer, found

    @property
    def assumed(self) -> str:
        """What had to be assumed of the data for these numbers, with a space before it; empty if nothing."""
        assumed = "; ".join(dict.fromkeys(self.signal.training.context.assumed))
        return f" (assumed: {assumed})" if assumed else ""

    def part_below_zero(self, layer: Layer) -> float | None:
        """The part of a layer's first bottom that is negative at iteration 0; None where it has no spread."""
        values = self.signal.forward.steps[layer.index].bottoms[0]
        return 1 - share_above(values) if 0 < values.variance < math.inf else None

    def flow(self, first: Layer, last: Layer) -> Flow:
        """What goes through the layers from one to another: from all bottoms of the first to the first top of the last."""
        bottoms, tops = self.signal.forward.steps[first.index].bottoms, self.signal.forward.steps[last.index].tops
        back = self.signal.back
        below = back.bottoms[first.index]
        above = back.tops.get(self.signal.training.net.layers[last.index].tops[0])
        return Flow(
            sum(each.mean_abs for each in bottoms) / max(1, len(bottoms)),
            tops[0].mean_abs if tops else 0.0,
            above.mean_abs if above is not None else 0.0,
            sum(each.mean_abs for each in below) / max(1, len(below)),
        )

    def large_inputs(self, of_bytes: float) -> Iterator[tuple[Layer, float]]:
        """The data layers whose first top is of magnitude 10 or more, and what would bring it to about 1."""
        for layer, step in zip(self.signal.training.net.layers, self.signal.forward.steps, strict=True):
            if layer.traits.is_data and not layer.bottoms and step.tops:
                size = step.tops[0].mean_abs
                if size >= LARGE_INPUT and layer.tops[0].consumers:
                    yield layer, of_bytes if size < 256 else 1 / size

    def chance_with_inputs(self, layer: Layer, factor: float) -> float | None:
        """The chance to explode, were a data layer's first top so many times as large; None if that is still risky."""
        found = risk(self.signal, Trial(inputs={layer: factor}))
        return found if found < RISKY else None

    @cached_property
    def clip_bound(self) -> float:
        """A `clip_gradients` that does not bite as long as it goes well, with larger data where these are not known.

        For solvers that scale gradients away, the data that it was judged by will do.
        """
        larger = None if self.signal.update_rule.adaptive else self._assumed
        return max(healthy_bound(signal) for signal in (self.signal, larger) if signal is not None)

    @cached_property
    def _other(self) -> Signal | None:
        """The signal with data of the other size, those that were assumed or those of size 1; None where they are known."""
        if not self.training.context.assumed:
            return None
        return self._assumed or signal_of(self.training.with_small_data())

    @cached_property
    def _assumed(self) -> Signal | None:
        """The signal with the data that were assumed, where it was judged by gentler ones."""
        return signal_of(self.training) if self.signal.training is not self.training else None


def _surely_stalls(signal: Signal, verdict: Verdict) -> bool:
    """Whether a training is sure to stall: by its chance, or because next to nothing could be taken off its loss.

    The chance alone would not do: of a loss that is easy to take off much it is lower, even at a rate of next to 0.
    """
    nothing = signal.features["learning"] <= LEAST_LEARNING and verdict.p_explodes < RISKY
    return nothing or verdict.p_stalls >= Stability.STALLS


def computed_of(job: Job) -> Stability | None:
    """What is computed of a job, anew; None where its files do not tell enough."""
    training = training_of(job)
    if training is None or not is_told(training.solver) or not is_computable(training.net):
        return None
    return Stability(training)


def is_told(solver: Message) -> bool:
    """Whether the solver says how it trains, from first weights that its fillers make."""
    return (
        solver["type"] in SOLVERS
        and learning_rate(solver, 0) is not None
        and 0 <= solver["momentum"] < 1
        and solver["base_lr"] > 0
        and not solver.get("weights")
        and not solver.get("larc", False)
    )


def is_computable(net: Net) -> bool:
    """Whether all is known of a net that its signal goes through."""
    if unmodelled_layers(net):
        return False
    return all(param.count is not None for layer in net.layers if layer.runs_backward for param in layer.params)
