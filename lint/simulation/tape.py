"""A net on arrays: its layers in order, forward and backward, with Caffe's memory.

A layer in place, and one whose top shares its bottom's memory, leaves its values where an earlier layer's backward pass reads
them. Gradients of a blob with several readers are added up in their order, as by Caffe's Split layers.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import MappingProxyType
from typing import TYPE_CHECKING

from ..moments.layer_type import MADE_UP
from ..moments.shapes import describe
from ..net.splits import SplitLayer, with_splits
from ..proto.named_tuple import NamedTuple
from ..stability.signal.passes import needed_layers
from .arrays import Array, Generator, np, sum_abs
from .operator import CannotSimulate, Gradients, Operator, operator_class, operator_of

if TYPE_CHECKING:
    from ..moments.graph import Blob, Layer, Param
    from ..net.net import Net

# A relative error of the gradients of losses, as rounding makes it: without it, weights that start equal would stay equal for
# ever, which Caffe's do not. About ten times the spacing of floats.
ROUNDING = 1e-6


class DebugLine(NamedTuple):
    """A line of debug_info: `role` is `top`, `bottom` or `param`, `blob` a name or the index of a parameter."""

    direction: str
    layer: str
    role: str
    blob: str
    mean_abs: float


def is_fed(layer: Layer) -> bool:
    """Whether the values of a layer's tops come from outside of the net."""
    return not layer.bottoms and (layer.traits.is_data or layer.traits.origin == MADE_UP)


def left_out(net: Net) -> set[Layer]:
    """The layers that only report something and cannot be computed. Raises CannotSimulate for one that training needs."""
    needed = set(needed_layers(net))
    found: set[Layer] = set()
    unknown: set[Blob] = set()
    for layer in net.layers:
        try:
            known = is_fed(layer) or operator_class(layer) is not None
        except CannotSimulate:
            if layer in needed or layer.in_place:
                raise
            known = False
        if not known or not unknown.isdisjoint(layer.bottoms):
            found.add(layer)
            unknown.update(layer.tops)
    return found


class Tape:
    """A net that can be run forward and backward.

    `layers` are all but those that are left out. `weights` has the values of each parameter that is not shared with an earlier
    one, `gradients` the sums of their gradients since `clear`. Both are changed in place. `gains`, `losses` and `matrices` are those
    of a net that is cut (see `cutting.Cut`). `rounding` is the relative error of the gradients of losses.
    """

    def __init__(
        self,
        net: Net,
        weights: Mapping[Param, Array],
        draw: Generator,
        *,
        gains: Mapping[Param, float] = MappingProxyType({}),
        losses: Mapping[int, float] = MappingProxyType({}),
        matrices: Mapping[int, Array] = MappingProxyType({}),
        rounding: float = ROUNDING,
    ) -> None:
        self.net = net
        self.weights = weights
        self.gains = {param: np.float32(gain) for param, gain in gains.items()}
        self.gradients = {param: np.zeros_like(values) for param, values in weights.items()}
        self.losses = losses
        self.draw = draw
        self.rounding = rounding
        self.forced = bool(net.message["force_backward"])
        self.operators: dict[Layer, Operator] = {}
        skipped = left_out(net)
        self.layers = [layer for layer in net.layers if layer not in skipped]
        for layer in self.layers:
            if not is_fed(layer):
                self.operators[layer] = operator = operator_of(layer, draw)
                operator.learns = [self.forced or _learns(param) for param in layer.params]
                operator.infogain = matrices.get(layer.index)
        self.rows, _ = with_splits(self.layers)
        self._memory: dict[Blob, Array] = {}
        self._shapes: dict[Blob, tuple[int, ...]] = {}
        self._cells: dict[Blob, Blob] = {}
        self.forward_lines: list[DebugLine] = []
        self.backward_lines: list[DebugLine] = []

    def clear(self) -> None:
        """Set all gradients to 0."""
        for gradient in self.gradients.values():
            gradient.fill(0)

    def params_of(self, layer: Layer) -> list[Array]:
        """The values of a layer's parameters, in its own shapes."""
        found = [self.weights[param.owner].reshape(_known(param)) for param in layer.params]
        if self.gains and layer.params and layer.params[0].owner in self.gains:
            found[0] = found[0] * self.gains[layer.params[0].owner]
        return found

    def loss_weight(self, layer: Layer, top_index: int) -> float:
        """The weight of a top in the loss, 0 for none."""
        return layer.loss_weight(top_index) * self.losses.get(layer.index, 1.0)

    def value(self, blob: Blob) -> Array:
        """What is now in the memory of a blob."""
        return self._memory[self._cells[blob]].reshape(self._shapes[blob])

    def _write(self, layer: Layer, tops: Sequence[Array]) -> None:
        shares = layer.traits.is_alias(layer)
        for blob, values in zip(layer.tops, tops, strict=True):
            cell = self._cells[blob.below] if blob.below is not None else self._cells[layer.bottoms[0]] if shares else blob
            self._cells[blob] = cell
            self._shapes[blob] = values.shape
            self._memory[cell] = values

    # -- forward ---------------------------------------------------------------------------------------------

    def forward(self, fed: Mapping[Blob, Array], *, watch: bool = False) -> float:
        """The loss. With `watch`, `forward_lines` then has what debug_info prints. Raises CannotSimulate."""
        loss = np.float32(0)
        self.forward_lines = []
        sizes: dict[str, float] = {}
        for row in self.rows:
            layer = row.layer
            if layer is None:
                if watch:
                    size = sizes[row.bottoms[0]]
                    sizes.update(dict.fromkeys(row.tops, size))
                    self.forward_lines += [DebugLine("Forward", row.name, "top", top, size) for top in row.tops]
                continue
            with self._computing(layer):
                self._write(layer, self._tops(layer, fed))
            for i, blob in enumerate(layer.tops):
                weight = self.loss_weight(layer, i)
                if weight:
                    loss += np.float32(weight) * self.value(blob).sum(dtype=np.float32)
            if watch:
                self._watch_forward(row, layer, sizes)
        return float(loss)

    @contextmanager
    def _computing(self, layer: Layer) -> Iterator[None]:
        """Raises CannotSimulate, with the shapes, where numpy cannot do with these what the layer computes."""
        try:
            yield
        except (ArithmeticError, LookupError, TypeError, ValueError):
            reads, outputs = map(_with_shapes, (layer.bottoms, layer.tops))
            text = f"{layer.type} '{layer.name}' cannot be computed with its shapes: it reads {reads} and outputs {outputs}"
            raise CannotSimulate(text) from None

    def _tops(self, layer: Layer, fed: Mapping[Blob, Array]) -> Sequence[Array]:
        operator = self.operators.get(layer)
        if operator is None:
            return [fed[blob] for blob in layer.tops]
        return operator.forward([self.value(blob) for blob in layer.bottoms], self.params_of(layer))

    def _watch_forward(self, row: SplitLayer, layer: Layer, sizes: dict[str, float]) -> None:
        for blob, name in zip(layer.tops, row.tops, strict=True):
            sizes[name] = size = mean_abs(self.value(blob))
            self.forward_lines.append(DebugLine("Forward", layer.name, "top", name, size))
        for param in layer.params:
            size = mean_abs(self.weights[param.owner])
            self.forward_lines.append(DebugLine("Forward", layer.name, "param", param.name or str(param.index), size))

    # -- backward --------------------------------------------------------------------------------------------

    def backward(self, *, watch: bool = False) -> None:
        """Add the gradients of the last forward pass to `gradients`, and with `watch` fill `backward_lines`."""
        self.backward_lines = []
        diffs: dict[Blob, list[Array]] = {}
        for row in reversed(self.rows):
            layer = row.layer
            if layer is None or not layer.runs_backward:
                continue
            tops = [self._diff(blob, self.loss_weight(layer, i), diffs) for i, blob in enumerate(layer.tops)]
            if watch:
                self._watch_splits(layer, tops, diffs)
            operator = self.operators.get(layer)
            if operator is None:  # of data, with force_backward
                continue
            with self._computing(layer):
                found = self._gradients(layer, operator, tops, diffs)
            if watch:
                self._watch_backward(row, layer, found)

    def _gradients(
        self, layer: Layer, operator: Operator, tops: Sequence[Array], diffs: dict[Blob, list[Array]]
    ) -> Gradients:
        """The gradients of a layer's bottoms, which are added to `diffs`, as those of its parameters are to `gradients`."""
        found, of_params = operator.backward(
            tops,
            [self.value(blob) for blob in layer.tops],
            [self.value(blob) for blob in layer.bottoms],
            self.params_of(layer),
            layer.gradient_bottoms,
        )
        for blob, wanted, gradient in zip(layer.bottoms, layer.gradient_bottoms, found, strict=True):
            if wanted:
                gradient = np.zeros(self._shapes[blob], np.float32) if gradient is None else gradient
                if self.rounding and layer.traits.is_loss:
                    noise = self.draw.standard_normal(gradient.shape, np.float32) * np.float32(self.rounding)
                    gradient = gradient + gradient * noise
                diffs.setdefault(blob, []).insert(0, gradient)
        for param, gradient in zip(layer.params, of_params, strict=True):
            if gradient is not None and (self.forced or _learns(param)):
                total = self.gradients[param.owner]
                gain = self.gains.get(param.owner)
                total += gradient.reshape(total.shape) * gain if gain is not None else gradient.reshape(total.shape)
        return found

    def _diff(self, blob: Blob, weight: float, diffs: Mapping[Blob, list[Array]]) -> Array:
        """The gradient of a top: from its readers, and its own weight in the loss."""
        parts = diffs.get(blob, ())
        if weight:
            parts = [np.full(self._shapes[blob], weight, self.value(blob).dtype), *parts]
        if not parts:
            return np.zeros(self._shapes[blob], self.value(blob).dtype)
        total = parts[0].reshape(self._shapes[blob])
        for part in parts[1:]:
            total = total + part.reshape(self._shapes[blob])
        return total

    def _watch_splits(self, layer: Layer, tops: Sequence[Array], diffs: Mapping[Blob, list[Array]]) -> None:
        for row in self._splits_of(layer):
            blob = next(top for top in layer.tops if top.name == row.bottoms[0])
            if blob in diffs:
                size = mean_abs(tops[layer.tops.index(blob)])
                self.backward_lines.append(DebugLine("Backward", row.name, "bottom", blob.name, size))

    def _splits_of(self, layer: Layer) -> Iterator[SplitLayer]:
        """The Split layers of a layer's tops, the last first: they follow it in the order of the net."""
        place = next(i for i, row in enumerate(self.rows) if row.layer is layer)
        following = []
        for row in self.rows[place + 1 :]:
            if row.layer is not None:
                break
            following.append(row)
        return reversed(following)

    def _watch_backward(self, row: SplitLayer, layer: Layer, found: Sequence[Array | None]) -> None:
        for name, wanted, gradient in zip(row.bottoms, layer.gradient_bottoms, found, strict=True):
            if wanted:
                size = mean_abs(gradient) if gradient is not None else 0.0
                self.backward_lines.append(DebugLine("Backward", layer.name, "bottom", name, size))
        for param in layer.params:
            if self.forced or (param.spec["lr_mult"] if param.spec is not None else 1.0) != 0:
                size = mean_abs(self.gradients[param.owner])
                self.backward_lines.append(DebugLine("Backward", layer.name, "param", str(param.index), size))


def mean_abs(values: Array) -> float:
    """The mean absolute value, as debug_info prints it."""
    return float(sum_abs(values) / np.float32(values.size)) if values.size else 0.0


def _learns(param: Param) -> bool:
    """Whether Caffe computes a parameter's gradient."""
    return param.lr_mult != 0


def _with_shapes(blobs: Sequence[Blob]) -> str:
    return " and ".join(f"'{blob.name}' ({describe(blob.shape)})" for blob in blobs) or "nothing"


def _known(param: Param) -> tuple[int, ...]:
    shape = param.shape
    if shape is None or None in shape:
        raise CannotSimulate(f"the shape of a parameter of '{param.layer.name}' is unknown")
    return tuple(size or 0 for size in shape)
