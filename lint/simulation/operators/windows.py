"""Layers that reduce or compare the values in a window: Pooling, SPP, LRN."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ..arrays import Array, Generator, np
from ..operator import CannotSimulate, Gradients, Operator, Unary

if TYPE_CHECKING:
    from ...moments.graph import Layer
    from ...proto.binder import Message

_LEAST = np.float32(-3.4028235e38)  # -FLT_MAX, where MAX pooling starts; a value must be larger, so NaN is dropped
Pair = tuple[int, int]


class Pool:
    """MAX or AVE pooling of two spatial axes with one window (pooling_layer.cpp)."""

    def __init__(self, largest: bool, kernel: Pair, stride: Pair, pad: Pair, round_down: bool = False) -> None:
        self.largest = largest
        self.kernel, self.stride, self.pad, self.round_down = kernel, stride, pad, round_down
        self.chosen: Array | None = None  # MAX: the offset in the window, -1 for none

    def places(self, sides: Sequence[int]) -> Pair:
        """The numbers of positions along both axes."""
        found = []
        for side, kernel, stride, pad in zip(sides, self.kernel, self.stride, self.pad, strict=True):
            room = side + 2 * pad - kernel
            number = (room // stride if self.round_down else -(-room // stride)) + 1
            if self.pad != (0, 0) and (number - 1) * stride >= side + pad:
                number -= 1
            found.append(number)
        return found[0], found[1]

    def padded(self, x: Array, value: float) -> Array:
        """x with what lies around it in some window."""
        widths = []
        for side, kernel, stride, pad, number in zip(
            x.shape[2:], self.kernel, self.stride, self.pad, self.places(x.shape[2:]), strict=True
        ):
            widths.append((pad, max(0, (number - 1) * stride + kernel - side - pad)))
        return x if widths == [(0, 0), (0, 0)] else np.pad(x, ((0, 0), (0, 0), *widths), constant_values=value)

    def slices(self, places: Pair) -> Iterator[tuple[int, slice, slice]]:
        """Each offset in the window, and where it lies at all positions."""
        for number, (i, j) in enumerate(itertools.product(*map(range, self.kernel))):
            yield (
                number,
                slice(i, i + self.stride[0] * (places[0] - 1) + 1, self.stride[0]),
                slice(j, j + self.stride[1] * (places[1] - 1) + 1, self.stride[1]),
            )

    def areas(self, sides: Sequence[int], places: Pair) -> Array:
        """The number by which AVE divides at each position: the window, cut off at the end of the padding."""
        lengths = []
        for side, kernel, stride, pad, number in zip(sides, self.kernel, self.stride, self.pad, places, strict=True):
            start = np.arange(number) * stride - pad
            lengths.append(np.minimum(start + kernel, side + pad) - start)
        return np.outer(lengths[0], lengths[1])

    def forward(self, x: Array) -> Array:
        """The pooled values."""
        places = self.places(x.shape[2:])
        if not self.largest:
            return self.summed(self.padded(x, 0.0), places) / self.areas(x.shape[2:], places).astype(x.dtype)
        source = self.padded(x, -math.inf)
        best = np.full((*x.shape[:2], *places), _LEAST, x.dtype)
        chosen = np.full(best.shape, -1, np.int32)
        for number, rows, columns in self.slices(places):
            values = source[:, :, rows, columns]
            larger = values > best
            np.copyto(best, values, where=larger)
            chosen[larger] = number
        self.chosen = chosen
        return best

    def summed(self, source: Array, places: Pair) -> Array:
        """The sum of each window."""
        total = np.zeros((*source.shape[:2], *places), source.dtype)
        for _, rows, columns in self.slices(places):
            total += source[:, :, rows, columns]
        return total

    def backward(self, diff: Array, x: Array) -> Array:
        """The gradient of the bottom."""
        places = self.places(x.shape[2:])
        sides = self.padded(np.zeros((1, 1, *x.shape[2:]), x.dtype), 0.0).shape[2:]
        found = np.zeros((*x.shape[:2], *sides), x.dtype)
        if not self.largest:
            diff = diff / self.areas(x.shape[2:], places).astype(x.dtype)
        for number, rows, columns in self.slices(places):
            found[:, :, rows, columns] += diff if self.chosen is None else diff * (self.chosen == number)
        top, left = self.pad
        return found[:, :, top : top + x.shape[2], left : left + x.shape[3]]

    def indices(self, sides: Sequence[int]) -> Array:
        """MAX: the index of each largest value in its map, as the second top has it; -1 for none."""
        assert self.chosen is not None
        places = self.chosen.shape[2:]
        rows = np.arange(places[0]).reshape(-1, 1) * self.stride[0] - self.pad[0] + self.chosen // self.kernel[1]
        columns = np.arange(places[1]) * self.stride[1] - self.pad[1] + self.chosen % self.kernel[1]
        return np.where(self.chosen < 0, -1, rows * sides[1] + columns)


class GlobalPool(Pool):
    """The same with a window that covers the whole map, computed at once."""

    def forward(self, x: Array) -> Array:
        flat = x.reshape(*x.shape[:2], -1)
        if not self.largest:
            return flat.sum(2, keepdims=True)[..., None] / x.dtype.type(flat.shape[2])
        known = np.where(np.isnan(flat), -math.inf, flat)
        self.chosen = known.argmax(2)[..., None, None].astype(np.int32)
        best = np.maximum(known.max(2), _LEAST)[..., None, None].astype(x.dtype)
        self.chosen[~(best > _LEAST)] = -1
        return best

    def backward(self, diff: Array, x: Array) -> Array:
        if self.chosen is None:
            return np.broadcast_to(diff / x.dtype.type(x.shape[2] * x.shape[3]), x.shape).copy()
        found = np.zeros((*x.shape[:2], x.shape[2] * x.shape[3]), x.dtype)
        chosen = self.chosen.reshape(*x.shape[:2], 1)
        np.put_along_axis(found, np.maximum(chosen, 0), np.where(chosen < 0, 0, diff.reshape(chosen.shape)), 2)
        return found.reshape(x.shape)


class Pooling(Operator):
    """MAX and AVE pooling; STOCHASTIC exists for GPUs only."""

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        if layer.message["pooling_param"]["pool"] not in ("MAX", "AVE", 0, 1):
            raise CannotSimulate(f"stochastic pooling ('{layer.name}') cannot be simulated")
        self.pool: Pool | None = None

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        x = bottoms[0]
        self.pool = pool = _pool(self.layer.message["pooling_param"], x.shape[2:])
        top = pool.forward(x)
        return [top] if len(self.layer.tops) == 1 else [top, pool.indices(x.shape[2:]).astype(x.dtype)]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        assert self.pool is not None
        return [self.pool.backward(diffs[0], bottoms[0])], ()


def _pool(param: Message, sides: Sequence[int]) -> Pool:
    largest = param["pool"] in ("MAX", 0)
    if param["global_pooling"]:
        return GlobalPool(largest, (sides[0], sides[1]), (1, 1), (0, 0))

    def pair(stem: str, otherwise: int) -> Pair:
        name = "kernel_size" if stem == "kernel" else stem
        if f"{stem}_h" in param.entries:
            return param[f"{stem}_h"], param[f"{stem}_w"]
        return (param[name] if name in param.entries else otherwise,) * 2

    kernel, stride, pad = pair("kernel", 1), pair("stride", 1), pair("pad", 0)
    round_down = param.get("round_mode", "CEIL") == "FLOOR" or param.get("ceil_mode", True) is False
    whole = kernel == tuple(sides) and pad == (0, 0)
    return (GlobalPool if whole else Pool)(largest, kernel, stride, pad, round_down)


class SPP(Operator):
    """Spatial pyramid pooling: poolings of 1, 4, 16 ... bins, one after the other (spp_layer.cpp)."""

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        param = layer.message["spp_param"]
        self.height: int = param["pyramid_height"]
        if param["pool"] not in ("MAX", "AVE", 0, 1):
            raise CannotSimulate(f"stochastic pooling ('{layer.name}') cannot be simulated")
        self.largest = param["pool"] in ("MAX", 0)
        self.pools: list[Pool] = []

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        x = bottoms[0]
        self.pools = []
        for level in range(self.height):
            bins = 2**level
            kernel = [-(-side // bins) for side in x.shape[2:]]
            pad = [(size * bins - side + 1) // 2 for size, side in zip(kernel, x.shape[2:], strict=True)]
            pair = kernel[0], kernel[1]
            self.pools.append(Pool(self.largest, pair, pair, (pad[0], pad[1])))
        tops = [pool.forward(x) for pool in self.pools]
        return [tops[0] if len(tops) == 1 else np.concatenate([top.reshape(len(x), -1) for top in tops], 1)]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        x = bottoms[0]
        flat = diffs[0].reshape(len(x), -1)
        found = np.zeros_like(x)
        start = 0
        for pool in self.pools:
            shape = (*x.shape[:2], *pool.places(x.shape[2:]))
            size = math.prod(shape[1:])
            found += pool.backward(flat[:, start : start + size].reshape(shape), x)
            start += size
        return [found], ()


class LRN(Unary):
    """x over a power of the squares around it, across channels or within one (lrn_layer.cpp)."""

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        param = layer.message["lrn_param"]
        self.size: int = param["local_size"]
        self.alpha, self.beta = param["alpha"], param["beta"]
        self.within = param["norm_region"] in ("WITHIN_CHANNEL", 1)
        self.number = self.size * self.size if self.within else self.size
        self.shift = 1.0 if self.within else param["k"]
        self.base: Array | None = None

    def around(self, x: Array) -> Array:
        """The sum of the values around each one."""
        half = self.size // 2
        axes = (2, 3) if self.within else (1,)
        for axis in axes:
            widths = [(half + 1, half) if i == axis else (0, 0) for i in range(x.ndim)]
            windows = np.lib.stride_tricks.sliding_window_view(np.pad(x, widths), self.size, axis)
            x = windows[tuple(slice(1, None) if i == axis else slice(None) for i in range(x.ndim))].sum(-1)
        return x

    def value(self, x: Array) -> Array:
        self.base = (self.shift + self.alpha / self.number * self.around(x * x)).astype(x.dtype)
        return x * np.power(self.base, x.dtype.type(-self.beta))

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        base = self.base
        assert base is not None
        factor = 2 * self.alpha * self.beta / self.number
        if self.within:  # y is x * base ^ -beta of the layer's own inner net, which nothing overwrites
            y = x * np.power(base, x.dtype.type(-self.beta))
        found: Array = diff * np.power(base, x.dtype.type(-self.beta)) - factor * x * self.around(diff * y / base)
        return found.astype(x.dtype)
