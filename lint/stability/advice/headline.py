"""The predicted course of a training in a few words: what becomes of it, how sure that is, and what is to blame."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...proto.named_tuple import NamedTuple
from ...solver.schedule import largest_rate
from ..verdict.verdict import RISKY, outlook

if TYPE_CHECKING:
    from ...net.job import Job
    from .stability import Stability


class Headline(NamedTuple):
    """`fate` as in "likely to diverge"; `confidence` and `cause` are empty if it is not said to diverge or stall."""

    fate: str
    confidence: str = ""
    cause: str = ""


def headline(job: Job, computed: Stability) -> Headline:
    """The course of a job's training, which can be told."""
    if computed.risky:
        sure = computed.confidence_in("diverge")
        return Headline(outlook(computed.verdict.p_diverges).removeprefix("is "), sure, _cause(job, computed))
    if computed.will_stall:
        sure = computed.confidence_in("stall")
        because = computed.reasons_to_stall
        return Headline("likely to stall", sure, because[0].sentence if because else "its loss stays at the initial value")
    if computed.is_surely_calm:
        return Headline("unlikely to diverge or stall")
    if computed.verdict.p_diverges >= RISKY:
        return Headline("")  # that is so only for some of the data that are possible
    return Headline("unlikely to diverge" if computed.verdict.p_stalls >= RISKY else "unlikely to diverge or stall")


def _cause(job: Job, computed: Stability) -> str:
    """What the repair changes first, and what makes that setting too much."""
    repair, solver = computed.repair, job.solver.message
    rate = largest_rate(solver)
    if repair.fillers:
        what = f"activations of '{next(iter(repair.fillers)).layer.name}' vanish"
    elif repair.weights:
        layer = next(iter(repair.weights))
        weight = next(loss.weight for loss in computed.training.net.losses if loss.layer.index == layer.index)
        what = f"loss_weight {weight:g} of '{layer.name}'"
    elif repair.scale < 1 and rate is not None:
        is_first = rate.field == "base_lr" and not rate.iteration
        what = f"base_lr {rate.value:g}" if is_first else f"a learning rate of {rate.value:g} in iteration {rate.iteration}"
    elif repair.clip is not None:
        clip = solver["clip_gradients"]
        what = f"clip_gradients {clip:g}" if clip > 0 else "unclipped gradients"
    else:
        return computed.reasons[0].sentence if computed.reasons else "the simulated loss grows"
    circumstances = []
    for reason in computed.reasons:
        if reason.factor == "input range":
            layer = next(layer for layer in computed.training.net.layers if layer.name == reason.layer)
            circumstances.append("unscaled pixels" if layer.traits.images else f"unscaled inputs '{layer.tops[0].name}'")
        elif reason.factor == "unnormalised loss" and not repair.weights:
            circumstances.append(f"unnormalised loss '{reason.layer}'")
    return f"{what} with {' and '.join(dict.fromkeys(circumstances))}" if circumstances else what
