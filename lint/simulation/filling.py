"""What fillers make: the values of parameters before a training, and DummyData. Source: filler.hpp."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..moments.shapes import describe
from ..moments.weights import bilinear_row, fan_of
from .arrays import Array, Generator, np
from .operator import CannotSimulate

if TYPE_CHECKING:
    from ..moments.graph import Param
    from ..net.net import Net
    from ..proto.binder import Message


def initial_weights(
    net: Net,
    draw: Generator,
    whole: Mapping[Param, tuple[int, ...]] = MappingProxyType({}),
    loaded: Mapping[Param, Array] = MappingProxyType({}),
) -> dict[Param, Array]:
    """The values of each parameter of a net that is not shared with an earlier one. Raises CannotSimulate.

    `whole` has the shapes of parameters before cuts, by which fillers compute how large they are; `loaded` the values of those
    that are read from a file.
    """
    found: dict[Param, Array] = {}
    for param in net.params():
        if param.owner is not param:
            continue
        if param.count is None or param.shape is None:
            raise CannotSimulate(f"the shape of a parameter of '{param.layer.name}' is unknown")
        shape = tuple(size or 0 for size in param.shape)
        if param in loaded:
            found[param] = loaded[param].reshape(shape)
        elif param.filler is None:
            found[param] = np.full(shape, param.constant, np.float32)
        else:
            found[param] = filled(param.filler, shape, draw, whole.get(param, shape))
    return found


def filled(filler: Message, shape: tuple[int, ...], draw: Generator, whole: tuple[int, ...] = ()) -> Array:
    """An array as a filler makes it, by the shape before cuts. Raises CannotSimulate for one that cannot make it."""
    try:
        return _values(filler, shape, draw, whole or shape)
    except (ArithmeticError, LookupError, ValueError):
        raise CannotSimulate(f"the filler '{filler['type']}' cannot make values of shape {describe(shape)}") from None


def _values(filler: Message, shape: tuple[int, ...], draw: Generator, whole: tuple[int, ...]) -> Array:
    kind = filler["type"]
    if kind == "constant":
        return np.full(shape, filler["value"], np.float32)
    if kind == "uniform":
        return _uniform(filler["min"], filler["max"], shape, draw)
    if kind == "gaussian":
        found = draw.standard_normal(shape, np.float32) * np.float32(filler["std"]) + np.float32(filler["mean"])
        if filler["sparse"] >= 0:  # so many of the inputs of an output are not 0
            found *= draw.random(shape, np.float32) < filler["sparse"] / whole[0]
        return found
    if kind == "positive_unitball":
        found = draw.random(shape, np.float32)
        rows = found.reshape(shape[0], -1)
        rows /= rows.sum(1, keepdims=True) * np.float32(fan_of(whole) / max(1, rows.shape[1]))
        return found
    if kind in ("xavier", "msra"):
        number = fan_of(whole, filler["variance_norm"])
        if kind == "msra":
            return draw.standard_normal(shape, np.float32) * np.float32(math.sqrt(2 / number))
        bound = math.sqrt(3 / number)
        return _uniform(-bound, bound, shape, draw)
    if kind == "bilinear":
        row = bilinear_row(shape[-1])
        return np.broadcast_to(np.outer(row, row), shape).astype(np.float32)
    raise CannotSimulate(f"the filler '{kind}' cannot be simulated")


def _uniform(low: float, high: float, shape: tuple[int, ...], draw: Generator) -> Array:
    return draw.random(shape, np.float32) * np.float32(high - low) + np.float32(low)
