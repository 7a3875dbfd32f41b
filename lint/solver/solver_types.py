"""The methods of a solver, its `type`: what each reads of the settings of an update, and which Caffe has it."""

from __future__ import annotations

from ..proto.named_tuple import NamedTuple


class SolverType(NamedTuple):
    """A value of `type`, and what it reads of momentum, momentum2, rms_decay and delta.

    Source: solvers/*.cpp and sgd_solvers.hpp; `dialects` are the forks that alone have it.
    """

    reads: tuple[str, ...]
    dialects: tuple[str, ...] = ()


SOLVER_TYPES = {
    "SGD": SolverType(("momentum",)),
    "Nesterov": SolverType(("momentum",)),
    "AdaGrad": SolverType(("delta",)),
    "RMSProp": SolverType(("delta", "rms_decay")),
    "AdaDelta": SolverType(("momentum", "delta")),
    "Adam": SolverType(("momentum", "momentum2", "delta")),
    "SAG": SolverType(("momentum",), ("nvcaffe",)),
}
