"""Activations that vanish because initial weights are too small."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ...fixes.edit import Fix
from ...moments.graph import Param
from ...net.job import Job, NetInPhase
from ...net.rounding import two_digits
from ...rule.finding import Hit, Related
from ...rule.registry import rule
from ...stability.advice.patches import filler_patch
from ...stability.computed import stability_of
from ...stability.verdict.verdict import outlook

if TYPE_CHECKING:
    from ...stability.advice.stability import Stability

_SHOWN = 5  # how many other layers are named


@rule("G106", "vanishing-activations", subject="job", severity="warning", fixes="safe, unsafe")
def vanishing_activations(job: Job) -> Iterator[Hit]:
    """Flags initial weights so small that activations vanish.

    ## What it does

    Flags layers whose output has a root mean square below 0.01 because their initial weights are less than a fifth of what
    would preserve the scale, if no later layer amplifies it again. Weights that are exactly 0 are reported by N205.

    ## Why is this bad?

    The gradient of a layer is proportional to its inputs and to the weights of the layers after it. If both are close to zero,
    no layer learns, and the loss stays at the value of guessing (2.3026 for ten classes). Of 360 trainings with the real
    Caffe, 72 have such a layer: 54 of them stalled, 13 diverged and 5 learned. They diverge because the usual remedy is a
    larger learning rate, which is far too large once the weights have grown.

    ## When it is reported

    For trainings that can be judged (`caffe-lint signal`) and are judged likely to stall or to diverge. Trainings that load
    weights, as the solver, a script of the repository or an option says, are not judged. If yours does so in another way, pass
    `--weights FILE`.

    ## Fix

    Writes `msra` for layers before a ReLU and `xavier` elsewhere; the learning rate is judged with the new weights. The fix is
    unsafe: the fillers were chosen by somebody, and of 13 such trainings that diverged, 5 learned with another rate or a
    clip threshold alone. With `--simulate`, it is safe if simulated trainings that diverge learn with it and with no smaller
    change.

    ## References

    filler.hpp. He et al.: Delving deep into rectifiers, 2015. Glorot and Bengio: Understanding the difficulty of training deep
    feedforward neural networks, 2010.
    """
    computed = stability_of(job)
    if computed is None or job.train is None:
        return
    diverges = computed.risky
    if diverges:
        fillers = computed.repair.fillers
    elif computed.stalls:
        fillers = computed.vanishing_weights
    else:
        return
    zero = any(not computed.signal.weights[param].second_moment for param in fillers)
    if fillers and (diverges or not zero):
        fate = "diverge" if diverges else "stall"
        yield _hit(job.train, computed, list(fillers), fillers, fate)


def _hit(
    net: NetInPhase, computed: Stability, params: list[Param], fillers: Mapping[Param, str], fate: str
) -> Hit:
    first, *others = params
    before, after = computed.sizes_around(first.layer)
    size = computed.signal.weights[first].mean_abs
    probability = computed.verdict.p_diverges if fate == "diverge" else computed.verdict.p_stalls
    fix = _fix(net, params, fillers, safe=computed.fillers_were_tried)
    return Hit(
        net.file,
        first.filler.span("type") if first.filler is not None else first.layer.place(),
        f"activations of '{first.layer.name}' vanish: inputs average {before}, outputs {after}",
        f"Its weights average {two_digits(size)} in magnitude, too small to learn at any stable learning rate. Training"
        f" {outlook(probability, fate)}.{_also(others)}{computed.evidence}",
        confidence=computed.confidence_in(fate),
        severity="warning" if computed.verdict.word != "learns" and computed.basis.is_known else "advice",
        related=tuple(Related(net.file, param.layer.place(), f"also '{param.layer.name}'") for param in others[:_SHOWN]),
        fix=computed.part(fix) if fate == "diverge" else fix,
    )


def _also(others: list[Param]) -> str:
    if not others:
        return ""
    names = ", ".join(f"'{param.layer.name}'" for param in others[:_SHOWN])
    more = f" and {len(others) - _SHOWN} more" if len(others) > _SHOWN else ""
    return f" Also in {len(others)} other {'layer' if len(others) == 1 else 'layers'}: {names}{more}."


def _fix(net: NetInPhase, params: list[Param], fillers: Mapping[Param, str], *, safe: bool) -> Fix:
    kinds = " and ".join(dict.fromkeys(fillers[param] for param in params))
    where = f"'{params[0].layer.name}'" if len(params) == 1 else f"{len(params)} layers"
    return filler_patch(net, fillers).fix(net.file.path, f"initialise the weights of {where} with {kinds}", safe=safe)
