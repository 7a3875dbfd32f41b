"""Layers that enlarge or shrink maps without weights: Interp, Upsample, Reorg."""

from __future__ import annotations

from collections.abc import Sequence

from ..arrays import Array, np, resizing_matrix
from ..operator import CannotSimulate, Gradients, Operator, Unary


class Interp(Unary):
    """Bilinear resizing that keeps the corners; negative padding crops (interp_layer.cpp of DeepLab)."""

    def sides(self, x: Array) -> tuple[int, int]:
        """The sides of the top, which its record computes."""
        shape = self.layer.tops[0].shape
        if shape is None or shape[2] is None or shape[3] is None:
            raise CannotSimulate(f"the size of '{self.layer.tops[0].name}' is unknown")
        return shape[2], shape[3]

    def parts(self, x: Array) -> tuple[slice, slice]:
        """What is not cropped."""
        param = self.layer.message["interp_param"]
        first, last = -param.get("pad_beg", 0), -param.get("pad_end", 0)
        if first < 0 or last < 0:
            raise CannotSimulate(f"padding of Interp '{self.layer.name}' cannot be simulated")
        return slice(first, x.shape[2] - last), slice(first, x.shape[3] - last)

    def value(self, x: Array) -> Array:
        rows, columns = self.parts(x)
        part = x[:, :, rows, columns]
        high, wide = self.sides(x)
        found: Array = resizing_matrix(part.shape[2], high).astype(x.dtype) @ part
        return found @ resizing_matrix(part.shape[3], wide).astype(x.dtype).T

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        rows, columns = self.parts(x)
        high, wide = self.sides(x)
        found = np.zeros_like(x)
        part = found[:, :, rows, columns]
        part += (
            resizing_matrix(part.shape[2], high).astype(x.dtype).T @ diff @ resizing_matrix(part.shape[3], wide).astype(x.dtype)
        )
        return found


class Repeat(Unary):
    """Every pixel repeated (upsample_layer.cpp of YOLO)."""

    @property
    def scale(self) -> int:
        """How often, along both axes."""
        return int(self.layer.message["upsample_param"]["scale"])

    def value(self, x: Array) -> Array:
        return x.repeat(self.scale, -2).repeat(self.scale, -1)

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        return diff.reshape(*x.shape[:-1], self.scale, x.shape[-1], self.scale).sum((-3, -1))


class Unpool(Operator):
    """Each value back at the position that the mask of a pooling gives (upsample_layer.cpp of SegNet)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        x, mask = bottoms
        shape = self.layer.tops[0].shape
        if shape is None or shape[2] is None or shape[3] is None:
            raise CannotSimulate(f"the size of '{self.layer.tops[0].name}' is unknown")
        found = np.zeros((*x.shape[:2], shape[2] * shape[3]), x.dtype)
        self.places = mask.reshape(*x.shape[:2], -1).astype(np.int64)
        if self.places.size and not 0 <= self.places.min() <= self.places.max() < found.shape[2]:
            raise CannotSimulate(f"the mask of '{self.layer.name}' does not fit the size of its top")
        np.put_along_axis(found, self.places, x.reshape(*x.shape[:2], -1), 2)
        return [found.reshape(*x.shape[:2], shape[2], shape[3])]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        flat = diffs[0].reshape(*bottoms[0].shape[:2], -1)
        return [np.take_along_axis(flat, self.places, 2).reshape(bottoms[0].shape), None], ()


class Reorg(Unary):
    """Blocks of pixels as channels, or back (reorg_layer.cpp of YOLO); forks differ in the order of the channels."""

    def stride(self) -> int:
        """The side of a block."""
        param = self.layer.message["reorg_param"]
        return int(param.get("stride") or param.get("up_scale"))

    def value(self, x: Array) -> Array:
        back = self.layer.message["reorg_param"].get("reverse", False)
        return self.enlarged(x) if back else self.shrunk(x)

    def gradient(self, diff: Array, y: Array, x: Array) -> Array:
        back = self.layer.message["reorg_param"].get("reverse", False)
        return self.shrunk(diff) if back else self.enlarged(diff)

    def shrunk(self, x: Array) -> Array:
        """Blocks as channels."""
        items, channels, high, wide = x.shape
        side = self.stride()
        blocks = x.reshape(items, channels, high // side, side, wide // side, side)
        return blocks.transpose(0, 3, 5, 1, 2, 4).reshape(items, channels * side * side, high // side, wide // side)

    def enlarged(self, x: Array) -> Array:
        """Channels as blocks."""
        items, channels, high, wide = x.shape
        side = self.stride()
        blocks = x.reshape(items, side, side, channels // (side * side), high, wide)
        return blocks.transpose(0, 3, 4, 1, 5, 2).reshape(items, channels // (side * side), high * side, wide * side)
