"""A net as Caffe would build it for one phase, level and set of stages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from ..moments.graph import Blob, Layer, Loss, NetContext, NetProblem, Param, is_automatic
from ..moments.layer_type import are_fed
from ..proto.binder import Entry, Message
from ..proto.named_tuple import NamedTuple
from ..proto.upgrade import Upgraded
from .phases import kept_layers
from .splits import loss_split

if TYPE_CHECKING:
    from ..moments.layer_type import LayerType
    from .data_facts import DataFacts
    from .phases import NetState


class Maker(NamedTuple):
    """A layer of the file that produces a blob: its message, the span of the top, and whether the net includes the layer."""

    layer: Message
    place: tuple[int, int]
    kept: bool


class BuiltWith(NamedTuple):
    """What a net is built from besides its file; see `net.build` and `net.changed`."""

    input_shapes: Mapping[str, Sequence[int]]
    described: Mapping[str, LayerType]
    facts: DataFacts
    data_shapes: Mapping[str, Sequence[int]] = MappingProxyType({})


class Net:
    """A net in one state. `message` is its NetParameter in the current format, `dropped` the layers that are filtered out."""

    def __init__(self, upgraded: Upgraded, state: NetState, dialect: str, built_with: BuiltWith) -> None:
        self.upgraded = upgraded
        self.built_with = built_with
        self.message = upgraded.message
        self.state = state
        self.dialect = dialect
        self.layers: list[Layer] = []
        self.dropped: list[Entry] = []
        self.problems: list[NetProblem] = []
        self.context = NetContext(dialect, self.layers, upgraded.steps, self.dropped, self.problems)
        self.losses: list[Loss] = []
        self.latest: dict[str, Blob] = {}
        self.rebuilt: dict[object, Net] = {}  # the same net with other shapes of its data, by these; see `build.rebuilt`
        self.computed: dict[object, Any] = {}  # what is computed of it for one of its solvers and holds for the others, by what it is

    @property
    def name(self) -> str:
        """The net's name."""
        name: str = self.message["name"]
        return name

    @property
    def phase(self) -> str:
        """`TRAIN` or `TEST`."""
        return self.state.phase

    @cached_property
    def makers(self) -> Mapping[str, Sequence[Maker]]:
        """The layers of the file that produce a blob, by its name; a layer once for each such top."""
        found: dict[str, list[Maker]] = {}
        for (layer, _, _), keep in kept_layers(self.message, self.state):
            for name, node, _ in layer.entries.get("top", ()):
                found.setdefault(name, []).append(Maker(layer, (node.start, node.end), keep))
        return found

    @property
    def is_fed(self) -> bool:
        """Whether it has inputs, and only a program that runs it fills them."""
        return are_fed(layer.traits for layer in self.layers if not layer.bottoms)

    def blob(self, name: str) -> Blob | None:
        """The last version of a blob, None if no layer produces it."""
        return self.latest.get(name)

    def blobs(self) -> Iterator[Blob]:
        """Every version of every blob, in the order in which they are produced."""
        for layer in self.layers:
            yield from layer.tops

    def params(self) -> Iterator[Param]:
        """Every parameter; a shared one once for each of its layers."""
        for layer in self.layers:
            yield from layer.params

    @property
    def learnable(self) -> int | None:
        """The number of learnable values, with shared ones counted once; None if a shape is unknown."""
        total = 0
        for param in self.params():
            if param.owner is param:
                number = param.count
                if number is None:
                    return None
                total += number
        return total

    @property
    def outputs(self) -> list[str]:
        """The names of blobs that no layer reads, in alphabetical order, as in Caffe."""
        names = set()
        for blob in self.blobs():
            split = loss_split(blob)
            if split:
                names.add(split)
            elif not blob.consumers and not is_automatic(blob):
                names.add(blob.name)
        return sorted(names)

    def take_apart(self) -> None:
        """Drop its layers, and the nets that were rebuilt from it, once nobody looks at them any more; see `Layer.take_apart`."""
        for layer in self.layers:
            layer.take_apart()
        for parts in (self.layers, self.problems, self.losses, self.latest, self.computed):
            parts.clear()
        others = list(self.rebuilt.values())
        self.rebuilt.clear()
        for net in others:
            net.take_apart()
