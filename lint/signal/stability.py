"""What is computed of a job for its rules: the course of its training, and the change that keeps it from exploding."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import TYPE_CHECKING

from ..schedule import learning_rate
from .carriers import CARRIERS
from .features import Signal, Trial, signal_of
from .limits import healthy_bound, risk
from .reasons import Reason, pulls, reasons
from .repair import Repair, dying, repair
from .setup import Setup, setup_of
from .verdict import Verdict, judge

if TYPE_CHECKING:
    from ..graph import Layer, Net, Param
    from ..job import Job
    from ..proto.binder import Message

SOLVERS = frozenset({"SGD", "Nesterov", "AdaGrad", "RMSProp", "AdaDelta", "Adam"})


class Stability:
    """The signal of a training and its verdict."""

    RISKY = 0.25  # the chance to explode from which a training is repaired

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.signal: Signal
        self.verdict: Verdict
        self.signal, self.verdict = judge(setup)

    @property
    def risky(self) -> bool:
        """Whether it is likely enough to explode that it is repaired; with assumed data, only if it is called so."""
        return self.verdict.word == "explodes" or (not self.setup.around.assumed and self.verdict.p_explodes >= self.RISKY)

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
    def pulls(self) -> dict[str, float]:
        """The L2 norm of the gradients of each loss alone, by its layer's name, where there are several."""
        return pulls(self.signal)

    @cached_property
    def dying(self) -> dict[Param, str]:
        """Weights that start too small for anything to come out of them; see `repair.dying`."""
        return dying(self.signal)

    def sizes_around(self, layer: Layer) -> tuple[float, float]:
        """The mean absolute values of a layer's first bottom and first top."""
        step = self.signal.forward.steps[layer.index]
        return step.bottoms[0].size if step.bottoms else 0.0, step.tops[0].size

    def large_inputs(self, large: float, of_bytes: float) -> Iterator[tuple[Layer, float]]:
        """The data layers whose first top is large in the mean, and what would bring it to about 1."""
        for layer, step in zip(self.signal.setup.net.layers, self.signal.forward.steps, strict=True):
            if layer.kind is not None and layer.kind.is_data and not layer.bottoms and step.tops:
                size = step.tops[0].size
                if size >= large and layer.tops[0].consumers:
                    yield layer, of_bytes if size < 256 else 1 / size

    def chance_with_inputs(self, layer: Layer, factor: float) -> float:
        """The chance to explode, were a data layer's first top so many times as large."""
        return risk(self.signal, Trial(inputs={layer: factor}))

    @cached_property
    def bound(self) -> float:
        """A `clip_gradients` that does not bite as long as it goes well."""
        return max(healthy_bound(signal) for signal in (self.signal, self._assumed) if signal is not None)

    @cached_property
    def _assumed(self) -> Signal | None:
        """The signal with the data that were assumed, where it was judged by gentler ones."""
        return signal_of(self.setup) if self.signal.setup is not self.setup else None


def stability_of(job: Job) -> Stability | None:
    """What is computed of a job; None where its files do not tell enough."""
    setup = setup_of(job)
    if setup is None or not is_told(setup.solver) or not is_computable(setup.net):
        return None
    return Stability(setup)


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
    for layer in net.layers:
        if not layer.runs_backward:
            continue
        counts = any(layer.loss_weight(i) for i in range(len(layer.tops)))
        if layer.kind is None or ((layer.params or counts) and layer.type not in CARRIERS):
            return False
        if layer.type == "Python" or any(param.count is None for param in layer.params):
            return False
    return True
