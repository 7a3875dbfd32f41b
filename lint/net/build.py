"""Build a net as Caffe would, for one phase, level and set of stages.

Building never stops: every problem at which Caffe would stop is recorded, in order, and whatever cannot be known because
of it is unknown from there on.
Source: net.cpp, Net::Init; util/insert_splits.cpp; layer.hpp, Layer::SetUp.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from .. import layers as _layers  # noqa: F401  (fills the table of layer types)
from ..layers.fillers import check_filler
from ..layers.record import find_type, number_of, same_shape, type_of_settings
from ..layers.vision import needs_gpu
from ..moments.graph import AUTOMATIC, Blob, Layer, Loss, NetProblem, Param, Place, unreadable
from ..moments.layer_type import IN_PLACE_CRASH, Count, LayerType
from ..moments.shapes import INT_MAX, MAX_AXES, Dims, Shape, describe, differ, known_factor, shapes_differ
from ..proto.binder import Entry, Message
from ..proto.tree import Scalar
from ..proto.upgrade import Upgraded
from ..source.wording import counted
from .backward import mark_backward
from .batch_size import batch_size
from .net import BuiltWith, Net
from .phases import NetState, kept_layers

if TYPE_CHECKING:
    from .data_facts import DataFacts  # keeps what reads facts out of the start


# Sizes of blobs from here on are not written out: they may have thousands of digits.
_MOST_SHOWN = 10**30


def build(
    upgraded: Upgraded,
    state: NetState,
    *,
    dialect: str = "bvlc",
    input_shapes: Mapping[str, Sequence[int]] | None = None,
    described: Mapping[str, LayerType] | None = None,
    facts: DataFacts | None = None,
) -> Net:
    """Build the net in a state.

    `input_shapes` gives the shapes of the data layers' tops where the file leaves them open: for a top's name, or `*` for the
    first top of every data layer, a list of dimensions, with 0 for "as in the file". If the layer crops, its `crop_size`
    replaces the last two. `described` are layer types that take precedence over the built-in ones; see `layers.custom`.
    `facts` is what is known of the sources that data layers name; `input_shapes` take precedence.
    """
    return _build(upgraded, state, dialect, BuiltWith(input_shapes or {}, described or {}, facts or {}))


def rebuilt(net: Net, input_shapes: Mapping[str, Sequence[int]]) -> Net:
    """Return the same net with more, or other, shapes of its data, which is built once for each."""
    shapes, described, facts, _ = net.built_with
    given = {**shapes, **input_shapes}
    key = frozenset((name, tuple(shape)) for name, shape in given.items())
    if key not in net.rebuilt:
        other = build(net.upgraded, net.state, dialect=net.dialect, input_shapes=given, described=described, facts=facts)
        net.rebuilt[key] = other
        other.rebuilt = net.rebuilt
    return net.rebuilt[key]


def changed(net: Net, message: Message, data_shapes: Mapping[str, Sequence[int]]) -> Net:
    """Return the net of another message, with other shapes for tops of layers without bottoms, by name."""
    return _build(net.upgraded._replace(message=message), net.state, net.dialect, net.built_with._replace(data_shapes=data_shapes))


def _build(upgraded: Upgraded, state: NetState, dialect: str, given: BuiltWith) -> Net:
    net = Net(upgraded, state, dialect, given)
    _Builder(net, *given).build()
    mark_backward(net)
    return net


# Problems of a layer that has not the settings that its type requires.
_LACKS_SETTINGS = frozenset(
    "num-output-missing input-dim-missing kernel-missing pooling-kernel batch-size-missing source-missing num-classes tiles "
    "input-without-shape dummy-shape memory-size image-size".split()
)


class _Builder:
    def __init__(
        self,
        net: Net,
        input_shapes: Mapping[str, Sequence[int]],
        described: Mapping[str, LayerType],
        facts: DataFacts,
        data_shapes: Mapping[str, Sequence[int]],
    ) -> None:
        self.net = net
        self.replaced = data_shapes
        self.input_shapes = input_shapes
        self.described = described
        self.facts = facts
        self.unknown: dict[str, Blob] = {}
        self.owners: dict[str, Param] = {}
        self.weighted: list[Layer] = []
        self.shapeless: list[Layer] = []
        self.unread: frozenset[str] | None = None

    def build(self) -> None:
        net = self.net
        for entry, keep in kept_layers(net.message, net.state):
            entries = entry[0].entries
            if "include" in entries and "exclude" in entries:
                name = entry[0]["name"]
                message = f"layer '{name}' has both include and exclude rules"
                place = entry[0].span("exclude")
                net.problems.append(
                    NetProblem("include-and-exclude", None, place[0], place[1], message, "net.cpp:269")
                )
            if keep:
                layer = self.layer(entry)
                layer.bottoms, layer.tops = tuple(layer.bottoms), tuple(layer.tops)  # which take less memory than lists
            else:
                net.dropped.append(entry)
        before = len(net.problems)
        for layer in self.weighted:
            self.written_losses(layer)
        for layer in self.shapeless:
            self.check_shapeless(layer)
        if self.weighted:
            net.losses.sort(key=lambda loss: (loss.layer.index, loss.top_index))
        if len(net.problems) > before:
            # These can be checked only once all readers are known; put them back into Caffe's order.
            net.problems.sort(key=lambda problem: problem.layer.index if problem.layer else -1)
        if not net.layers:
            message = f"the net has no layers in phase {net.phase}"
            place = (net.message.block.start, net.message.block.open_end)
            net.problems.append(NetProblem("net-empty", None, *place, message, "net.cpp:520", when="forward"))

    def layer(self, entry: Entry) -> Layer:
        net = self.net
        entries = entry[0].entries
        name = entries["name"][0][0] if "name" in entries else ""
        type_name = entries["type"][0][0] if "type" in entries else ""
        phase = entries["phase"][0][0] if "phase" in entries else net.state.phase
        kind = None
        if self.described:
            from ..layers.custom import described_type  # keeps what describes layer types out of the start

            kind = described_type(self.described, entry[0], type_name)
        if kind is None:
            kind = find_type(type_name, net.dialect, len(entries.get("bottom", ())))
        layer = Layer(net.context, entry, name, type_name, kind, phase)
        net.layers.append(layer)
        latest = net.latest
        bottoms: list[Blob] = []
        layer.bottoms = bottoms
        for blob_name, node, _ in entries.get("bottom", ()):
            blob = latest.get(blob_name)
            if blob is None:
                blob = self.unknown_bottom(layer, blob_name, (node.start, node.end))
            blob.add_consumer(layer)
            bottoms.append(blob)
        if "propagate_down" in entries and len(entries["propagate_down"]) != len(bottoms):
            has = f"{number_of(len(entries['propagate_down']), 'propagate_down')} for {counted(len(bottoms), 'bottom')}"
            text = f"{has}; expected one for each bottom, or none"
            layer.fail("propagate-down-count", text, "propagate_down[0]", "net.cpp:79")
        if not type_name:
            layer.fail("layer-type-missing", "type is not set", "type", "layer_factory.hpp:81")
        tops: list[Blob] = []
        layer.tops = tops
        for i, (top_name, node, _) in enumerate(entries.get("top", ())):
            if i < len(bottoms) and bottoms[i].name == top_name:
                blob = Blob(top_name, layer, i, bottoms[i])
                if len(bottoms[i].consumers) > 1 or is_written_loss(bottoms[i]):
                    self.shared_in_place(layer, bottoms[i], (node.start, node.end))
            else:
                blob = Blob(top_name, layer, i)
                if top_name in latest and not _follows_unknown_bottom(layer, i, latest[top_name]):
                    self.top_twice(layer, latest[top_name], (node.start, node.end))
            latest[top_name] = blob
            tops.append(blob)
        if kind is None:
            self.unknown_type(layer)
            return layer
        if kind.auto_top:
            while len(tops) < kind.tops[0]:
                tops.append(Blob(AUTOMATIC, layer, len(tops)))
        found = len(net.problems)
        fits = self.set_up(layer, kind)
        if any(problem.kind in _LACKS_SETTINGS for problem in net.problems[found:]):
            meant = type_of_settings(layer.message, layer.traits)
            if meant is not None:
                kind, fits = meant, self.set_up_as_meant(layer, meant, found)
        if layer.asks_for_unknown:
            del net.problems[found:], tops[len(entries.get("top", ())) :]
            for blob in tops:
                blob.shape = None
            layer.params = ()
            layer.take_for(None)
            self.unknown_type(layer)
            return layer
        self.params(layer, fits and not kind.has_open_params(layer))
        if "loss_weight" in entries:
            self.weighted.append(layer)
        elif kind.loss_weight and tops:
            layer.loss_weights = (kind.loss_weight, *[0.0] * (len(tops) - 1))
            net.losses.append(Loss(layer, 0, tops[0], kind.loss_weight, None))
            if len(tops) > 1:
                self.loss_weight_count(layer)
        return layer

    def unknown_type(self, layer: Layer) -> None:
        """Set what can be known of a layer of a type without a record."""
        if not layer.bottoms and (self.input_shapes or self.facts):
            for blob, shape in zip(layer.tops, self.data_shapes(layer, ()), strict=True):
                blob.shape = shape
        self.params(layer, False)
        if "loss_weight" in layer.message.entries:
            self.weighted.append(layer)

    def set_up(self, layer: Layer, kind: LayerType) -> bool:
        """Infer the shapes of a layer's tops as of that type, and return whether it has enough bottoms and tops."""
        entries = layer.message.entries
        if kind.engine in entries and entries[kind.engine][0][0].get("engine") == "CUDNN":
            needs_gpu(layer, "engine CUDNN", f"{kind.engine}.engine", "layer_factory.cpp")
        fits = self.counts_fit(layer, kind)
        if fits:
            self.infer(layer, kind)
        return fits

    def set_up_as_meant(self, layer: Layer, meant: LayerType, found: int) -> bool:
        """Take a layer that its own type rejects for one of the type whose settings it has, so that what follows can be checked.

        `found` is the number of problems before the layer.
        """
        own, settings = self.net.problems[found:], meant.settings
        del self.net.problems[found:]
        layer.take_for(meant)
        layer.params = ()
        text = f"{settings} is for type {meant.name}, and {layer.type} does not read it"
        layer.fail("wrong-type", text, "type", own[0].source, subject=meant.name)
        return self.set_up(layer, meant)

    # -- blobs ----------------------------------------------------------------------------------------------

    def unknown_bottom(self, layer: Layer, name: str, place: Place) -> Blob:
        blob = self.unknown.get(name)
        if blob is None:
            blob = self.unknown[name] = Blob(name, None, 0)
        if name in self.unreadable_names():
            return blob
        related: list[tuple[Place, str]] = []
        for other, top, keep in self.net.makers.get(name, ())[:4]:
            where = "only later" if keep else f"not in phase {self.net.phase}"
            related.append((top, f"layer '{other['name']}' produces '{name}', but {where}"))
        text = f"no earlier layer produces bottom '{name}'"
        layer.report("unknown-bottom", text, place, "insert_splits.cpp:29", subject=name, related=related)
        return blob

    def unreadable_names(self) -> frozenset[str]:
        """The words in fields that cannot be read: some may be names of tops."""
        if self.unread is None:
            words = set()
            for layer, _, _ in self.net.message.entries.get("layer", ()):
                for field in [*unreadable(layer, "top"), *layer.unknown]:
                    if isinstance(field.value, Scalar):
                        words.add(field.value.text.strip(b"\"'").decode("utf-8", "surrogateescape"))
            self.unread = frozenset(words)
        return self.unread

    def shared_in_place(self, layer: Layer, below: Blob, place: Place) -> None:
        """InsertSplits renames the bottom, so Net::AppendTop no longer recognises it as the top."""
        readers = [reader for reader in below.consumers if reader is not layer]
        if readers:
            why = f"layer '{readers[0].name}' reads it too"
        elif is_written_loss(below):
            why = "it has a loss_weight"
        else:
            why = "it is a bottom of this layer twice"
        text = f"'{below.name}' is overwritten in place, but {why}"
        related = [(reader.place(), f"layer '{reader.name}' reads '{below.name}'") for reader in readers[:1]]
        layer.report(
            "in-place-on-shared-blob", text, place, "net.cpp:377", subject=below.name, related=related
        )

    def top_twice(self, layer: Layer, other: Blob, place: Place) -> None:
        producer = other.producer
        assert producer is not None
        by = "this layer" if producer is layer else f"layer '{producer.name}'"
        first = (producer.message.span("top", other.top_index), f"'{other.name}' is first produced here")
        layer.report(
            "duplicate-top", f"top '{other.name}' is already produced by {by}", place, "net.cpp:377",
            subject=other.name, related=[first],
        )  # fmt: skip

    # -- layers ---------------------------------------------------------------------------------------------

    def counts_fit(self, layer: Layer, kind: LayerType) -> bool:
        """Whether there are enough bottoms and tops to infer shapes (layer.hpp, Layer::CheckBlobCounts)."""
        bottoms, tops = kind.counts(layer) if kind.counts else (kind.bottoms, kind.tops)
        if self.net.dialect != "bvlc":
            bottoms, tops = kind.fork_bottoms or bottoms, kind.fork_tops or tops
        has_bottoms, has_tops = len(layer.bottoms), len(layer.tops)
        fits = True
        if has_bottoms < bottoms[0] or (bottoms[1] is not None and has_bottoms > bottoms[1]):
            _wrong_count(layer, "bottom", has_bottoms, bottoms, kind.counts is None)
            fits = False
        if has_tops < tops[0] or (tops[1] is not None and has_tops > tops[1]):
            _wrong_count(layer, "top", has_tops, tops, kind.counts is None)
            fits = fits and has_tops > tops[0]
        elif kind.same_count and has_bottoms != has_tops:
            text = f"{counted(has_tops, 'top')} for {counted(has_bottoms, 'bottom')}; expected one for each bottom"
            layer.fail("top-count", text, "top", "layer.hpp:379")
        return fits

    def infer(self, layer: Layer, kind: LayerType) -> None:
        tops = layer.tops
        if kind.infer is same_shape:
            if tops:
                tops[0].shape = layer.bottoms[0].shape
            return
        found = len(self.net.problems)
        shapes: Sequence[Shape] = kind.infer(layer)
        if self.net.dialect != "bvlc" and kind.has_foreign_fields(layer):
            del self.net.problems[found:]
            return
        if kind.is_data:
            shapes = self.data_shapes(layer, shapes)
        if self.replaced and not layer.bottoms:
            shapes = [
                tuple(self.replaced.get(top.name, shape or ())) or None
                for top, shape in zip(tops, shapes, strict=False)
            ]
        for blob, shape in zip(tops, shapes):  # noqa: B905  (a layer may have too few or too many tops)
            blob.shape = shape
            if shape is not None:
                _check_shape(layer, shape, blob.name)
        for param in layer.params:
            if param.shape is not None:
                _check_shape(layer, param.shape, param.role)
        below = tops[0].below if tops else None
        if below is None or kind.in_place_effect(layer) != IN_PLACE_CRASH:
            return
        if shapes_differ(below.shape, tops[0].shape):
            text = f"'{tops[0].name}' is overwritten in place while the layer still reads it"
            layer.fail("in-place", text, "top", subject=tops[0].name, when="forward", how="crash")

    def data_shapes(self, layer: Layer, shapes: Sequence[Shape]) -> list[Shape]:
        """The shapes of a data layer's tops, completed by `input_shapes` and by facts about the data."""
        found = [*shapes, *[None] * (len(layer.tops) - len(shapes))]
        known: Sequence[Sequence[int] | None] = ()
        if self.facts:
            from .data_facts import input_shapes  # keeps what reads facts out of the start

            known = input_shapes(layer, self.facts)
        for i, blob in enumerate(layer.tops):
            if blob.name in self.net.upgraded.undefined_inputs:
                found[i] = None
            elif layer.traits.settings == "input_param" and found[i] == () and not layer.message["input_param"]["shape"]:
                self.shapeless.append(layer)
            given = self.input_shapes.get(blob.name) or (self.input_shapes.get("*") if i == 0 else None)
            given = given or (known[i] if known else None)
            if given:
                found[i] = _with_given(found[i], given, batch_size(layer))
        return found

    def check_shapeless(self, layer: Layer) -> None:
        """An Input without a shape has no elements, but its splits have one (split_layer.cpp, Reshape)."""
        for i, blob in enumerate(layer.tops):
            if blob.shape == () and len(blob.consumers) > 1:
                text = f"top '{blob.name}' has no shape, but is read more than once"
                layer.report(
                    "input-without-shape",
                    text,
                    layer.message.span("top", i),
                    "split_layer.cpp:21",
                    subject=blob.name,
                )

    # -- parameters -----------------------------------------------------------------------------------------

    def params(self, layer: Layer, known: bool) -> None:
        """Set the multipliers, names and owners of a layer's parameters (Net::AppendParam)."""
        specs = layer.message.entries.get("param", ())
        params = layer.params
        if known and len(specs) > len(params):
            own = counted(len(params), "parameter") if params else "no parameters"
            text = f"{number_of(len(specs), 'param')}, but {layer.type} has {own}"
            layer.report("too-many-params", text, layer.message.span("param", len(params)), "net.cpp:143")
        for param, (spec, _, _) in zip(params, specs):  # noqa: B905
            param.spec = spec
            written = spec.entries
            if "lr_mult" in written:
                param.lr_mult = written["lr_mult"][0][0]
            if "decay_mult" in written:
                param.decay_mult = written["decay_mult"][0][0]
            if "name" in written and written["name"][0][0]:
                param.name = written["name"][0][0]
                owner = self.owners.setdefault(param.name, param)
                if owner is not param:
                    _share(param, owner, spec)
        for param in params:
            if param.filler is not None:
                check_filler(layer, param.filler, param.filler_name, param.shape, param.role)

    # -- losses ---------------------------------------------------------------------------------------------

    def written_losses(self, layer: Layer) -> None:
        """Add the losses of a layer with loss_weight, once it is known which of its tops are read.

        A top that has a weight and is also read is split: the weight moves to the split, and all weights of the layer are
        erased, so a loss layer adds its implicit weight again (insert_splits.cpp, InsertSplits).
        """
        entries = layer.message.entries["loss_weight"]
        tops = layer.tops
        losses = self.net.losses
        weights = [0.0] * len(tops)
        split = [i for i, blob in enumerate(tops) if i < len(entries) and entries[i][0] and blob.consumers]
        if split:
            for i in split:
                weights[i] = entries[i][0]
                losses.append(Loss(layer, i, tops[i], entries[i][0], entries[i]))
            implied = layer.kind.loss_weight if layer.kind else 0.0
            if implied:
                weights[0] += implied
                losses.append(Loss(layer, 0, tops[0], implied, None))
                if len(tops) > 1:
                    self.loss_weight_count(layer)
        else:
            if len(entries) != len(tops):
                self.loss_weight_count(layer)
            for i, entry in enumerate(entries[: len(tops)]):
                weights[i] = entry[0]
                if entry[0]:
                    losses.append(Loss(layer, i, tops[i], entry[0], entry))
        layer.loss_weights = tuple(weights)

    def loss_weight_count(self, layer: Layer) -> None:
        written = len(layer.message.entries.get("loss_weight", ()))
        has = number_of(written, "loss_weight") if written else "only the implicit loss_weight"
        text = f"{has} for {counted(len(layer.tops), 'top')}; expected one for each top"
        layer.fail("loss-weight-count", text, "loss_weight[0]", "layer.hpp:392")


def _follows_unknown_bottom(layer: Layer, index: int, other: Blob) -> bool:
    """Whether a top is duplicate only because of an unknown bottom: this layer, or the other, was meant to work in place."""
    misspelt = index < len(layer.bottoms) and layer.bottoms[index].producer is None
    return misspelt or (other.below is not None and other.below.producer is None)


def is_written_loss(blob: Blob) -> bool:
    """Whether the blob's producer has a loss_weight for it that is not 0."""
    producer = blob.producer
    if producer is None or "loss_weight" not in producer.message.entries:
        return False
    weights = producer.message.entries["loss_weight"]
    return blob.top_index < len(weights) and weights[blob.top_index][0] != 0


def _wrong_count(layer: Layer, word: str, has: int, wanted: Count, fixed: bool) -> None:
    least, most = wanted
    exact, low, high = (349, 354, 359) if word == "bottom" else (364, 369, 374)
    if least == most:
        takes, line = str(least), exact if fixed else low if has < least else high
    elif has < least:
        takes, line = f"at least {least}", low
    else:
        takes, line = f"at most {most}", high
    if has < least and (layer.message.unknown or any(True for _ in unreadable(layer.message, word))):
        return
    text = f"{counted(has, word)}; {layer.type} takes {takes}"
    layer.fail(f"{word}-count", text, word, f"layer.hpp:{line}")


def _check_shape(layer: Layer, shape: Dims, name: str) -> None:
    """Report a shape that Caffe refuses, whatever is unknown of it (blob.cpp, Blob::Reshape)."""
    product, _ = known_factor(shape)
    for dim in shape:
        if dim is not None and dim < 0:
            text = f"'{name}' would have a negative size: {describe(shape)}"
            layer.fail("negative-size", text, "", "blob.cpp:32", subject=name)
            return
    if product > INT_MAX:
        number = f"over {_MOST_SHOWN}" if product >= _MOST_SHOWN else product if None not in shape else f"at least {product}"
        text = f"'{name}' ({describe(shape)}) has {number} elements; Caffe allows {INT_MAX}"
        layer.fail("blob-too-large", text, "", "blob.cpp:34", subject=name)
    elif len(shape) > MAX_AXES:
        text = f"'{name}' has {len(shape)} axes; Caffe allows {MAX_AXES}"
        layer.fail("too-many-axes", text, "", "blob.cpp", subject=name)


def _with_given(shape: Shape, given: Sequence[int], batch: int | None) -> Shape:
    """A shape as far as the file specifies it, completed by a given one, in which 0 is unknown, or first of all the batch."""
    if not shape or len(shape) != len(given):
        return shape or tuple(size or (None if i else batch) for i, size in enumerate(given))
    return tuple(size or None if dim is None else dim for dim, size in zip(shape, given, strict=True))


def _share(param: Param, owner: Param, spec: Message) -> None:
    """Source: net.cpp, Net::AppendParam."""
    param.owner = owner
    sizes = f"({describe(param.shape)} here, {describe(owner.shape)} there)"
    is_in_layer = owner.layer is param.layer
    why = at = ""
    if spec.get("share_mode", "STRICT") == "PERMISSIVE":
        if differ(param.count, owner.count):
            why = f"the sizes differ {sizes}"
    elif shapes_differ(param.shape, owner.shape):
        why, at = f"the shapes differ {sizes}", ":486"
    elif is_in_layer and owner.layer.traits.weighted_sum and (owner.role, param.role) == ("weight", "bias"):
        why, at = "the shapes differ (1 axis here, 2 or more there)", ":486"  # whatever the size of the bottom is
    if why:
        _wrong_share(param, spec, "name", "shape", why, at)
    if why and is_in_layer:
        return
    for field, at in (("lr_mult", ":497"), ("decay_mult", "")):
        mine, theirs = getattr(param, field), getattr(owner, field)
        if field not in spec.entries:
            setattr(param, field, theirs)
        elif owner.spec is None or field not in owner.spec.entries:
            setattr(owner, field, mine)
        elif mine != theirs:
            _wrong_share(param, spec, field, "multiplier", f"{field} is {mine:g} here and {theirs:g} there", at)


def _wrong_share(param: Param, spec: Message, field: str, what: str, why: str, at: str) -> None:
    owner = param.owner.layer
    text = f"parameter '{param.name}' is shared with layer '{owner.name}', but {why}"
    place = spec.span(field)
    related = [(owner.place(), f"'{param.name}' is defined by this layer")]
    if owner is param.layer:
        what, text = "in-layer", f"{param.owner.role} and {param.role} have the same name '{param.name}', but {why}"
        related = []
    param.layer.report(
        f"shared-param-{what}", text, place, "net.cpp" + at, subject=param.name, related=related
    )
