"""Read the shapes and sizes of trained weights: a .caffemodel, in any generation of the format, or a .caffemodel.h5.

A file is read once from start to end, in pieces, so that memory does not grow with it. Sources: NetParameter, LayerParameter,
V1LayerParameter, V0LayerParameter and BlobProto in caffe.proto; net.cpp, Net::CopyTrainedLayersFromHDF5.
"""

from __future__ import annotations

import math
import os
from functools import lru_cache
from typing import IO, Any

from ..net.trained_weights import TrainedBlob, TrainedWeights
from ..proto.named_tuple import NamedTuple
from ..source.errors import InputError
from ..source.opener import MAX_MESSAGE, Unreadable, open_regular
from .hdf5_file import BrokenHdf5, dataset_at, member, open_hdf5
from .libraries import library

_PIECE = 1 << 20  # values that are read at once
_MAX_LAYERS, _MAX_BLOBS, _MAX_NAME, _MAX_AXES = 100_000, 1_000, 10_000, 32
_MAX_FIELDS = 2_000_000  # a file of Caffe has some ten for each layer
_HDF5 = b"\x89HDF\r\n\x1a\n"

# Field numbers: of NetParameter, of its layers (name, blobs), and of BlobProto.
_LAYERS = {2: "v1", 100: "layer"}
_NAME_AND_BLOBS = {"layer": (1, 7), "v1": (4, 6), "v0": (1, 50)}
_V0_INSIDE = 1
_LEGACY_SHAPE, _DATA, _SHAPE, _DOUBLE_DATA = (1, 2, 3, 4), 5, 7, 8
_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5


class WeightsError(InputError):
    """A file of weights cannot be used; says which, and why."""


def read_weights(path: str) -> TrainedWeights:
    """Read the weights of a file, or of several separated by commas, as `caffe train --weights` does. Raises WeightsError."""
    found: dict[str, tuple[TrainedBlob, ...]] = {}
    for name in path.split(","):
        found.update(_read(name, *_state(name)).layers)
    return TrainedWeights(path, found)


def _state(path: str) -> tuple[int, int]:
    """Return what tells that a file has changed. Raises WeightsError if it is no regular file."""
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
    except Unreadable as error:
        raise WeightsError(str(error)) from None
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=8)  # each check of a run asks
def _read(path: str, size: int, _changed: int) -> TrainedWeights:
    try:
        with open_regular(path) as file:
            if file.read(len(_HDF5)) == _HDF5:
                return TrainedWeights(path, _read_hdf5(path))
            if size > MAX_MESSAGE:
                raise WeightsError(f"{path}: larger than 2 GB, the most that Caffe can read")
            file.seek(0)
            layers = _Reader(file, size).net()
    except Unreadable as error:
        raise WeightsError(str(error)) from None
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from None
    except _Broken as error:
        raise WeightsError(f"{path}: not a readable .caffemodel: {error}") from None
    if not any(layers.values()):
        raise WeightsError(f"{path}: not a .caffemodel: it has no weights")
    return TrainedWeights(path, layers)


class _Broken(Exception):
    """The bytes are no message of the wire format; says where."""


class _Sums:
    """Sums over the elements of a blob."""

    def __init__(self) -> None:
        self.numpy = library("numpy", "reading weights")
        self.count = 0
        self.plain = self.absolute = self.squares = 0.0

    def add(self, values: Any) -> None:
        """Add an array of numbers."""
        self.count += values.size
        with self.numpy.errstate(all="ignore"):  # NaN and infinity stay what they are
            values = values.astype(self.numpy.float64, copy=False)
            self.plain += float(values.sum())
            self.absolute += float(self.numpy.abs(values).sum())
            self.squares += float(self.numpy.square(values).sum())

    def blob(self, shape: tuple[int, ...], *, is_legacy: bool = False) -> TrainedBlob:
        """Return the blob of a shape."""
        count = max(1, self.count)
        return TrainedBlob(shape, self.plain / count, self.absolute / count, self.squares / count, is_legacy)


class _Field(NamedTuple):
    """A field in the wire format: its number and wire type, and its value, or the place where it ends."""

    number: int
    wire: int
    value: int


class _Reader:
    """Reads a NetParameter from a file whose size is known."""

    def __init__(self, file: IO[bytes], size: int) -> None:
        self._file = file
        self._size = size
        self._at = 0
        self._fields = 0

    def net(self) -> dict[str, tuple[TrainedBlob, ...]]:
        """Return the blobs of each layer, by name. Raises _Broken."""
        layers: dict[str, tuple[TrainedBlob, ...]] = {}
        while self._at < self._size:
            field = self._field(self._size)
            if field.wire == _DELIMITED and field.number in _LAYERS:
                name, blobs = self._layer(field.value, _LAYERS[field.number])
                if blobs or name not in layers:
                    layers[name] = tuple(blobs)
                if len(layers) > _MAX_LAYERS:
                    raise _Broken(f"more than {_MAX_LAYERS} layers")
            else:
                self._skip(field)
        return layers

    def _layer(self, end: int, form: str) -> tuple[str, list[TrainedBlob]]:
        """Return the name and blobs of a layer that ends at a place."""
        name = ""
        blobs: list[TrainedBlob] = []
        number_of_name, number_of_blobs = _NAME_AND_BLOBS[form]
        while self._at < end:
            field = self._field(end)
            if field.wire == _DELIMITED and field.number == number_of_name:
                name = self._bytes(field.value, _MAX_NAME).decode("utf-8", "surrogateescape")
            elif field.wire == _DELIMITED and field.number == number_of_blobs and len(blobs) < _MAX_BLOBS:
                blobs.append(self._blob(field.value))
            elif field.wire == _DELIMITED and form == "v1" and field.number == _V0_INSIDE:
                name, inside = self._layer(field.value, "v0")
                blobs += inside
            else:
                self._skip(field)
        return name, blobs

    def _blob(self, end: int) -> TrainedBlob:
        sums = _Sums()
        legacy = dict.fromkeys(_LEGACY_SHAPE, 0)
        shape: list[int] | None = None
        numpy = sums.numpy
        while self._at < end:
            field = self._field(end)
            if field.number in legacy and field.wire == _VARINT:
                legacy[field.number] = field.value
            elif field.number == _SHAPE and field.wire == _DELIMITED:
                shape = self._shape(field.value)
            elif field.number == _DATA and field.wire == _DELIMITED:
                self._values(field.value, numpy.dtype("<f4"), sums)
            elif field.number == _DOUBLE_DATA and field.wire == _DELIMITED:
                self._values(field.value, numpy.dtype("<f8"), sums)
            elif (field.number, field.wire) in ((_DATA, _FIXED32), (_DOUBLE_DATA, _FIXED64)):
                kind = "<f4" if field.wire == _FIXED32 else "<f8"
                sums.add(numpy.frombuffer(field.value.to_bytes(4 if field.wire == _FIXED32 else 8, "little"), kind))
            else:
                self._skip(field)
        is_legacy = any(legacy.values())
        dims = tuple(legacy.values()) if is_legacy else tuple(shape or ())
        if sums.count != math.prod(dims):  # Caffe stops (blob.cpp, Blob::FromProto)
            raise _Broken(f"a blob of {' x '.join(map(str, dims)) or 'one value'} has {sums.count} values")
        return sums.blob(dims, is_legacy=is_legacy)

    def _shape(self, end: int) -> list[int]:
        dims: list[int] = []
        while self._at < end:
            field = self._field(end)
            if field.number == 1 and field.wire == _VARINT:
                dims.append(field.value)
            elif field.number == 1 and field.wire == _DELIMITED:
                while self._at < field.value:
                    dims.append(self._varint(field.value))
            else:
                self._skip(field)
            if len(dims) > _MAX_AXES:
                raise _Broken(f"a blob has more than {_MAX_AXES} axes")
        return dims

    def _values(self, end: int, dtype: Any, sums: _Sums) -> None:
        if (end - self._at) % dtype.itemsize:
            raise _Broken(f"the data at byte {self._at} are no whole numbers")
        while self._at < end:
            sums.add(sums.numpy.frombuffer(self._bytes(min(end, self._at + _PIECE * dtype.itemsize)), dtype))

    def _field(self, end: int) -> _Field:
        """Read a key, and the value or the length after it."""
        self._fields += 1
        if self._fields > _MAX_FIELDS:
            raise _Broken(f"more than {_MAX_FIELDS} fields")
        key = self._varint(end)
        number, wire = key >> 3, key & 7
        if wire == _VARINT:
            return _Field(number, wire, self._varint(end))
        if wire == _DELIMITED:
            length = self._varint(end)
            if self._at + length > end:
                raise _Broken(f"truncated at byte {self._at}" if end == self._size else f"a length at byte {self._at} is wrong")
            return _Field(number, wire, self._at + length)
        if wire in (_FIXED32, _FIXED64):
            size = 4 if wire == _FIXED32 else 8
            return _Field(number, wire, int.from_bytes(self._bytes(min(end, self._at + size), expected=size), "little"))
        raise _Broken(f"unknown wire type {wire} at byte {self._at}")

    def _varint(self, end: int) -> int:
        result = 0
        for shift in range(0, 70, 7):
            if self._at >= end:
                raise _Broken(f"truncated at byte {self._at}")
            byte = self._bytes(self._at + 1)[0]
            result |= (byte & 0x7F) << shift
            if byte < 0x80:
                return result
        raise _Broken(f"a number at byte {self._at} is too long")

    def _bytes(self, end: int, limit: int | None = None, *, expected: int | None = None) -> bytes:
        """Read up to a place."""
        size = end - self._at
        if limit is not None and size > limit:
            raise _Broken(f"a name at byte {self._at} is too long")
        found = self._file.read(size)
        self._at += len(found)
        if len(found) < size or (expected is not None and size < expected):
            raise _Broken(f"truncated at byte {self._at}")
        return found

    def _skip(self, field: _Field) -> None:
        """Go past the value of a field that is not needed."""
        if field.wire == _DELIMITED:
            self._file.seek(field.value)
            self._at = field.value


def _read_hdf5(path: str) -> dict[str, tuple[TrainedBlob, ...]]:
    """Read the weights of a .caffemodel.h5: datasets /data/LAYER/0, /data/LAYER/1, …"""
    layers: dict[str, tuple[TrainedBlob, ...]] = {}
    try:
        with open_hdf5(path, "reading weights in HDF5") as file:
            data = member(file, "data")
            if not hasattr(data, "keys"):
                raise WeightsError(f"{path}: not a .caffemodel.h5: it has no group 'data'")
            for name in list(data)[:_MAX_LAYERS]:
                layer = member(data, name)
                blobs: list[TrainedBlob] = []
                while hasattr(layer, "keys") and len(blobs) < _MAX_BLOBS:
                    dataset = dataset_at(layer, str(len(blobs)))
                    if dataset is None:
                        break
                    blobs.append(_dataset(path, name, dataset))
                layers[name] = tuple(blobs)
    except BrokenHdf5 as error:
        raise WeightsError(f"{path}: weights cannot be read: {error}") from None
    if not any(layers.values()):
        raise WeightsError(f"{path}: not a .caffemodel.h5: it has no weights")
    return layers


def _dataset(path: str, layer: str, dataset: Any) -> TrainedBlob:
    sums = _Sums()
    if dataset.dtype.kind not in "fiu":
        raise WeightsError(f"{path}: the weights of layer '{layer}' cannot be read")
    shape = tuple(map(int, dataset.shape))
    rows = max(1, _PIECE * max(1, shape[0]) // max(1, dataset.size)) if shape else 1
    for start in range(0, shape[0], rows) if shape else ():
        sums.add(dataset[start : start + rows].reshape(-1))
    return sums.blob(shape)
