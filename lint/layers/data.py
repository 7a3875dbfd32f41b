"""Layers that read data into the net or write it out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..moments.layer_type import FROM_FILES, FROM_PROGRAM, MADE_UP, UNMODELLED
from ..moments.shapes import Dims, Shape, describe
from ..source.wording import counted
from . import value_ranges
from .fillers import check_filler
from .record import layer_type, number_of, one_or, type_of_settings

if TYPE_CHECKING:
    from ..moments.graph import Layer
    from ..proto.binder import Message


def cropped(
    layer: Layer,
    batch: int | None,
    channels: int | None = None,
    height: int | None = None,
    width: int | None = None,
) -> Dims:
    """The shape of a batch of images; `crop_size` crops to a square (DataTransformer::InferBlobShape)."""
    transform = layer.message["transform_param"]
    crop = transform["crop_size"]
    if not crop:
        crop_h, crop_w = (
            transform.get(name) if name in transform.type.fields else None for name in ("crop_h", "crop_w")
        )
        return (batch, channels, crop_h or height, crop_w or width)
    sides = [side for side in (height, width) if side is not None and crop > side]
    if sides:
        text = f"crop_size {crop} is larger than an image side of {min(sides)}"
        path = "transform_param.crop_size"
        layer.fail("crop-too-large", text, path, "data_transformer.cpp:498", when="forward")
    return (batch, channels, crop, crop)


def check_transform(layer: Layer, channels: int | None = None) -> None:
    """Report what DataTransformer rejects, in its constructor and in Transform."""
    if "transform_param" not in layer.message.entries:
        return
    transform = layer.message["transform_param"]
    means = transform["mean_value"]
    path = "transform_param.mean_value[0]"
    if means and "mean_file" in transform.entries:
        layer.fail("mean-twice", "both mean_file and mean_value are set", path, "data_transformer.cpp:21")
    if len(means) > 1 and channels is not None and len(means) != channels:
        text = f"{number_of(len(means), 'mean_value')} for {counted(channels, 'channel')}; expected {one_or(channels)}"
        layer.fail("mean-count", text, path, "data_transformer.cpp:263", when="forward")


def batch_size(layer: Layer, name: str, when: str = "forward") -> int | None:
    """The batch size; reports one that is missing or 0."""
    param = layer.message[name]
    size: int = param["batch_size"]
    if size:
        return size
    text = "batch_size must be greater than 0" if "batch_size" in param.entries else "batch_size is not set"
    layer.fail("batch-size-missing", text, f"{name}.batch_size", when=when)
    return None


def _check_source(layer: Layer, name: str, at: str) -> None:
    """Report a source that is missing or empty: Caffe tries to open a file without a name."""
    if name in layer.message.entries and not layer.message[name]["source"]:
        layer.fail("source-missing", "source is not set", f"{name}.source", at)


def _check_empty(layer: Layer, shapes: Sequence[Dims]) -> Sequence[Dims]:
    """Report tops with a dimension of 0, and return all: Caffe builds the net, and stops when it reads the values."""
    for top, shape in zip(layer.tops, shapes, strict=True):
        if 0 in shape:
            text = f"top '{top.name}' is empty: {describe(shape)}"
            layer.fail("empty-input", text, "", "syncedmem.cpp", subject=top.name, when="forward")
    return shapes


def _check_prefetch(layer: Layer) -> None:
    if "data_param" in layer.message.entries and layer.message["data_param"]["prefetch"] == 0:
        text = "prefetch 0 makes the layer wait forever for its first batch"
        layer.fail("prefetch", text, "data_param.prefetch", "base_data_layer.cpp", when="forward", how="hang")


_SOURCE: dict[str, Any] = {
    "bottoms": (0, 0), "fork_tops": (1, None), "is_data": True, "fork_fields": None, "origin": FROM_FILES,
}  # fmt: skip
_IMAGES: dict[str, Any] = {**_SOURCE, "images": True, "transforms": True}
_FROM_PROGRAM: dict[str, Any] = {**_SOURCE, "origin": FROM_PROGRAM}


@layer_type("Data", "data_layer.cpp", signal="data_models.DataSource", reads=("data_param", "transform_param"), tops=(1, 2), **_IMAGES)
def data(layer: Layer) -> Sequence[Shape]:
    """Images and labels from a database."""
    check_transform(layer)
    _check_source(layer, "data_param", "db.cpp")
    _check_prefetch(layer)
    batch = batch_size(layer, "data_param")
    return (cropped(layer, batch), (batch,))


@layer_type(
    "ImageData",
    "image_data_layer.cpp",
    signal="data_models.DataSource",
    reads=("image_data_param", "data_param", "transform_param"),
    tops=(2, 2),
    **_IMAGES,
)
def image_data(layer: Layer) -> Sequence[Shape]:
    """Images and labels from a list of files."""
    param = layer.message["image_data_param"]
    channels = 3 if param["is_color"] else 1
    check_transform(layer, channels)
    _check_source(layer, "image_data_param", ":56")
    _check_prefetch(layer)
    height, width = param["new_height"] or None, param["new_width"] or None
    if (height is None) != (width is None):
        name = "new_width" if height is None else "new_height"
        text = f"only {name} is set; expected new_height and new_width, or neither"
        layer.fail("image-size", text, f"image_data_param.{name}", ":33")
        height = width = None
    batch = batch_size(layer, "image_data_param", "setup")
    return (cropped(layer, batch, channels, height, width), (batch,))


@layer_type(
    "WindowData",
    "window_data_layer.cpp",
    signal="data_models.DataSource",
    reads=("window_data_param", "data_param", "transform_param"),
    tops=(2, 2),
    **_IMAGES,
)
def window_data(layer: Layer) -> Sequence[Shape]:
    """Windows of images and their labels, from a list."""
    check_transform(layer)
    _check_source(layer, "window_data_param", "")
    _check_prefetch(layer)
    batch = layer.message["window_data_param"]["batch_size"] or None
    crop = layer.message["transform_param"]["crop_size"] or None
    if crop is None:
        layer.fail("crop-missing", "crop_size is not set", "transform_param.crop_size")
    return ((batch, None, crop, crop), (batch,))


@layer_type(
    "HDF5Data",
    "hdf5_data_layer.cpp",
    signal="data_models.DataSource",
    reads=("hdf5_data_param", "transform_param"),  # the latter only to reject it
    tops=(1, None),
    **_SOURCE,
)
def hdf5_data(layer: Layer) -> Sequence[Shape]:
    """Arrays from HDF5 files, one for each top. The number of axes depends on the data."""
    if "transform_param" in layer.message.entries:
        layer.fail("hdf5-transform", "transform_param is not supported", "transform_param", ":77")
    _check_source(layer, "hdf5_data_param", "")
    batch_size(layer, "hdf5_data_param")
    return ()


@layer_type(
    "HDF5Output",
    "hdf5_output_layer.cpp",
    signal="data_models.Output",
    simulate="combining.Report",
    reads=("hdf5_output_param",),
    bottoms=(2, 2),
    tops=(0, 0),
)
def hdf5_output(layer: Layer) -> Sequence[Shape]:
    """Writes both bottoms to a file, once: the second pass finds the arrays there and stops."""
    return ()


@layer_type(
    "MemoryData",
    "memory_data_layer.cpp",
    signal="data_models.DataSource",
    reads=("memory_data_param", "transform_param"),
    tops=(2, 2),
    transforms=True,
    **_FROM_PROGRAM,
)
def memory_data(layer: Layer) -> Sequence[Shape]:
    """Images and labels that a program provides."""
    param = layer.message["memory_data_param"]
    if "dim" in param.entries:  # BVLC's branch opencl takes these instead; labels have as many axes
        shape = tuple(size or None for size in param["dim"])
        return (shape, (shape[0], *(1 for _ in shape[1:])))
    sizes = [param[name] or None for name in ("batch_size", "channels", "height", "width")]
    if None in sizes:
        name = ("batch_size", "channels", "height", "width")[sizes.index(None)]
        text = f"{name} is missing or 0; MemoryData needs batch_size, channels, height and width"
        layer.fail("memory-size", text, f"memory_data_param.{name}", ":19")
    return (tuple(sizes), (sizes[0],))


_LEGACY = ("num", "channels", "height", "width")


@layer_type(
    "DummyData",
    "dummy_data_layer.cpp",
    signal="data_models.DummyData",
    reads=("dummy_data_param",),
    bottoms=(0, 0),
    tops=(1, None),
    origin=MADE_UP,
    value_range=value_ranges.filled,
)
def dummy_data(layer: Layer) -> Sequence[Shape]:
    """Tops of a given shape, filled by fillers."""
    param = layer.message["dummy_data_param"]
    tops = len(layer.tops)
    shapes = _dummy_shapes(layer, param)
    fillers = param["data_filler"]
    if len(fillers) not in (0, 1, tops):
        text = f"{number_of(len(fillers), 'data_filler')} for {counted(tops, 'top')}; expected {one_or(tops)}, or none"
        layer.fail("dummy-fillers", text, "dummy_data_param.data_filler[0]")
        return shapes
    for top, filler, shape in zip(layer.tops, fillers, shapes or (None,) * tops):  # noqa: B905  (one filler is for all tops)
        if shape is None or 0 not in shape:
            check_filler(layer, filler, "data_filler", shape, top.name)
    return shapes


def _dummy_shapes(layer: Layer, param: Message) -> Sequence[Dims]:
    """The shapes of a DummyData's tops, none if Caffe rejects what is written of them."""
    tops = len(layer.tops)
    shapes = param["shape"]
    legacy = [name for name in _LEGACY if name in param.entries]
    if not legacy:
        if len(shapes) in (1, tops):
            dims = [tuple(shape["dim"]) for shape in (shapes * tops if len(shapes) == 1 else shapes)]
            return _check_empty(layer, dims)
        text = f"{counted(len(shapes), 'shape')} for {counted(tops, 'top')}; expected {one_or(tops)}"
        layer.fail("dummy-shape", text, "dummy_data_param.shape[0]", ":38")
        return ()
    if shapes:
        layer.fail("dummy-shape", f"both shape and {legacy[0]} are set", f"dummy_data_param.{legacy[0]}[0]", ":34")
        return ()
    sizes = []
    for name in _LEGACY:
        values = param[name]
        if len(values) not in (1, tops):
            text = f"{number_of(len(values), name)} for {counted(tops, 'top')}; expected {one_or(tops)}"
            layer.fail("dummy-shape", text, f"dummy_data_param.{name}[0]")
            return ()
        sizes.append(values * tops if len(values) == 1 else values)
    return _check_empty(layer, list(zip(*sizes, strict=True)))


@layer_type("Input", "input_layer.cpp", signal="data_models.DataSource", reads=("input_param",), tops=(1, None), **_FROM_PROGRAM)
def input_(layer: Layer) -> Sequence[Shape]:
    """Tops that a program fills. A top without a shape has no axes and no elements until the program reshapes it."""
    shapes = layer.message["input_param"]["shape"]
    tops = len(layer.tops)
    if not shapes:
        if type_of_settings(layer.message, layer.traits) is not None:
            layer.fail("input-without-shape", "no shape is set", "input_param", "blob.hpp:122")
        return ((),) * tops
    if len(shapes) not in (1, tops):
        text = f"{counted(len(shapes), 'shape')} for {counted(tops, 'top')}; expected {one_or(tops)}, or none"
        layer.fail("input-shape", text, "input_param.shape[0]", ":13")
        return ()
    return _check_empty(layer, [tuple(shape["dim"]) for shape in (shapes * tops if len(shapes) == 1 else shapes)])


# -- data layers of forks --------------------------------------------------------------------------------


@layer_type(
    "AnnotatedData", "annotated_data_layer.cpp", signal="data_models.DataSource", settings="data_param", tops=(1, None), **_IMAGES
)
def annotated_data(layer: Layer) -> Sequence[Shape]:
    """SSD: images, and boxes with their labels."""
    batch = batch_size(layer, "data_param")
    check_transform(layer)
    transform = layer.message["transform_param"]
    height = width = None
    if "resize_param" in transform.entries:
        resize = transform["resize_param"]
        if resize.get("resize_mode", "WARP") in ("WARP", "FIT_LARGE_SIZE_AND_PAD"):
            height, width = resize.get("height"), resize.get("width")
    return (cropped(layer, batch, None, height, width), (1, 1, None, 8))


def _data_of_fork(layer: Layer) -> Sequence[Shape]:
    for name in ("data_param", "image_data_param", "dense_image_data_param", "video_data_param"):
        if name in layer.message.entries:
            size = layer.message[name].get("batch_size")
            if isinstance(size, int) and size:
                return ((size, None, None, None),)
    return ()


for _name, _source, _facts, _signal in (
    ("BoxData", "box_data_layer.cpp", {**_SOURCE, "transforms": True}, UNMODELLED),
    ("CustomData", "custom_data_layer.cpp", {**_SOURCE, "transforms": True}, UNMODELLED),
    ("DenseImageData", "dense_image_data_layer.cpp", _IMAGES, "data_models.DataSource"),
    ("ImageSegData", "image_seg_data_layer.cpp", _IMAGES, UNMODELLED),
    ("MatRead", "mat_read_layer.cpp", _SOURCE, UNMODELLED),
    ("SparseData", "sparse_data_layer.cpp", _SOURCE, UNMODELLED),
    ("VideoData", "video_data_layer.cpp", _IMAGES, "data_models.DataSource"),
):
    layer_type(_name, _source, signal=_signal, tops=(1, None), open_params=True, **_facts)(_data_of_fork)
