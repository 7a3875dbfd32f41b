"""Facts about the data that nets name, from a file: number, shapes and ranges, before any transform.

`caffe-lint inputs --write-facts FILE` writes it where the data are available; a check reads it where they are not. Layout:

    {"data/train_lmdb": {"kind": "lmdb", "items": 60000, "shape": [1, 28, 28], "min": 0.0, "max": 255.0,
                         "mean": 33.3, "mean_abs": 33.3, "std": 78.6, "labels": [0, 9]},
     "data/train.txt":   {"kind": "hdf5", "items": 442, "datasets": {"data": {"shape": [10], "min": …}, "target": {…}}}}

The keys are the sources as written in the nets. An HDF5 source has one entry for each dataset, by its name; files that have these
entries among the other keys, as they were once written, are read as well. A source may have more keys: `looked_at` (from how
many items the numbers are computed), `date`, `label_counts`, `mixed_shapes`. An array that holds labels or targets may have
`value_counts`, how often each value occurs.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from ..layers.record import traits_of
from ..moments.blob_facts import BlobFacts
from ..proto.named_tuple import NamedTuple
from ..source.errors import InputError
from ..source.numerals import is_dimension, is_number, is_numeral, is_whole
from ..source.opener import Unreadable
from ..source.wording import as_written

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ..moments.graph import Layer
    from ..proto.binder import Message

# The fields in which data layers name their source. Data layers of forks use one of the same fields.
SOURCE_FIELDS = (
    "data_param", "image_data_param", "hdf5_data_param", "window_data_param", "dense_image_data_param",
    "video_data_param",
)  # fmt: skip


class FactsError(InputError):
    """A facts file cannot be read; the message says which one, and why."""


class SourceFacts(NamedTuple):
    """The facts about one source.

    `kind` is `lmdb`, `leveldb`, `hdf5`, `images` or `windows`. `data` describes the items, or each HDF5 dataset by its name.
    `labels` are the smallest and the largest label. `more` has the other keys, unchanged.
    """

    kind: str
    items: int | None
    data: Mapping[str, BlobFacts]
    labels: tuple[float, float] | None
    more: Mapping[str, Any]


DataFacts = dict[str, SourceFacts]

_NUMBERS = {"min": "minimum", "max": "maximum", "mean": "mean", "mean_abs": "mean_abs", "std": "std"}
_HDF5 = "hdf5_data_param"
_HDF5_KIND = "hdf5"
_DATA = "data"  # the name of the data of a source with a single array
_DATASETS = "datasets"
_COUNTS = "value_counts"


def read_facts(path: str) -> DataFacts:
    """Read a facts file. Raises FactsError if it does not have the layout."""
    from ..source.json_file import read_json  # keeps json out of the start

    try:
        content = read_json(path)
    except Unreadable as error:
        raise FactsError(str(error)) from None
    if not isinstance(content, dict):
        raise FactsError(f"{path}: expected an object with the facts about each source")
    try:
        return {source: _source(facts) for source, facts in content.items()}
    except _Wrong as error:
        raise FactsError(f"{path}: {error}") from None


def write_facts(path: str, facts: DataFacts) -> None:
    """Write facts to a file. They replace those about the same sources; facts about other sources are kept.

    Raises FactsError.
    """
    import json  # keeps json out of the start

    from ..source.output import write_named  # keeps what writes files out of the start

    known: DataFacts = read_facts(path) if os.path.exists(path) else {}
    text = json.dumps({source: _plain(one) for source, one in sorted({**known, **facts}.items())}, indent=1)
    try:
        write_named(path, text.encode() + b"\n", updates=True)
    except OSError as error:
        raise FactsError(f"{path}: {error.strerror or error}") from None


def source_param(message: Message) -> tuple[str, Message] | None:
    """The field in which a data layer names its source, and its message; None if it names none."""
    own = traits_of(message.get("type", "")).settings
    for name in (own,) if own in SOURCE_FIELDS else SOURCE_FIELDS:
        if name in message.entries:
            param: Message = message[name]
            if isinstance(param.get("source"), str):
                return name, param
    return None


def source_of(layer: Layer) -> str | None:
    """The source that a data layer names, as written; None if it names none."""
    found = source_param(layer.message) if not layer.bottoms else None
    return found[1]["source"] if found else None


def tops_facts(layer: Layer, facts: DataFacts) -> list[BlobFacts | None]:
    """The facts about each top of a data layer, before transform_param; None for a top without facts."""
    known = facts.get(source_of(layer) or "")
    if known is None:
        return [None] * len(layer.tops)
    if known.kind == _HDF5_KIND:
        return [known.data.get(top.name) for top in layer.tops]
    counts = {float(label): number for label, number in known.more.get("label_counts", {}).items()}
    labels = known.labels and BlobFacts((), known.labels[0], known.labels[1], counts=counts or None)
    tops: list[BlobFacts | None] = [known.data.get(_DATA), labels]
    return [*tops, *[None] * len(layer.tops)][: len(layer.tops)]


def input_shapes(layer: Layer, facts: DataFacts) -> list[tuple[int, ...] | None]:
    """The shape of each top of a data layer as `net.build` takes it, with 0 for what is unknown.

    The batch size is in the layer; that of HDF5Data is added here, since the layer itself tells nothing of the shapes.
    """
    name, param = source_param(layer.message) or ("", None)
    batch = (param.get("batch_size", 0) or 0) if param is not None and name == _HDF5 else 0
    return [
        (batch, *known.shape) if known is not None and known.shape is not None else None
        for known in tops_facts(layer, facts)
    ]


# -- the layout ------------------------------------------------------------------------------------------------


class _Wrong(Exception):
    pass


def _source(value: Any) -> SourceFacts:
    if not isinstance(value, dict):
        raise _Wrong("expected the facts about a source as an object with a 'kind'")
    arrays = _arrays(value)
    fields = {name: one for name, one in value.items() if name != _DATASETS and one is not arrays.get(name)}
    kind = fields.get("kind", _HDF5_KIND if "kind" in arrays else None)
    if not isinstance(kind, str):
        raise _Wrong("expected the facts about a source as an object with a 'kind'")
    items = fields.get("items")
    if items is not None and not is_whole(items):
        raise _Wrong(f"'items' must be a number of items, not {as_written(items)}")
    labels = fields.get("labels")
    if labels is not None and not (isinstance(labels, list) and len(labels) == 2 and all(map(is_number, labels))):
        raise _Wrong(f"'labels' must be the smallest and the largest label, not {as_written(labels)}")
    looked_at = fields.get("looked_at", 0)
    if not is_whole(looked_at):
        raise _Wrong(f"'looked_at' must be a number of items, not {as_written(looked_at)}")
    _counts("label_counts", fields.get("label_counts", {}))
    data = {}
    if kind == _HDF5_KIND:
        data = {name: _blob(one) for name, one in arrays.items()}
    elif "shape" in fields or "mean" in fields:
        data = {_DATA: _blob(fields)}
    used = {"kind", "items", "labels", *(("shape", *_NUMBERS, _COUNTS) if kind != _HDF5_KIND and _DATA in data else ())}
    more = {name: one for name, one in fields.items() if name not in used}
    return SourceFacts(kind, items, data, (labels[0], labels[1]) if labels else None, more)


def _arrays(value: dict[str, Any]) -> Mapping[str, Any]:
    """The facts about the datasets of an HDF5 source: under their own key, or among the other keys in older files."""
    nested = value.get(_DATASETS)
    if isinstance(nested, dict) and not _is_array(nested):
        return nested
    if value.get("kind") != _HDF5_KIND and not _is_array(value.get("kind")):
        return {}
    return {name: one for name, one in value.items() if _is_array(one)}


def _is_array(value: Any) -> bool:
    """Whether a value is the facts about an array, and not an object of such facts by name, one of which is `shape`."""
    return isinstance(value, dict) and "shape" in value and not isinstance(value["shape"], dict)


def _counts(key: str, counts: Any) -> dict[float, int]:
    if not isinstance(counts, dict) or not all(map(is_whole, counts.values())):
        raise _Wrong(f"'{key}' must have a number of items for each label, not {as_written(counts)}")
    for label in counts:
        if not is_numeral(label):
            raise _Wrong(f"the keys of '{key}' must be numbers, not {as_written(label)}")
    return {float(label): number for label, number in counts.items()}


def _blob(value: Any) -> BlobFacts:
    if not isinstance(value, dict):
        raise _Wrong(f"expected the facts about an array as an object, not {as_written(value)}")
    shape = value.get("shape")
    if shape is not None and not (isinstance(shape, list) and all(map(is_dimension, shape))):
        raise _Wrong(f"'shape' must be a list of dimensions, not {as_written(shape)}")
    numbers = {}
    for key, name in _NUMBERS.items():
        number = value.get(key)
        if number is not None and not is_number(number):
            raise _Wrong(f"'{key}' must be a number, not {as_written(number)}")
        numbers[name] = None if number is None else float(number)
    counts = _counts(_COUNTS, value[_COUNTS]) if _COUNTS in value else None
    return BlobFacts(tuple(shape) if shape is not None else None, **numbers, counts=counts)


def _plain(facts: SourceFacts) -> dict[str, Any]:
    plain: dict[str, Any] = {"kind": facts.kind, "items": facts.items}
    if facts.kind == _HDF5_KIND:
        plain[_DATASETS] = {name: _plain_blob(blob) for name, blob in facts.data.items()}
    elif _DATA in facts.data:
        plain.update(_plain_blob(facts.data[_DATA]))
    if facts.labels is not None:
        plain["labels"] = list(facts.labels)
    plain.update(facts.more)
    return {key: value for key, value in plain.items() if value is not None}


def _plain_blob(blob: BlobFacts) -> dict[str, Any]:
    plain: dict[str, Any] = {"shape": list(blob.shape) if blob.shape is not None else None}
    for key, name in _NUMBERS.items():
        number = getattr(blob, name)
        plain[key] = None if number is None else float(f"{number:.6g}")
    if blob.counts is not None:
        plain[_COUNTS] = {
            str(int(value)) if value.is_integer() else repr(value): number for value, number in sorted(blob.counts.items())
        }
    return {key: value for key, value in plain.items() if value is not None}
