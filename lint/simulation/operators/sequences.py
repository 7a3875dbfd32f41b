"""Recurrent layers, unrolled over their steps as in Caffe.

Source: recurrent_layer.cpp, lstm_layer.cpp, lstm_unit_layer.cpp, rnn_layer.cpp.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from ..arrays import Array, Generator, np
from ..operator import Gradients, Operator
from .functions import sigmoid

if TYPE_CHECKING:
    from ...moments.graph import Layer


class _Recurrent(Operator):
    """What LSTM and RNN share: the input of all steps by one product, states that last from batch to batch."""

    states = 1

    def __init__(self, layer: Layer, draw: Generator) -> None:
        super().__init__(layer, draw)
        param = layer.message["recurrent_param"]
        self.width: int = param["num_output"]
        self.exposed = self.states if param["expose_hidden"] else 0
        self.has_static = len(layer.bottoms) - self.exposed == 3
        self.last: list[Array] = []

    def start(self, bottoms: Sequence[Array]) -> list[Array]:
        """The states before the first step: from the bottoms, or those that the batch before ended with."""
        streams = bottoms[0].shape[1]
        if self.exposed:
            return [bottom.reshape(streams, self.width) for bottom in bottoms[-self.exposed :]]
        if self.last and len(self.last[0]) == streams:
            return self.last
        return [np.zeros((streams, self.width), bottoms[0].dtype) for _ in range(self.states)]

    def inputs(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Array:
        """What the inputs of each step contribute, with that of the static one."""
        steps, streams = bottoms[0].shape[:2]
        found = bottoms[0].reshape(steps * streams, -1) @ params[0].T + params[1]
        found = found.reshape(steps, streams, -1)
        return found + bottoms[2].reshape(streams, -1) @ params[2].T if self.has_static else found

    def of_inputs(
        self, gates: Array, bottoms: Sequence[Array], params: Sequence[Array]
    ) -> tuple[list[Array | None], list[Array | None]]:
        """The gradients of the bottoms and of the parameters of the input, from those of what `inputs` returns."""
        steps, streams = bottoms[0].shape[:2]
        flat = gates.reshape(steps * streams, -1)
        x = bottoms[0].reshape(steps * streams, -1)
        of_bottoms: list[Array | None] = [(flat @ params[0]).reshape(bottoms[0].shape), None]
        of_params: list[Array | None] = [flat.T @ x, flat.sum(0)]
        if self.has_static:
            total = gates.sum(0)
            of_bottoms.append((total @ params[2]).reshape(bottoms[2].shape))
            of_params.append(total.T @ bottoms[2].reshape(streams, -1))
        return of_bottoms, of_params


class LSTM(_Recurrent):
    """Gates in the order input, forget, output, candidate; a marker of 0 starts a sequence anew."""

    states = 2

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        given, markers, width = self.inputs(bottoms, params), bottoms[1], self.width
        hidden, cell = self.start(bottoms)
        self.kept = []
        outputs = []
        for gates, marker in zip(given, markers, strict=True):
            kept = marker.reshape(-1, 1)
            before, cell_before = hidden * kept, cell
            gates = gates + before @ params[-1].T
            opened = sigmoid(gates[:, :width])
            forget = sigmoid(gates[:, width : 2 * width]) * kept
            shown = sigmoid(gates[:, 2 * width : 3 * width])
            candidate = np.tanh(gates[:, 3 * width :])
            cell = forget * cell_before + opened * candidate
            squashed = np.tanh(cell)
            hidden = shown * squashed
            self.kept.append((before, cell_before, kept, opened, forget, shown, candidate, squashed))
            outputs.append(hidden)
        self.last = [hidden, cell]
        return [np.stack(outputs), hidden[None], cell[None]][: len(self.layer.tops)]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        weights = params[-1]
        of_hidden = np.zeros_like(diffs[0][0])
        of_cell = np.zeros_like(of_hidden)
        if self.exposed:
            of_hidden, of_cell = diffs[1][0].copy(), diffs[2][0].copy()
        of_weights = np.zeros_like(weights)
        gates = np.empty((*diffs[0].shape[:2], 4 * self.width), diffs[0].dtype)
        for step in range(len(self.kept) - 1, -1, -1):
            before, cell_before, kept, opened, forget, shown, candidate, squashed = self.kept[step]
            total = diffs[0][step] + of_hidden
            of_cell = of_cell + total * shown * (1 - squashed * squashed)
            own = np.concatenate(
                (
                    of_cell * candidate * opened * (1 - opened),
                    of_cell * cell_before * forget * (1 - forget),
                    total * squashed * shown * (1 - shown),
                    of_cell * opened * (1 - candidate * candidate),
                ),
                axis=1,
            )
            gates[step] = own
            of_weights += own.T @ before
            of_hidden = (own @ weights) * kept
            of_cell = of_cell * forget
        of_bottoms, of_params = self.of_inputs(gates, bottoms, params)
        states = [of_hidden[None], of_cell[None]] if self.exposed else []
        return [*of_bottoms, *states], [*of_params, of_weights]


class RNN(_Recurrent):
    """tanh of input and state, and tanh of a product of that as output."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        given = self.inputs(bottoms, params)
        hidden = self.start(bottoms)[0]
        of_state, of_output, bias = params[-3:]
        self.kept = []
        outputs = []
        for own, marker in zip(given, bottoms[1], strict=True):
            kept = marker.reshape(-1, 1)
            before = hidden * kept
            hidden = np.tanh(own + before @ of_state.T)
            output = np.tanh(hidden @ of_output.T + bias)
            self.kept.append((before, kept, hidden, output))
            outputs.append(output)
        self.last = [hidden]
        return [np.stack(outputs), hidden[None]][: len(self.layer.tops)]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        of_state, of_output, bias = params[-3:]
        following = diffs[1][0].copy() if self.exposed else np.zeros_like(diffs[0][0])
        found = [np.zeros_like(of_state), np.zeros_like(of_output), np.zeros_like(bias)]
        gates = np.empty((*diffs[0].shape[:2], self.width), diffs[0].dtype)
        for step in range(len(self.kept) - 1, -1, -1):
            before, kept, hidden, output = self.kept[step]
            of_sum = diffs[0][step] * (1 - output * output)
            found[1] += of_sum.T @ hidden
            found[2] += of_sum.sum(0)
            own = (of_sum @ of_output + following) * (1 - hidden * hidden)
            gates[step] = own
            found[0] += own.T @ before
            following = (own @ of_state) * kept
        of_bottoms, of_params = self.of_inputs(gates, bottoms, params)
        return [*of_bottoms, *([following[None]] if self.exposed else [])], [*of_params, *found]


class LSTMUnit(Operator):
    """One step of an LSTM: from the cell, the gates and the markers the new output and cell (lstm_unit_layer.cpp)."""

    def forward(self, bottoms: Sequence[Array], params: Sequence[Array]) -> Sequence[Array]:
        before, gates, markers = bottoms
        width = before.shape[2]
        self.opened, forget, self.shown = (sigmoid(gates[..., i * width : (i + 1) * width]) for i in range(3))
        self.forget = forget * markers.reshape(*before.shape[:2], 1)
        self.candidate = np.tanh(gates[..., 3 * width :])
        cell = self.forget * before + self.opened * self.candidate
        self.squashed = np.tanh(cell)
        return [cell, self.shown * self.squashed]

    def backward(
        self, diffs: Sequence[Array], tops: Sequence[Array], bottoms: Sequence[Array], params: Sequence[Array], wanted: Sequence[bool]
    ) -> tuple[Gradients, Gradients]:
        before = bottoms[0]
        of_cell = diffs[0] + diffs[1] * self.shown * (1 - self.squashed * self.squashed)
        parts = (
            of_cell * self.candidate * self.opened * (1 - self.opened),
            of_cell * before * self.forget * (1 - self.forget),
            diffs[1] * self.squashed * self.shown * (1 - self.shown),
            of_cell * self.opened * (1 - self.candidate * self.candidate),
        )
        return [of_cell * self.forget, np.concatenate(parts, -1), None], ()
