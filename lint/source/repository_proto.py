"""What the Caffe of a repository knows that no other one does: names of its own fields, enum values and layer types.

Many repositories bring the Caffe that their files are for. Its caffe.proto, and the layer types that its sources register, are read
as data, by readers with bounds, and only when a finding would say that a name is unknown. They can take such a finding back, and
nothing else: files are read by our schema all the same, so that they change no other rule and no fix. A caffe.proto may have only
the messages that are to be added to Caffe's.
"""

from __future__ import annotations

import os
import re
from functools import cache, lru_cache

from ..proto.binder import bind
from ..proto.named_tuple import NamedTuple
from ..proto.schema import Schema, caffe_schema, extended_schema
from ..proto.spelling import fold
from ..proto.tree import fields_at
from .files import SourceFile, shown
from .questions import question
from .repository_files import read_found, repository_files, search_root

MAX_PROTO = 2_000_000  # bytes; BVLC's has 50,000, the longest fork's that we know 200,000
MAX_PROTOS = 8  # in one repository
MAX_SOURCE = 1_000_000  # bytes of a source of layers
MAX_SOURCES = 2_000  # in one repository
# What registers a layer type, in BVLC's Caffe and its forks: layer_factory.hpp. A comment before it on its line is one.
_REGISTERED = re.compile(rb"^(?![^\n]*//[^\n]*REGISTER)[^\n]*\bREGISTER_LAYER_(?:CLASS|CREATOR)\w*\s*\(\s*([A-Za-z]\w*)", re.MULTILINE)


class KnownName(NamedTuple):
    """A name that a repository's Caffe knows: where it stands, a caffe.proto or a folder of sources, whether it is a `field`,
    `enum value` or `type`, and the name.
    """

    place: str
    what: str
    name: str


class _Proto(NamedTuple):
    """A caffe.proto of a repository: its path, its schema, and the folded names of its layer types."""

    path: str
    schema: Schema
    types: frozenset[str]


class RepositoryProtos:
    """What the repositories of the files of one unit bring of a Caffe."""

    def __init__(self) -> None:
        self.names: dict[str, set[KnownName]] = {}  # what was known, by the path of the file that says it
        self._by_folder: dict[str, list[_Proto]] = {}
        self._registered: dict[str, dict[str, str]] = {}
        self._last: tuple[SourceFile, list[frozenset[int]]] | None = None

    def knows(self, file: SourceFile, code: str, start: int, end: int) -> bool:
        """Whether a repository's own Caffe knows the name that a finding is about; keeps the name if so.

        That is the finding of a rule on fields, values and types that are unknown or have other types.
        """
        if file.schema.base is not None or (code == "E115" and file.asked_dialect is not None):
            return False  # the user said which Caffe it is
        folder = os.path.dirname(file.path)
        if folder not in self._by_folder:
            self._by_folder[folder] = [proto for path in repository_protos(folder) if (proto := _read(path)) is not None]
        protos = self._by_folder[folder]
        name = file.source[start:end].decode("utf-8", "replace")
        around = fields_at(file.tree.root, start)
        what = "field"
        if code == "E116" or (code == "E115" and name[:1] in "\"'"):
            what, name = "type", name.strip("\"'")
            # A known type in another case is a mistake, whatever Caffe it is for.
            is_misspelled = code == "E116" and fold(name) in _our_types()
            knowing = next((proto.path for proto in protos if not is_misspelled and fold(name) in proto.types), None)
            if knowing is None and not is_misspelled:
                knowing = self._types_registered(folder).get(name)
        elif not protos:
            return False
        else:
            places = {start, *(field.start for field in around)}
            problems = zip(protos, self._problems(file, protos), strict=True)
            knowing = next((proto.path for proto, starts in problems if places.isdisjoint(starts)), None)
        if knowing is None:
            return False
        if what == "field" and around and around[-1].start != start:  # it is about a value
            if code == "E111":
                name = around[-1].name
            else:
                what = "type" if around[0].name == "layers" and around[-1].name == "type" else "enum value"
        self.names.setdefault(file.path, set()).add(KnownName(shown(knowing), what, name))
        return True

    def _types_registered(self, folder: str) -> dict[str, str]:
        """Return the layer types that sources in the repository of a folder register, with the folders of these."""
        if folder not in self._registered:
            found: dict[str, str] = {}
            for path in layer_sources(folder):
                text = read_found(path, MAX_SOURCE)
                for name in _registered_in(text) if text is not None else ():
                    found.setdefault(name, os.path.dirname(path))
            self._registered[folder] = found
        return self._registered[folder]

    def _problems(self, file: SourceFile, protos: list[_Proto]) -> list[frozenset[int]]:
        """Return the places at which each of these Caffes would find a problem in a file."""
        if self._last is None or self._last[0] is not file:
            bound = [bind(file.tree, proto.schema, file.message.type.name) for proto in protos]
            self._last = file, [frozenset(problem.start for problem in one.problems) for one in bound]
        return self._last[1]


@question
def repository_protos(folder: str) -> tuple[str, ...]:
    """Return the paths of the caffe.proto files of the repository of a folder, the nearest to its root first."""
    return repository_files(search_root(os.path.join(folder, "any"))).protos.paths[:MAX_PROTOS]


@question
def layer_sources(folder: str) -> tuple[str, ...]:
    """Return the paths of the sources of layers in the repository of a folder, the nearest to its root first."""
    return repository_files(search_root(os.path.join(folder, "any"))).layers.paths[:MAX_SOURCES]


@lru_cache(maxsize=MAX_SOURCES)
def _registered_in(text: bytes) -> tuple[str, ...]:
    """Return the names of the layer types that a source registers; macros are not followed."""
    return tuple(match[1].decode() for match in _REGISTERED.finditer(text)) if b"REGISTER_LAYER_" in text else ()


def _read(path: str) -> _Proto | None:
    """Return what a caffe.proto has; None if it cannot be read as one."""
    text = read_found(path, MAX_PROTO)
    found = _parsed(text) if text is not None else None
    return _Proto(path, *found) if found is not None else None


@lru_cache(maxsize=MAX_PROTOS)
def _parsed(text: bytes) -> tuple[Schema, frozenset[str]] | None:
    """Return the schema and the layer types of the text of a caffe.proto, whole or in part; None if it is none."""
    from ..proto.proto_text import ProtoError, proto_table  # only for repositories that bring a Caffe

    words = text.decode("utf-8", "replace").removeprefix("\ufeff")
    try:
        own = Schema(proto_table(words), base=caffe_schema())
    except ProtoError:
        return None
    is_whole = own.has("NetParameter")
    if not (own.has("LayerParameter") if is_whole else own.has_settings):
        return None
    types = {
        fold(name.removesuffix("_param"))
        for message in ("LayerParameter", "V1LayerParameter")
        if own.has(message)
        for name in own.message(message).fields
        if name.endswith("_param")
    }
    for enum in ("V1LayerParameter.LayerType", "LayerParameter.LayerType"):
        types.update(map(fold, own.enum(enum).values) if own.has_enum(enum) else ())
    return own if is_whole else extended_schema(proto_table(words, also=caffe_schema())), frozenset(types)


@cache
def _our_types() -> frozenset[str]:
    """Return the folded names of all layer types that we know."""
    return frozenset(map(fold, caffe_schema().layer_types or ()))
