"""Recurrent layers (recurrent_layer.cpp, lstm_layer.cpp, rnn_layer.cpp)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..shapes import Shape, count, describe, differ
from .layer_type import Count, layer_type, unknown_shapes

if TYPE_CHECKING:
    from ..net import Layer

# Number of state blobs, and of gates, by type.
_STATES = {"LSTM": 2, "RNN": 1}
_GATES = {"LSTM": 4, "RNN": 1}


def _counts(layer: Layer) -> tuple[Count, Count]:
    states = _STATES[layer.type] if layer.message["recurrent_param"]["expose_hidden"] else 0
    return (2 + states, 3 + states), (1 + states, 1 + states)


def _recurrent(layer: Layer) -> Sequence[Shape]:
    param = layer.message["recurrent_param"]
    outputs: int | None = param["num_output"] or None
    if outputs is None:
        layer.fail(
            "num-output-missing",
            f"layer '{layer.name}' needs a num_output over 0",
            "recurrent_param.num_output",
            "lstm_layer.cpp",
        )
    x, cont = layer.bottoms[0].shape, layer.bottoms[1].shape
    states = _STATES[layer.type] if param["expose_hidden"] else 0
    static = len(layer.bottoms) == 3 + states
    steps = streams = None
    if x is not None:
        if len(x) < 3:
            message = (
                f"{layer.type} reads steps x streams x values: '{layer.bottoms[0].name}' is {describe(x)}"
            )
            layer.fail("axes", message, "bottom[0]", "recurrent_layer.cpp")
            x = None
        else:
            steps, streams = x[0], x[1]
    if cont is not None:
        if len(cont) != 2:
            message = f"the continuation markers '{layer.bottoms[1].name}' of layer '{layer.name}' must be steps x streams, they are {describe(cont)}"
            layer.fail("recurrent-cont", message, "bottom[1]", "recurrent_layer.cpp:33")
        elif differ(cont[0], steps) or differ(cont[1], streams):
            sizes = (
                f"'{layer.bottoms[0].name}' is {describe(x)}, '{layer.bottoms[1].name}' is {describe(cont)}"
            )
            line = 35 if differ(cont[0], steps) else 36
            layer.fail(
                "recurrent-cont",
                f"layer '{layer.name}' wants one continuation marker for each step: {sizes}",
                "bottom[1]",
                f"recurrent_layer.cpp:{line}",
            )
    for i in range(len(layer.bottoms) - states, len(layer.bottoms)):
        state = layer.bottoms[i].shape
        wanted = (1, streams, outputs)
        if state is not None and (
            len(state) != 3 or any(differ(a, b) for a, b in zip(state, wanted, strict=True))
        ):
            message = f"the first state '{layer.bottoms[i].name}' of layer '{layer.name}' must be {describe(wanted)}, it is {describe(state)}"
            layer.fail("recurrent-state", message, f"bottom[{i}]", "recurrent_layer.cpp")
    wide = None if outputs is None else outputs * _GATES[layer.type]
    layer.add_param("input weight", (wide, count(x, 2)), param, "weight_filler")
    layer.add_param("input bias", (wide,), param, "bias_filler")
    if static:
        still = layer.bottoms[2].shape
        if still is not None and still and differ(still[0], streams):
            message = f"the still input '{layer.bottoms[2].name}' of layer '{layer.name}' must have {streams} streams, it is {describe(still)}"
            layer.fail("recurrent-static", message, "bottom[2]", "recurrent_layer.cpp")
        layer.add_param("still input weight", (wide, count(still, 1)), param, "weight_filler")
    layer.add_param("hidden weight", (wide, outputs), param, "weight_filler")
    if layer.type == "RNN":
        layer.add_param("output weight", (outputs, outputs), param, "weight_filler")
        layer.add_param("output bias", (outputs,), param, "bias_filler")
    return ((steps, streams, outputs), *((1, streams, outputs),) * states)


for _name in ("LSTM", "RNN"):
    layer_type(
        _name,
        bottoms=(2, None),
        tops=(1, None),
        counts=_counts,
        refuses_gradient=(1,),
        not_forced=(1,),
        recurrent=True,
    )(_recurrent)


@layer_type("LSTMUnit", bottoms=(3, 3), tops=(2, 2), refuses_gradient=(2,), not_forced=(2,), recurrent=True)
def lstm_unit(layer: Layer) -> Sequence[Shape]:
    """Source: lstm_unit_layer.cpp."""
    state, gates, cont = (bottom.shape for bottom in layer.bottoms)
    for i, (shape, axes) in enumerate(((state, 3), (gates, 3), (cont, 2))):
        if shape is not None and len(shape) != axes:
            message = f"'{layer.bottoms[i].name}' of layer '{layer.name}' must have {axes} axes, it is {describe(shape)}"
            layer.fail("axes", message, f"bottom[{i}]", "lstm_unit_layer.cpp")
            return ()
        if shape is not None and differ(shape[0], 1):
            message = f"LSTMUnit does one step: '{layer.bottoms[i].name}' is {describe(shape)}"
            layer.fail("bottom-shapes", message, f"bottom[{i}]", "lstm_unit_layer.cpp")
    if state is not None and gates is not None:
        wide = None if state[2] is None else 4 * state[2]
        if differ(state[1], gates[1]) or differ(wide, gates[2]):
            sizes = f"'{layer.bottoms[0].name}' is {describe(state)}, '{layer.bottoms[1].name}' is {describe(gates)}"
            layer.fail(
                "bottom-shapes",
                f"layer '{layer.name}' wants four gates for each value: {sizes}",
                "bottom[1]",
                "lstm_unit_layer.cpp",
            )
    return (state, state)


for _name in ("Lstm", "Recurrent", "GRU"):
    layer_type(_name, bottoms=(1, None), tops=(1, None), open_params=True, recurrent=True)(unknown_shapes)
