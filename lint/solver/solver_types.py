"""Solver types: the update parameters that each one reads, and the forks that have it."""

from __future__ import annotations

from ..proto.named_tuple import NamedTuple


class SolverType(NamedTuple):
    """A value of `type`: which of momentum, momentum2, rms_decay and delta it reads; `dialects` if only forks have it.

    Source: solvers/*.cpp and sgd_solvers.hpp.
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
# Fields with which forks set the rate of each layer from the norms of its weights and gradients, and what that is called.
LAYER_WISE_RATES = {"larc": "LARC", "local_lr_auto": "LARS"}
# Forks that compare names without case, with the types that they have besides BVLC's.
_IN_ANY_CASE = {"mycaffe": frozenset({"adamw", "lbgfs"})}


def has_in_any_case(dialect: str, name: str) -> bool:
    """Return whether a dialect that compares names without case has a solver type."""
    more = _IN_ANY_CASE.get(dialect)
    return more is not None and name.lower() in more.union(known.lower() for known in SOLVER_TYPES)
