"""A net as Caffe would build it for one phase, level and set of stages: layers, blobs, parameters, losses.

Building never stops: everything that Caffe would stop at is recorded, in order, and what cannot be known because of
it is unknown from there on.
Source: net.cpp, Net::Init; util/insert_splits.cpp; layer.hpp, Layer::SetUp.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from . import layers as _layers  # noqa: F401  (fills the table of layer types)
from .fillers import check_filler
from .gradients import Backward, backward, backward_problems
from .layers.layer_type import LayerType, find_type, same_shape
from .phases import NetState as NetState
from .phases import file_state as file_state
from .phases import kept_layers
from .phases import phases_of as phases_of
from .phases import solver_state as solver_state
from .proto.binder import Entry, Message
from .proto.upgrade import Upgraded
from .shapes import INT_MAX, MAX_AXES, Shape, count, describe, differ, shapes_differ

AUTOMATIC = "(automatic)"  # the name Caffe gives to the top of a loss layer that writes none


class NetProblem(NamedTuple):
    """Something that Caffe would stop at, with the message that the layer at `span` deserves.

    `when` says how far Caffe comes: `setup` (it refuses to build the net), `forward` or `backward` (it stops in the
    first pass). `how` is `fatal` (with a message), `crash` (without one) or `hang`. `source` is Caffe's file and, if
    known, line. `subject` is the blob, parameter or type that it is about.
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
    """One version of a blob: what one layer wrote under a name.

    A layer that works in place makes a new version, whose `below` is the one that it overwrites. `producer` is None
    for a bottom that no layer makes. A layer that reads the blob twice is twice among the consumers.
    """

    __slots__ = ("below", "consumers", "name", "producer", "shape", "top_index")

    def __init__(self, name: str, producer: Layer | None, top_index: int, below: Blob | None = None) -> None:
        self.name = name
        self.producer = producer
        self.top_index = top_index
        self.below = below
        self.shape: Shape = None
        self.consumers: list[Layer] = []

    @property
    def count(self) -> int | None:
        """The number of elements."""
        return count(self.shape)

    def __repr__(self) -> str:
        return f"<Blob {self.name}: {describe(self.shape)}>"


class Param:
    """A learnable or stored blob of a layer. `role` is what it is to the layer, such as `weight` or `bias`.

    `filler` is the FillerParameter as written, else None, and then the blob starts with the value `constant`.
    `owner` is the parameter it is shared with (itself, if it is not shared). `spec` is its ParamSpec, if written.
    """

    __slots__ = ("constant", "decay_mult", "filler", "filler_path", "index", "layer", "lr_mult", "name", "owner", "role",
                 "shape", "spec")  # fmt: skip

    def __init__(
        self, layer: Layer, role: str, shape: Shape, filler: Message | None, filler_path: str, constant: float
    ) -> None:
        self.layer = layer
        self.role = role
        self.shape = shape
        self.filler = filler
        self.filler_path = filler_path
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
    """A top whose sum, times `weight`, is part of the loss. `entry` is the loss_weight as written, if it is."""

    layer: Layer
    top_index: int
    blob: Blob
    weight: float
    entry: Entry | None


class Layer:
    """A layer of a net. `kind` is what is known of its type, None for a type nobody described.

    `message` is its LayerParameter in today's form, `entry` where that stands.
    """

    __slots__ = (
        "bottoms",
        "entry",
        "index",
        "kind",
        "loss_weights",
        "message",
        "name",
        "net",
        "params",
        "phase",
        "tops",
        "type",
    )

    def __init__(
        self, net: Net, index: int, entry: Entry, name: str, type: str, kind: LayerType | None, phase: str
    ) -> None:
        self.net = net
        self.index = index
        self.entry = entry
        self.message: Message = entry[0]
        self.name = name
        self.type = type
        self.kind = kind
        self.phase = phase
        self.bottoms: list[Blob] = []
        self.tops: list[Blob] = []
        self.params: list[Param] = []
        self.loss_weights: tuple[float, ...] = ()

    @property
    def in_place(self) -> bool:
        """Whether a top is written over a bottom."""
        return any(top.below is not None for top in self.tops)

    @property
    def runs_backward(self) -> bool:
        """Whether Caffe calls the layer's backward pass (layer_need_backward_)."""
        return self.net.backward.runs[self.index]

    @property
    def gradient_bottoms(self) -> Sequence[bool]:
        """For each bottom, whether the layer computes its gradient (bottom_need_backward_)."""
        return self.net.backward.bottoms[self.index]

    def loss_weight(self, top_index: int) -> float:
        """The weight of a top in the loss, 0 for none."""
        return self.loss_weights[top_index] if top_index < len(self.loss_weights) else 0.0

    def upstream(self) -> Iterator[Layer]:
        """All layers that this one gets its values from, nearest first, each once."""
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

    def add_param(
        self,
        role: str,
        shape: Shape,
        filler: Message | None = None,
        filler_name: str = "",
        constant: float = 0.0,
    ) -> Param:
        """Adds a parameter; `filler` is the layer's sub-message that has its filler under `filler_name`."""
        written: Message | None = None
        path = ""
        if filler is not None and filler_name in filler.entries:
            written = filler.entries[filler_name][0][0]
            path = filler_name
        param = Param(self, role, shape, written, path, constant)
        self.params.append(param)
        return param

    def fail(
        self,
        kind: str,
        message: str,
        path: str,
        source: str,
        *,
        subject: str = "",
        when: str = "setup",
        how: str = "fatal",
    ) -> None:
        """Records that Caffe would stop at this layer. `path` is the field it is about; empty for the layer itself."""
        start, end = self.message.at(path) if path else self.place()
        self.net.problems.append(NetProblem(kind, self, start, end, message, source, subject, when, how))

    def place(self) -> tuple[int, int]:
        """Where the layer is named: its `type`, its `name`, or the layer as a whole."""
        for name in ("type", "name"):
            if name in self.message.entries:
                return self.message.span(name)
        node = self.entry[1]
        return node.start, node.end

    def __repr__(self) -> str:
        return f"<{self.type} {self.name!r}>"


class Net:
    """A net in one state. `message` is its NetParameter in today's form."""

    def __init__(self, upgraded: Upgraded, state: NetState, dialect: str) -> None:
        self.upgraded = upgraded
        self.message = upgraded.message
        self.state = state
        self.dialect = dialect
        self.layers: list[Layer] = []
        self.dropped: list[Entry] = []  # layers filtered out
        self.problems: list[NetProblem] = []
        self.losses: list[Loss] = []
        self.latest: dict[str, Blob] = {}
        self._backward: Backward | None = None

    @property
    def name(self) -> str:
        """The net's name."""
        name: str = self.message["name"]
        return name

    @property
    def phase(self) -> str:
        """`TRAIN` or `TEST`."""
        return self.state.phase

    @property
    def backward(self) -> Backward:
        """What runs in the backward pass."""
        if self._backward is None:
            self._backward = backward(self)
        return self._backward

    def backward_problems(self, every_layer: bool = False) -> list[NetProblem]:
        """Where the first backward pass would stop; see `gradients.backward_problems`."""
        return backward_problems(self, every_layer)

    def blob(self, name: str) -> Blob | None:
        """The last version of a blob, None if no layer makes it."""
        return self.latest.get(name)

    def blobs(self) -> Iterator[Blob]:
        """Every version of every blob, in the order they are made."""
        for layer in self.layers:
            yield from layer.tops

    def params(self) -> Iterator[Param]:
        """Every parameter, shared ones once for each layer that has them."""
        for layer in self.layers:
            yield from layer.params

    def learnable_params(self) -> Iterator[Param]:
        """Every parameter that is not shared, or shared with others but the first of them (learnable_params_)."""
        for param in self.params():
            if param.owner is param:
                yield param

    @property
    def learnable(self) -> int | None:
        """The number of learnable values, None if a shape is unknown."""
        counts = [param.count for param in self.learnable_params()]
        return (
            None
            if any(number is None for number in counts)
            else sum(number for number in counts if number is not None)
        )

    @property
    def outputs(self) -> list[str]:
        """The blobs that no layer reads, in Caffe's order: that of their names."""
        from .splits import loss_split

        names = set()
        for blob in self.blobs():
            if blob.name == AUTOMATIC and blob.producer is not None and blob.producer.kind is not None:
                if blob.top_index >= len(blob.producer.message["top"]):
                    continue
            if not blob.consumers:
                names.add(blob.name)
            else:
                split = loss_split(blob)
                if split:
                    names.add(split)
        return sorted(names)


def build(
    upgraded: Upgraded,
    state: NetState,
    *,
    dialect: str = "bvlc",
    input_shapes: Mapping[str, Sequence[int]] | None = None,
) -> Net:
    """The net in a state.

    `input_shapes` tells what the data layers' tops look like where the file leaves it open: for a top's name, or
    `*` for the first top of every data layer, a list of dimensions, 0 for "as the file says". Where the layer crops,
    its `crop_size` stands instead of the last two.
    """
    return _Builder(upgraded, state, dialect, input_shapes or {}).net


class _Builder:
    def __init__(
        self, upgraded: Upgraded, state: NetState, dialect: str, input_shapes: Mapping[str, Sequence[int]]
    ) -> None:
        self.net = Net(upgraded, state, dialect)
        self.undefined = upgraded.undefined_inputs
        self.input_shapes = input_shapes
        self.unknown: dict[str, Blob] = {}
        self.owners: dict[str, Param] = {}
        self.weighted: list[Layer] = []
        net = self.net
        for entry, keep in kept_layers(net.message, state):
            if "include" in entry[0].entries and "exclude" in entry[0].entries:
                self.both_rules(entry)
            if keep:
                self.layer(entry)
            else:
                net.dropped.append(entry)
        for layer in self.weighted:
            self.written_losses(layer)
        if self.weighted:
            net.losses.sort(key=lambda loss: (loss.layer.index, loss.top_index))
            # Losses that are written can be judged only when all readers are known; put that back into order.
            net.problems.sort(key=lambda problem: problem.layer.index if problem.layer else -1)

    def both_rules(self, entry: Entry) -> None:
        start, end = entry[0].span("exclude")
        message = f"layer '{entry[0]['name']}' has both include and exclude rules: Caffe takes one kind or the other"
        self.net.problems.append(NetProblem("include-and-exclude", None, start, end, message, "net.cpp:269"))

    def layer(self, entry: Entry) -> None:
        net = self.net
        entries = entry[0].entries
        name = entries["name"][0][0] if "name" in entries else ""
        type_name = entries["type"][0][0] if "type" in entries else ""
        phase = entries["phase"][0][0] if "phase" in entries else net.state.phase
        kind = find_type(type_name, net.dialect)
        layer = Layer(net, len(net.layers), entry, name, type_name, kind, phase)
        net.layers.append(layer)
        written_bottoms = entries.get("bottom", ())
        written_tops = entries.get("top", ())
        latest = net.latest
        bottoms = layer.bottoms
        for blob_name, node, _ in written_bottoms:
            blob = latest.get(blob_name)
            if blob is None:
                blob = self.unknown_bottom(layer, blob_name, node.start, node.end)
            blob.consumers.append(layer)
            bottoms.append(blob)
        if "propagate_down" in entries and len(entries["propagate_down"]) != len(bottoms):
            has = len(entries["propagate_down"])
            layer.fail(
                "propagate-down-count",
                f"{has} propagate_down for {len(bottoms)} bottoms: Caffe wants one for each or none",
                "propagate_down",
                "net.cpp:79",
            )
        if not type_name:
            layer.fail("layer-type-missing", f"layer '{name}' has no type", "", "layer_factory.hpp:81")
        tops = layer.tops
        for i, (top_name, node, _) in enumerate(written_tops):
            if i < len(bottoms) and bottoms[i].name == top_name:
                below = bottoms[i]
                if len(below.consumers) > 1 or self.is_written_loss(below):
                    self.shared_in_place(layer, below, node.start, node.end)
                blob = Blob(top_name, layer, i, below)
            else:
                if top_name in latest:
                    self.top_twice(layer, latest[top_name], node.start, node.end)
                blob = Blob(top_name, layer, i)
            latest[top_name] = blob
            tops.append(blob)
        if kind is None:
            if "loss_weight" in entries:
                self.weighted.append(layer)
            self.specs(layer, False)
            return
        if kind.auto_top:
            while len(tops) < kind.tops[0]:
                tops.append(Blob(AUTOMATIC, layer, len(tops)))
        if self.counts_fit(layer, kind):
            self.infer(layer, kind)
            self.specs(layer, not kind.open_params)
        else:
            self.specs(layer, False)
        if "loss_weight" in entries:
            self.weighted.append(layer)
        elif kind.loss_weight:
            layer.loss_weights = (kind.loss_weight, *[0.0] * (len(tops) - 1))
            if tops:
                net.losses.append(Loss(layer, 0, tops[0], kind.loss_weight, None))
            if len(tops) > 1:
                self.loss_weight_count(layer, 1)

    # -- blobs ----------------------------------------------------------------------------------------------

    def unknown_bottom(self, layer: Layer, name: str, start: int, end: int) -> Blob:
        blob = self.unknown.get(name)
        if blob is None:
            blob = self.unknown[name] = Blob(name, None, 0)
        message = f"layer '{layer.name}' reads '{name}', which no layer before it makes in phase {self.net.state.phase}"
        related = []
        for entry in self.net.message.entries.get("layer", ()):
            other = entry[0].entries
            for top_name, node, _ in other.get("top", ()):
                if top_name == name:
                    where = "made later" if node.start > start else "not made in this phase"
                    related.append(
                        (node.start, node.end, f"'{name}' is {where}, by layer '{entry[0]['name']}'")
                    )
        self.net.problems.append(
            NetProblem(
                "unknown-bottom",
                layer,
                start,
                end,
                message,
                "insert_splits.cpp:29",
                name,
                related=tuple(related[:4]),
            )
        )
        return blob

    def shared_in_place(self, layer: Layer, below: Blob, start: int, end: int) -> None:
        readers = [reader for reader in below.consumers if reader is not layer]
        if readers:
            why = f"layer '{readers[0].name}' reads it too"
        elif self.is_written_loss(below):
            why = "it has a loss_weight"
        else:
            why = "it is its bottom twice"
        message = f"layer '{layer.name}' writes '{below.name}' in place, but {why}: Caffe splits the blob and then sees two layers making it"
        related = [(*reader.place(), f"layer '{reader.name}' reads '{below.name}'") for reader in readers[:1]]
        self.net.problems.append(
            NetProblem(
                "in-place-on-shared-blob",
                layer,
                start,
                end,
                message,
                "net.cpp:377",
                below.name,
                related=tuple(related),
            )
        )

    def top_twice(self, layer: Layer, other: Blob, start: int, end: int) -> None:
        producer = other.producer
        related = ()
        made = "another layer"
        if producer is not None:
            made = "this layer" if producer is layer else f"layer '{producer.name}'"
            if other.top_index < len(producer.message["top"]):
                related = (
                    (*producer.message.span("top", other.top_index), f"'{other.name}' is made here first"),
                )
        message = f"layer '{layer.name}' makes '{other.name}', which {made} has made already"
        self.net.problems.append(
            NetProblem(
                "top-made-twice", layer, start, end, message, "net.cpp:377", other.name, related=related
            )
        )

    def is_written_loss(self, blob: Blob) -> bool:
        producer = blob.producer
        if producer is None or "loss_weight" not in producer.message.entries:
            return False
        weights = producer.message.entries["loss_weight"]
        return blob.top_index < len(weights) and weights[blob.top_index][0] != 0

    # -- layers ---------------------------------------------------------------------------------------------

    def counts_fit(self, layer: Layer, kind: LayerType) -> bool:
        """Source: layer.hpp, Layer::CheckBlobCounts."""
        bottoms, tops = kind.counts(layer) if kind.counts else (kind.bottoms, kind.tops)
        has_bottoms, has_tops = len(layer.bottoms), len(layer.tops)
        fit = self.count_fits(layer, "bottom", has_bottoms, bottoms, (349, 354, 359))
        if not self.count_fits(layer, "top", has_tops, tops, (364, 369, 374)):
            fit = False
        elif kind.same_count and has_bottoms != has_tops:
            message = (
                f"{layer.type} makes one top for each bottom: '{layer.name}' has {has_bottoms} and {has_tops}"
            )
            layer.fail("top-count", message, "top", "layer.hpp:379")
        return fit and (has_tops >= tops[0])

    def count_fits(
        self, layer: Layer, word: str, has: int, wanted: tuple[int, int | None], lines: tuple[int, int, int]
    ) -> bool:
        least, most = wanted
        if has >= least and (most is None or has <= most):
            return True
        if most == least:
            takes, line = str(least), lines[0]
        elif has < least:
            takes, line = f"at least {least}", lines[1]
        else:
            takes, line = f"at most {most}", lines[2]
        message = f"{layer.type} takes {takes} {word}{'' if takes.endswith(' 1') or takes == '1' else 's'}, '{layer.name}' has {has}"
        layer.fail(f"{word}-count", message, word, f"layer.hpp:{line}")
        return word == "top" and has > least

    def infer(self, layer: Layer, kind: LayerType) -> None:
        tops = layer.tops
        if kind.infer is same_shape:
            shape = layer.bottoms[0].shape
            if tops:
                tops[0].shape = shape
            return
        shapes: Sequence[Shape] = kind.infer(layer)
        if kind.is_data:
            shapes = self.data_shapes(layer, shapes)
        for blob, shape in zip(tops, shapes):  # noqa: B905  (a layer may have tops too few or too many)
            blob.shape = shape
            if shape is not None:
                self.check_shape(layer, shape, blob.name)
        for param in layer.params:
            if param.shape is not None:
                self.check_shape(layer, param.shape, f"{param.role} of {layer.name}")

    def check_shape(self, layer: Layer, shape: tuple[int | None, ...], name: str) -> None:
        """Source: blob.cpp, Blob::Reshape."""
        product = 1
        for dim in shape:
            if dim is None:
                return
            product *= dim
            if dim < 0:
                message = f"layer '{layer.name}' would make '{name}' of size {describe(shape)}"
                layer.fail("negative-size", message, "", "blob.cpp:32", subject=name)
                return
        if product > INT_MAX:
            message = f"'{name}' of layer '{layer.name}' has {product} elements ({describe(shape)}), more than Caffe can count"
            layer.fail("blob-too-large", message, "", "blob.cpp:34", subject=name)
        elif len(shape) > MAX_AXES:
            message = f"'{name}' of layer '{layer.name}' has {len(shape)} axes, Caffe takes {MAX_AXES}"
            layer.fail("too-many-axes", message, "", "blob.cpp", subject=name)

    def data_shapes(self, layer: Layer, shapes: Sequence[Shape]) -> list[Shape]:
        """The shapes of a data layer's tops with what is known of the data from outside."""
        told = list(shapes) + [None] * (len(layer.tops) - len(shapes))
        for i, blob in enumerate(layer.tops):
            if blob.name in self.undefined:
                told[i] = None
            given = self.input_shapes.get(blob.name) or (self.input_shapes.get("*") if i == 0 else None)
            if not given or (told[i] is not None and None not in (told[i] or ())):
                continue
            dims = list(told[i] or [None] * len(given))
            if len(dims) != len(given):
                dims = [None] * len(given)
            told[i] = tuple(
                dim if size == 0 or (dim is not None and axis >= len(dims) - 2 and axis > 1) else size
                for axis, (dim, size) in enumerate(zip(dims, given, strict=True))
            )
        return told

    # -- parameters -----------------------------------------------------------------------------------------

    def specs(self, layer: Layer, known: bool) -> None:
        """Rates, names and sharing of a layer's parameters (Net::AppendParam)."""
        entries = layer.message.entries.get("param", ())
        params = layer.params
        if known and len(entries) > len(params):
            start, end = layer.message.span("param", len(params))
            has = f"{len(entries)} param, but its type has {len(params)} parameters"
            message = f"layer '{layer.name}' ({layer.type}) has {has}"
            self.net.problems.append(NetProblem("too-many-params", layer, start, end, message, "net.cpp:143"))
        for param, (spec, _, _) in zip(params, entries):  # noqa: B905
            param.spec = spec
            written = spec.entries
            if "lr_mult" in written:
                param.lr_mult = written["lr_mult"][0][0]
            if "decay_mult" in written:
                param.decay_mult = written["decay_mult"][0][0]
            if "name" in written:
                param.name = written["name"][0][0]
                if param.name:
                    self.share(param, spec)
        for param in params:
            if param.filler is not None:
                check_filler(param)

    def share(self, param: Param, spec: Message) -> None:
        """Source: net.cpp, Net::AppendParam."""
        owner = self.owners.setdefault(param.name, param)
        if owner is param:
            return
        param.owner = owner
        layer = param.layer
        problem: tuple[str, str, str, str] | None = None
        if spec.get("share_mode", "STRICT") == "PERMISSIVE":
            if differ(param.count, owner.count):
                sizes = f"{describe(owner.shape)} and {describe(param.shape)}"
                problem = ("shared-param-shape", f"their sizes differ ({sizes})", "net.cpp:478", "name")
        elif shapes_differ(param.shape, owner.shape):
            sizes = f"{describe(owner.shape)} and {describe(param.shape)}"
            problem = ("shared-param-shape", f"their shapes differ ({sizes})", "net.cpp:486", "name")
        if problem:
            self.shared_problem(layer, owner, param, spec, *problem)
        for field, line in (("lr_mult", 497), ("decay_mult", 506)):
            if field not in spec.entries:
                setattr(param, field, getattr(owner, field))
            elif owner.spec is None or field not in owner.spec.entries:
                setattr(owner, field, getattr(param, field))
            elif getattr(param, field) != getattr(owner, field):
                values = f"{getattr(owner, field):g} and {getattr(param, field):g}"
                self.shared_problem(
                    layer,
                    owner,
                    param,
                    spec,
                    "shared-param-multiplier",
                    f"{field} differs ({values})",
                    f"net.cpp:{line}",
                    field,
                )

    def shared_problem(
        self,
        layer: Layer,
        owner: Param,
        param: Param,
        spec: Message,
        kind: str,
        why: str,
        source: str,
        field: str,
    ) -> None:
        start, end = spec.span(field)
        message = (
            f"layer '{layer.name}' shares parameter '{param.name}' with layer '{owner.layer.name}', but {why}"
        )
        related = ((*owner.layer.place(), f"'{param.name}' belongs to this layer"),)
        self.net.problems.append(
            NetProblem(kind, layer, start, end, message, source, param.name, related=related)
        )

    # -- losses ---------------------------------------------------------------------------------------------

    def written_losses(self, layer: Layer) -> None:
        """The losses of a layer with loss_weight, once it is known which of its tops are read.

        A top that has a weight and is read as well is split: the weight moves to the split, and all weights of the
        layer are erased, so that a loss layer adds its own again (insert_splits.cpp, InsertSplits).
        """
        entries = layer.message.entries["loss_weight"]
        tops = layer.tops
        losses = self.net.losses
        moved = [i for i, (entry, blob) in enumerate(zip(entries, tops)) if entry[0] and blob.consumers]  # noqa: B905
        weights = [0.0] * len(tops)
        if moved:
            for i in moved:
                weights[i] = entries[i][0]
                losses.append(Loss(layer, i, tops[i], entries[i][0], entries[i]))
            implied = layer.kind.loss_weight if layer.kind else 0.0
            if implied:
                weights[0] += implied
                losses.append(Loss(layer, 0, tops[0], implied, None))
                if len(tops) > 1:
                    self.loss_weight_count(layer, 1)
        else:
            if len(entries) != len(tops):
                self.loss_weight_count(layer, len(entries))
            for i, entry in enumerate(entries[: len(tops)]):
                weights[i] = entry[0]
                if entry[0]:
                    losses.append(Loss(layer, i, tops[i], entry[0], entry))
        layer.loss_weights = tuple(weights)

    def loss_weight_count(self, layer: Layer, has: int) -> None:
        own = "loss_weight" not in layer.message.entries
        message = (
            f"layer '{layer.name}' has {len(layer.tops)} tops and no loss_weight: Caffe gives a loss layer 1 and wants one for each top"
            if own
            else f"layer '{layer.name}' has {len(layer.tops)} tops and {has} loss_weight: Caffe wants one for each top"
        )
        layer.fail("loss-weight-count", message, "loss_weight", "layer.hpp:392")
