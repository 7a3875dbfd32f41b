"""How a solver changes the weights. Source: sgd_solver.cpp and the files of the other solvers, whose order of steps this is:
clip the raw sum of the gradients, divide by iter_size, add the decay, then the rule of the solver's type.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from .arrays import Array, np
from .operator import CannotSimulate

if TYPE_CHECKING:
    from ..moments.graph import Param
    from ..proto.binder import Message


def norm_of(arrays: Mapping[Param, Array]) -> float:
    """The L2 norm of all values, whose squares are summed as floats: it is infinite from 1.8e19 on."""
    total = np.float32(0)
    for values in arrays.values():
        flat = values.reshape(-1)
        total += np.dot(flat, flat)
    return float(np.sqrt(total))


class Updater:
    """The state of a solver for the weights of a net; `gains` are those of its `Cut`."""

    def __init__(
        self, solver: Message, weights: Mapping[Param, Array], gains: Mapping[Param, float] = MappingProxyType({})
    ) -> None:
        self.kind: str = solver["type"]
        self.momentum, self.momentum2 = np.float32(solver["momentum"]), np.float32(solver["momentum2"])
        self.decay, self.is_l1 = solver["weight_decay"], solver["regularization_type"] == "L1"
        self.rms_decay, self.delta = np.float32(solver["rms_decay"]), np.float32(solver["delta"])
        self.clip: float = solver["clip_gradients"]
        self.iter_size: int = solver["iter_size"]
        if self.kind not in _RULES:
            raise CannotSimulate(f"solver type {self.kind} cannot be simulated")
        self.gains = {} if self.kind in _GROWING else gains
        self.first = {param: np.zeros_like(values) for param, values in weights.items()}
        self.second = (
            {param: np.zeros_like(values) for param, values in weights.items()} if self.kind in ("Adam", "AdaDelta") else {}
        )

    def clipped(self, gradients: Mapping[Param, Array]) -> tuple[float, float] | None:
        """Clip the gradients in place; their norm and the factor, None if nothing was clipped."""
        if self.clip < 0:
            return None
        norm = norm_of(gradients)
        if not norm > self.clip:
            return None
        factor = np.float32(self.clip) / np.float32(norm)
        for gradient in gradients.values():
            gradient *= factor
        return norm, float(factor)

    def update(self, weights: Mapping[Param, Array], gradients: Mapping[Param, Array], rate: float, iteration: int) -> None:
        """Change the weights in place, by gradients that `clipped` has seen."""
        for param, values in weights.items():
            gradient = gradients[param]
            if self.iter_size != 1:
                gradient *= np.float32(1.0 / self.iter_size) if self.iter_size else np.float32(math.inf)
            decay = self.decay * param.decay_mult
            if decay:
                gradient += np.float32(decay) * (np.sign(values) if self.is_l1 else values)
            own_rate = np.float32(rate * param.lr_mult * self.gains.get(param, 1.0))
            values -= _RULES[self.kind](self, param, gradient, own_rate, iteration)

    def sgd(self, param: Param, gradient: Array, rate: float, iteration: int) -> Array:
        """Momentum, with the rate inside its history."""
        history = self.first[param]
        history *= self.momentum
        history += rate * gradient
        return history

    def nesterov(self, param: Param, gradient: Array, rate: float, iteration: int) -> Array:
        """Momentum that looks ahead."""
        history = self.first[param]
        before = history.copy()
        history *= self.momentum
        history += rate * gradient
        return (1 + self.momentum) * history - self.momentum * before

    def ada_grad(self, param: Param, gradient: Array, rate: float, iteration: int) -> Array:
        """Steps over the root of all squares."""
        history = self.first[param]
        history += gradient * gradient
        return rate * gradient / (np.sqrt(history) + self.delta)

    def rms_prop(self, param: Param, gradient: Array, rate: float, iteration: int) -> Array:
        """Steps over the root of recent squares."""
        history = self.first[param]
        history *= self.rms_decay
        history += (1 - self.rms_decay) * gradient * gradient
        return rate * gradient / (np.sqrt(history) + self.delta)

    def ada_delta(self, param: Param, gradient: Array, rate: float, iteration: int) -> Array:
        """Steps in units of recent steps."""
        squares, steps = self.first[param], self.second[param]
        squares *= self.momentum
        squares += (1 - self.momentum) * gradient * gradient
        step = gradient * np.sqrt((self.delta + steps) / (self.delta + squares))
        steps *= self.momentum
        steps += (1 - self.momentum) * step * step
        return rate * step

    def adam(self, param: Param, gradient: Array, rate: float, iteration: int) -> Array:
        """Both moments, with their correction."""
        mean, square = self.first[param], self.second[param]
        mean *= self.momentum
        mean += (1 - self.momentum) * gradient
        square *= self.momentum2
        square += (1 - self.momentum2) * gradient * gradient
        one = np.float32(1)
        correction = np.sqrt(one - self.momentum2 ** np.float32(iteration + 1)) / (one - self.momentum ** np.float32(iteration + 1))
        return (rate * correction) * mean / (np.sqrt(square) + self.delta)


_GROWING = ("SGD", "Nesterov")  # their steps are as large as the gradients
_RULES = {
    "SGD": Updater.sgd,
    "Nesterov": Updater.nesterov,
    "AdaGrad": Updater.ada_grad,
    "RMSProp": Updater.rms_prop,
    "AdaDelta": Updater.ada_delta,
    "Adam": Updater.adam,
}
