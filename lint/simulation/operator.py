"""An operator: what a layer computes, forward and backward. Its class is loaded by the name in the record of the layer's type."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from ..moments.layer_type import (
    IN_PLACE_CRASH,
    IN_PLACE_FATAL,
    IN_PLACE_RIGHT,
    IN_PLACE_WRONG_GRADIENT,
    IN_PLACE_WRONG_VALUES,
)
from .arrays import Array, Generator

if TYPE_CHECKING:
    from ..moments.graph import Layer

_WRONG = (IN_PLACE_WRONG_VALUES, IN_PLACE_CRASH, IN_PLACE_FATAL)

Gradients = Sequence["Array | None"]  # None: no gradient, which is that of 0


class CannotSimulate(Exception):
    """A layer cannot be simulated; the message is a clause that says why."""


class Operator:
    """What a layer computes on arrays, with the numbers of axes and the rounding of BVLC's CPU code.

    There is one for each layer of a simulated net, and it keeps between its passes what Caffe's layer keeps. Sizes are those of
    the arrays, not of the net, which may be simulated with fewer items than its batch has. `draw` is the source of randomness.
    `learns` says for each parameter whether its gradient is wanted. `infogain` is an infogain matrix that was read from a file. One
    that `knows_in_place` computes what Caffe computes where it is wrong in place.
    """

    knows_in_place = False

    def __init__(self, layer: Layer, draw: Generator) -> None:
        self.layer = layer
        self.draw = draw
        self.learns = [True] * len(layer.params)
        self.infogain: Array | None = None

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        """The tops, from the bottoms and the parameters."""
        raise NotImplementedError

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        """The gradients of the bottoms that are `wanted` and of the parameters, from those of the tops.

        `tops` and `bottoms` are what is in their memory now, which layers in place may have overwritten.
        """
        raise CannotSimulate(f"{self.layer.type} has no backward pass")


class Unary(Operator):
    """A layer with one bottom, one top and no parameters."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        return [self.value(bottoms[0])]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        return [self.gradient(diffs[0], tops[0], bottoms[0])], ()

    def value(self, x: Array) -> Array:
        """The top."""
        raise NotImplementedError

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        """The gradient of the bottom."""
        raise CannotSimulate(f"{self.layer.type} has no backward pass")


def operator_class(layer: Layer) -> type[Operator]:
    """The class of a layer's operator. Raises CannotSimulate."""
    name = layer.traits.simulate
    if not name:
        raise CannotSimulate(f"{layer.type} '{layer.name}' cannot be simulated")
    module, _, class_name = name.partition(".")
    found: type[Operator] = getattr(import_module(f".operators.{module}", __package__), class_name)
    effect = layer.traits.in_place_effect(layer) if layer.in_place else IN_PLACE_RIGHT
    if effect in _WRONG or (effect == IN_PLACE_WRONG_GRADIENT and not found.knows_in_place):
        raise CannotSimulate(f"{layer.type} '{layer.name}' works in place, where Caffe computes something else")
    return found


def operator_of(layer: Layer, draw: Generator) -> Operator:
    """The operator of a layer. Raises CannotSimulate."""
    return operator_class(layer)(layer, draw)
