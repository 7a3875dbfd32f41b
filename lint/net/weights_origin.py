"""Where the initial weights of a training come from, and on how many GPUs it runs: what is known, and from where."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple
from .zero_weights import blocking_weights, frozen_zero_weights, starts_from_scratch, weights_of

if TYPE_CHECKING:
    from ..source.files import SourceFile
    from .net import Net

FILLERS = "fillers"  # made by the fillers of the net
LOADED = "loaded"  # read from a file before training
UNKNOWN = "unknown"


class WeightsOrigin(NamedTuple):
    """Where the initial weights of a training come from: `kind`, one of the constants above.

    `evidence` is what that was taken from, as in "weights are loaded (train.sh:12)"; empty if it is only that nothing speaks
    against fillers. `is_stated` says whether somebody wrote it, in an option, the solver or a script; otherwise it was
    inferred from the net. `gpus` is the number of GPUs, each of which reads a batch of its own, with its `gpus_evidence`.
    """

    kind: str
    evidence: str = ""
    is_stated: bool = False
    gpus: int = 1
    gpus_evidence: str = ""

    @property
    def assumed(self) -> list[str]:
        """What was taken as given, for the line `assumed`."""
        return [text for text in (self.evidence, self.gpus_evidence) if text]


def origin_of(solver: SourceFile, net: Net | None) -> WeightsOrigin:
    """Return where the weights of a training come from, by its solver and its training net; None: not known."""
    return _of_solver(solver) or (_of_net(net) if net is not None else WeightsOrigin(FILLERS))


def _of_solver(solver: SourceFile) -> WeightsOrigin | None:
    """Return what `weights:` of a solver says (solver.cpp, Solver::InitTrainNet)."""
    if not any(solver.message.get("weights") or ()):
        return None
    line = solver.tree.line_of(solver.message.span("weights")[0])
    return WeightsOrigin(LOADED, f"weights are loaded ({solver.path}:{line})", is_stated=True)


def _of_net(net: Net) -> WeightsOrigin:
    """Return what the fillers of a net say: a net that none of its fillers makes able to learn must be loaded."""
    zero = [param for param in blocking_weights(net) if param.filler is None]
    frozen = [param for param in frozen_zero_weights(net) if param.filler is None]
    weights = weights_of(net, idle=True)
    if (zero or frozen) and all(param.filler is None for param in weights):
        return WeightsOrigin(LOADED, "weights are loaded (no layer has a weight_filler)")
    if frozen:
        name = frozen[0].layer.name
        return WeightsOrigin(UNKNOWN, f"initial weights unknown ('{name}' is frozen and has no weight_filler)")
    if zero and not starts_from_scratch(net, zero):
        return WeightsOrigin(UNKNOWN, f"initial weights unknown ({len(zero)} of {len(weights)} layers have no weight_filler)")
    return WeightsOrigin(FILLERS)
