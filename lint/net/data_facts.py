"""Facts about the data that nets name, from a file: number, shapes and ranges, before any transform.

`caffe-lint inputs --write-facts FILE` writes it where the data are available; a check reads it where they are not. Layout:

    {"data/train_lmdb": {"kind": "lmdb", "items": 60000, "shape": [1, 28, 28], "min": 0.0, "max": 255.0,
                         "mean": 33.3, "mean_abs": 33.3, "std": 78.6, "labels": [0, 9]},
     "data/train.txt":   {"kind": "hdf5", "items": 442, "data": {"shape": [10], "min": …}, "target": {…}}}

The keys are the sources as written in the nets. An HDF5 source has one entry for each dataset, by its name. A source may
have more keys: `looked_at` (from how many items the numbers are computed), `date`, `label_counts`, `mixed_shapes`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NoReturn

from ..layers.record import traits_of
from ..moments.blob_facts import BlobFacts
from ..proto.named_tuple import NamedTuple
from ..source.errors import InputError
from ..source.numerals import is_dimension, is_number, is_numeral, is_whole
from ..source.opener import MAX_RECORDS, Unreadable, read_regular

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
_MOST_DIGITS = 400  # of a whole number, which a float could hold
_DATA = "data"  # the name of the data of a source with a single array


def read_facts(path: str) -> DataFacts:
    """Read a facts file. Raises FactsError if it does not have the layout."""
    import json  # keeps json out of the start

    try:
        content = json.loads(read_regular(path, MAX_RECORDS), parse_int=_whole, parse_constant=_refused)
    except Unreadable as error:
        raise FactsError(str(error)) from None
    except (ValueError, RecursionError) as error:
        raise FactsError(f"{path}: not valid JSON: {error}") from None
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

    from ..fixes.write import write_whole  # keeps what writes files out of the start
    from ..source.write_roots import write_roots  # as above

    known: DataFacts = read_facts(path) if os.path.exists(path) else {}
    text = json.dumps({source: _plain(one) for source, one in sorted({**known, **facts}.items())}, indent=1)
    try:
        write_whole(path, text.encode() + b"\n", write_roots([path]))
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
    if known.kind == "hdf5":
        return [known.data.get(top.name) for top in layer.tops]
    labels = known.labels and BlobFacts((), known.labels[0], known.labels[1])
    tops: list[BlobFacts | None] = [known.data.get(_DATA), labels]
    return [*tops, *[None] * len(layer.tops)][: len(layer.tops)]


def input_shapes(layer: Layer, facts: DataFacts) -> list[tuple[int, ...] | None]:
    """The shape of each top of a data layer as `net.build` takes it, with 0 for what is unknown.

    The batch size is in the layer; only for HDF5Data does the net builder not add it.
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
    if not isinstance(value, dict) or not isinstance(value.get("kind"), str):
        raise _Wrong("expected the facts about a source as an object with a 'kind'")
    items = value.get("items")
    if items is not None and not is_whole(items):
        raise _Wrong(f"'items' must be a number of items, not {items!r}")
    labels = value.get("labels")
    if labels is not None and not (isinstance(labels, list) and len(labels) == 2 and all(map(is_number, labels))):
        raise _Wrong(f"'labels' must be the smallest and the largest label, not {labels!r}")
    looked_at = value.get("looked_at", 0)
    if not is_whole(looked_at):
        raise _Wrong(f"'looked_at' must be a number of items, not {looked_at!r}")
    _check_counts(value.get("label_counts", {}))
    data = {}
    if value["kind"] == "hdf5":
        data = {name: _blob(one) for name, one in value.items() if isinstance(one, dict) and "shape" in one}
    elif "shape" in value or "mean" in value:
        data = {_DATA: _blob(value)}
    used = {"kind", "items", "labels", *data, *(("shape", *_NUMBERS) if _DATA in data else ())}
    more = {name: one for name, one in value.items() if name not in used}
    return SourceFacts(value["kind"], items, data, (labels[0], labels[1]) if labels else None, more)


def _check_counts(counts: Any) -> None:
    if not isinstance(counts, dict) or not all(map(is_whole, counts.values())):
        raise _Wrong(f"'label_counts' must have a number of items for each label, not {counts!r}")
    for label in counts:
        if not is_numeral(label):
            raise _Wrong(f"the keys of 'label_counts' must be numbers, not {label!r}")


def _blob(value: dict[str, Any]) -> BlobFacts:
    shape = value.get("shape")
    if shape is not None and not (isinstance(shape, list) and all(map(is_dimension, shape))):
        raise _Wrong(f"'shape' must be a list of dimensions, not {shape!r}")
    numbers = {}
    for key, name in _NUMBERS.items():
        number = value.get(key)
        if number is not None and not is_number(number):
            raise _Wrong(f"'{key}' must be a number, not {number!r}")
        numbers[name] = None if number is None else float(number)
    return BlobFacts(tuple(shape) if shape is not None else None, **numbers)


def _whole(digits: str) -> int:
    if len(digits) > _MOST_DIGITS:
        raise ValueError(f"a number has {len(digits)} digits")
    return int(digits)


def _refused(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a finite number")


def _plain(facts: SourceFacts) -> dict[str, Any]:
    plain: dict[str, Any] = {"kind": facts.kind, "items": facts.items}
    if facts.kind == "hdf5":
        plain.update({name: _plain_blob(blob) for name, blob in facts.data.items()})
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
    return {key: value for key, value in plain.items() if value is not None}
