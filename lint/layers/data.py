"""Layers that bring data into the net or take it out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..proto.binder import Message
from ..shapes import Dims, Shape
from .layer_type import ALL, layer_type

if TYPE_CHECKING:
    from ..net import Layer


def cropped(
    layer: Layer,
    batch: int | None,
    channels: int | None = None,
    height: int | None = None,
    width: int | None = None,
) -> Dims:
    """The shape of a batch of images; `crop_size` makes them square (DataTransformer::InferBlobShape)."""
    transform = layer.message["transform_param"]
    crop = transform["crop_size"]
    if not crop:
        crop_h, crop_w = (
            transform.get(name) if name in transform.type.fields else None for name in ("crop_h", "crop_w")
        )
        return (batch, channels, crop_h or height, crop_w or width)
    for size, side in ((height, "height"), (width, "width")):
        if size is not None and crop > size:
            message = f"layer '{layer.name}' crops {crop} from images of {side} {size}"
            layer.fail(
                "crop-too-large", message, "transform_param.crop_size", "data_transformer.cpp", when="forward"
            )
    return (batch, channels, crop, crop)


def check_transform(layer: Layer, channels: int | None = None) -> None:
    """Source: DataTransformer's constructor and Transform."""
    transform = layer.message["transform_param"]
    means = transform["mean_value"]
    if means and "mean_file" in transform.entries:
        message = f"layer '{layer.name}' has both mean_file and mean_value: Caffe takes one or the other"
        layer.fail("mean-twice", message, "transform_param.mean_value[0]", "data_transformer.cpp:21")
    if len(means) > 1 and channels is not None and len(means) != channels:
        message = f"layer '{layer.name}' has {len(means)} mean_value for {channels} channels: Caffe wants 1 or {channels}"
        layer.fail(
            "mean-count", message, "transform_param.mean_value[0]", "data_transformer.cpp", when="forward"
        )


def batch_size(layer: Layer, param: Message, path: str, source: str, when: str = "forward") -> int | None:
    """The batch size, which must be over 0."""
    size: int = param["batch_size"]
    if size:
        return size
    written = "batch_size" in param.entries
    message = (
        f"layer '{layer.name}' has a batch_size of 0"
        if written
        else f"layer '{layer.name}' has no batch_size"
    )
    layer.fail("batch-size-missing", message, f"{path}.batch_size", source, when=when)
    return None


@layer_type("Data", bottoms=(0, 0), tops=(1, 2), is_data=True)
def data(layer: Layer) -> Sequence[Shape]:
    """Source: data_layer.cpp."""
    param = layer.message["data_param"]
    check_transform(layer)
    batch = batch_size(layer, param, "data_param", "data_layer.cpp")
    if param["prefetch"] == 0:
        message = f"layer '{layer.name}' prefetches 0 batches: it would wait for the first for ever"
        layer.fail(
            "prefetch", message, "data_param.prefetch", "base_data_layer.cpp", when="forward", how="hang"
        )
    return (cropped(layer, batch), (batch,))


@layer_type("ImageData", bottoms=(0, 0), tops=(2, 2), is_data=True)
def image_data(layer: Layer) -> Sequence[Shape]:
    """Source: image_data_layer.cpp."""
    param = layer.message["image_data_param"]
    channels = 3 if param["is_color"] else 1
    check_transform(layer, channels)
    height, width = param["new_height"] or None, param["new_width"] or None
    if (height is None) != (width is None):
        message = f"layer '{layer.name}' has only one of new_height and new_width: Caffe wants both or none"
        name = "new_width" if height is None else "new_height"
        layer.fail("image-size", message, f"image_data_param.{name}", "image_data_layer.cpp:33")
        height = width = None
    batch = batch_size(layer, param, "image_data_param", "image_data_layer.cpp", "setup")
    return (cropped(layer, batch, channels, height, width), (batch,))


@layer_type("WindowData", bottoms=(0, 0), tops=(2, 2), is_data=True)
def window_data(layer: Layer) -> Sequence[Shape]:
    """Source: window_data_layer.cpp."""
    param = layer.message["window_data_param"]
    check_transform(layer)
    batch = param["batch_size"] or None
    crop = layer.message["transform_param"]["crop_size"]
    if not crop:
        message = f"layer '{layer.name}' needs a crop_size in its transform_param"
        layer.fail("crop-missing", message, "transform_param.crop_size", "window_data_layer.cpp")
        return ((batch, None, None, None), (batch,))
    return ((batch, None, crop, crop), (batch,))


@layer_type("HDF5Data", bottoms=(0, 0), tops=(1, None), is_data=True)
def hdf5_data(layer: Layer) -> Sequence[Shape]:
    """Source: hdf5_data_layer.cpp. The number of axes is the data's."""
    if "transform_param" in layer.message.entries:
        message = f"HDF5Data does not transform its data: layer '{layer.name}' has a transform_param"
        layer.fail("hdf5-transform", message, "transform_param", "hdf5_data_layer.cpp:77")
    return ()


@layer_type("HDF5Output", bottoms=(2, 2), tops=(0, 0), ignores_gradient=ALL)
def hdf5_output(layer: Layer) -> Sequence[Shape]:
    """Source: hdf5_output_layer.cpp."""
    return ()


@layer_type("MemoryData", bottoms=(0, 0), tops=(2, 2), is_data=True)
def memory_data(layer: Layer) -> Sequence[Shape]:
    """Source: memory_data_layer.cpp."""
    param = layer.message["memory_data_param"]
    sizes: list[int | None] = []
    for name in ("batch_size", "channels", "height", "width"):
        size = param[name] if name in param.type.fields else 0
        if not size:
            message = (
                f"layer '{layer.name}' needs batch_size, channels, height and width: {name} is missing or 0"
            )
            layer.fail("memory-size", message, f"memory_data_param.{name}", "memory_data_layer.cpp:19")
        sizes.append(size or None)
    return (tuple(sizes), (sizes[0],))


@layer_type("DummyData", bottoms=(0, 0), tops=(1, None))
def dummy_data(layer: Layer) -> Sequence[Shape]:
    """Source: dummy_data_layer.cpp."""
    param = layer.message["dummy_data_param"]
    tops = len(layer.tops)
    fillers = len(param["data_filler"])
    if fillers not in (0, 1, tops):
        message = (
            f"layer '{layer.name}' has {fillers} data_filler for {tops} tops: Caffe wants 1, {tops} or none"
        )
        layer.fail("dummy-fillers", message, "dummy_data_param.data_filler[0]", "dummy_data_layer.cpp")
    legacy = [name for name in ("num", "channels", "height", "width") if param[name]]
    shapes = param["shape"]
    if legacy:
        if shapes:
            message = f"layer '{layer.name}' has both shape and {legacy[0]}: Caffe takes one form"
            layer.fail("dummy-shape", message, f"dummy_data_param.{legacy[0]}[0]", "dummy_data_layer.cpp:34")
            return ()
        sizes = []
        for name in ("num", "channels", "height", "width"):
            values = param[name]
            if len(values) not in (1, tops):
                message = (
                    f"layer '{layer.name}' has {len(values)} {name} for {tops} tops: Caffe wants 1 or {tops}"
                )
                layer.fail("dummy-shape", message, f"dummy_data_param.{name}[0]", "dummy_data_layer.cpp")
                return ()
            sizes.append(values * tops if len(values) == 1 else values)
        return [tuple(dims) for dims in zip(*sizes, strict=True)]
    if len(shapes) not in (1, tops):
        message = f"layer '{layer.name}' has {len(shapes)} shapes for {tops} tops: Caffe wants 1 or {tops}"
        layer.fail("dummy-shape", message, "dummy_data_param.shape[0]", "dummy_data_layer.cpp:38")
        return ()
    return [tuple(shape["dim"]) for shape in (shapes * tops if len(shapes) == 1 else shapes)]


@layer_type("Input", bottoms=(0, 0), tops=(1, None), is_data=True)
def input_(layer: Layer) -> Sequence[Shape]:
    """Source: input_layer.cpp. Without any shape, a top has no axes and no elements until it is given some."""
    shapes = layer.message["input_param"]["shape"]
    tops = len(layer.tops)
    if len(shapes) not in (0, 1, tops):
        message = (
            f"layer '{layer.name}' has {len(shapes)} shapes for {tops} tops: Caffe wants 1, {tops} or none"
        )
        layer.fail("input-shape", message, "input_param.shape[0]", "input_layer.cpp:13")
        return ()
    return [tuple(shape["dim"]) for shape in (shapes * tops if len(shapes) == 1 else shapes)]


# -- data layers of forks ---------------------------------------------------------------------------------------


@layer_type("AnnotatedData", bottoms=(0, 0), tops=(1, None), is_data=True)
def annotated_data(layer: Layer) -> Sequence[Shape]:
    """SSD's: images with boxes (annotated_data_layer.cpp)."""
    batch = batch_size(layer, layer.message["data_param"], "data_param", "annotated_data_layer.cpp")
    check_transform(layer)
    transform = layer.message["transform_param"]
    height = width = None
    if "resize_param" in transform.type.fields and "resize_param" in transform.entries:
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


for _name in (
    "DenseImageData",
    "ImageSegData",
    "VideoData",
    "MatRead",
    "SparseData",
    "BoxData",
    "CustomData",
):
    layer_type(_name, bottoms=(0, 0), tops=(1, None), is_data=True, open_params=True)(_data_of_fork)
