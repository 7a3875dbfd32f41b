"""What the page shows of a net: its layers with their shapes, costs and text, how they are connected, and what is folded.

Whatever cannot be told is null.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import TYPE_CHECKING, TypedDict

from ...layers.sliding_windows import Window, window_of
from ...moments.graph import Layer, Param
from ...moments.shapes import Shape, count
from ...net.costs import BYTES, OWN, multiply_adds, total, whose_memory
from ...net.job import NetInPhase
from ...net.receptive_field import Field, receptive_fields
from ...source.visible import visible, visible_lines
from ..net_rows import kind_of
from ..repository import plain_text
from .folding_layers import folded

if TYPE_CHECKING:
    from ...stability.advice.prediction import Prediction, Row, Size

LONGEST_TEXT = 20_000  # characters of a layer's prototxt

_HEAD = re.compile(rb"layers?[\s:]*\Z")  # the name of the field, before its message
_LONGEST_HEAD = 40

Range = list[float | None]  # the usual size, the least and the largest; null is infinite or not a number


class TopContent(TypedDict):
    """A top of a layer; `memory` is `own`, `in place` or `shared`."""

    name: str
    shape: list[int | None] | None
    memory: str


class ParamContent(TypedDict):
    """A parameter of a layer. `shared` is the layer that it is shared with, if that owns it."""

    role: str
    shape: list[int | None] | None
    count: int | None
    lr_mult: float
    decay_mult: float
    filler: str
    shared: str | None


class WindowContent(TypedDict):
    """A window of a layer, along each spatial axis; `whole` for global pooling, which has no kernel."""

    kernel: list[int]
    stride: list[int]
    pad: list[int]
    dilation: list[int]
    whole: bool


class FieldContent(TypedDict):
    """A receptive field in pixels of the input, height first, and how far apart those of neighbouring values are."""

    size: list[float]
    step: list[float]
    whole: bool


class SignalContent(TypedDict):
    """What is predicted of a layer in iteration 0: mean |x| of its tops, of gradients, and update over value. Null: unknown."""

    activation: Range | None
    gradient: Range | None
    param_gradient: Range | None
    update_ratio: Range | None


class LayerContent(TypedDict):
    """A layer. `kind` is the work that it does, as `_work_of` has it, or `data`, `loss`, `unknown`.

    `host` is the index of the layer that it is folded into, or its own. `backward`: Caffe computes its gradients. `line` is in the
    file of the net.
    """

    name: str
    type: str
    kind: str
    host: int
    bottoms: list[str]
    tops: list[TopContent]
    params: list[ParamContent]
    count: int | None
    backward: bool
    multiply_adds: int | None
    memory: int | None
    window: WindowContent | None
    outputs: int | None
    field: FieldContent | None
    signal: SignalContent | None
    text: str
    line: int
    findings: list[int]


class PieceContent(TypedDict):
    """Layers that are laid out together, under an anchor, which is the index of a layer or -1."""

    anchor: int
    layers: list[int]


class BlockContent(TypedDict):
    """Layers that can be collapsed: see `folding_layers.Block`."""

    title: str
    parent: int
    times: int
    layers: list[int]


class NetContent(TypedDict):
    """A net in a phase. An edge is [source, target, top, bottom, 1 if far]."""

    title: str
    name: str
    path: str
    phase: str
    stages: list[str]
    learnable: int | None
    multiply_adds: int | None
    memory: int | None
    layers: list[LayerContent]
    edges: list[list[int]]
    pieces: list[PieceContent]
    blocks: list[BlockContent]


def net_content(
    built: NetInPhase, title: str, findings: Mapping[int, list[int]], prediction: Prediction | None, *, quoted: bool
) -> NetContent:
    """What the page shows of a net. `findings` are the numbers of those of each layer; `quoted`: its text may be shown."""
    net = built.net
    fold = folded(net)
    fields = receptive_fields(net)
    signals = _signals(net.layers, prediction)
    layers = []
    for layer in net.layers:
        seen = fields.get(layer.tops[0] if layer.tops else layer.bottoms[0]) if layer.tops or layer.bottoms else None
        layers.append(_layer(built, layer, fold.hosts[layer.index], seen, signals.get(layer.index), quoted=quoted))
        layers[-1]["findings"] = findings.get(layer.index, [])
    return {
        "title": title,
        "name": visible(net.name),
        "path": visible(plain_text(built.file.path)),
        "phase": net.phase,
        "stages": [visible(stage) for stage in net.state.stages],
        "learnable": net.learnable,
        "multiply_adds": total(layer["multiply_adds"] for layer in layers),
        "memory": total(layer["memory"] for layer in layers),
        "layers": layers,
        "edges": [[edge.source, edge.target, edge.top, edge.bottom, int(edge.is_far)] for edge in fold.edges],
        "pieces": [{"anchor": piece.anchor, "layers": list(piece.layers)} for piece in fold.pieces],
        "blocks": [
            {"title": visible(block.title), "parent": block.parent, "times": block.times, "layers": list(block.layers)}
            for block in fold.blocks
        ],
    }


def _layer(
    built: NetInPhase, layer: Layer, host: int, field: Field | None, signal: SignalContent | None, *, quoted: bool
) -> LayerContent:
    node = layer.entry[1]
    settings = layer.traits.settings
    param = layer.message.get(settings) if settings else None
    outputs = param.get("num_output") if param is not None and "num_output" in param.type.fields else None
    head = _HEAD.search(built.file.source, max(0, node.start - _LONGEST_HEAD), node.start)
    start = head.start() if head is not None else node.start
    text = built.file.source[start : node.end].decode("utf-8", "replace") if quoted else ""
    sizes = [
        BYTES * size if (size := top.count) is not None else None for top in layer.tops if whose_memory(top) == OWN
    ]
    return {
        "name": visible(layer.name),
        "type": visible(layer.type),
        "kind": kind_of(layer) or _work_of(layer),
        "host": host,
        "bottoms": [visible(blob.name) for blob in layer.bottoms],
        "tops": [
            {"name": visible(top.name), "shape": _dims(top.shape), "memory": whose_memory(top)} for top in layer.tops
        ],
        "params": [_param(each) for each in layer.params],
        "count": total(each.count for each in layer.params),
        "backward": layer.runs_backward,
        "multiply_adds": multiply_adds(layer),
        "memory": total(sizes),
        "window": _window(window_of(layer)),
        "outputs": outputs,
        "field": _field(field),
        "signal": signal,
        "text": visible_lines(text[:LONGEST_TEXT]),
        "line": built.file.tree.line_of(node.start),
        "findings": [],
    }


def _work_of(layer: Layer) -> str:
    """What kind of work a layer does, by which it is coloured."""
    traits = layer.traits
    if traits.normalises or traits.stores_statistics or traits.scales_channels or traits.engine == "lrn_param":
        return "norm"
    if traits.slides and not traits.weighted_sum:
        return "pool"
    if traits.rectifies or traits.nonlinear or traits.trains_only or traits.activation:
        return "activation"
    if layer.params:
        return "weights"
    if traits.joins or traits.combines or traits.rearranges or traits.selects or traits.copies or traits.upsampling:
        return "shape"
    return "other"


def _param(param: Param) -> ParamContent:
    filler = param.filler
    return {
        "role": param.role,
        "shape": _dims(param.shape),
        "count": count(param.shape),
        "lr_mult": param.lr_mult,
        "decay_mult": param.decay_mult,
        "filler": visible(str(filler["type"])) if filler is not None else f"constant {param.constant:g}",
        "shared": visible(param.owner.layer.name) if param.owner is not param else None,
    }


def _window(slid: Window | None) -> WindowContent | None:
    if slid is None:
        return None
    return {
        "kernel": list(slid.kernel),
        "stride": list(slid.stride),
        "pad": list(slid.pad),
        "dilation": list(slid.dilation),
        "whole": slid.is_whole,
    }


def _field(field: Field | None) -> FieldContent | None:
    if field is None:
        return None

    def numbers(*values: Fraction) -> list[float]:
        return [float(f"{float(value):.6g}") for value in values]

    return {
        "size": numbers(field.height, field.width),
        "step": numbers(field.step_h, field.step_w),
        "whole": field.is_whole,
    }


def _signals(layers: Sequence[Layer], prediction: Prediction | None) -> dict[int, SignalContent]:
    """What is predicted of each layer: of several tops, bottoms or parameters, the largest; of those unknown, nothing."""
    if prediction is None:
        return {}
    by_name = {layer.name: layer.index for layer in layers}
    found: dict[int, SignalContent] = {}

    def note(rows: Sequence[Row], of_blobs: str, of_params: str) -> None:
        for row in rows:
            index = by_name.get(row.layer)
            which = of_params if row.param is not None else of_blobs
            if index is None or row.size is None or not which:
                continue
            content = found.setdefault(
                index, {"activation": None, "gradient": None, "param_gradient": None, "update_ratio": None}
            )
            known = content[which]  # type: ignore[literal-required]
            size = _range(row.size)
            if known is None or (known[0] is not None and (size[0] is None or size[0] > known[0])):
                content[which] = size  # type: ignore[literal-required]

    note(prediction.forward, "activation", "")
    note(prediction.backward, "gradient", "param_gradient")
    finite = [row for row in prediction.updates if row.size is not None and math.isfinite(row.size.usual)]
    note(finite, "", "update_ratio")  # without biases that start at 0, against which any update is infinite
    return found


def _range(size: Size) -> Range:
    return [rounded(size.usual), rounded(size.least), rounded(size.most)]


def rounded(value: float) -> float | None:
    """A number with four digits; None for one that is infinite or not a number."""
    return float(f"{value:.4g}") if abs(value) < float("inf") else None


def _dims(shape: Shape) -> list[int | None] | None:
    return None if shape is None else list(shape)
