"""Signals that die on their way forward, from weights that start too small."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ...fixes.edit import Fix
from ...fixes.fields import Patch
from ...fixes.layer_edits import set_weight_filler
from ...moments.graph import Param
from ...net.job import Job, NetInPhase
from ...rule.finding import Hit, Related
from ...rule.registry import rule
from ...stability.computed import stability_of
from ...stability.verdict.verdict import confidence_in, outlook

if TYPE_CHECKING:
    from ...stability.advice.stability import Stability


@rule("G106", "vanishing-activations", subject="job", severity="warning", fixes="safe, unsafe")
def vanishing_activations(job: Job) -> Iterator[Hit]:
    """Flags initial weights so small that activations vanish.

    ## What it does

    Flags layers whose output has a mean absolute value of 0.01 or less because their initial weights are less than a fifth of
    what would preserve the scale, if no later layer amplifies it again. Weights that are exactly 0 are reported by N205.

    ## Why is this bad?

    The gradient of a layer is proportional to its inputs and to the weights of the layers after it. If both are close to zero,
    no layer learns, and the loss stays at the value of guessing (2.3026 for ten classes). Of 360 trainings with the real
    Caffe, 72 have such a layer: 54 of them stalled, 13 diverged and 5 learned. They diverge because the usual remedy is a
    larger learning rate, which is far too large once the weights have grown.

    ## When it is reported

    For trainings that can be judged (`caffe-lint signal`) and are judged likely to stall or to diverge. Solvers that load
    `weights` are not judged. Ignore it if the weights are loaded on the command line (`caffe train --weights`), since fillers
    then have no effect.

    ## Fix

    Writes `msra` for layers before a ReLU and `xavier` elsewhere. If the training is likely to diverge, the fix is safe, and
    the learning rate is judged with the new weights. If it is only likely to stall, the fix is unsafe.

    ## References

    filler.hpp. He et al.: Delving deep into rectifiers, 2015. Glorot and Bengio: Understanding the difficulty of training deep
    feedforward neural networks, 2010.
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
    zero = any(not computed.signal.weights[param].second_moment for param in fillers)
    if fillers and (safe or not zero):
        yield _hit(job.train, computed, list(fillers), fillers, safe)


def _hit(
    net: NetInPhase, computed: Stability, params: list[Param], fillers: Mapping[Param, str], safe: bool
) -> Hit:
    first, *others = params
    below, above = computed.sizes_around(first.layer)
    size = computed.signal.weights[first].mean_abs
    more = f", and {len(others)} more layers are like it" if others else ""
    fate = "diverge" if safe else "stall"
    chance = computed.verdict.p_explodes if safe else computed.verdict.p_stalls
    return Hit(
        net.file,
        first.filler.span("type") if first.filler is not None else first.layer.place(),
        f"next to nothing comes out of '{first.layer.name}': its values are {above:.2g}, below it {below:.2g}{more}",
        f"Its weights start at {size:.2g} in the mean: too small to learn at a rate that the training bears. It"
        f" {outlook(chance, fate)}.",
        confidence=confidence_in(chance, computed.signal),
        severity="warning" if computed.verdict.word != "learns" and not computed.training.context.assumed else "advice",
        related=tuple(Related(net.file, param.layer.place(), f"'{param.layer.name}' as well") for param in others[:5]),
        fix=_fix(net, params, fillers, safe),
    )


def _fix(net: NetInPhase, params: list[Param], fillers: Mapping[Param, str], safe: bool) -> Fix:
    patch = Patch()
    for param in params:
        settings = param.layer.message[param.layer.traits.settings]
        patch += set_weight_filler(net.file.tree, net.net.message, settings, fillers[param])
    kinds = " and ".join(dict.fromkeys(fillers[param] for param in params))
    where = f"'{params[0].layer.name}'" if len(params) == 1 else f"{len(params)} layers"
    return patch.fix(net.file.path, f"let the weights of {where} start with {kinds}", safe=safe)
