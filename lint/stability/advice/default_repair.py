"""Whether a repair is a default fix: what it rests on, and what was tried with the real Caffe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...moments.layer_type import MADE_UP
from ..signal.basis import BOUNDED
from ..verdict.verdict import Verdict
from .repair import Repair, repair

if TYPE_CHECKING:
    from ..signal.features import Signal
    from .trying import SimulationJudge

# The least factor for the learning rate that was tried with the real Caffe (../shared/divergence/rescues.tsv).
LEAST_FACTOR = 0.01
# The least probability of divergence of a training on images that are not known. Set by hand: the verdict was fitted to trainings
# whose data are known, and `benchmarks/corpus_verdicts.py -v` prints several published recipes with 0.7 to 0.8.
CERTAIN_ON_IMAGES = 0.9
_NOT_CERTAIN = "it is not certain that it diverges as it is"


def doubt(signals: Sequence[Signal], verdict: Verdict, found: Repair) -> str:
    """Why the repair of a training is no default fix, as a clause; empty if it is one.

    It is one if the training is said to diverge at every point of the range that `signals` cover, is judged to train with the
    repair, and the repair is the same at every point. The range may be that of 8-bit images, but of no other unknown values. Of
    adaptive solvers too few trainings are known that diverged (docs/signal.md has the table, which benchmarks/verdict.py writes).
    """
    training, rule = signals[0].training, signals[0].update_rule
    made_up = next((layer for layer in training.net.layers if layer.traits.origin == MADE_UP), None)
    if made_up is not None:
        return f"it trains on made-up data ({made_up.type} '{made_up.name}')"
    if found.fillers:
        return f"its initial weights are the cause: activations of '{next(iter(found.fillers)).layer.name}' vanish (G106)"
    if rule.adaptive:
        return f"the verdict was fitted to too few trainings that diverged with {rule.type}"
    if verdict.word != "diverges":
        return _NOT_CERTAIN
    if not found.trains:
        return "it is not certain that it learns with this change"
    if found.scale < LEAST_FACTOR:
        return f"the learning rate is more than {1 / LEAST_FACTOR:g} times too high, so something else may be the cause"
    if not training.basis.is_known:
        certain = training.basis.data == BOUNDED and verdict.p_diverges >= CERTAIN_ON_IMAGES
        if not certain or any(_numbers(repair(signal)) != _numbers(found) for signal in signals[1:]):
            return f"the data are not known ({'; '.join(training.basis.assumed)})"
    return ""


def doubt_after_trial(judge: SimulationJudge, found: Repair) -> str:
    """Why a repair that was tried by simulations is no default fix, as a clause; empty if it is one."""
    made_up = next((layer for layer in judge.signal.training.net.layers if layer.traits.origin == MADE_UP), None)
    if made_up is not None:
        return f"it trains on made-up data ({made_up.type} '{made_up.name}')"
    if not judge.first.is_confirmed:
        return _NOT_CERTAIN
    if found.trial.inputs:
        return "deploy nets, and the code that feeds them, have to scale the same way"
    if not found.fits:
        return "no change that was tried makes it learn"
    return ""


def _numbers(found: Repair) -> tuple[float | None, float, list[float]]:
    return found.clip, found.scale, list(found.weights.values())
