"""Batches of the data that the layers of a net name, read from the start, as Caffe reads them without shuffling."""

from __future__ import annotations

import itertools
import math
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ..data import image_list, leveldb_source, lmdb_source, mean_file
from ..data.broken import BrokenData
from ..data.datum import BrokenDatum, Datum, read_datum
from ..data.hdf5_file import dataset_at, open_hdf5
from ..data.hdf5_source import listed
from ..data.images import decoded
from ..moments.shapes import describe
from ..net.data_facts import source_param
from ..source.opener import MAX_IMAGE, Unreadable, read_regular
from .arrays import Array, Generator, np
from .operator import CannotSimulate
from .tape import is_fed

if TYPE_CHECKING:
    from ..moments.graph import Blob, Layer
    from ..net.net import Net
    from ..proto.binder import Message
    from .made_up_data import MadeUpData

_PURPOSE = "simulating a training on its data"
# Of a source that are read, at least a batch; after them it starts again.
_MOST_ITEMS, _MOST_VALUES = 4096, 1 << 28


class CannotReadData(CannotSimulate):
    """Data cannot be read, or not be trained with; the message is a clause that says why."""


class StoredData:
    """Batches of stored data; what no file holds, such as DummyData, is made up by `others`."""

    def __init__(self, net: Net, base: str, draw: Generator, others: MadeUpData, wanted: int) -> None:
        self.others = others
        self.draw = draw
        self.rows: dict[Blob, Array] = {}
        self.place = 0
        for layer in net.layers:
            if is_fed(layer) and source_param(layer.message) is not None:
                try:
                    self._read(layer, base, min(wanted, _MOST_ITEMS))
                except (Unreadable, BrokenData) as error:
                    raise CannotReadData(f"the data of '{layer.name}' cannot be read: {error}") from None
                except OSError as error:
                    raise CannotReadData(f"the data of '{layer.name}' cannot be read: {error.strerror}") from None

    def batch(self) -> Mapping[Blob, Array]:
        """The next batch."""
        found = self.others.batch()
        for blob, rows in self.rows.items():
            number = self.others.shape(blob)[0]
            found[blob] = rows[np.arange(self.place, self.place + number) % len(rows)]
        self.place += self.others.items
        return found

    def _read(self, layer: Layer, base: str, wanted: int) -> None:
        name, param = source_param(layer.message) or ("", None)
        assert param is not None
        path = os.path.join(base, param["source"])
        if name == "hdf5_data_param":
            self._read_hdf5(layer, path, base, wanted)
            return
        if name == "data_param":
            items = _records(path)
        elif name == "image_data_param":
            items = _listed_images(path, base, param)
        else:
            raise CannotReadData(f"{layer.type} '{layer.name}' cannot be read for a simulation")
        read = list(itertools.islice(items, self._at_most(wanted, layer.tops[0])))
        if not read:
            raise CannotReadData(f"the source of '{layer.name}' is empty")
        self._keep(layer.tops[0], self._transformed(layer, [image for image, _ in read], base))
        if len(layer.tops) > 1:
            self.rows[layer.tops[1]] = np.asarray([label for _, label in read], np.float32)

    def _at_most(self, wanted: int, top: Blob) -> int:
        """How many items of a top are read: so many as are wanted, as long as they fit into memory."""
        number, *item = self.others.shape(top)
        return min(wanted, max(number, _MOST_VALUES // max(1, math.prod(item))))

    def _keep(self, top: Blob, items: Sequence[Array]) -> None:
        """Keep the items of a top. Raises CannotReadData if they do not have the shape that they have in the net."""
        shape = self.others.shape(top)[1:]
        for item in items:
            if _sides(item.shape) != _sides(shape):
                text = f"an item of '{top.name}' is {describe(item.shape)}, but {describe(shape)} in the net"
                raise CannotReadData(f"{text}; give it with --input-shape")
        self.rows[top] = np.asarray(items, np.float32)

    def _read_hdf5(self, layer: Layer, path: str, base: str, wanted: int) -> None:
        parts: dict[Blob, list[Array]] = {top: [] for top in layer.tops}
        for name in listed(path):
            with _naming(name), open_hdf5(os.path.join(base, name), _PURPOSE) as file:
                for top in layer.tops:
                    dataset = dataset_at(file, top.name)
                    if dataset is None:
                        raise CannotReadData(f"{name} has no dataset '{top.name}'")
                    if dataset.dtype.kind not in "fiu" or not dataset.shape:
                        raise CannotReadData(f"the dataset '{top.name}' of {name} has no items that are numbers")
                    rows = np.asarray(dataset[: self._at_most(wanted, top)], np.float32)
                    parts[top].extend(rows)
            if len(parts[layer.tops[0]]) >= wanted:
                break
        for top, items in parts.items():
            if not items:
                raise CannotReadData(f"the source of '{layer.name}' is empty")
            self._keep(top, items)

    def _transformed(self, layer: Layer, images: list[Array], base: str) -> list[Array]:
        """What DataTransformer makes of images: a random crop, a random mirror, minus the mean, times the scale."""
        param = layer.message["transform_param"]
        size, means = param["crop_size"], list(param["mean_value"])
        if param["mean_file"]:
            if len({image.shape for image in images}) > 1:
                raise CannotReadData(f"the images of '{layer.name}' have several sizes, but one mean_file")
            mean = _mean_of(layer, base, images[0].shape)
            images = [image - mean for image in images]
        elif means:
            if any(len(means) not in (1, len(image)) for image in images):
                raise CannotReadData(f"'{layer.name}' has {len(means)} mean_value for images with another number of channels")
            images = [image - np.asarray(means, np.float32).reshape(-1, 1, 1) for image in images]
        if size:
            high, wide = ([image.shape[axis] - size for image in images] for axis in (1, 2))
            if min(*high, *wide) < 0:
                raise CannotReadData(f"an image of '{layer.name}' is smaller than crop_size {size}")
            rows, columns = self.draw.integers(0, np.add(high, 1)), self.draw.integers(0, np.add(wide, 1))
            images = [
                image[:, row : row + size, column : column + size]
                for image, row, column in zip(images, rows, columns, strict=True)
            ]
        if param["mirror"]:
            chosen = self.draw.random(len(images)) < 0.5
            images = [image[..., ::-1] if mirrored else image for image, mirrored in zip(images, chosen, strict=True)]
        return [image * np.float32(param["scale"]) for image in images]


def _sides(shape: Sequence[int]) -> list[int]:
    return [side for side in shape if side != 1]


def matrix_of(layer: Layer, base: str) -> Array:
    """The values of the infogain matrix that a loss names, in a row. Raises CannotReadData."""
    return _blob(f"the matrix of '{layer.name}'", base, layer.message["infogain_loss_param"]["source"])[0]


def _mean_of(layer: Layer, base: str, shape: tuple[int, ...]) -> Array:
    """The mean image of a layer, for images of a shape. Raises CannotReadData."""
    values, found = _blob(f"the mean file of '{layer.name}'", base, layer.message["transform_param"]["mean_file"])
    if found != shape:
        raise CannotReadData(f"the mean file of '{layer.name}' is {describe(found)}, its images are {describe(shape)}")
    return values.reshape(shape)


def _blob(what: str, base: str, name: str) -> tuple[Array, tuple[int, ...]]:
    """The values of a file with a blob, in a row, and its channels, height and width. Raises CannotReadData."""
    try:
        found = mean_file.read(os.path.join(base, name))
    except (Unreadable, BrokenData) as error:
        raise CannotReadData(f"{what} cannot be read: {error}") from None
    return np.frombuffer(found.values, "<f4"), found.shape


def _records(path: str) -> Iterator[tuple[Array, float]]:
    """The images and labels of a database."""
    if leveldb_source.is_leveldb(path):
        for _, value in leveldb_source.records(path):
            yield _decoded(value)
        return
    with lmdb_source.open_lmdb(path) as environment, environment.begin() as transaction:
        for value in transaction.cursor().iternext(keys=False, values=True):
            yield _decoded(value)


def _decoded(value: bytes) -> tuple[Array, float]:
    datum = read_datum(value)
    return _pixels(value, datum), float(datum.label)


def _pixels(value: bytes, datum: Datum) -> Array:
    data = value[datum.start : datum.end]
    if datum.encoded:
        return _image(data, color=True)
    shape = (datum.channels, datum.height, datum.width)
    parts = [np.frombuffer(data, np.uint8)]
    try:
        for start, end, packed in () if data else datum.floats:
            raw = np.frombuffer(value, np.uint8, end - start, start)
            parts.append(raw.view("<f4") if packed else np.ascontiguousarray(raw.reshape(-1, 5)[:, 1:]).view("<f4").reshape(-1))
        return np.concatenate(parts).astype(np.float32).reshape(shape)
    except ValueError:
        raise BrokenDatum(f"a record has not as many values as its shape, {describe(shape)}") from None


def _listed_images(path: str, base: str, param: Message) -> Iterator[tuple[Array, float]]:
    """The images and labels of a list."""
    size = (param["new_width"], param["new_height"]) if param["new_width"] and param["new_height"] else None
    for line in image_list.lines(path):
        content = read_regular(os.path.join(base, param["root_folder"] + line.image), MAX_IMAGE)
        with _naming(line.image):
            found = _image(content, color=param["is_color"], size=size)
        yield found, float(image_list.whole(line.label or "") or 0)


@contextmanager
def _naming(file: str) -> Iterator[None]:
    """Names a file in what is raised for its data."""
    try:
        yield
    except BrokenData as error:
        raise BrokenData(f"{file}: {error}") from None


def _image(content: bytes, *, color: bool, size: tuple[int, int] | None = None) -> Array:
    """An encoded image, with its channels in OpenCV's order."""
    image = decoded(content).convert("RGB" if color else "L")
    pixels = np.asarray(image.resize(size) if size else image, np.float32)
    return pixels[..., ::-1].transpose(2, 0, 1) if color else pixels[None]
