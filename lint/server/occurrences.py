"""The names in a file: blobs, layers, shared parameters and stages, where they are written and where they come from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from ..proto.message import Message
from ..proto.named_tuple import NamedTuple
from ..proto.tree import Scalar
from ..source.files import SourceFile

if TYPE_CHECKING:
    from ..net.job import NetInPhase

BLOB, LAYER, PARAM, STAGE = "blob", "layer", "parameter", "stage"
_INLINE_NETS = ("net_param", "train_net_param", "test_net_param")


class Occurrence(NamedTuple):
    """A name as it is written, from `start` to `end` with its quotes.

    `defines` says whether it makes what it names: a top, or an input. `layer` is the start of the layer around it, -1 outside of
    layers, and `number` counts the values of its field before it.
    """

    kind: str
    name: str
    path: str
    start: int
    end: int
    defines: bool
    layer: int = -1
    number: int = 0


def occurrences(file: SourceFile) -> list[Occurrence]:
    """Return all names in a solver or a net, in the order of the file."""
    found: list[Occurrence] = []
    if file.kind == "solver":
        for name in _INLINE_NETS:
            for net, _, _ in file.message.entries.get(name, ()):
                found += _of_net(file.path, net)
        for name in ("train_state", "test_state"):
            found += _stages(file.path, file.message, name)
    elif file.kind == "net":
        found += _of_net(file.path, file.message)
    return sorted(found, key=lambda each: each.start)


def _of_net(path: str, net: Message) -> Iterator[Occurrence]:
    yield from _values(path, net, "input", BLOB, defines=True)
    yield from _stages(path, net, "state")
    for field in ("layer", "layers"):
        for layer, node, _ in net.entries.get(field, ()):
            inner = layer.entries.get("layer")  # the format of 2013 has the settings of a layer in a block of their own
            settings = inner[0][0] if inner and isinstance(inner[0][0], Message) else layer
            yield from _values(path, settings, "name", LAYER, defines=True, layer=node.start)
            for holder in {id(layer): layer, id(settings): settings}.values():
                yield from _values(path, holder, "bottom", BLOB, defines=False, layer=node.start)
                yield from _values(path, holder, "top", BLOB, defines=True, layer=node.start)
                for number, (param, value, _) in enumerate(holder.entries.get("param", ())):
                    if isinstance(param, Message):
                        for each in _values(path, param, "name", PARAM, defines=True, layer=node.start):
                            yield each._replace(number=number)
                    elif isinstance(value, Scalar) and param:
                        yield Occurrence(PARAM, param, path, value.start, value.end, True, node.start, number)
                for rule in ("include", "exclude"):
                    for each in _stages(path, holder, rule):
                        yield each._replace(layer=node.start)


def _stages(path: str, message: Message, field: str) -> Iterator[Occurrence]:
    for state, _, _ in message.entries.get(field, ()):
        if isinstance(state, Message):
            yield from _values(path, state, "stage", STAGE, defines=state.type.name == "NetState")
            yield from _values(path, state, "not_stage", STAGE, defines=False)


def _values(path: str, message: Message, field: str, kind: str, *, defines: bool, layer: int = -1) -> Iterator[Occurrence]:
    for index, (value, node, _) in enumerate(message.entries.get(field, ())):
        if isinstance(value, str) and value:
            yield Occurrence(kind, value, path, node.start, node.end, defines, layer, index)


def occurrence_at(file: SourceFile, offset: int) -> Occurrence | None:
    """Return the name at an offset, the cursor behind its last quote included."""
    return next((each for each in occurrences(file) if each.start <= offset <= each.end), None)


def same(name: Occurrence, files: Iterable[SourceFile]) -> list[Occurrence]:
    """Return where a name is written in some files: in each of its nets, for it means the same in all of them."""
    return [each for file in files for each in occurrences(file) if (each.kind, each.name) == (name.kind, name.name)]


def definitions(name: Occurrence, nets: Iterable[NetInPhase], files: Iterable[SourceFile]) -> list[Occurrence]:
    """Return where what is named comes from.

    A blob comes from the layer that makes it in each net as Caffe builds it; without one, from the last top before it, or the first
    one of all. A shared parameter comes from the first layer that has it, a stage from the states of solver and net.
    """
    everywhere = same(name, files)
    makers = [each for each in everywhere if each.defines]
    if name.kind == BLOB:
        if name.defines:
            return [name]
        made = {(path, start) for net in nets if net.file.path == name.path for path, start in _makers(net, name)}
        built = [each for each in makers if (each.path, each.start) in made]
        if built:
            return built
        before = [each for each in makers if each.path == name.path and each.start < name.start]
        return before[-1:] or makers[:1]
    if name.kind == PARAM:
        return [each for each in makers if each.path == name.path][:1]
    return makers or everywhere[:1]


def _makers(net: NetInPhase, name: Occurrence) -> Iterator[tuple[str, int]]:
    for layer in net.net.layers:
        if layer.entry[1].start != name.layer or name.number >= len(layer.bottoms):
            continue
        blob = layer.bottoms[name.number]
        if blob.producer is not None:
            yield net.file.path, blob.producer.message.span("top", blob.top_index)[0]
