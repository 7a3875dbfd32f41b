"""Fillers, the rules by which parameters get their first values (filler.hpp): what Caffe refuses, and which suits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..moments.shapes import count, differ

if TYPE_CHECKING:
    from ..moments.graph import Layer, Param

FILLER_TYPES = ("constant", "gaussian", "positive_unitball", "uniform", "xavier", "msra", "bilinear")

def suiting_filler(param: Param) -> str | None:
    """The filler that keeps values at their size through a layer's weights; None where we do not know how to write it.

    Source: He et al., "Delving deep into rectifiers", 2015, for what a rectifier follows; Glorot and Bengio, 2010.
    """
    layer = param.layer
    if param.role != "weight" or not layer.traits.weighted_sum or layer.traits.settings not in layer.message:
        return None
    if "v0" in layer.context.upgrades:
        return None
    return "msra" if _is_rectified(layer) else "xavier"


def _is_rectified(layer: Layer) -> bool:
    """Whether a rectifier comes next, past layers that leave the sign of values to it."""
    queue = list(layer.tops)
    for blob in queue:
        for reader in blob.consumers:
            if reader.traits.rectifies:
                return True
            if reader.traits.keeps_order and not reader.traits.joins:
                queue += reader.tops
    return False


def check_filler(param: Param) -> None:
    """Reports what the parameter's filler would stop at."""
    filler = param.filler
    if filler is None:
        return
    entries = filler.entries
    kind = entries["type"][0][0] if "type" in entries else "constant"
    if kind == "constant" or kind == "xavier" or kind == "msra":
        if "sparse" not in entries:
            return
    elif kind not in FILLER_TYPES:
        _fail(
            param,
            "filler-type",
            f"'{kind}' is no filler: known are {', '.join(FILLER_TYPES)}",
            "type",
            "filler.hpp:294",
        )
        return
    if kind == "gaussian":
        if filler["std"] <= 0:
            _fail(
                param,
                "filler-std",
                f"std must be over 0, it is {filler['std']:g}",
                "std",
                "math_functions.cpp:281",
            )
        if filler["sparse"] < -1:
            _fail(
                param,
                "filler-sparse",
                f"sparse must be -1 or more, it is {filler['sparse']}",
                "sparse",
                "filler.hpp",
            )
    elif filler["sparse"] != -1:
        _fail(
            param,
            "filler-sparse",
            f"only a gaussian filler can be sparse, this one is {kind}",
            "sparse",
            "filler.hpp:43",
        )
    if kind == "uniform" and filler["min"] > filler["max"]:
        _fail(
            param,
            "filler-range",
            f"min {filler['min']:g} is over max {filler['max']:g}",
            "min",
            "math_functions.cpp:259",
        )
    if kind == "bilinear" and param.shape is not None:
        shape = param.shape
        if len(shape) != 4:
            _fail(
                param,
                "filler-bilinear",
                f"a bilinear filler needs 4 axes, there are {len(shape)}",
                "type",
                "filler.hpp:255",
            )
        elif differ(shape[2], shape[3]):
            sides = f"{shape[2]} x {shape[3]}"
            _fail(
                param,
                "filler-bilinear",
                f"a bilinear filler needs a square kernel, it is {sides}",
                "type",
                "filler.hpp:256",
            )
    if count(param.shape) == 0:
        _fail(
            param,
            "filler-empty",
            "there is nothing to fill: the parameter has no elements",
            "type",
            "filler.hpp",
        )


def _fail(param: Param, kind: str, what: str, field: str, source: str) -> None:
    assert param.filler is not None
    text = f"{param.filler_name}: {what}"
    param.layer.report(kind, text, param.filler.span(field), source, subject=param.role)
