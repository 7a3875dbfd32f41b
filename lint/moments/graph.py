"""The passive parts of a net: layers, versions of blobs, parameters, losses, and problems at which Caffe would stop.

`net.build` creates them; nothing changes them afterwards.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import TYPE_CHECKING

from ..proto.binder import Entry, Message
from ..proto.named_tuple import NamedTuple
from ..proto.tree import Field
from .layer_type import UNKNOWN_TYPE
from .shapes import Shape, count, describe

if TYPE_CHECKING:
    from .layer_type import LayerType

AUTOMATIC = "(automatic)"  # what Caffe calls the top of a loss layer without a written one

Place = tuple[int, int]  # the first byte, and the one after the last


class NetProblem(NamedTuple):
    """A problem at which Caffe would stop.

    `when` says how far Caffe gets: `setup` (it does not build the net), `forward` or `backward` (it stops in the first
    pass), or `cpu` (only a CPU-only build rejects it, at setup). `how` is `fatal` (with a message), `crash` (without one) or
    `hang`. `source` is the file of Caffe and, if known, the line. `subject` is the blob or parameter that the problem is
    about; `related` are other places, each with a description.
    """

    kind: str
    layer: Layer | None
    start: int
    end: int
    message: str
    source: str
    subject: str = ""
    when: str = "setup"
    how: str = "fatal"
    related: tuple[tuple[int, int, str], ...] = ()


class Blob:
    """One version of a blob: what one layer writes under a name.

    A layer that works in place produces a new version, whose `below` is the version that it overwrites. `producer` is None
    for a bottom that no layer produces. A layer that reads the blob twice occurs twice in `consumers`.
    """

    __slots__ = ("below", "consumers", "name", "producer", "shape", "top_index")

    def __init__(self, name: str, producer: Layer | None, top_index: int, below: Blob | None = None) -> None:
        self.name = name
        self.producer = producer
        self.top_index = top_index
        self.below = below
        self.shape: Shape = None
        self.consumers: Sequence[Layer] = ()

    def add_consumer(self, layer: Layer) -> None:
        """Add a layer that reads it. A blob that no layer reads has no list of its own."""
        if isinstance(self.consumers, list):
            self.consumers.append(layer)
        else:
            self.consumers = [layer]

    @property
    def count(self) -> int | None:
        """The number of elements."""
        return count(self.shape)

    def __repr__(self) -> str:
        return f"<Blob {self.name}: {describe(self.shape)}>"


class Param:
    """A learnable or stored blob of a layer. `role` is its role in the layer, such as `weight` or `bias`.

    `filler` is its FillerParameter; if it is None, the initial value is `constant`. `owner` is the parameter with which it is
    shared, or itself. `spec` is its ParamSpec, if written.
    """

    __slots__ = (
        "constant", "decay_mult", "filler", "filler_name", "index", "layer", "lr_mult", "name", "owner",
        "role", "shape", "spec",
    )  # fmt: skip

    def __init__(
        self, layer: Layer, role: str, shape: Shape, filler: Message | None, filler_name: str, constant: float
    ) -> None:
        self.layer = layer
        self.role = role
        self.shape = shape
        self.filler = filler
        self.filler_name = filler_name
        self.constant = constant
        self.index = len(layer.params)
        self.name = ""
        self.lr_mult = 1.0
        self.decay_mult = 1.0
        self.owner = self
        self.spec: Message | None = None

    @property
    def count(self) -> int | None:
        """The number of elements."""
        return count(self.shape)

    def __repr__(self) -> str:
        return f"<Param {self.layer.name}.{self.role}: {describe(self.shape)}>"


class Loss(NamedTuple):
    """A top that adds its sum times `weight` to the loss. `entry` is its loss_weight, if written."""

    layer: Layer
    top_index: int
    blob: Blob
    weight: float
    entry: Entry | None


class NetContext(NamedTuple):
    """What the layers of a net share: its dialect, its layers in order, the upgrades applied to it, the layers that its phase
    leaves out, and the problems found so far.
    """

    dialect: str
    layers: list[Layer]
    upgrades: Collection[str]
    left_out: list[Entry]
    problems: list[NetProblem]


class Layer:
    """A layer of a net. `kind` is the record of its type, None for a type without a record; `traits` is the record, or for an
    unknown type one with the defaults.

    `message` is its LayerParameter in the current format, `entry` the same with its place in the file. `runs_backward` says
    whether Caffe runs its backward pass (layer_need_backward_), `gradient_bottoms` for each bottom whether the layer computes
    its gradient (bottom_need_backward_). `asks_for_unknown` says whether its type asked for a field that the caffe.proto of the
    user does not have, which has another type of that name then.
    """

    __slots__ = (
        "asks_for_unknown", "bottoms", "context", "entry", "gradient_bottoms", "index", "kind", "loss_weights", "message", "name",
        "params", "phase", "runs_backward", "tops", "traits", "type",
    )  # fmt: skip

    def __init__(
        self, context: NetContext, entry: Entry, name: str, type_name: str, kind: LayerType | None, phase: str
    ) -> None:
        self.context = context
        self.index = len(context.layers)
        self.entry = entry
        self.message: Message = entry[0]
        self.name = name
        self.type = type_name
        self.take_for(kind)
        self.phase = phase
        self.bottoms: Sequence[Blob] = ()
        self.tops: Sequence[Blob] = ()
        self.params: Sequence[Param] = ()
        self.loss_weights: tuple[float, ...] = ()
        self.runs_backward = False
        self.gradient_bottoms: Sequence[bool] = ()
        self.asks_for_unknown = False

    def take_for(self, kind: LayerType | None) -> None:
        """Take the layer for one of that type."""
        self.kind = kind
        self.traits = kind if kind is not None else UNKNOWN_TYPE

    @property
    def in_place(self) -> bool:
        """Whether a top overwrites a bottom."""
        for top in self.tops:  # noqa: SIM110 - asked for often, and `any` takes three times as long
            if top.below is not None:
                return True
        return False

    @property
    def may_normalise(self) -> bool:
        """Whether it normalises, or is of a type of which nobody knows whether it does."""
        return self.traits.normalises or self.kind is None or not self.kind.described

    def loss_weight(self, top_index: int) -> float:
        """The weight of a top in the loss, 0 for none."""
        return self.loss_weights[top_index] if top_index < len(self.loss_weights) else 0.0

    def upstream(self) -> Iterator[Layer]:
        """All layers that this one gets values from, nearest first, each once."""
        seen = {self.index}
        queue = [self]
        for layer in queue:
            for blob in layer.bottoms:
                producer = blob.producer
                if producer is not None and producer.index not in seen:
                    seen.add(producer.index)
                    queue.append(producer)
                    yield producer

    def downstream(self) -> Iterator[Layer]:
        """All layers that get values from this one, nearest first, each once."""
        seen = {self.index}
        queue = [self]
        for layer in queue:
            for blob in layer.tops:
                for consumer in blob.consumers:
                    if consumer.index not in seen:
                        seen.add(consumer.index)
                        queue.append(consumer)
                        yield consumer

    def variants(self) -> Iterator[Entry]:
        """The layers that replace this one in other phases: of its type, with its first top, left out of its net."""
        top = self.tops[0].name
        for entry in self.context.left_out:
            if entry[0].get("type") == self.type and top in entry[0]["top"]:
                yield entry

    def place(self) -> Place:
        """Where to point for the layer: at its `type`, else at its `name`, else at the whole layer."""
        for name in ("type", "name"):
            if name in self.message.entries:
                return self.message.span(name)
        node = self.entry[1]
        return node.start, node.end

    def shown(self, index: int = 0) -> str:
        """A bottom with its shape, for messages."""
        blob = self.bottoms[index]
        return f"'{blob.name}' ({describe(blob.shape)})"

    def add_param(
        self,
        role: str,
        shape: Shape,
        owner: Message | None = None,
        filler_name: str = "",
        constant: float = 0.0,
    ) -> Param:
        """Add a parameter. Its filler is the field `filler_name` of the sub-message `owner`, if written."""
        written = owner.entries.get(filler_name) if owner is not None else None
        param = Param(self, role, shape, written[0][0] if written else None, filler_name, constant)
        self.params = [*self.params, param]
        return param

    def fail(
        self,
        kind: str,
        text: str,
        path: str = "",
        at: str = "",
        *,
        subject: str = "",
        when: str = "setup",
        how: str = "fatal",
    ) -> None:
        """Record a problem at which Caffe would stop in this layer.

        `text` states what is wrong; it follows the type and name of the layer. `path` is the field that it is about, which
        may be missing, or empty for the layer itself. `at` is the check in Caffe: a file and line, a line in the file of the
        layer type (`:42`), or empty for that file.
        """
        if path and is_unreadable(self.message, path):
            return
        if path and not self.message.type.has(path):
            self.asks_for_unknown = True
            return
        source = at if at and at[0] != ":" else (self.kind.source if self.kind else "") + at
        place = self.message.at(path) if path else self.place()
        self.report(kind, text, place, source, subject=subject, when=when, how=how)

    def report(
        self,
        kind: str,
        text: str,
        place: Place,
        source: str,
        *,
        subject: str = "",
        when: str = "setup",
        how: str = "fatal",
        related: Sequence[tuple[Place, str]] = (),
    ) -> None:
        """Record a problem at which Caffe would stop in this layer, at any place in the file."""
        named = f"{self.type} layer" if self.type else "layer"
        message = f"{named} '{self.name}': {text}"
        others = tuple((start, end, what) for (start, end), what in related)
        self.context.problems.append(NetProblem(kind, self, *place, message, source, subject, when, how, others))

    def take_apart(self) -> None:
        """Drop its blobs and parameters, once nobody looks at them any more.

        They refer to their layer, and so only Python's garbage collector would find out that they are not needed: late, and
        at several times the cost.
        """
        for param in self.params:
            del param.owner
        self.bottoms = self.tops = self.params = ()

    def __repr__(self) -> str:
        return f"<{self.type} {self.name!r}>"


def is_unreadable(message: Message, path: str) -> bool:
    """Whether a field may be missing only because its text cannot be read, which other rules report."""
    for step in path.split("."):
        name, _, index = step.partition("[")
        entries = message.entries.get(name, [])
        if len(entries) <= (int(index[:-1]) if index else 0):
            return bool(message.unknown) or any(True for _ in unreadable(message, name))
        if not isinstance(entries[0][0], Message):
            break
        message = entries[0][0]
    return False


def unreadable(message: Message, name: str) -> Iterator[Field]:
    """The fields of that name whose value cannot be read."""
    read = {id(field) for _, _, field in message.entries.get(name, ())}
    return (field for field in message.block.fields if field.name == name and id(field) not in read)


def is_automatic(blob: Blob) -> bool:
    """Whether Caffe adds the blob to a loss layer without a written top; no layer can read it."""
    return blob.producer is not None and blob.top_index >= len(blob.producer.message.entries.get("top", ()))
