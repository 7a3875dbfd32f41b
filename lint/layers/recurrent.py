"""Recurrent layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ..moments.layer_type import UNMODELLED, Count
from ..moments.shapes import Shape, count, describe, differ, shapes_differ
from .record import layer_type, unknown_shapes
from .vision import num_output

if TYPE_CHECKING:
    from ..moments.graph import Layer

_STATES = {"LSTM": 2, "RNN": 1}  # number of state blobs
_GATES = {"LSTM": 4, "RNN": 1}


def _counts(layer: Layer) -> tuple[Count, Count]:
    states = _STATES[layer.traits.base] if layer.message["recurrent_param"]["expose_hidden"] else 0
    return (2 + states, 3 + states), (1 + states, 1 + states)


def _recurrent(layer: Layer) -> Sequence[Shape]:
    param = layer.message["recurrent_param"]
    outputs = num_output(layer, param, "recurrent_param", "")
    states = _STATES[layer.traits.base] if param["expose_hidden"] else 0
    steps, streams = _steps_and_streams(layer)
    for i in range(len(layer.bottoms) - states, len(layer.bottoms)):
        wanted = (1, streams, outputs)
        if shapes_differ(layer.bottoms[i].shape, wanted):
            text = f"the initial state must be {describe(wanted)}, not {layer.shown(i)}"
            layer.fail("recurrent-state", text, f"bottom[{i}]", "recurrent_layer.cpp")
    wide = None if outputs is None else outputs * _GATES[layer.traits.base]
    values = layer.bottoms[0].shape
    inputs = count(values, 2) if values is not None and len(values) > 2 else None
    layer.add_param("input weight", (wide, inputs), param, "weight_filler")
    layer.add_param("input bias", (wide,), param, "bias_filler")
    if len(layer.bottoms) == 3 + states:
        static = layer.bottoms[2].shape
        if static and differ(static[0], streams):
            text = f"the static input must have {streams} streams, not {layer.shown(2)}"
            layer.fail("recurrent-still", text, "bottom[2]", "recurrent_layer.cpp")
        layer.add_param("static input weight", (wide, count(static, 1)), param, "weight_filler")
    layer.add_param("hidden weight", (wide, outputs), param, "weight_filler")
    if layer.traits.base == "RNN":
        layer.add_param("output weight", (outputs, outputs), param, "weight_filler")
        layer.add_param("output bias", (outputs,), param, "bias_filler")
    return ((steps, streams, outputs), *((1, streams, outputs),) * states)


def _steps_and_streams(layer: Layer) -> tuple[int | None, int | None]:
    """The first two dimensions of the input, which those of the continuation markers must match."""
    values, markers = layer.bottoms[0].shape, layer.bottoms[1].shape
    steps = streams = None
    if values is not None:
        if len(values) < 3:
            text = f"the input must be steps x streams x values, not {layer.shown()}"
            layer.fail("axes", text, "bottom[0]", "blob.hpp:122")
        if len(values) > 1:
            steps, streams = values[:2]
    if markers is not None and len(markers) != 2:
        text = f"continuation markers must be steps x streams, not {layer.shown(1)}"
        layer.fail("recurrent-markers", text, "bottom[1]", "recurrent_layer.cpp:23")
    elif markers is not None and (differ(markers[0], steps) or differ(markers[1], streams)):
        text = f"{layer.shown(1)} does not have one continuation marker for each step of {layer.shown()}"
        line = "" if differ(markers[0], steps) else ":26"
        layer.fail("recurrent-markers", text, "bottom[1]", "recurrent_layer.cpp" + line)
    return steps, streams


def _multiply_adds(layer: Layer) -> int | None:
    """One for each weight, step and stream; weights of a static input count once per sequence."""
    if not layer.params:
        return None  # the layer could not be set up
    total = 0
    shape = layer.bottoms[0].shape
    for param in layer.params:
        if param.role.endswith("weight"):
            weights, times = param.count, count(shape, 1 if param.role.startswith("static") else 0, 2)
            if weights is None or times is None:
                return None
            total += weights * times
    return total


def _lstm_signal(layer: Layer) -> str:
    return _signal(layer, "recurrent_models.LSTM")


def _rnn_signal(layer: Layer) -> str:
    return _signal(layer, "recurrent_models.RNN")


def _signal(layer: Layer, model: str) -> str:
    """The signal model; none with states from outside, or for the layers of forks, some of which clip their own gradients."""
    if "recurrent_param" not in layer.message.entries or layer.message["recurrent_param"]["expose_hidden"]:
        return UNMODELLED
    return model


_RECURRENT: dict[str, Any] = {
    "reads": ("recurrent_param",),
    "refuses_gradient": (1,),
    "not_forced": (1,),
    "recurrent": True,
    "counts": _counts,
    "multiply_adds": _multiply_adds,
}
layer_type(
    "LSTM", "lstm_layer.cpp", signal=_lstm_signal, simulate="sequences.LSTM",
    bottoms=(2, None), tops=(1, None), **_RECURRENT,
)(_recurrent)
layer_type(
    "RNN", "rnn_layer.cpp", signal=_rnn_signal, simulate="sequences.RNN",
    bottoms=(2, None), tops=(1, None), **_RECURRENT,
)(_recurrent)


@layer_type(
    "LSTMUnit",
    "lstm_unit_layer.cpp",
    signal=UNMODELLED,
    simulate="sequences.LSTMUnit",
    reads=(),
    bottoms=(3, 3),
    tops=(2, 2),
    refuses_gradient=(2,),
    not_forced=(2,),
    recurrent=True,
)
def lstm_unit(layer: Layer) -> Sequence[Shape]:
    """One step of an LSTM."""
    state, gates, _ = shapes = [bottom.shape for bottom in layer.bottoms]
    for i, (shape, axes) in enumerate(zip(shapes, (3, 3, 2), strict=True)):
        if shape is not None and (len(shape) != axes or differ(shape[0], 1)):
            text = f"{layer.shown(i)} must have {axes} axes, the first of size 1 (one step)"
            layer.fail("axes", text, f"bottom[{i}]")
            return ()
    if state is not None and gates is not None:
        wide = None if state[2] is None else 4 * state[2]
        if differ(state[1], gates[1]) or differ(wide, gates[2]):
            text = f"{layer.shown(1)} does not have four gates for each value of {layer.shown()}"
            layer.fail("bottom-shapes", text, "bottom[1]")
    return (state, state)


for _name, _source in (
    ("Lstm", "lstm_layer.cpp"),
    ("GRU", "gru_layer.cpp"),
):
    layer_type(_name, _source, signal=UNMODELLED, bottoms=(1, None), tops=(1, None), open_params=True, recurrent=True)(
        unknown_shapes
    )
