"""The first iterations of a training, run on arrays with one seed: Solver::Step of solver.cpp."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..proto.named_tuple import NamedTuple
from ..solver.schedule import learning_rate
from ..stability.verdict.simulated import LAST, at_end
from .arrays import Array, Generator, np, sum_abs
from .filling import initial_weights
from .operator import CannotSimulate
from .tape import DebugLine, Tape
from .updating import Updater, norm_of

if TYPE_CHECKING:
    from ..moments.graph import Blob, Param
    from ..proto.binder import Message
    from .cutting import Cut

PROBES = 4  # batches on which the loss is taken before the first iteration and again after the last, free of their differences
_BEYOND_DOUBT = 1e4  # times the loss before the first step


class Norms(NamedTuple):
    """The last line of debug_info in a pass: sums of |x| and Euclidean norms of weights and gradients."""

    l1_data: float
    l1_diff: float
    l2_data: float
    l2_diff: float


class Output(NamedTuple):
    """An output of the net: a value, with its weight in the loss (0: none)."""

    name: str
    value: float
    weight: float


class Iteration(NamedTuple):
    """An iteration: its loss, taken before the update, its rate, and what debug_info prints in each of its passes.

    `clipping` has the norm of the gradients and the factor, if they were clipped. `is_dead` says that biases have a gradient, but
    no weight has one: units no longer answer to the data, and outputs are constant.
    """

    loss: float
    rate: float
    outputs: tuple[Output, ...]
    passes: tuple[tuple[list[DebugLine], list[DebugLine], Norms], ...]
    clipping: tuple[float, float] | None
    is_dead: bool = False


class Course(NamedTuple):
    """What became of a training: its iterations, its loss after the last, and the mean losses of the probes before and after."""

    iterations: list[Iteration]
    final_loss: float
    before: float
    after: float

    @property
    def losses(self) -> list[float]:
        """The loss of each iteration, and the one after the last."""
        return [*(each.loss for each in self.iterations), self.final_loss]

    @property
    def is_finite(self) -> bool:
        """Whether no loss is NaN or infinite."""
        return all(map(math.isfinite, self.losses))

    @property
    def is_dead(self) -> bool:
        """Whether no weight had a gradient in any iteration, but biases had: only constants are learned.

        Batches of 8 kill the units of nets that learn with whole ones, so the end of a course alone tells nothing.
        """
        return bool(self.iterations) and all(each.is_dead for each in self.iterations)


Batches = Callable[[], Mapping["Blob", Array]]


def run(
    cut: Cut,
    solver: Message,
    batches: Batches,
    draw: Generator,
    steps: int,
    progress: Callable[[int], None],
    *,
    high: float = math.inf,
    watch: bool = True,
) -> Course:
    """Train for some steps, fewer if the loss is not finite, has exploded beyond doubt, or is still over `high` half-way.

    With `watch`, each pass has what debug_info prints. Raises CannotSimulate.
    """
    with np.errstate(all="ignore"):
        weights = initial_weights(cut.net, draw, cut.whole, cut.loaded)
        tape = Tape(cut.net, weights, draw, gains=cut.gains, losses=cut.losses, matrices=cut.matrices)
        updater = Updater(solver, weights, cut.gains)
        probes = [batches() for _ in range(PROBES)]
        before = _mean_loss(cut, weights, draw, probes)
        iterations: list[Iteration] = []
        waiting = list(probes)
        for number in range(steps):
            following = partial(_next, waiting, batches)
            iteration = _step(tape, updater, solver, (number, cut.passes), following, watch)
            iterations.append(iteration)
            progress(1)
            if (
                not math.isfinite(iteration.loss)
                or _is_beyond_doubt(iterations, before)
                or (len(iterations) == steps // 2 and at_end([each.loss for each in iterations]) > high)
            ):
                return Course(iterations, iteration.loss, before, math.nan)
        final = tape.forward(_next(waiting, batches))
        return Course(iterations, final, before, _mean_loss(cut, weights, draw, probes))


def _next(waiting: list[Mapping[Blob, Array]], batches: Batches) -> Mapping[Blob, Array]:
    """The next batch: the probes first."""
    return waiting.pop(0) if waiting else batches()


def _is_beyond_doubt(iterations: Sequence[Iteration], before: float) -> bool:
    """Whether all of the last losses are so large that the outcome cannot change."""
    last = [each.loss for each in iterations[-LAST:]]
    return len(last) == LAST and min(last) > _BEYOND_DOUBT * max(abs(before), 1.0)


def _mean_loss(cut: Cut, weights: Mapping[Param, Array], draw: Generator, probes: list[Mapping[Blob, Array]]) -> float:
    """The mean loss of some batches, which leave no trace in statistics and states."""
    kept = {param: values.copy() if param.layer.traits.stores_statistics else values for param, values in weights.items()}
    tape = Tape(cut.net, kept, draw, gains=cut.gains, losses=cut.losses, matrices=cut.matrices)
    return sum(map(tape.forward, probes)) / len(probes)


def _step(
    tape: Tape, updater: Updater, solver: Message, numbers: tuple[int, int | None], batches: Batches, watch: bool
) -> Iteration:
    number, wanted = numbers
    rate = learning_rate(solver, number)
    if rate is None:
        raise CannotSimulate(f"the learning rate of iteration {number} is unknown")
    tape.clear()
    loss = 0.0
    passes = []
    passed = updater.iter_size if wanted is None else wanted
    for _ in range(passed):
        loss += tape.forward(batches(), watch=watch)
        tape.backward(watch=watch)
        passes.append((tape.forward_lines, tape.backward_lines, _norms(tape.weights, tape.gradients)))
    loss = loss / passed if passed > 0 else math.nan
    if passed < updater.iter_size:
        for gradient in tape.gradients.values():
            gradient *= np.float32(updater.iter_size / passed)
    outputs = tuple(_outputs(tape)) if passes else ()
    is_dead = _is_dead(tape.gradients)
    clipping = updater.clipped(tape.gradients)
    updater.update(tape.weights, tape.gradients, rate, number)
    return Iteration(loss, rate, outputs, tuple(passes), clipping, is_dead)


def _is_dead(gradients: Mapping[Param, Array]) -> bool:
    """Whether the gradients of all weights are exactly 0, and that of a bias is not."""
    answers = {param.role: False for param in gradients}
    for param, gradient in gradients.items():
        answers[param.role] = answers[param.role] or bool(gradient.any())
    return answers.pop("bias", False) and bool(answers) and not any(answers.values())


def _outputs(tape: Tape) -> list[Output]:
    """The first value of each blob that no layer reads, as far as it is one number."""
    found = []
    for layer in tape.layers:
        for index, blob in enumerate(layer.tops):
            if not blob.consumers and tape.value(blob).size == 1:
                found.append(Output(blob.name, float(tape.value(blob).reshape(-1)[0]), tape.loss_weight(layer, index)))
    return found


def _norms(weights: Mapping[Param, Array], gradients: Mapping[Param, Array]) -> Norms:
    return Norms(_sum_abs(weights), _sum_abs(gradients), norm_of(weights), norm_of(gradients))


def _sum_abs(arrays: Mapping[Param, Array]) -> float:
    return float(sum(float(sum_abs(values)) for values in arrays.values()))
