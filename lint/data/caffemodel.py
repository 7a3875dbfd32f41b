"""Read the shapes, sizes or values of trained weights: a .caffemodel of any generation, or a .caffemodel.h5.

A file is read from start to end, in pieces, so that memory grows only with the values that are wanted. Sources: NetParameter,
LayerParameter, V1LayerParameter, V0LayerParameter and BlobProto in caffe.proto; net.cpp, Net::CopyTrainedLayersFromHDF5.
"""

from __future__ import annotations

import math
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Container, Mapping
from functools import cached_property, lru_cache
from typing import IO, Any, Generic, TypeVar

from ..net.trained_weights import BrokenWeights, TrainedBlob, TrainedWeights, WeightsError
from ..proto.named_tuple import NamedTuple
from ..source.files import LFS_POINTER
from ..source.opener import MAX_MESSAGE, Unreadable, open_regular
from ..source.questions import question
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

_Blob = TypeVar("_Blob")  # what is kept of a blob


def read_weights(path: str) -> TrainedWeights:
    """Read the weights of a file, or of several separated by commas, as `caffe train --weights` does. Raises WeightsError."""
    return TrainedWeights(path, _joined(path, lambda file: _read(file, *state_of_file(file)).layers))


@question
def read_shapes(path: str) -> TrainedWeights:
    """Read the shapes of what `read_weights` reads, without its values: the sizes are NaN. Raises WeightsError."""
    return TrainedWeights(path, _joined(path, lambda file: _blobs(file, _Shapes)))


def read_values(path: str, layers: Container[str]) -> dict[str, tuple[Any, ...]]:
    """Read the values of some layers' blobs, as flat arrays of 32-bit floats, from what `read_weights` reads. Raises WeightsError."""
    return _joined(path, lambda file: _blobs(file, _Values, layers.__contains__))


def _joined(path: str, read: Callable[[str], Mapping[str, tuple[_Blob, ...]]]) -> dict[str, tuple[_Blob, ...]]:
    """Return what is read of each of several files: where two have a layer of one name, that of the last."""
    return {name: blobs for file in path.split(",") for name, blobs in read(file).items()}


@question
def state_of_file(path: str) -> tuple[int, int]:
    """Return the size of a file of weights and the time of its last change. Raises WeightsError if it is no regular file."""
    try:
        with open_regular(path) as file:
            status = os.fstat(file.fileno())
    except Unreadable as error:
        raise WeightsError(str(error)) from None
    return status.st_size, status.st_mtime_ns


@lru_cache(maxsize=8)  # each check of a run asks
def _read(path: str, _size: int, _changed: int) -> TrainedWeights:
    layers = _blobs(path, _Sums)
    if not any(layers.values()):
        raise WeightsError(f"{path}: not a .caffemodel: it has no weights")
    return TrainedWeights(path, layers)


def _blobs(
    path: str, gather: Callable[[], _Gathered[_Blob]], is_wanted: Callable[[str], bool] = lambda name: True
) -> dict[str, tuple[_Blob, ...]]:
    """Return what is gathered of the blobs of each layer, by name; nothing of a layer that is not wanted."""
    try:
        with open_regular(path) as file:
            size = os.fstat(file.fileno()).st_size
            start = file.read(len(LFS_POINTER))
            if start.startswith(_HDF5):
                return _read_hdf5(path, gather, is_wanted)
            if start == LFS_POINTER:
                raise WeightsError(f"{path}: a Git LFS pointer, not the file itself (`git lfs pull` fetches it)")
            if size > MAX_MESSAGE:
                raise WeightsError(f"{path}: larger than 2 GB, the most that Caffe can read")
            file.seek(0)
            return _Reader(file, size, gather, is_wanted).net()
    except Unreadable as error:
        raise WeightsError(str(error)) from None
    except OSError as error:
        raise WeightsError(f"{path}: {error.strerror or error}") from None
    except _Broken as error:
        raise BrokenWeights(f"{path}: not a readable .caffemodel: {error}") from None


class _Broken(Exception):
    """The bytes are no message of the wire format; says where."""


class _Gathered(ABC, Generic[_Blob]):
    """What is gathered of a blob from its elements, which come in pieces, or are only counted if it does not `read` them."""

    reads = True

    def __init__(self) -> None:
        self.count = 0

    @cached_property
    def numpy(self) -> Any:
        """The library, which is needed for values only."""
        return library("numpy", "reading weights")

    def add(self, values: Any) -> None:
        """Add an array of numbers."""
        self.count += values.size
        with self.numpy.errstate(all="ignore"):  # NaN and infinity stay what they are
            self._take(values)

    def _take(self, values: Any) -> None:
        """Take what was added."""

    @abstractmethod
    def blob(self, shape: tuple[int, ...], *, is_legacy: bool = False) -> _Blob:
        """Return what was gathered of a blob of a shape."""


class _Shapes(_Gathered[TrainedBlob]):
    """Only how many elements there are."""

    reads = False

    def blob(self, shape: tuple[int, ...], *, is_legacy: bool = False) -> TrainedBlob:
        """Return the blob of a shape."""
        return TrainedBlob(shape, math.nan, math.nan, math.nan, is_legacy)


class _Sums(_Gathered[TrainedBlob]):
    """Sums over the elements of a blob."""

    def __init__(self) -> None:
        super().__init__()
        self.plain = self.absolute = self.squares = 0.0

    def _take(self, values: Any) -> None:
        values = values.astype(self.numpy.float64, copy=False)
        self.plain += float(values.sum())
        self.absolute += float(self.numpy.abs(values).sum())
        self.squares += float(self.numpy.square(values).sum())

    def blob(self, shape: tuple[int, ...], *, is_legacy: bool = False) -> TrainedBlob:
        """Return the blob of a shape."""
        count = max(1, self.count)
        return TrainedBlob(shape, self.plain / count, self.absolute / count, self.squares / count, is_legacy)


class _Values(_Gathered[Any]):
    """The elements of a blob."""

    def __init__(self) -> None:
        super().__init__()
        self.pieces: list[Any] = []

    def _take(self, values: Any) -> None:
        self.pieces.append(values.astype(self.numpy.float32))

    def blob(self, shape: tuple[int, ...], *, is_legacy: bool = False) -> Any:
        """Return them as a flat array."""
        return self.numpy.concatenate(self.pieces) if self.pieces else self.numpy.empty(0, self.numpy.float32)


class _Field(NamedTuple):
    """A field in the wire format: its number and wire type, and its value, or the place where it ends."""

    number: int
    wire: int
    value: int


class _Reader(Generic[_Blob]):
    """Reads a NetParameter from a file whose size is known."""

    def __init__(
        self, file: IO[bytes], size: int, gather: Callable[[], _Gathered[_Blob]], is_wanted: Callable[[str], bool]
    ) -> None:
        self._file = file
        self._size = size
        self._gather = gather
        self._is_wanted = is_wanted
        self._at = 0
        self._fields = 0

    def net(self) -> dict[str, tuple[_Blob, ...]]:
        """Return the blobs of each layer, by name. Raises _Broken."""
        layers: dict[str, tuple[_Blob, ...]] = {}
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

    def _layer(self, end: int, form: str) -> tuple[str, list[_Blob]]:
        """Return the name and blobs of a layer that ends at a place."""
        start = self._at
        name = self._name(end, form)
        if not self._is_wanted(name):
            return name, []
        self._go_to(start)
        return name, self._blobs(end, form)

    def _name(self, end: int, form: str) -> str:
        """Return the name of a layer, the last if it has several, and go to the end of the layer."""
        name = ""
        while self._at < end:
            field = self._field(end)
            if field.wire == _DELIMITED and field.number == _NAME_AND_BLOBS[form][0]:
                name = self._bytes(field.value, _MAX_NAME).decode("utf-8", "surrogateescape")
            elif field.wire == _DELIMITED and form == "v1" and field.number == _V0_INSIDE:
                name = self._name(field.value, "v0")
            else:
                self._skip(field)
        return name

    def _blobs(self, end: int, form: str) -> list[_Blob]:
        blobs: list[_Blob] = []
        while self._at < end:
            field = self._field(end)
            if field.wire == _DELIMITED and field.number == _NAME_AND_BLOBS[form][1] and len(blobs) < _MAX_BLOBS:
                blobs.append(self._blob(field.value))
            elif field.wire == _DELIMITED and form == "v1" and field.number == _V0_INSIDE:
                blobs += self._blobs(field.value, "v0")
            else:
                self._skip(field)
        return blobs

    def _blob(self, end: int) -> _Blob:
        gathered = self._gather()
        legacy = dict.fromkeys(_LEGACY_SHAPE, 0)
        shape: list[int] | None = None
        while self._at < end:
            field = self._field(end)
            if field.number in legacy and field.wire == _VARINT:
                legacy[field.number] = field.value
            elif field.number == _SHAPE and field.wire == _DELIMITED:
                shape = self._shape(field.value)
            elif field.number == _DATA and field.wire == _DELIMITED:
                self._values(field.value, 4, gathered)
            elif field.number == _DOUBLE_DATA and field.wire == _DELIMITED:
                self._values(field.value, 8, gathered)
            elif (field.number, field.wire) in ((_DATA, _FIXED32), (_DOUBLE_DATA, _FIXED64)):
                size = 4 if field.wire == _FIXED32 else 8
                self._add(field.value.to_bytes(size, "little"), size, gathered)
            else:
                self._skip(field)
        is_legacy = any(legacy.values())
        dims = tuple(legacy.values()) if is_legacy else tuple(shape or ())
        if gathered.count != math.prod(dims):  # Caffe stops (blob.cpp, Blob::FromProto)
            raise _Broken(f"a blob of {' x '.join(map(str, dims)) or 'one value'} has {gathered.count} values")
        return gathered.blob(dims, is_legacy=is_legacy)

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

    def _values(self, end: int, size: int, gathered: _Gathered[_Blob]) -> None:
        """Read numbers of so many bytes up to a place."""
        if (end - self._at) % size:
            raise _Broken(f"the data at byte {self._at} are no whole numbers")
        if not gathered.reads:
            gathered.count += (end - self._at) // size
            self._go_to(end)
        while self._at < end:
            self._add(self._bytes(min(end, self._at + _PIECE * size)), size, gathered)

    def _add(self, content: bytes, size: int, gathered: _Gathered[_Blob]) -> None:
        if gathered.reads:
            gathered.add(gathered.numpy.frombuffer(content, f"<f{size}"))
        else:
            gathered.count += len(content) // size

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
            self._go_to(field.value)

    def _go_to(self, place: int) -> None:
        self._file.seek(place)
        self._at = place


def _read_hdf5(
    path: str, gather: Callable[[], _Gathered[_Blob]], is_wanted: Callable[[str], bool]
) -> dict[str, tuple[_Blob, ...]]:
    """Read the weights of a .caffemodel.h5: datasets /data/LAYER/0, /data/LAYER/1, …"""
    layers: dict[str, tuple[_Blob, ...]] = {}
    try:
        with open_hdf5(path, "reading weights in HDF5") as file:
            data = member(file, "data")
            if not hasattr(data, "keys"):
                raise WeightsError(f"{path}: not a .caffemodel.h5: it has no group 'data'")
            for name in list(data)[:_MAX_LAYERS]:
                layer = member(data, name)
                blobs: list[_Blob] = []
                while hasattr(layer, "keys") and len(blobs) < _MAX_BLOBS and is_wanted(name):
                    dataset = dataset_at(layer, str(len(blobs)))
                    if dataset is None:
                        break
                    blobs.append(_dataset(path, name, dataset, gather()))
                layers[name] = tuple(blobs)
    except BrokenHdf5 as error:
        raise WeightsError(f"{path}: weights cannot be read: {error}") from None
    return layers


def _dataset(path: str, layer: str, dataset: Any, gathered: _Gathered[_Blob]) -> _Blob:
    if dataset.dtype.kind not in "fiu":
        raise WeightsError(f"{path}: the weights of layer '{layer}' cannot be read")
    shape = tuple(map(int, dataset.shape))
    rows = max(1, _PIECE * max(1, shape[0]) // max(1, dataset.size)) if shape else 1
    for start in range(0, shape[0], rows) if shape and gathered.reads else ():
        gathered.add(dataset[start : start + rows].reshape(-1))
    return gathered.blob(shape)
