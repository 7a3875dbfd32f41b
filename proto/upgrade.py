"""Upgrade nets and solvers to the current format, as Caffe does when it reads a file.

The results are messages of the current types whose values keep their tree nodes, so that positions still point into the
file's text. The original message is never changed.
Source: src/caffe/util/upgrade_proto.cpp, `UpgradeNetAsNeeded` and `UpgradeSolverAsNeeded`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from .binder import Entry, Message
from .named_tuple import NamedTuple
from .schema import Schema
from .tree import Block, Field, Scalar
from .v1_types import FORK_V1_TYPES, V1_TYPES

# V0LayerParameter.type to V1LayerParameter.LayerType (UpgradeV0LayerType).
V0_TYPES = {
    "accuracy": "ACCURACY", "bnll": "BNLL", "concat": "CONCAT", "conv": "CONVOLUTION", "data": "DATA",
    "dropout": "DROPOUT", "euclidean_loss": "EUCLIDEAN_LOSS", "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA", "hdf5_output": "HDF5_OUTPUT", "im2col": "IM2COL", "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS", "innerproduct": "INNER_PRODUCT", "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS", "pool": "POOLING", "relu": "RELU",
    "sigmoid": "SIGMOID", "softmax": "SOFTMAX", "softmax_loss": "SOFTMAX_LOSS", "split": "SPLIT",
    "tanh": "TANH", "window_data": "WINDOW_DATA",
}  # fmt: skip

_DATA_PARAMS = {
    "data": "data_param",
    "hdf5_data": "hdf5_data_param",
    "images": "image_data_param",
    "window_data": "window_data_param",
}
_WEIGHTED = {"conv": "convolution_param", "innerproduct": "inner_product_param"}
_WINDOWED = {"conv": "convolution_param", "pool": "pooling_param"}
_WINDOW = {"window_data": "window_data_param"}
_IMAGES = {"images": "image_data_param"}
_LRN = {"lrn": "lrn_param"}
_ANY = dict.fromkeys(V0_TYPES, "transform_param")

# Field of V0LayerParameter to the sub-message of V1LayerParameter for each V0 type that has it, and its name there.
V0_FIELDS: dict[str, tuple[dict[str, str], str]] = {
    "num_output": (_WEIGHTED, "num_output"),
    "biasterm": (_WEIGHTED, "bias_term"),
    "weight_filler": (_WEIGHTED, "weight_filler"),
    "bias_filler": (_WEIGHTED, "bias_filler"),
    "pad": (_WINDOWED, "pad"),
    "kernelsize": (_WINDOWED, "kernel_size"),
    "group": ({"conv": "convolution_param"}, "group"),
    "stride": (_WINDOWED, "stride"),
    "pool": ({"pool": "pooling_param"}, "pool"),
    "dropout_ratio": ({"dropout": "dropout_param"}, "dropout_ratio"),
    "local_size": (_LRN, "local_size"),
    "alpha": (_LRN, "alpha"),
    "beta": (_LRN, "beta"),
    "k": (_LRN, "k"),
    "source": (_DATA_PARAMS | {"infogain_loss": "infogain_loss_param"}, "source"),
    "scale": (_ANY, "scale"),
    "meanfile": (_ANY, "mean_file"),
    "cropsize": (_ANY, "crop_size"),
    "mirror": (_ANY, "mirror"),
    "batchsize": (_DATA_PARAMS, "batch_size"),
    "rand_skip": ({"data": "data_param", "images": "image_data_param"}, "rand_skip"),
    "shuffle_images": (_IMAGES, "shuffle"),
    "new_height": (_IMAGES, "new_height"),
    "new_width": (_IMAGES, "new_width"),
    "concat_dim": ({"concat": "concat_param"}, "concat_dim"),
    "det_fg_threshold": (_WINDOW, "fg_threshold"),
    "det_bg_threshold": (_WINDOW, "bg_threshold"),
    "det_fg_fraction": (_WINDOW, "fg_fraction"),
    "det_context_pad": (_WINDOW, "context_pad"),
    "det_crop_mode": (_WINDOW, "crop_mode"),
    "hdf5_output_param": ({"hdf5_output": ""}, "hdf5_output_param"),
}

_V0_NET_FIELDS = ("name", "input", "input_dim", "force_backward")
_V1_TRANSFORMS = {"DATA": "data_param", "IMAGE_DATA": "image_data_param", "WINDOW_DATA": "window_data_param"}
_TRANSFORM_FIELDS = ("scale", "mean_file", "crop_size", "mirror")
_V1_PARAM_LISTS = {
    "param": "name",
    "blob_share_mode": "share_mode",
    "blobs_lr": "lr_mult",
    "weight_decay": "decay_mult",
}

SOLVER_TYPES = {
    "SGD": "SGD", "NESTEROV": "Nesterov", "ADAGRAD": "AdaGrad", "RMSPROP": "RMSProp",
    "ADADELTA": "AdaDelta", "ADAM": "Adam",
}  # fmt: skip


class UpgradeProblem(NamedTuple):
    """Something that Caffe's upgrade rejects (`fatal`), or silently drops or misreads."""

    kind: str
    start: int
    end: int
    message: str
    fatal: bool


class Upgraded(NamedTuple):
    """A net or solver in the current format.

    `steps` names the steps that were necessary, in the order `v0`, `data-transform`, `v1`, `inputs`, `batch-norm`, or
    `solver-type` for a solver. `undefined_inputs` are net inputs for whose shape Caffe would read past the end of a list.
    `enum_types` are layer types that come from a value of a fork's enum, so that the fork has them, known to us or not.
    """

    message: Message
    steps: tuple[str, ...] = ()
    problems: tuple[UpgradeProblem, ...] = ()
    undefined_inputs: frozenset[str] = frozenset()
    enum_types: frozenset[str] = frozenset()


def upgrade(net: Message, schema: Schema) -> Upgraded:
    """Upgrade a net as Caffe does after reading the file; a net in the current format is returned unchanged.

    Caffe does not upgrade a net inside a solver (solver.cpp, InitTrainNet): use `Upgraded(net)` for it.
    Source: UpgradeNetAsNeeded.
    """
    old_layers = net.entries.get("layers")
    if not old_layers and "input" not in net.entries and not _batch_norm_with_three_params(net):
        return Upgraded(net)
    work = _NetUpgrade(schema)
    if old_layers:
        if any("layer" in entry[0].entries for entry in old_layers):
            net = work.v0_to_v1(net)
        net = work.data_transform(net)
        net = work.v1_to_v2(net)
    if "input" in net.entries:
        net = work.net_inputs(net)
    if _batch_norm_with_three_params(net):
        net = work.batch_norm(net)
    return Upgraded(
        net, tuple(work.steps), tuple(work.problems), frozenset(work.undefined), frozenset(work.enum_types)
    )


def upgrade_solver(solver: Message) -> Upgraded:
    """Replace `solver_type` by `type`. Source: UpgradeSolverType."""
    old = solver.entries.get("solver_type")
    if not old:
        return Upgraded(solver)
    value, node, field = old[0]
    if "type" in solver.entries:
        problem = UpgradeProblem(
            "duplicate-solver-type",
            node.start,
            node.end,
            "Caffe rejects a solver with both 'type' and 'solver_type'",
            True,
        )
        return Upgraded(solver, (), (problem,))
    upgraded = _copy(solver)
    del upgraded.entries["solver_type"]
    upgraded.entries["type"] = [(SOLVER_TYPES.get(value, value), node, field)]
    return Upgraded(upgraded, ("solver-type",))


def v1_type(value: str, schema: Schema) -> str:
    """Return the layer type for a value of V1LayerParameter.LayerType.

    For the value of a fork, this is the known type that is the same word (ROIPooling for `ROI_POOLING`), otherwise the
    value in camel case.
    """
    known = V1_TYPES.get(value, FORK_V1_TYPES.get(value))
    if known is not None:
        return known
    folded = value.replace("_", "").lower()
    for name in schema.layer_types or ():
        if name.lower() == folded:
            return name
    return "".join(word.capitalize() for word in value.split("_"))


def _batch_norm_with_three_params(net: Message) -> bool:
    for layer, _, _ in net.entries.get("layer", ()):
        entries = layer.entries
        if len(entries.get("param", ())) == 3 and "type" in entries and entries["type"][0][0] == "BatchNorm":
            return True
    return False


def _copy(message: Message) -> Message:
    """Copy a message. The lists of its entries are shared and must not be changed."""
    copy = Message(message.type, message.block, message.written)
    copy.entries = dict(message.entries)
    copy.unknown = message.unknown
    return copy


class _NetUpgrade:
    """The upgrade of one net: its steps and the problems found."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self.steps: list[str] = []
        self.problems: list[UpgradeProblem] = []
        self.undefined: set[str] = set()
        self.enum_types: set[str] = set()

    def new(self, type_name: str, block: Block) -> Message:
        return Message(self.schema.message(type_name), block)

    def problem(self, kind: str, node: Scalar | Block | Field, message: str, fatal: bool) -> None:
        end = node.open_end if isinstance(node, Block) else node.end
        self.problems.append(UpgradeProblem(kind, node.start, end, message, fatal))

    # -- V0 to V1 -------------------------------------------------------------------------------------------

    def v0_to_v1(self, net: Message) -> Message:
        """Source: UpgradeV0Net."""
        self.steps.append("v0")
        for name, entries in net.entries.items():
            if name not in _V0_NET_FIELDS and name not in ("layers", "layer"):
                self.problem(
                    "v0-field-lost", entries[0][2], f"Caffe's upgrade of a V0 net drops '{name}'", False
                )
        upgraded = Message(net.type, net.block, net.written)
        upgraded.unknown = net.unknown
        for name in (*_V0_NET_FIELDS, "layer"):
            if name in net.entries:
                upgraded.entries[name] = net.entries[name]
        upgraded.entries["layers"] = [
            (self.v0_layer(connection, layer), node, field)
            for connection, layer, node, field in self.without_padding(net)
        ]
        return upgraded

    def without_padding(self, net: Message) -> list[tuple[Message, Message, Scalar | Block, Field]]:
        """Return the layers, with those of type `padding` merged into the convolution or pooling after them.

        Source: UpgradeV0PaddingLayers.
        """
        padding: dict[str, tuple[Message, Message]] = {}
        kept = []
        for connection, node, field in net.entries["layers"]:
            layer: Message = connection["layer"]
            kind = layer["type"]
            bottoms = connection.entries.get("bottom", [])
            for name, bottom_node, bottom_field in bottoms:
                if name not in padding:
                    continue
                source, source_layer = padding[name]
                if not self.padding_fits(kind, len(bottoms), source, bottom_node):
                    continue
                connection, layer = _copy(connection), _copy(layer)
                connection.entries["bottom"] = [(source["bottom"][0], bottom_node, bottom_field)]
                if "pad" in source_layer.entries:
                    layer.entries["pad"] = source_layer.entries["pad"]
            for name in connection["top"]:
                if kind == "padding":
                    padding[name] = (connection, layer)
                else:
                    padding.pop(name, None)
            if kind != "padding":
                kept.append((connection, layer, node, field))
        return kept

    def padding_fits(self, kind: str, bottoms: int, source: Message, node: Scalar | Block) -> bool:
        if kind not in ("conv", "pool"):
            wrong = f"only a conv or pool layer may follow a padding layer, but this is '{kind}'"
        elif bottoms != 1:
            wrong = f"a layer after a padding layer must have 1 bottom, but this one has {bottoms}"
        elif len(source["bottom"]) != 1 or len(source["top"]) != 1:
            has = f"{len(source['bottom'])} and {len(source['top'])}"
            wrong = f"a padding layer must have 1 bottom and 1 top, but this one has {has}"
        else:
            return True
        self.problem("v0-padding", node, wrong, True)
        return False

    def v0_layer(self, connection: Message, layer: Message) -> Message:
        """Source: UpgradeV0LayerParameter."""
        upgraded = Message(connection.type, connection.block, connection.written)
        for name in ("bottom", "top"):
            if name in connection.entries:
                upgraded.entries[name] = connection.entries[name]
        if not layer.written:
            return upgraded  # everything else is dropped, even the type
        for name in ("name", "blobs", "blobs_lr", "weight_decay"):
            if name in layer.entries:
                upgraded.entries[name] = layer.entries[name]
        kind = ""
        if "type" in layer.entries:
            kind, node, field = layer.entries["type"][0]
            if kind in V0_TYPES:
                upgraded.entries["type"] = [(V0_TYPES[kind], node, field)]
            else:
                self.problem("v0-type", node, f"'{kind}' is not a V0 layer type", True)
        frame = connection.entries["layer"][0]
        for name, (places, new_name) in V0_FIELDS.items():
            entries = layer.entries.get(name)
            if not entries:
                continue
            place = places.get(kind)
            if place is None:
                if kind in V0_TYPES:
                    lost = f"a V0 layer of type '{kind}' has no '{name}': Caffe drops it"
                    self.problem("v0-field-lost", entries[0][2], lost, False)
            elif place:
                self.inside(upgraded, place, frame).entries[new_name] = entries
            else:
                upgraded.entries[new_name] = entries
        for name in ("new_num", "new_channels"):
            if name in layer.entries:
                lost = f"Caffe never reads '{name}' of a V0 layer"
                self.problem("v0-field-lost", layer.entries[name][0][2], lost, False)
        return upgraded

    def inside(self, message: Message, name: str, frame: Entry) -> Message:
        """Return the sub-message of that name. If it is missing, it is created with the position of `frame`."""
        entries = message.entries.get(name)
        if entries:
            found: Message = entries[0][0]
            return found
        _, node, field = frame
        block = node if isinstance(node, Block) else message.block
        made = Message(message.type.fields[name].message, block)
        message.entries[name] = [(made, node, field)]
        return made

    # -- data transforms of V1 layers -----------------------------------------------------------------------

    def data_transform(self, net: Message) -> Message:
        """Source: UpgradeNetDataTransformation."""
        layers = [(self.with_transform(layer), node, field) for layer, node, field in net.entries["layers"]]
        if all(new is old for (new, _, _), (old, _, _) in zip(layers, net.entries["layers"], strict=True)):
            return net
        self.steps.append("data-transform")
        upgraded = _copy(net)
        upgraded.entries["layers"] = layers
        return upgraded

    def with_transform(self, layer: Message) -> Message:
        place = _V1_TRANSFORMS.get(layer["type"] if "type" in layer.entries else "")
        if place is None or place not in layer.entries:
            return layer
        frame = layer.entries[place][0]
        param: Message = frame[0]
        moved = [name for name in _TRANSFORM_FIELDS if name in param.entries]
        if not moved:
            return layer
        upgraded = _copy(layer)
        param = _copy(param)
        upgraded.entries[place] = [(param, frame[1], frame[2])]
        if "transform_param" in upgraded.entries:
            transform, node, field = upgraded.entries["transform_param"][0]
            upgraded.entries["transform_param"] = [(_copy(transform), node, field)]
        transform = self.inside(upgraded, "transform_param", frame)
        for name in moved:
            transform.entries[name] = param.entries.pop(name)
        if place == "window_data_param" and "scale" in moved:
            lost = "WindowData reads window_data_param.scale, but Caffe's upgrade moves it to transform_param"
            self.problem("window-scale-lost", transform.entries["scale"][0][2], lost, False)
        return upgraded

    # -- V1 to V2 -------------------------------------------------------------------------------------------

    def v1_to_v2(self, net: Message) -> Message:
        """Source: UpgradeV1Net."""
        self.steps.append("v1")
        upgraded = _copy(net)
        layers = [(self.v1_layer(layer), node, field) for layer, node, field in upgraded.entries.pop("layers")]
        current = upgraded.entries.get("layer")
        if current:
            node = min(current, key=lambda entry: entry[1].start)[1]
            self.problem(
                "mixed-layer-formats", node, "Caffe rejects a net with both 'layer' and 'layers'", True
            )
            layers = sorted([*current, *layers], key=lambda entry: entry[1].start)
        upgraded.entries["layer"] = layers
        return upgraded

    def v1_layer(self, old: Message) -> Message:
        """Source: UpgradeV1LayerParameter."""
        layer = self.new("LayerParameter", old.block)
        layer.unknown = old.unknown
        for name, entries in old.entries.items():
            spec = layer.type.fields.get(name)
            if name in _V1_PARAM_LISTS or name in ("type", "layer") or spec is None:
                continue
            if spec.type_name == old.type.fields[name].type_name:
                layer.entries[name] = entries
        params = self.v1_params(old)
        if params:
            layer.entries["param"] = params
        if "type" in old.entries:
            value, node, field = old.entries["type"][0]
            name = v1_type(value, self.schema)
            layer.entries["type"] = [(name, node, field)]
            if value not in V1_TYPES:
                self.enum_types.add(name)
        return layer

    def v1_params(self, old: Message) -> list[Entry]:
        """Return `param` entries made of the lists that a V1 layer has instead, as many as the longest list."""
        lists = [(new, old.entries[name]) for name, new in _V1_PARAM_LISTS.items() if name in old.entries]
        if not lists:
            return []
        made: list[Entry] = []
        for i in range(max(len(entries) for _, entries in lists)):
            param = self.new("ParamSpec", old.block)
            frame: Entry | None = None
            for new, entries in lists:
                if i < len(entries):
                    param.entries[new] = [entries[i]]
                    frame = frame or entries[i]
            assert frame is not None
            made.append((param, frame[1], frame[2]))
        return made

    # -- net inputs -----------------------------------------------------------------------------------------

    def net_inputs(self, net: Message) -> Message:
        """Source: UpgradeNetInput."""
        self.steps.append("inputs")
        upgraded = _copy(net)
        inputs = upgraded.entries.pop("input")
        shapes = upgraded.entries.pop("input_shape", [])
        dims = upgraded.entries.pop("input_dim", [])
        if not shapes and not dims:
            for name, node, _ in inputs:
                dropped = f"input '{name}' has neither input_shape nor input_dim: Caffe drops it"
                self.problem("input-without-shape", node, dropped, False)
            return upgraded
        read = 4 * len(inputs)
        if shapes and dims:
            self.problem(
                "input-dim-ignored", dims[0][2], "input_dim has no effect if input_shape is set", False
            )
        elif len(dims) > read:
            self.problem(
                "input-dim-ignored", dims[read][1], f"Caffe reads 4 input_dim per input, {read} in all", False
            )
        elif len(shapes) > len(inputs):
            extra = f"Caffe ignores this shape: the number of inputs is {len(inputs)}"
            self.problem("input-shape-ignored", shapes[len(inputs)][1], extra, False)
        lack = "no input_shape" if shapes else "fewer than 4 input_dim"
        shapes = (shapes or self.shapes_of_dims(net, len(inputs), dims))[: len(inputs)]
        layers = [self.input_layer(net, inputs[: len(shapes)], shapes)] if shapes else []
        missing = inputs[len(shapes) :]
        if missing:
            layers.append(self.input_layer(net, missing, []))
        for name, node, _ in missing:
            self.undefined.add(name)
            past = f"input '{name}' has {lack}: Caffe reads past the end of the list"
            self.problem("input-shape-missing", node, past, True)
        upgraded.entries["layer"] = [*layers, *upgraded.entries.get("layer", [])]
        return upgraded

    def input_layer(self, net: Message, tops: Sequence[Entry], shapes: Sequence[Entry]) -> Entry:
        _, node, field = tops[0]
        layer = self.new("LayerParameter", net.block)
        layer.entries["name"] = [("input", node, field)]
        layer.entries["type"] = [("Input", node, field)]
        layer.entries["top"] = tops
        if shapes:
            param = self.new("InputParameter", net.block)
            param.entries["shape"] = shapes
            layer.entries["input_param"] = [(param, node, field)]
        return layer, node, field

    def shapes_of_dims(self, net: Message, inputs: int, dims: Sequence[Entry]) -> list[Entry]:
        """Return a BlobShape for each full group of four `input_dim`, at most one per input."""
        shapes: list[Entry] = []
        for start in range(0, min(4 * inputs, len(dims) - 3), 4):
            shape = self.new("BlobShape", net.block)
            shape.entries["dim"] = dims[start : start + 4]
            _, node, field = dims[start]
            shapes.append((shape, node, field))
        return shapes

    # -- BatchNorm ------------------------------------------------------------------------------------------

    def batch_norm(self, net: Message) -> Message:
        """Source: UpgradeNetBatchNorm."""
        self.steps.append("batch-norm")
        upgraded = _copy(net)
        upgraded.entries["layer"] = [
            (_without_rates(layer) if _is_batch_norm_with_three_params(layer) else layer, node, field)
            for layer, node, field in net.entries["layer"]
        ]
        return upgraded


def _is_batch_norm_with_three_params(layer: Message) -> bool:
    return len(layer.entries.get("param", ())) == 3 and layer["type"] == "BatchNorm"


def _without_rates(layer: Message) -> Message:
    """Return the layer with lr_mult 0 and decay_mult 0 in every `param`, whatever the file says."""
    upgraded = _copy(layer)
    params: list[Entry] = []
    for param, node, field in layer.entries["param"]:
        frozen = _copy(param)
        for name in ("lr_mult", "decay_mult"):
            _, at, at_field = _first(param, name, (param, node, field))
            frozen.entries[name] = [(0.0, at, at_field)]
        params.append((frozen, node, field))
    upgraded.entries["param"] = params
    return upgraded


def _first(message: Message, name: str, otherwise: Any) -> Entry:
    entries = message.entries.get(name)
    entry: Entry = entries[0] if entries else otherwise
    return entry
