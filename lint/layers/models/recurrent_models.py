"""Recurrent layers, unrolled: the second moments of states and gates step by step, and of their gradients back again."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ...moments.signal_model import Gradient, SignalModel, Step, shape_of
from ...moments.statistics import GAUSSIAN_MEAN_ABS, ZERO_DIFFS, ZERO_VALUES, Diffs, Values, gaussian, mapped, root
from ...moments.weights import dims
from ...proto.named_tuple import NamedTuple
from .elementwise import bells_product, sigmoid
from .linear import NONE, Taps, through_weights

if TYPE_CHECKING:
    from ...moments.graph import Layer
    from ...moments.signal_model import SignalContext
    from ...moments.weights import Weights

_MOST_STEPS = 30  # of a sequence that are followed; states have settled by then
# Roles of parameters (layers/recurrent.py).
_INPUT, _BIAS, _STATIC, _HIDDEN = "input weight", "input bias", "static input weight", "hidden weight"
_OUTPUT, _OUTPUT_BIAS = "output weight", "output bias"
_LEAST = 1e-300  # of what is divided by


class Inputs(NamedTuple):
    """What the gates of every step read besides the hidden state: the moments of their sums.

    square, mean: their mean square and mean. over_time, over_streams: their correlation coefficients with those of another
    step of the same sequence, and of another sequence.
    """

    square: float
    mean: float
    over_time: float
    over_streams: float


class Moment(NamedTuple):
    """One step forward: mean squares and means of what its backward pass reads.

    gate, gate_slope: of a sigmoid gate, and of its slope; gate_mean is its mean. new, new_slope: of the tanh that makes new
    content, or of an RNN's state. state: of the cell before the step. shown, shown_slope: of the tanh of the cell after it, or
    of an RNN's output; shown_slope_mean is the mean of that slope. hidden, top: of what the next step reads, and of the top.
    alike: the correlation coefficient, not centred, of the slopes between gradient and new content in independent steps.
    """

    gate: float
    gate_mean: float
    gate_slope: float
    new: float
    new_slope: float
    state: float
    shown: float
    shown_slope: float
    shown_slope_mean: float
    hidden: float
    top: float
    alike: float


def _tanh_slope(x: float) -> float:
    return 1 - math.tanh(x) ** 2


def _sigmoid_slope(x: float) -> float:
    y = sigmoid(x)
    return y * (1 - y)


def _slopes_alike(alike: float, rho: float) -> float:
    """The correlation coefficient, not centred, of slopes at values with one of rho, if that of independent ones is known."""
    return bells_product(root(alike), 1.0, rho) if 0 < alike < 1 else 1.0


def _average(function: Callable[[float], float], square: float, mean: float = 0.0) -> tuple[float, float]:
    """The mean square and the mean of a function of a Gaussian."""
    found = mapped(gaussian(mean, max(square, mean * mean), 0.0, 0.0, 0.0, 1.0), function)[0]
    return found.second_moment, found.mean


class Recurrent(SignalModel):
    """What LSTM and RNN have in common (recurrent_layer.cpp): sequences of `steps` in so many `streams`.

    Their bottoms are the values, markers of where sequences go on, and perhaps a static input, which every step reads. The
    items that moments speak of are all steps of all streams.
    """

    gates = 1

    def __init__(self, layer: Layer, context: SignalContext) -> None:
        super().__init__(layer, context)
        self.width = layer.message["recurrent_param"]["num_output"] or 1
        shape = shape_of(layer.bottoms[0])
        self.steps, self.streams = max(1, shape[0]), max(1, shape[1] if len(shape) > 1 else 1)
        self.items = self.steps * self.streams
        self.roles = [param.role for param in layer.params]

    def weight(self, weights: Sequence[Weights], role: str) -> Weights:
        """A parameter by its role."""
        return weights[self.roles.index(role)] if role in self.roles else NONE

    def fan_in(self, role: str) -> int:
        """How many inputs a parameter reads."""
        return math.prod(dims(self.layer.params[self.roles.index(role)])[1:])

    def inputs(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> Inputs:
        """What the gates read besides the hidden state."""
        seen = through_weights(
            bottoms[0], self.weight(weights, _INPUT), self.weight(weights, _BIAS),
            Taps(self.fan_in(_INPUT), 1, 1.0, self.items, 1),
        )  # fmt: skip
        still = ZERO_VALUES
        if _STATIC in self.roles:
            taps = Taps(self.fan_in(_STATIC), 1, 1.0, self.streams, 1)
            still = through_weights(bottoms[2], self.weight(weights, _STATIC), NONE, taps)
        mean = seen.mean + still.mean
        square = seen.second_moment + still.second_moment + 2 * seen.mean * still.mean
        spread = max(square - mean * mean, _LEAST)
        common = seen.corr_across_items - seen.mean**2
        over_time = min(1.0, max(0.0, (common + still.second_moment - still.mean**2) / spread))
        over_streams = min(1.0, max(0.0, (common + still.corr_across_items - still.mean**2) / spread))
        return Inputs(square, mean, over_time, over_streams)

    def continues(self, bottoms: Sequence[Values]) -> float:
        """The share of steps that go on with the state of the one before."""
        square = bottoms[1].second_moment
        return min(1.0, max(0.0, square)) if math.isfinite(square) else 1.0

    def followed(self, bottoms: Sequence[Values], weights: Sequence[Weights], inputs: Inputs) -> list[Moment]:
        """The steps of a sequence, at most so many as are followed."""
        raise NotImplementedError

    def gate_squares(self, moments: Sequence[Moment], step: Step, diff: Diffs, inputs: Inputs) -> list[tuple[float, ...]]:
        """The mean square of the gradient of each gate before its function, of each step."""
        raise NotImplementedError

    def lasting(self, moments: Sequence[Moment], inputs: Inputs) -> float:
        """The correlation coefficient of two states of one sequence."""
        kept = self.kept(moments)
        memory = min(1.0, 2 * kept / (self.steps * max(1 - kept, 1e-3)))
        return inputs.over_time + (1 - inputs.over_time) * memory

    def kept(self, moments: Sequence[Moment]) -> float:
        """The share of a state that is left a step later."""
        return 0.0

    def over_items(self, over_time: float, over_streams: float) -> float:
        """The mean correlation coefficient of two items, some of which are steps of the same sequence."""
        same = (self.steps - 1) / max(1, self.items - 1)
        return same * over_time + (1 - same) * over_streams

    def forward(self, bottoms: Sequence[Values], weights: Sequence[Weights]) -> list[Values]:
        inputs = self.inputs(bottoms, weights)
        moments = self.followed(bottoms, weights, inputs)
        square = sum(moment.top for moment in moments) / len(moments)
        size = GAUSSIAN_MEAN_ABS * sum(root(moment.top) for moment in moments) / len(moments)
        together = square * self.over_items(self.lasting(moments, inputs), inputs.over_streams)
        top = Values(0.0, square, size, square, together, together, -1.0, 1.0)
        return [top] * len(self.layer.tops)

    def backward(self, step: Step, diffs: Sequence[Diffs]) -> tuple[list[Diffs], list[Gradient]]:
        diff = diffs[0]
        if not 0 < diff.second_moment < math.inf:
            return [diff] + [ZERO_DIFFS] * (len(step.bottoms) - 1), self.no_gradients
        inputs = self.inputs(step.bottoms, step.weights)
        moments = self.followed(step.bottoms, step.weights, inputs)
        each = self.gate_squares(moments, step, diff, inputs)
        squares = [sum(gate) / len(each) for gate in zip(*each, strict=True)]
        lasting, kept = self.lasting(moments, inputs), self.kept(moments)
        agreed = min(1.0, max(0.0, diff.corr_across_items / diff.second_moment))
        overlap = agreed + (1 - agreed) * min(1.0, 2 * kept / (self.steps * max(1 - kept, 1e-3)))
        alike = sum(moment.alike for moment in moments) / len(moments)  # slopes; those of equal inputs are equal
        both_steps, both_streams = _slopes_alike(alike, lasting), _slopes_alike(alike, inputs.over_streams)
        over_time, over_streams = overlap * both_steps, agreed * both_streams
        # Where units are saturated at nearly all items, most get no gradient at all: the part of them that gets one.
        together = 1 + (self.items - 1) * self.over_items(both_steps, both_streams)
        even = root(min(1.0, self.items * alike / together))
        # The last gate's gradient is only the one from above, those of the others are multiplied by values.
        times = [over_time * lasting] * (self.gates - 1) + [over_time]
        between = [over_streams * inputs.over_streams] * (self.gates - 1) + [over_streams]
        sums = [
            self.steps * square * (1 + (self.steps - 1) * time) for square, time in zip(squares, times, strict=True)
        ]
        whole = sum(squares) * self.width
        below = self._through(self.weight(step.weights, _INPUT), whole, agreed)
        bottoms = [below, *[ZERO_DIFFS] * (len(step.bottoms) - 1)]
        if _STATIC in self.roles:
            bottoms[2] = self._through(self.weight(step.weights, _STATIC), sum(sums) * self.width, agreed)
        state, of_states = self.hidden(moments), self.over_items(lasting, inputs.over_streams)
        gradients = []
        for role in self.roles:
            if role in (_OUTPUT, _OUTPUT_BIAS):
                square = diff.second_moment * sum(moment.shown_slope for moment in moments) / len(moments)
                once, twice = (1.0, 1.0) if role == _OUTPUT_BIAS else (state, state * of_states)
                total = self.items * square * (once + (self.items - 1) * agreed * twice)
                gradients.append(Gradient(total, GAUSSIAN_MEAN_ABS * root(total)))
                continue
            found = []
            for square, total, time, streams in zip(squares, sums, times, between, strict=True):
                pair = self.over_items(time, streams)
                if role == _STATIC:
                    still = step.bottoms[2]
                    across = (self.streams - 1) * self.steps**2 * square * streams * still.corr_across_items
                    found.append(self.streams * (total * still.second_moment + across))
                    continue
                items, once, twice = self.items, 1.0, 1.0
                if role == _HIDDEN:
                    items -= self.streams
                    once, twice = state, state * of_states
                elif role == _INPUT:
                    once, twice = step.bottoms[0].second_moment, step.bottoms[0].corr_across_items
                found.append(max(0.0, items * square * (once + max(0, items - 1) * pair * twice)))
            sizes = [GAUSSIAN_MEAN_ABS * root(each) * even for each in found]
            gradients.append(Gradient(sum(found) / len(found), sum(sizes) / len(sizes)))
        return bottoms, gradients

    def hidden(self, moments: Sequence[Moment]) -> float:
        """The mean square of what a step hands on to the next."""
        return sum(moment.hidden for moment in moments) / len(moments)

    @staticmethod
    def _through(weight: Weights, square: float, agreed: float) -> Diffs:
        square *= weight.second_moment
        return Diffs(square, GAUSSIAN_MEAN_ABS * root(square), square, agreed * square, agreed * square)


class LSTM(Recurrent):
    """Long short-term memory (lstm_layer.cpp, lstm_unit_layer.cpp): three gates, and the new content of a cell."""

    gates = 4

    def followed(self, bottoms: Sequence[Values], weights: Sequence[Weights], inputs: Inputs) -> list[Moment]:
        found = []
        state = hidden = together = 0.0
        going_on = self.continues(bottoms)
        by = self.weight(weights, _HIDDEN).second_moment * self.width * going_on
        for _ in range(min(self.steps, _MOST_STEPS)):
            square = inputs.square + by * hidden
            gate, gate_mean = _average(sigmoid, square, inputs.mean)
            gate_slope = _average(_sigmoid_slope, square, inputs.mean)[0]
            new, _ = _average(math.tanh, square, inputs.mean)
            new_slope, new_slope_mean = _average(_tanh_slope, square, inputs.mean)
            before = state
            # What the steps before left in the cell agrees with the new content as far as their inputs do.
            together = going_on * gate_mean * (together + inputs.over_time * new) if before else 0.0
            state = going_on * gate * before + gate * new + 2 * gate_mean * gate_mean * together
            shown = _average(math.tanh, state)[0]
            slope, slope_mean = _average(_tanh_slope, state)
            hidden = gate * shown
            alike = (gate_mean**2 * new_slope_mean * slope_mean) ** 2 / max(gate**2 * new_slope * slope, _LEAST)
            found.append(
                Moment(
                    gate, gate_mean, gate_slope, new, new_slope, going_on * before, shown, slope, slope_mean, hidden, hidden,
                    alike,
                )
            )  # fmt: skip
        return found

    def kept(self, moments: Sequence[Moment]) -> float:
        return moments[-1].gate_mean

    def gate_squares(self, moments: Sequence[Moment], step: Step, diff: Diffs, inputs: Inputs) -> list[tuple[float, ...]]:
        going_on = self.continues(step.bottoms)
        by = self.weight(step.weights, _HIDDEN).second_moment * self.width * going_on
        agreed = max(0.0, diff.corr_across_items)
        later = cell = kept = memory = 0.0
        found: list[tuple[float, ...]] = []
        for moment in reversed(moments):
            gate, slope = moment.gate, moment.gate_slope
            above = diff.second_moment + by * later
            # Gradients from later steps agree with this one's as far as those of all items do.
            shown = moment.gate_mean * moment.shown_slope_mean
            cell = above * gate * moment.shown_slope + going_on * kept * cell + 2 * shown * shown * agreed * memory
            gates = (
                above * moment.shown * slope, cell * moment.new * slope, cell * moment.state * slope,
                cell * gate * moment.new_slope,
            )  # fmt: skip
            later, kept = sum(gates), gate
            memory = going_on * moment.gate_mean * (1 + memory)
            found.append(gates)
        return found


class RNN(Recurrent):
    """A hidden state of tanh, and an output of tanh over it (rnn_layer.cpp)."""

    def followed(self, bottoms: Sequence[Values], weights: Sequence[Weights], inputs: Inputs) -> list[Moment]:
        found = []
        state = 0.0
        by = self.weight(weights, _HIDDEN).second_moment * self.width * self.continues(bottoms)
        output, bias = self.weight(weights, _OUTPUT), self.weight(weights, _OUTPUT_BIAS)
        for _ in range(min(self.steps, _MOST_STEPS)):
            before = state
            square = inputs.square + by * before
            state, _ = _average(math.tanh, square, inputs.mean)
            slope, slope_mean = _average(_tanh_slope, square, inputs.mean)
            read = output.second_moment * self.width * state + bias.second_moment
            shown, _ = _average(math.tanh, read, bias.mean)
            shown_slope, mean = _average(_tanh_slope, read, bias.mean)
            alike = (slope_mean * mean) ** 2 / max(slope * shown_slope, _LEAST)
            found.append(Moment(0.0, 0.0, 0.0, state, slope, before, shown, shown_slope, mean, state, shown, alike))
        return found

    def gate_squares(self, moments: Sequence[Moment], step: Step, diff: Diffs, inputs: Inputs) -> list[tuple[float, ...]]:
        by = self.weight(step.weights, _HIDDEN).second_moment * self.width * self.continues(step.bottoms)
        output = self.weight(step.weights, _OUTPUT).second_moment * self.width
        later = 0.0
        found: list[tuple[float, ...]] = []
        for moment in reversed(moments):
            later = (diff.second_moment * moment.shown_slope * output + by * later) * moment.new_slope
            found.append((later,))
        return found
