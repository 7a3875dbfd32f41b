"""Layers that reduce or compare the values in a window: Pooling, SPP, LRN."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from ...layers.sliding_windows import Window, pyramid, window_of
from ..arrays import AT_ONCE, Array, Generator, np
from ..operator import CannotSimulate, Gradients, Operator, Unary

if TYPE_CHECKING:
    from ...moments.graph import Layer

_LEAST = np.float32(-3.4028235e38)  # -FLT_MAX, where MAX pooling starts; a value must be larger, so NaN is dropped


class Pool:
    """MAX or AVE pooling of two spatial axes with one window (pooling_layer.cpp).

    It works on a few maps at a time, which stay in the cache, and first along columns, then along rows.
    """

    def __init__(self, largest: bool, window: Window) -> None:
        self.largest, self.window = largest, window
        self.seen: tuple[Array, Array] | None = None  # MAX: the bottom and the top of the forward pass

    def padded(self, maps: Array, value: float) -> Array:
        """Maps with what lies around them in some window."""
        widths = self.window.around(maps.shape[1:])
        return maps if widths == ((0, 0), (0, 0)) else np.pad(maps, ((0, 0), *widths), constant_values=value)

    def parts(self, maps: Array) -> Iterator[slice]:
        """Maps that are worked on at once."""
        step = max(1, AT_ONCE // max(1, math.prod(maps.shape[1:])))
        return (slice(start, start + step) for start in range(0, len(maps), step))

    def slices(self, axis: int, number: int) -> Iterator[tuple[slice, ...]]:
        """Where each row or column of the window lies at all positions, in padded maps."""
        stride = self.window.stride[axis]
        for offset in range(self.window.kernel[axis]):
            own = slice(offset, offset + stride * (number - 1) + 1, stride)
            yield (slice(None),) * (1 + axis) + (own,)

    def areas(self, sides: Sequence[int], places: Sequence[int]) -> Array:
        """The number by which AVE divides at each position: the window, cut off at the end of the padding."""
        lengths = []
        window = self.window
        for side, kernel, stride, pad, number in zip(sides, window.kernel, window.stride, window.pad, places, strict=True):
            start = np.arange(number) * stride - pad
            lengths.append(np.minimum(start + kernel, side + pad) - start)
        return np.outer(lengths[0], lengths[1])

    def forward(self, x: Array) -> Array:
        """The pooled values."""
        places = self.window.places(x.shape[2:])
        maps = x.reshape(-1, *x.shape[2:])
        found = np.empty((len(maps), *places), x.dtype)
        join, outside = (np.fmax, -math.inf) if self.largest else (np.add, 0.0)
        for part in self.parts(maps):
            values = self.padded(maps[part], outside)
            for axis in (0, 1):
                slices = list(self.slices(axis, places[axis]))
                joined = values[slices[0]].copy()
                for each in slices[1:]:
                    join(joined, values[each], out=joined)
                values = joined
            found[part] = values
        if self.largest:
            np.fmax(found, _LEAST, out=found)
        else:
            found /= self.areas(x.shape[2:], places).astype(x.dtype)
        top: Array = found.reshape(*x.shape[:2], *places)
        self.seen = (x, top) if self.largest else None
        return top

    def backward(self, diff: Array, x: Array) -> Array:
        """The gradient of the bottom."""
        sides = x.shape[2:]
        places = self.window.places(sides)
        (top, bottom), (left, right) = self.window.around(sides)
        found = np.zeros((math.prod(x.shape[:2]), top + sides[0] + bottom, left + sides[1] + right), x.dtype)
        diffs = diff.reshape(-1, *places)
        if not self.largest:
            diffs = diffs / self.areas(sides, places).astype(x.dtype)
        for part in self.parts(found):
            if self.largest:
                for place, hit in self.hits(part):
                    found[part][place] += diffs[part] * hit
                continue
            rows = np.zeros((len(diffs[part]), found.shape[1], places[1]), x.dtype)
            for each in self.slices(0, places[0]):
                rows[each] += diffs[part]
            for each in self.slices(1, places[1]):
                found[part][each] += rows
        return found[:, top : top + sides[0], left : left + sides[1]].reshape(x.shape)

    def hits(self, part: slice) -> Iterator[tuple[tuple[slice, ...], Array]]:
        """MAX: each offset in the window at all positions of some maps, and where the largest value lies there: the first one."""
        assert self.seen is not None
        x, top = (values.reshape(-1, *values.shape[2:])[part] for values in self.seen)
        source = self.padded(x, -math.inf)
        free = top > _LEAST
        for rows, columns in itertools.product(self.slices(0, top.shape[1]), self.slices(1, top.shape[2])):
            place = (slice(None), rows[1], columns[2])
            hit = source[place] == top
            hit &= free
            free &= ~hit
            yield place, hit

    def indices(self, sides: Sequence[int]) -> Array:
        """MAX: the index of each largest value in its map, as the second top has it; -1 for none."""
        assert self.seen is not None
        top = self.seen[1]
        found = np.full(top.shape, -1, np.int64)
        kernel, stride, pad = self.window.kernel, self.window.stride, self.window.pad
        rows = np.arange(top.shape[2]).reshape(-1, 1) * stride[0] - pad[0]
        columns = np.arange(top.shape[3]) * stride[1] - pad[1]
        for number, (_, hit) in enumerate(self.hits(slice(None))):
            row, column = divmod(number, kernel[1])
            np.copyto(found, (rows + row) * sides[1] + columns + column, where=hit.reshape(top.shape))
        return found


class GlobalPool(Pool):
    """The same with a window that covers the whole map, computed at once."""

    def forward(self, x: Array) -> Array:
        flat = x.reshape(*x.shape[:2], -1)
        if not self.largest:
            return flat.sum(2, keepdims=True)[..., None] / x.dtype.type(flat.shape[2])
        top: Array = np.fmax(np.fmax.reduce(flat, 2), _LEAST)[..., None, None]
        self.seen = x, top
        return top

    def backward(self, diff: Array, x: Array) -> Array:
        if self.seen is None:
            return np.broadcast_to(diff / x.dtype.type(x.shape[2] * x.shape[3]), x.shape).copy()
        flat, top = x.reshape(*x.shape[:2], -1), self.seen[1]
        found = np.zeros_like(flat)
        chosen = (flat == top.reshape(*x.shape[:2], 1)).argmax(2)[..., None]
        np.put_along_axis(found, chosen, np.where(top > _LEAST, diff, 0).reshape(chosen.shape), 2)
        return found.reshape(x.shape)


class StochasticPool(Pool):
    """A value of the window, drawn in proportion to its size; a test takes their expected value (pooling_layer.cu)."""

    def __init__(self, window: Window, draw: Generator, trains: bool) -> None:
        super().__init__(False, window)
        self.draw, self.trains = draw, trains
        self.chosen: Array | None = None

    def windows(self, maps: Array, places: Sequence[int]) -> Array:
        """The values in each window, along the first axis."""
        source = self.padded(maps, 0.0)
        pairs = itertools.product(self.slices(0, places[0]), self.slices(1, places[1]))
        return np.stack([source[:, rows[1], columns[2]] for rows, columns in pairs])

    def forward(self, x: Array) -> Array:
        places = self.window.places(x.shape[2:])
        values = self.windows(x.reshape(-1, *x.shape[2:]), places)
        total = values.sum(0)
        if not self.trains:
            found = np.where(total > 0, (values * values).sum(0) / np.where(total > 0, total, 1), 0)
        else:
            wanted = self.draw.random(total.shape, np.float32) * total
            self.chosen = (np.cumsum(values, 0) < wanted).sum(0).clip(0, len(values) - 1)
            found = np.take_along_axis(values, self.chosen[None], 0)[0]
        return found.astype(x.dtype).reshape(*x.shape[:2], *places)

    def backward(self, diff: Array, x: Array) -> Array:
        places = self.window.places(x.shape[2:])
        found = self.padded(np.zeros((math.prod(x.shape[:2]), *x.shape[2:]), x.dtype), 0.0)
        diffs = diff.reshape(-1, *places)
        for number, (rows, columns) in enumerate(itertools.product(self.slices(0, places[0]), self.slices(1, places[1]))):
            found[:, rows[1], columns[2]] += diffs * (self.chosen == number)
        return found[:, : x.shape[2], : x.shape[3]].reshape(x.shape)  # Caffe allows it no padding


class Pooling(Operator):
    """MAX, AVE and STOCHASTIC pooling."""

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        self.pool: Pool | None = None

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        x = bottoms[0]
        self.pool = pool = _pool(self.layer, x.shape[2:], self.draw)
        top = pool.forward(x)
        return [top] if len(self.layer.tops) == 1 else [top, pool.indices(x.shape[2:]).astype(x.dtype)]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        assert self.pool is not None
        return [self.pool.backward(diffs[0], bottoms[0])], ()


def _pool(layer: Layer, sides: Sequence[int], draw: Generator) -> Pool:
    window = window_of(layer)
    assert window is not None
    window = window.over(sides)
    method = layer.message["pooling_param"]["pool"]
    if method == "STOCHASTIC":
        return StochasticPool(window, draw, layer.phase == "TRAIN")
    is_whole = window.kernel == tuple(sides) and not any(window.pad)
    return (GlobalPool if is_whole else Pool)(method == "MAX", window)


class SPP(Operator):
    """Spatial pyramid pooling: poolings of 1, 4, 16 ... bins, one after the other (spp_layer.cpp)."""

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        param = layer.message["spp_param"]
        self.height: int = param["pyramid_height"]
        if param["pool"] not in ("MAX", "AVE"):
            raise CannotSimulate(f"stochastic pooling ('{layer.name}') cannot be simulated")
        self.largest = param["pool"] == "MAX"
        self.pools: list[Pool] = []

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        x = bottoms[0]
        self.pools = [Pool(self.largest, window) for window in pyramid(x.shape[2:], self.height)]
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
            shape = (*x.shape[:2], *pool.window.places(x.shape[2:]))
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
        self.within = param["norm_region"] == "WITHIN_CHANNEL"
        self.number = self.size * self.size if self.within else self.size
        self.shift = 1.0 if self.within else param["k"]
        self.base: Array | None = None
        self.factor: Array | None = None

    def around(self, x: Array) -> Array:
        """The sum of the values around each one."""
        half = self.size // 2
        for axis in (2, 3) if self.within else (1,):
            side = x.shape[axis]
            total = x.copy()
            for shift in range(1, min(half, side - 1) + 1):
                low, high = (
                    tuple(part if i == axis else slice(None) for i in range(x.ndim))
                    for part in (slice(0, side - shift), slice(shift, None))
                )
                total[low] += x[high]
                total[high] += x[low]
            x = total
        return x

    def value(self, x: Array) -> Array:
        self.base = x.dtype.type(self.alpha / self.number) * self.around(x * x) + x.dtype.type(self.shift)
        self.factor = _power_of(self.base, -self.beta)
        return x * self.factor

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        base, factor = self.base, self.factor
        assert base is not None
        if self.within:  # y is that of the layer's own inner net, which nothing overwrites
            y = x * factor
        rest: Array = x.dtype.type(2 * self.alpha * self.beta / self.number) * x * self.around(diff * y / base)
        return diff * factor - rest


def _power_of(base: Array, power: float) -> Array:
    """A power, by square roots where it is that of most nets."""
    if power == -0.75:
        inverse = 1 / np.sqrt(base)
        return inverse * np.sqrt(inverse)
    return np.power(base, base.dtype.type(power))
