"""The window that a layer slides over its bottom: its sizes as Caffe reads them from the settings, and the positions that it takes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from operator import ge
from typing import TYPE_CHECKING

from ..moments.shapes import Shape, axis_index, describe, truncated
from ..proto.binder import Message
from ..proto.named_tuple import NamedTuple
from ..source.wording import counted
from .record import missing_axis, number_of, one_or

if TYPE_CHECKING:
    from ..moments.graph import Layer

Fail = Callable[..., None]  # Layer.fail
Sizes = tuple[int, ...]  # along the spatial axes

_MOST_LEVELS = 32  # of a pyramid; no image has 2^32 pixels along a side
_CONVOLUTION = "base_conv_layer.cpp:35"
TRUNCATED, UP, DOWN = "truncated", "up", "down"  # how Convolution, by C++'s division of integers, and Pooling round


class Window(NamedTuple):
    """Sizes along the spatial axes, in values. `kernel` is empty if the window `is_whole`, as large as its map (global pooling)."""

    kernel: Sizes
    stride: Sizes
    pad: Sizes
    dilation: Sizes
    rounding: str = TRUNCATED
    is_whole: bool = False

    def over(self, sides: Sequence[int]) -> Window:
        """Return the window over a map with these sides, which has a kernel in any case."""
        return self._replace(kernel=tuple(sides), is_whole=False) if self.is_whole else self

    def extent(self, axis: int) -> int:
        """The distance between its first and its last value along an axis, both included."""
        return self.dilation[axis] * (self.kernel[axis] - 1) + 1

    def number(self, axis: int, side: int) -> int:
        """The number of its positions along an axis, below 1 if there are none.

        Source: compute_output_shape in conv_layer.cpp, PoolingLayer::Reshape.
        """
        stride, pad = self.stride[axis], self.pad[axis]
        room = side + 2 * pad - self.extent(axis)
        if self.rounding == TRUNCATED:
            return truncated(room, stride) + 1
        steps = room // stride if self.rounding == DOWN else -(-room // stride)
        if any(self.pad) and steps * stride >= side + pad:  # the last one does not start in the padding
            steps -= 1
        return steps + 1

    def last(self, axis: int, side: int) -> int:
        """Where the last of its positions along an axis starts; below 0 is padding."""
        return (self.number(axis, side) - 1) * self.stride[axis] - self.pad[axis]

    def places(self, sides: Sequence[int]) -> Sizes:
        """The numbers of its positions along all axes of a map with these sides."""
        return tuple(self.number(axis, side) for axis, side in enumerate(sides))

    def side(self, axis: int, number: int) -> int:
        """The side of a map in which it has so many positions along an axis: compute_output_shape in deconv_layer.cpp."""
        return self.stride[axis] * (number - 1) + self.extent(axis) - 2 * self.pad[axis]

    def sides(self, numbers: Sequence[int]) -> Sizes:
        """The sides of a map in which it has so many positions along the axes."""
        return tuple(self.side(axis, number) for axis, number in enumerate(numbers))

    def around(self, sides: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """How far its positions reach over both ends of each axis of a map with these sides."""
        return tuple(
            (pad, max(0, self.last(axis, side) + self.extent(axis) - side))
            for axis, (side, pad) in enumerate(zip(sides, self.pad, strict=True))
        )


def pyramid(sides: Sequence[int], height: int) -> list[Window]:
    """Return the windows over a map with these sides of each level of an SPP: 1, 4, 16 ... bins (GetPoolingParam in spp_layer.cpp)."""
    windows = []
    for level in range(min(height, _MOST_LEVELS)):
        kernel = tuple(-(-side // 2**level) for side in sides)
        pad = tuple((size * 2**level - side + 1) // 2 for size, side in zip(kernel, sides, strict=True))
        windows.append(Window(kernel, kernel, pad, (1,) * len(sides), UP))
    return windows


ONE_VALUE = Window((), (), (), ())  # what a window counts as that a fork reads from other settings


def window_of(layer: Layer) -> Window | None:
    """Return the window of a Convolution, Pooling or similar layer; None for layers without one, or if Caffe refuses it.

    If the shape of the bottom is unknown, it has as many spatial axes as the settings have sizes of a kind, at least two.
    """
    settings = layer.traits.settings
    if not layer.traits.slides or settings not in ("pooling_param", "convolution_param"):
        return None
    shape = layer.bottoms[0].shape if layer.bottoms else None
    if settings == "pooling_param":
        return pooling_window(layer, shape, _unreported)
    return convolution_sizes(layer, shape or (None,) * (2 + _told_axes(layer.message[settings])), _unreported).window


def _unreported(*words: str, how: str = "") -> None:
    """What `window_of` does with what Caffe refuses; it is reported where shapes are inferred."""


class _Settings:
    """The settings of a layer, from which its sizes are read; `axes` is the number of spatial axes, None if unknown."""

    def __init__(self, layer: Layer, name: str, axes: int | None, fail: Fail) -> None:
        self.name, self.axes, self.fail = name, axes, fail
        self.dialect = layer.context.dialect
        self.param: Message = layer.message[name]

    def has(self, *names: str) -> bool:
        """Whether one of the fields is set."""
        return any(name in self.param.entries for name in names)

    def path(self, stem: str) -> str:
        """The path of the field that gives a size."""
        plain = _plain(stem)
        return f"{self.name}.{next(filter(self.has, (plain, f'{stem}_h', f'{stem}_w')), plain)}"

    def pair(self, stem: str) -> Sizes | None:
        """The fields for height and width, which only images have; one of them that is not set has its default."""
        return (self.param[f"{stem}_h"], self.param[f"{stem}_w"]) if self.axes in (None, 2) else None

    def listed(self, stem: str, otherwise: int | None, at: str = "") -> Sizes | None:
        """The field that is set once, or once for each axis where it is repeated."""
        name = _plain(stem)
        entries = self.param.entries.get(name, ())
        if len(entries) > 1 and not self.param.type.readable[name].in_dialect(self.dialect).repeated:
            entries = entries[:1]
        sizes = tuple(entry[0] for entry in entries) or (() if otherwise is None else (otherwise,))
        if self.axes is None:
            return None
        if len(sizes) == 1:
            return sizes * self.axes
        if len(sizes) == self.axes:
            return sizes
        axes = counted(self.axes, "spatial axis", "spatial axes")
        text = f"{number_of(len(sizes), name)} for {axes}; expected {one_or(self.axes)}"
        self.fail("kernel-count", text, f"{self.name}.{name}[0]", at)
        return None


def _told_axes(param: Message) -> int:
    return max(2, *(len(param.entries.get(name, ())) for name in ("kernel_size", "stride", "pad", "dilation")))


def _plain(stem: str) -> str:
    """The field that gives a size for all axes."""
    return "kernel_size" if stem == "kernel" else stem


# -- Convolution and its variants: BaseConvolutionLayer::LayerSetUp, base_conv_layer.cpp ----------------------


class ConvolutionSizes(NamedTuple):
    """The sizes of a convolution's window along the `axes` spatial axes, which follow `axis`; each None if wrong or unknown."""

    axis: int | None
    axes: int | None
    kernel: Sizes | None
    stride: Sizes | None
    pad: Sizes | None
    dilation: Sizes | None

    @property
    def window(self) -> Window | None:
        """The window, if all of it is known."""
        kernel, stride, pad, dilation = self.kernel, self.stride, self.pad, self.dilation
        if kernel is None or stride is None or pad is None or dilation is None:
            return None
        return Window(kernel, stride, pad, dilation)


def convolution_sizes(layer: Layer, shape: Shape, fail: Fail) -> ConvolutionSizes:
    """Return the sizes over a bottom of that shape; `fail` is told what Caffe refuses."""
    axis: int | None = 1
    axes = None
    if shape is not None:
        written = layer.message["convolution_param"]["axis"]
        axis = axis_index(written, len(shape))
        if axis is None:
            fail("axis", missing_axis(layer, written), "convolution_param.axis", "blob.hpp:122")
        else:
            axes = len(shape) - axis - 1
    settings = _Settings(layer, "convolution_param", axes, fail)
    kernel = _of_convolution(settings, "kernel", None)
    stride = _of_convolution(settings, "stride", 1)
    pad = _of_convolution(settings, "pad", 0)
    dilation = settings.listed("dilation", 1, _CONVOLUTION)
    if kernel is not None and 0 in kernel:
        text = f"kernel sizes must be greater than 0, not {describe(kernel)}"
        fail("kernel-zero", text, settings.path("kernel"), "base_conv_layer.cpp:45")
        kernel = None
    if stride is not None and 0 in stride:
        text = f"strides must be greater than 0, not {describe(stride)}"
        how = "fatal" if settings.has("stride") else "crash"
        fail("stride-zero", text, settings.path("stride"), "base_conv_layer.cpp", how=how)
        stride = None
    return ConvolutionSizes(axis, axes, kernel, stride, pad, dilation)


def _of_convolution(settings: _Settings, stem: str, otherwise: int | None) -> Sizes | None:
    plain, axes = _plain(stem), settings.axes
    written = next(filter(settings.has, (f"{stem}_h", f"{stem}_w")), "")
    path = f"convolution_param.{written}"
    if written and axes not in (None, 2):
        settings.fail("kernel-axes", f"{stem}_h and {stem}_w need 2 spatial axes, not {axes}", path, "base_conv_layer.cpp")
        return None
    if written and settings.has(plain):
        settings.fail("kernel-twice", f"both {plain} and {stem}_h or {stem}_w are set", path, "base_conv_layer.cpp")
        return None
    if written:
        return settings.pair(stem)
    if otherwise is None and axes != 0 and not settings.has(plain):
        settings.fail("kernel-missing", f"{plain} is not set", settings.path(stem), _CONVOLUTION)
        return None
    return settings.listed(stem, otherwise, _CONVOLUTION)


# -- Pooling: PoolingLayer::LayerSetUp, pooling_layer.cpp -----------------------------------------------------


def pooling_window(layer: Layer, shape: Shape, fail: Fail) -> Window | None:
    """Return the window over a bottom of that shape, None if Caffe refuses it, which `fail` is told."""
    axes = len(shape) - 2 if shape is not None else _told_axes(layer.message["pooling_param"])
    settings = _Settings(layer, "pooling_param", axes, fail)
    param, path = settings.param, settings.path("kernel")
    is_whole = param["global_pooling"]
    plain, pair = settings.has("kernel_size"), settings.has("kernel_h") and settings.has("kernel_w")
    kernel: Sizes | None = None
    if is_whole and settings.has("kernel_size", "kernel_h", "kernel_w"):
        fail("pooling-kernel", "kernel sizes are not allowed with global_pooling", path, ":18")
    elif is_whole:
        kernel = ()
    elif plain and pair:
        fail("pooling-kernel", "both kernel_size and kernel_h and kernel_w are set", path, ":22")
    elif not plain and not pair:
        fail("pooling-kernel", "kernel_size is not set", path)
    else:  # one of kernel_h and kernel_w counts for nothing
        kernel = settings.pair("kernel") if pair else settings.listed("kernel", None)
    if kernel is not None and 0 in kernel:
        fail("kernel-zero", "kernel sizes must be greater than 0", path)
        kernel = None
    pad, stride = _of_pooling(settings, "pad", 0), _of_pooling(settings, "stride", 1)
    dilation = settings.listed("dilation", 1)  # which forks have
    is_wrong = False
    if is_whole:
        for name, sizes, neutral in (("pad", pad, 0), ("stride", stride, 1)):
            if sizes is not None and set(sizes) - {neutral}:
                fail("pooling-global", f"{name} must be {neutral} with global_pooling", settings.path(name), ":65")
                is_wrong = True
    elif stride is not None and 0 in stride:
        fail("stride-zero", "strides must be greater than 0", settings.path("stride"), "blob.cpp:32")
        is_wrong = True
    if pad is not None and any(pad) and not is_whole:
        if param["pool"] == "STOCHASTIC":
            fail("pooling-pad", "pad works with MAX and AVE pooling only, not with STOCHASTIC", settings.path("pad"))
            is_wrong = True
        if kernel is not None and any(map(ge, pad, kernel)):
            text = f"pad {describe(pad)} must be smaller than the kernel, {describe(kernel)}"
            fail("pooling-pad", text, settings.path("pad"), ":74")
            is_wrong = True
    if is_wrong or kernel is None or pad is None or stride is None or dilation is None:
        return None
    rounds_down = param["round_mode"] == "FLOOR" if settings.has("round_mode") else param.get("ceil_mode") is False
    return Window(kernel, stride, pad, dilation, DOWN if rounds_down else UP, is_whole)


def _of_pooling(settings: _Settings, stem: str, otherwise: int) -> Sizes | None:
    height, width = settings.has(f"{stem}_h"), settings.has(f"{stem}_w")
    if not height and not width:
        return settings.listed(stem, otherwise)
    if settings.has(stem) or not (height and width):
        both_set = f"both {stem} and {stem}_h or {stem}_w are set"
        text = both_set if settings.has(stem) else f"only one of {stem}_h and {stem}_w is set"
        settings.fail("pooling-pair", text, settings.path(stem))
        return None
    return settings.pair(stem)
