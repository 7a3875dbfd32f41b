"""Batches of the data that the layers of a net name, read from the start, as Caffe reads them without shuffling."""

from __future__ import annotations

import io
import itertools
import os
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from ..data import image_list, leveldb_source, lmdb_source, mean_file
from ..data.datum import BrokenDatum, Datum, read_datum
from ..data.hdf5_file import BrokenHdf5, dataset_at, open_hdf5
from ..data.hdf5_source import listed
from ..data.leveldb_source import BrokenDatabase
from ..data.libraries import library
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
_MOST_ITEMS = 4096  # of a source that are read; after them it starts again


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
                except (OSError, Unreadable, BrokenHdf5, BrokenDatum, BrokenDatabase, ValueError) as error:
                    raise CannotSimulate(f"the data of '{layer.name}' cannot be read ({error})") from None

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
            items = _listed_images(path, param)
        else:
            raise CannotSimulate(f"{layer.type} '{layer.name}' cannot be read for a simulation")
        read = list(itertools.islice(items, wanted))
        if not read:
            raise CannotSimulate(f"the source of '{layer.name}' is empty")
        images = np.stack([image for image, _ in read])
        self.rows[layer.tops[0]] = self._transformed(layer, images)
        if len(layer.tops) > 1:
            self.rows[layer.tops[1]] = np.asarray([label for _, label in read], np.float32)

    def _read_hdf5(self, layer: Layer, path: str, base: str, wanted: int) -> None:
        parts: dict[Blob, list[Array]] = {top: [] for top in layer.tops}
        for name in listed(path):
            with open_hdf5(os.path.join(base, name), _PURPOSE) as file:
                for top in layer.tops:
                    dataset = dataset_at(file, top.name)
                    if dataset is None:
                        raise CannotSimulate(f"{name} has no dataset '{top.name}'")
                    parts[top].append(np.asarray(dataset[:wanted], np.float32))
            if sum(map(len, parts[layer.tops[0]])) >= wanted:
                break
        for top, arrays in parts.items():
            if not sum(map(len, arrays)):
                raise CannotSimulate(f"the source of '{layer.name}' is empty")
            self.rows[top] = np.concatenate(arrays)

    def _transformed(self, layer: Layer, images: Array) -> Array:
        """What DataTransformer makes of images: a random crop, a random mirror, minus the mean, times the scale."""
        param = layer.message["transform_param"]
        means = list(param["mean_value"])
        if param["mean_file"]:
            images = images - images.mean(0)  # that of the images that are read, near that of the file
        elif means:
            images = images - np.asarray(means, np.float32).reshape(-1, 1, 1)
        size = param["crop_size"]
        if size:
            high, wide = images.shape[2] - size, images.shape[3] - size
            rows, columns = self.draw.integers(0, high + 1, len(images)), self.draw.integers(0, wide + 1, len(images))
            images = np.stack([
                image[:, row : row + size, column : column + size]
                for image, row, column in zip(images, rows, columns, strict=True)
            ])  # fmt: skip
        if param["mirror"]:
            images = np.where((self.draw.random(len(images)) < 0.5)[:, None, None, None], images[..., ::-1], images)
        return images * np.float32(param["scale"])


def matrix_of(layer: Layer, base: str) -> Array:
    """The values of the infogain matrix that a loss names, in a row. Raises CannotSimulate."""
    try:
        found = mean_file.read(os.path.join(base, layer.message["infogain_loss_param"]["source"]))
    except (OSError, Unreadable, mean_file.BrokenMean) as error:
        raise CannotSimulate(f"the matrix of '{layer.name}' cannot be read ({error})") from None
    return np.frombuffer(found.values, "<f4")


def _records(path: str) -> Iterator[tuple[Array, float]]:
    """The images and labels of a database."""
    if leveldb_source.is_leveldb(path):
        for _, value in leveldb_source.records(path):
            yield _decoded(value)
        return
    if not os.path.exists(path):
        raise Unreadable(path, "No such file or directory")
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
    if data:
        return np.frombuffer(data, np.uint8).reshape(shape).astype(np.float32)
    parts = []
    for start, end, packed in datum.floats:
        raw = np.frombuffer(value, np.uint8, end - start, start)
        parts.append(raw.view("<f4") if packed else np.ascontiguousarray(raw.reshape(-1, 5)[:, 1:]).view("<f4").reshape(-1))
    return np.concatenate(parts).astype(np.float32).reshape(shape) if parts else np.zeros(shape, np.float32)


def _listed_images(path: str, param: Message) -> Iterator[tuple[Array, float]]:
    """The images and labels of a list."""
    size = (param["new_width"], param["new_height"]) if param["new_width"] and param["new_height"] else None
    for line in image_list.lines(path):
        content = read_regular(os.path.join(param["root_folder"], line.image), MAX_IMAGE)
        yield _image(content, color=param["is_color"], size=size), float(image_list.whole(line.label or "") or 0)


def _image(content: bytes, *, color: bool, size: tuple[int, int] | None = None) -> Array:
    """An encoded image, with its channels in OpenCV's order."""
    image = library("PIL.Image", _PURPOSE).open(io.BytesIO(content)).convert("RGB" if color else "L")
    pixels = np.asarray(image.resize(size) if size else image, np.float32)
    return pixels[..., ::-1].transpose(2, 0, 1) if color else pixels[None]
