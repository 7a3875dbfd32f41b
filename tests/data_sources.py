"""Makes real data for the tests, with the libraries that people make theirs with."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy

from caffe_lint.proto import caffe_pb2


def datum(
    label: int = 0, shape: tuple[int, int, int] = (3, 8, 8), *, data: bytes | None = None, seed: int | None = None
) -> bytes:
    """A raw Datum; its content goes by `seed`, else by the label."""
    count = shape[0] * shape[1] * shape[2]
    if data is None:
        data = numpy.random.default_rng(abs(label) if seed is None else seed).integers(0, 256, count, "uint8").tobytes()
    message = caffe_pb2.Datum(channels=shape[0], height=shape[1], width=shape[2], data=data, label=label)
    return message.SerializeToString()


def float_datum(values: Iterable[float], label: int = 0) -> bytes:
    """A Datum of 1 x 2 x 2 with float_data."""
    return caffe_pb2.Datum(channels=1, height=2, width=2, float_data=values, label=label).SerializeToString()


def encoded_datum(content: bytes, label: int = 0) -> bytes:
    """A Datum with an encoded image."""
    return caffe_pb2.Datum(data=content, label=label, encoded=True).SerializeToString()


def image(size: tuple[int, int] = (8, 8), mode: str = "RGB", kind: str = "PNG", seed: int = 0) -> bytes:
    """An encoded image of width and height."""
    from PIL import Image

    channels = {"RGB": 3, "L": 1}[mode]
    pixels = numpy.random.default_rng(seed).integers(0, 256, (size[1], size[0], channels), "uint8")
    picture = Image.fromarray(pixels if channels > 1 else pixels[:, :, 0], mode)
    buffer = io.BytesIO()
    picture.save(buffer, kind)
    return buffer.getvalue()


def lmdb_at(path: Path, records: Iterable[bytes]) -> None:
    """An LMDB with records under the keys that convert_imageset would give them."""
    import lmdb

    with lmdb.open(str(path), map_size=1 << 28) as environment, environment.begin(write=True) as transaction:
        for index, value in enumerate(records):
            transaction.put(f"{index:08d}".encode(), value)


def leveldb_at(path: Path, records: Iterable[bytes], **options: Any) -> None:
    """A LevelDB with the same; `options` are those of plyvel.DB."""
    import plyvel

    with plyvel.DB(str(path), create_if_missing=True, **options) as database:
        for index, value in enumerate(records):
            database.put(f"{index:08d}".encode(), value)


def hdf5_at(path: Path, datasets: Mapping[str, Any]) -> None:
    """An HDF5 file."""
    import h5py

    with h5py.File(path, "w") as file:
        for name, values in datasets.items():
            file[name] = numpy.asarray(values)
