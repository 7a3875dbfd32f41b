"""Fillers, which set the initial values of parameters (filler.hpp): what Caffe rejects, and which filler suits a layer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..moments.shapes import count, differ
from ..proto.binder import nearest_name

if TYPE_CHECKING:
    from ..moments.graph import Layer, Param
    from ..moments.shapes import Shape
    from ..proto.binder import Message

FILLER_TYPES = ("constant", "gaussian", "positive_unitball", "uniform", "xavier", "msra", "bilinear")

_NVIDIA = ("nvcaffe", "nvcaffe-0.15", "nvcaffe-0.16", "jacinto", "jacinto-0.16", "vitis")
# Fillers of forks, and the forks that have them. NVIDIA's `…static` ones are BVLC's, drawn once and copied afterwards.
FORK_FILLERS: dict[str, tuple[str, ...]] = {
    **{f"{kind}static": _NVIDIA for kind in FILLER_TYPES if kind != "constant"},
    "diagonal": ("flownet2", "synopsys"),
    "identity": ("happynear", "c3d"),
    "gaussian_unitball": ("happynear",),
    "gabor": ("intel",),
    "file": ("cc4",),
    "bilinear_upsampling": ("weiliu89-fcn",),
    "bicubic": ("rtpose",),
    "xy": ("segaware",),
    "unit": ("transfer",),
    "sequence": ("mycaffe",),
    **{f"dct{size}": ("steganalysis",) for size in range(2, 9)},
}


def suiting_filler(param: Param) -> str | None:
    """The filler that preserves the scale of values through a layer's weights; None if it is not known where to write it.

    Source: He et al., "Delving deep into rectifiers", 2015, for layers before a ReLU; Glorot and Bengio, 2010, for others.
    """
    layer = param.layer
    if param.role != "weight" or not layer.traits.weighted_sum or layer.traits.settings not in layer.message:
        return None
    if "v0" in layer.context.upgrades:
        return None
    return "msra" if _is_rectified(layer) else "xavier"


def _is_rectified(layer: Layer) -> bool:
    """Whether a rectifier follows, directly or after layers that keep the order of values."""
    queue = list(layer.tops)
    for blob in queue:
        for reader in blob.consumers:
            if reader.traits.rectifies:
                return True
            if reader.traits.keeps_order and not reader.traits.joins:
                queue += reader.tops
    return False


def check_filler(layer: Layer, filler: Message, name: str, shape: Shape, subject: str) -> None:
    """Report what Caffe would reject in a filler of that name for a blob of that shape: the parameter or top `subject`."""

    def fail(kind: str, what: str, field: str, source: str) -> None:
        layer.report(kind, f"{name}: {what}", filler.span(field), source, subject=subject)

    entries = filler.entries
    kind = entries["type"][0][0] if "type" in entries else "constant"
    if kind == "constant" or kind == "xavier" or kind == "msra":
        if "sparse" not in entries:
            return
    elif kind in FORK_FILLERS:
        forks = FORK_FILLERS[kind]
        shown = ", ".join(forks[:3]) + (" and others" if len(forks) > 3 else "")
        fail("filler-of-fork", f"filler type '{kind}' exists only in {shown}", "type", "filler.hpp:294")
        return
    elif kind not in FILLER_TYPES:
        nearest = nearest_name(kind, list(FILLER_TYPES))
        hint = f"did you mean '{nearest}'?" if nearest else f"known types: {', '.join(FILLER_TYPES)}"
        fail("filler-type", f"unknown filler type '{kind}'; {hint}", "type", "filler.hpp:294")
        return
    if kind == "gaussian":
        if not filler["std"] > 0:
            fail("filler-std", f"std must be greater than 0, not {filler['std']:g}", "std", "math_functions.cpp:281")
        if filler["sparse"] < -1:
            fail("filler-sparse", f"sparse must be at least -1, not {filler['sparse']}", "sparse", "filler.hpp")
    elif filler["sparse"] != -1:
        fail("filler-sparse", f"sparse works with gaussian fillers only, not with {kind}", "sparse", "filler.hpp:43")
    if kind == "uniform" and not filler["min"] <= filler["max"]:
        text = f"min must be at most max, not {filler['min']:g} with max {filler['max']:g}"
        fail("filler-range", text, "min" if "min" in entries else "max", "math_functions.cpp:259")
    if kind == "bilinear" and shape is not None:
        if len(shape) != 4:
            fail("filler-bilinear", f"a bilinear filler needs 4 axes, not {len(shape)}", "type", "filler.hpp:255")
        elif differ(shape[2], shape[3]):
            sides = f"{shape[2]} x {shape[3]}"
            fail("filler-bilinear", f"a bilinear filler needs a square kernel, not {sides}", "type", "filler.hpp:256")
    if count(shape) == 0:
        fail("filler-empty", "the parameter has no elements to fill", "type", "filler.hpp")
