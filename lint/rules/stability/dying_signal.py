"""Signals that die on their way forward, from weights that start too small."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ...fixes.edit import Fix
from ...fixes.fields import Patch
from ...fixes.layer_edits import start_with
from ...moments.graph import Param
from ...net.job import Job, NetInPhase
from ...rule.finding import Hit, Related
from ...rule.registry import rule
from ...stability.computed import stability_of

if TYPE_CHECKING:
    from ...stability.advice.stability import Stability


@rule("G106", "signal-dies", subject="job", severity="warning", fixes="safe, unsafe")
def signal_dies(job: Job) -> Iterator[Hit]:
    """Weights start so small that next to nothing comes out of them.

    ## What it does

    Trainings whose signal can be computed, which are judged to stall or to explode, and in which a layer's top is of
    size 0.01 or less because its weights start at less than a fifth of what would keep values at their size, and no
    layer behind it makes them larger again. Weights that are exactly 0 are N205's.

    ## Why is this bad?

    The gradient of a layer is proportional to the values that it reads and to the weights that lie behind it. Where both
    are next to nothing, no layer moves, and the loss stays at that of guessing (2.3026 for ten classes). Of 360
    trainings with the real Caffe it is found in 72: 54 of them stalled, 13 exploded and 5 learned. They explode because
    the usual remedy is a larger learning rate, and once the weights have grown it is far too large.

    ## When it is reported

    The weights are loaded (`caffe train --weights`): fillers are then of no account. A solver that says so by `weights`
    is not judged.

    ## Fix

    The fix writes `msra` before rectifiers and `xavier` elsewhere. Where the training is likely to explode it is safe,
    and the rate is judged with the new weights; where it only stalls, it is unsafe.

    ## References

    filler.hpp. He et al., "Delving deep into rectifiers", 2015; Glorot and Bengio, "Understanding the difficulty of
    training deep feedforward neural networks", 2010.
    """
    computed = stability_of(job)
    if computed is None or job.train is None:
        return
    if computed.risky:
        fillers, safe = computed.repair.fillers, True
    elif computed.verdict.word == "stalls":
        fillers, safe = computed.vanishing_weights, False
    else:
        return
    zero = any(not computed.signal.weights[param].square for param in fillers)
    if fillers and (safe or not zero):
        yield _hit(job.train, computed, list(fillers), fillers, safe)


def _hit(
    net: NetInPhase, computed: Stability, params: list[Param], fillers: Mapping[Param, str], safe: bool
) -> Hit:
    first, *others = params
    below, above = computed.sizes_around(first.layer)
    size = computed.signal.weights[first].size
    more = f", and {len(others)} more layers are like it" if others else ""
    fate = "explode" if safe else "stall"
    chance = computed.verdict.p_explodes if safe else computed.verdict.p_stalls
    return Hit(
        net.file,
        first.filler.span("type") if first.filler is not None else first.layer.place(),
        f"next to nothing comes out of '{first.layer.name}': its values are {above:.2g}, below it {below:.2g}{more}",
        f"Its weights start at {size:.2g} in the mean: too small to learn at a rate that the training bears. It is"
        f" likely to {fate} ({chance:.0%}).",
        severity="warning" if computed.verdict.word != "learns" and not computed.training.data.assumed else "advice",
        related=tuple(Related(net.file, param.layer.place(), f"'{param.layer.name}' as well") for param in others[:5]),
        fix=_fix(net, params, fillers, safe),
    )


def _fix(net: NetInPhase, params: list[Param], fillers: Mapping[Param, str], safe: bool) -> Fix:
    patch = Patch()
    for param in params:
        settings = param.layer.message[param.layer.traits.settings]
        patch += start_with(net.file.tree, net.net.message, settings, fillers[param])
    kinds = " and ".join(dict.fromkeys(fillers[param] for param in params))
    where = f"'{params[0].layer.name}'" if len(params) == 1 else f"{len(params)} layers"
    return patch.fix(net.file.path, f"let the weights of {where} start with {kinds}", safe=safe)
