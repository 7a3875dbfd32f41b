"""What a simulated training came to, as far as rules ask. What simulates comes with the job (`Job.simulate`)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from ...layers.models.loss_models import Loss
from ...net.rounding import two_digits
from ...proto.named_tuple import NamedTuple
from ...source.wording import counted
from ..signal.basis import CannotTell
from .verdict import Verdict

if TYPE_CHECKING:
    from ..signal.features import Signal

DEPENDS = "depends on the seed"
# A training learns if the mean loss of its last tenth is below this part of the smaller of its first loss and of that of the best
# constant outputs, such as ln K for K classes.
LEARNS = 0.9
# A training that starts at a loss far above the trivial one and stays there fails as well: the last losses of a short simulation,
# all but one of them, are more than this many times the trivial loss. Three times the first loss is what the real trainings of
# ../shared/divergence count as exploded.
HIGH, LAST = 3.0, 5


def at_end(losses: Sequence[float]) -> float:
    """The loss that all but one of the last ones reach: a single small batch may be all wrong by chance."""
    last = sorted(losses[-LAST:])
    return last[min(1, len(last) - 1)]


class Effort(NamedTuple):
    """How a training is simulated: for how many steps, and with how many seeds at most, from which on.

    Batches have `times` as many items as usual; with infinitely many they are as large as in the training, and nothing is cut.
    Otherwise the net is cut to work of no more than `seconds`, or of the usual budget. A course whose losses are still over `high`
    half-way is given up. With `watch`, the first layer to go is known.
    """

    steps: int
    seeds: int = 1
    first_seed: int = 0
    times: float = 1
    seconds: float | None = None
    high: float = math.inf
    watch: bool = False


FOR_VERDICT = Effort(25, 3, watch=True)


class SimulatedCourse(NamedTuple):
    """A course with one seed: the loss of each iteration and the one after the last, and the norms of the summed gradients.

    `before` is the mean loss of a few batches before the first iteration.
    """

    losses: tuple[float, ...]
    before: float
    norms: tuple[float, ...]

    @property
    def is_finite(self) -> bool:
        """Whether no loss is NaN or infinite."""
        return all(map(math.isfinite, self.losses))

    @property
    def norm_growth(self) -> float:
        """The mean gradient norm of the last tenth, over the median: above 1 where a loss is about to leave a plateau."""
        last = self.norms[-max(1, len(self.norms) // 10) :]
        middle = sorted(self.norms)[len(self.norms) // 2] if self.norms else 0.0
        return sum(last) / len(last) / middle if middle > 0 else 0.0

    def ends_high(self, trivial: float) -> bool:
        """Whether its last losses are finite, but far above that of the best constant outputs, all but one of them."""
        return self.is_finite and trivial < math.inf and at_end(self.losses) > HIGH * trivial

    def learns(self, trivial: float) -> bool:
        """Whether it learns."""
        return self.left(trivial) < LEARNS

    def left(self, trivial: float) -> float:
        """The mean loss of the last tenth, as a part of the smaller of the first loss and the trivial one; infinite if it fails.

        It fails below 0, too: a loss without a minimum, such as the logarithm of unbounded scores.
        """
        last = self.losses[-max(1, len(self.losses) // 10) :]
        mean, first = sum(last) / len(last), min(self.before, trivial)
        return mean / first if self.is_finite and mean >= 0 and first > 0 else math.inf


class Simulated(NamedTuple):
    """What became of a simulated training.

    `word` is `diverges`, `stalls`, `learns`, `depends on the seed` or `cannot tell`, as `cannot_tell` then explains. `diverging`
    is the number of courses that do. `first_layer` is the one that went first, in `first_iteration`. `cut` says what was made
    smaller. `seconds` is the work for one seed, counted in seconds of one usual core, with that `part` of each batch.
    What only a net with smaller images or layers says, and not the static signal of the whole one, is not `is_confirmed`.
    """

    word: str
    cannot_tell: CannotTell | None = None
    p_diverges: float = 0.0
    p_stalls: float = 0.0
    courses: tuple[SimulatedCourse, ...] = ()
    diverging: int = 0
    first_layer: str | None = None
    first_iteration: int | None = None
    cut: tuple[str, ...] = ()
    seconds: float = 0.0
    part: float = 1.0
    is_confirmed: bool = True

    @property
    def verdict(self) -> Verdict:
        """The verdict; what depends on the seed diverges if it mostly does."""
        word = self.word if self.word != DEPENDS else "diverges" if 2 * self.diverging > len(self.courses) else "learns"
        return Verdict(word, self.p_diverges, self.p_stalls)

    @property
    def is_sure(self) -> bool:
        """Whether it diverges with all seeds, and not only because the net was cut or the data may be anything."""
        return self.word == "diverges" and self.is_confirmed

    @property
    def largest_norm(self) -> float:
        """The largest norm of the summed gradients in any course."""
        return max((norm for course in self.courses for norm in course.norms), default=math.inf)

    @property
    def fate(self) -> str:
        """What people are told of a training that diverges with some seeds."""
        return "may diverge" if self.word == DEPENDS else "likely to diverge"

    @property
    def sentence(self) -> str:
        """What became of it, or why it was not simulated, as a sentence."""
        if self.cannot_tell is not None:
            return f"Not simulated: {self.cannot_tell.reason}."
        cut = f" ({'; '.join(self.cut)})" if self.cut else ""
        return f"Simulated{cut}: {self.course}."

    @property
    def course(self) -> str:
        """What became of it, as a clause."""
        course = next((course for course in self.courses if not course.is_finite), self.courses[0])
        steps = len(course.losses) - 1
        first = two_digits(course.losses[0])
        if not course.is_finite:
            went = f"the loss, {first} at first, overflows in iteration {_first_bad(course.losses)}"
        else:
            went = f"the loss goes from {first} to {two_digits(course.losses[-1])} in {counted(steps, 'iteration')}"
        if self.word == DEPENDS:
            went += f"; {self.diverging} of {len(self.courses)} seeds diverge"
        if self.first_layer is not None:
            went += f"; '{self.first_layer}' is the first layer to go"
        return went


def goes_wrong(run: Simulated, trivial: float) -> bool:
    """Whether a training diverges, or stays far above the trivial loss."""
    return run.word in ("diverges", DEPENDS) or any(course.ends_high(trivial) for course in run.courses)


def trivial_loss(signal: Signal) -> float:
    """The loss of the best constant outputs: ln K for K classes, half the variance of the targets for a regression."""
    forward, total = signal.forward, 0.0
    for layer, _, weight, _ in forward.loss_terms():
        model = forward.prepared.models[layer.index]
        if not isinstance(model, Loss):
            return math.inf  # of unknown size: only the first loss counts then
        total += abs(weight) * model.constant_answer_value(forward.steps[layer.index].bottoms)
    return total


def _first_bad(losses: Sequence[float]) -> int:
    return next(number for number, loss in enumerate(losses) if not math.isfinite(loss))
