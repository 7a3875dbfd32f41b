"""Simulate the training of a job: what is cut and assumed, how many seeds, and how much work at most."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..data.caffemodel import read_values
from ..layers.models.data_models import KNOWN
from ..moments.layer_type import DETECTION
from ..moments.signal_model import positions_of
from ..net.costs import multiply_adds
from ..net.rounding import two_digits_above
from ..net.trained_weights import WeightsError, copied_from
from ..net.weights_origin import LOADED
from ..proto.named_tuple import NamedTuple
from ..stability.signal.basis import DESCRIBE_DATA, GIVE_SHAPE, OVER_BUDGET, UNKNOWN, CannotTell, obstacle
from ..stability.signal.features import signal_of
from ..stability.signal.training import Training, training_of
from ..stability.verdict.simulated import DEPENDS
from ..stability.verdict.verdict import EVEN, RISKY, verdict_of, word_for
from .arrays import Array, Generator, np
from .cutting import MOST_BATCH_PARTS, PARTS, Cut, FirstIteration, agreeing, first_iteration, smaller
from .made_up_data import MadeUpData
from .operator import CannotSimulate
from .outcome import Judgement, Outcome, first_to_go, judged, logistic, unknown
from .stored_data import CannotReadData, StoredData, matrix_of
from .tape import is_fed, left_out
from .training_run import PROBES, Batches, Course, run

if TYPE_CHECKING:
    from ..moments.graph import Param
    from ..net.job import Job
    from ..net.net import Net
    from ..net.trained_weights import TrainedWeights

# Multiply-adds that one core does in a second, by which seconds become a number that is the same on every machine.
SPEED = 10_000_000_000
# What a value of a blob costs in multiply-adds, in the layers that do not multiply: they are bound by memory.
_OF_VALUE = 20
_MOST_VALUES = 1_000_000_000  # of blobs and weights with their gradients: 4 GB
_MOST_ITEMS, _LEAST_ITEMS = 8, 4  # of a batch, if it is cut
_LEAST_MAPS, _MANY_PLACES = 2, 64  # of items of which each has a label at so many places, or boxes
_LEAST_PROBABILITY = 1e-3  # whose odds count
_SURE = 0.1, 0.25  # probabilities, that it diverges and that it stalls, so near to 0 or 1 need no other seed

MADE, REAL = "made", "real"
_WATCH = "watch the training with caffe-lint log"


class Plan(NamedTuple):
    """How a training is simulated: `seeds` is the largest number of seeds, `budget` in seconds of one core. Randomness is drawn from
    what the files say, or from `content`.

    With `data` REAL the sources are read below the folder `base`. A `batch` of None is the whole one, and then nothing is cut.
    Seeds count from `first_seed`; with `all_seeds` every one is run, also where the first leaves no doubt. A course whose losses are
    still over `high` half-way is given up. Without `watch`, no line of debug_info is kept.
    """

    steps: int = 25
    batch: int | None = _MOST_ITEMS
    data: str = MADE
    seeds: int = 3
    budget: float = 20.0
    base: str = ""
    first_seed: int = 0
    all_seeds: bool = False
    content: bytes = b""
    high: float = math.inf
    watch: bool = True


def simulate(job: Job, plan: Plan, progress: Callable[[int, int], None] = lambda done, total: None) -> Outcome:
    """Simulate a job's training. `progress` is told how many steps are done, and of how many."""
    found = planned(job, plan)
    if isinstance(found, Outcome):
        return found
    first = found[0]
    assumed = first.training.basis.assumed if plan.data == MADE else ()
    try:
        told = _simulated(job, plan, found, progress)._replace(cut=first.said, assumed=assumed)
        return told if _is_confirmed(found, plan) and not told.is_outweighed else told.unconfirmed()
    except CannotSimulate as error:
        remedy = "pass --data made" if isinstance(error, CannotReadData) else _WATCH
        failure = unknown(CannotTell("cannot be simulated", str(error), remedy), assumed=assumed)
    except MemoryError:
        return unknown(CannotTell("too large", "the simulation needs more memory than there is", _WATCH), assumed=assumed)
    if all(each.items == each.whole for each in found):
        return failure
    whole = planned(job, plan._replace(batch=None))  # which may fit where a part of a batch does not
    if isinstance(whole, Outcome):
        return failure
    try:
        return _simulated(job, plan, whole, progress)._replace(assumed=assumed)
    except (CannotSimulate, MemoryError):
        return failure


def planned(job: Job, plan: Plan) -> list[Sized] | Outcome:
    """What would be simulated of a job: its training with each kind of data that it may have, or why none."""
    training = training_of(job)
    if isinstance(training, CannotTell):
        return unknown(training)
    assumed = training.basis.assumed if plan.data == MADE else ()
    reason = _obstacle(job, training)
    if reason is not None:
        return unknown(reason, assumed=assumed)
    points = training.points() if plan.data == MADE else [training]
    found = []
    for point in points:
        sized = _sized(point, plan, len(points))
        if isinstance(sized, Outcome):
            return sized._replace(assumed=assumed)
        found.append(sized)
    return found


class Sized(NamedTuple):
    """A training with what is simulated of it: a net, of whose batches of `whole` so many `items`, which is so much `work`."""

    training: Training
    cut: Cut
    whole: int
    items: int
    work: int

    @property
    def is_whole_net(self) -> bool:
        """Whether images and layers are as large as in the net."""
        return not self.cut.said

    @property
    def said(self) -> tuple[str, ...]:
        """What was cut."""
        return (
            *((f"{self.items} of {self.whole} items in a batch",) if self.items < self.whole else ()),
            *(("1 of the passes of an iteration (iter_size)",) if self.cut.passes is not None else ()),
            *self.cut.said,
        )


def _is_confirmed(runs: Sequence[Sized], plan: Plan) -> bool:
    """Whether a divergence may be told with high confidence.

    Of the whole net, the data must not be unknown, and the weights must be made by fillers: the curves were fitted to such trainings.
    Of smaller images or layers, the data must be known, and the static signal of the whole net must say that it diverges, too.
    """
    basis = runs[0].training.basis
    if runs[0].training.trained is not None:
        return False
    if runs[0].is_whole_net:
        return plan.data == REAL or basis.data != UNKNOWN
    if plan.data != REAL and not basis.is_known:
        return False
    known = [run.training for run in runs if not run.training.basis.unmodelled]
    return len(known) == len(runs) and all(verdict_of(signal_of(training)).word == "diverges" for training in known)


def _sized(training: Training, plan: Plan, points: int) -> Sized | Outcome:
    """What is simulated of a training with one of so many kinds of data, which share the budget: the most that fits into it and has
    the same static signal.
    """
    budget = plan.budget * SPEED / points
    net, iter_size = training.net, training.solver["iter_size"]
    whole = _batch_of(net)
    items = whole if plan.batch is None or plan.batch >= whole or _keeps_batch(net) else plan.batch
    passes = 1 if iter_size > 1 and plan.batch is not None else None
    work = _work(net, passes or iter_size, items / whole, plan.steps)
    if work is None:
        return unknown(CannotTell("unknown shape", "the shapes of the net are unknown", GIVE_SHAPE))
    found = Sized(training, Cut(net, passes=passes), whole, items, work)
    if work > budget and plan.batch is not None:
        found = next(_cut_down(found, plan, budget), found)
    if found.work > budget:
        items = found.items if plan.batch is None else max(_fewest_items(found), found.items // MOST_BATCH_PARTS)
        least = found._replace(items=items, work=_work(net, passes or iter_size, items / whole, plan.steps) or work)
        takes = two_digits_above(points * least.work / SPEED)
        each = f" on each of {points} kinds of data" if points > 1 else ""
        text = f"{plan.steps} steps{each} are {takes:g} s of work, over the budget of {plan.budget:g} s"
        return unknown(CannotTell(OVER_BUDGET, text, f"pass --budget {takes:g}"), cut=least.said, multiply_adds=least.work)
    if _values(found.cut.net, found.items / whole) > _MOST_VALUES:
        text = "the net needs more than 4 GB of memory"
        return unknown(CannotTell("too large", text, _WATCH), cut=found.said, multiply_adds=found.work)
    return found


def _cut_down(sized: Sized, plan: Plan, budget: float) -> Iterator[Sized]:
    """Smaller nets that fit into the budget and have the same static signal, the largest first."""
    training, whole, passes = sized.training, sized.whole, sized.cut.passes
    least_items = _fewest_items(sized)
    first: FirstIteration | None = None
    cuts: dict[tuple[int, int], Cut | None] = {(1, 1): Cut(training.net)}
    agreed: dict[tuple[int, int], Cut | None] = dict(cuts)
    for image, width, batch in PARTS:
        least, parts = sized.work / ((image * width) ** 2 * batch), (image, width)
        if least > budget or (image > 1 and plan.data == REAL):
            continue
        if parts not in cuts:
            cuts[parts] = smaller(training.net, image, width)
        cut, items = cuts[parts], max(least_items, sized.items // batch)
        work = _work(cut.net, passes or training.solver["iter_size"], items / whole, plan.steps) if cut is not None else None
        if cut is None or work is None or work > budget:
            continue
        if parts not in agreed:
            first = first or first_iteration(training)
            agreed[parts] = agreeing(training, first, cut) if first is not None else None
        same = agreed[parts]
        if same is not None:
            yield sized._replace(cut=same._replace(passes=passes), items=items, work=work)


def _fewest_items(sized: Sized) -> int:
    """How many items of a batch are simulated at least."""
    net = sized.training.net
    return sized.items if _keeps_batch(net) else min(sized.items, _least_items(net))


def _obstacle(job: Job, training: Training) -> CannotTell | None:
    """Why the training cannot be simulated, judging by its files alone."""
    solver = training.solver
    if "max_iter" in solver.entries and solver["max_iter"] == 0:
        return CannotTell("no training", "max_iter is 0", "set max_iter")
    try:
        left_out(training.net)
    except CannotSimulate as error:
        return CannotTell("unmodelled layer", str(error), _WATCH)
    # Zero weights, and scores that are read as probabilities, are computed here like any other numbers.
    basis = training.basis._replace(unmodelled=(), of_scores=(), zero=(), shapeless=())
    if basis.weights not in (LOADED, UNKNOWN):
        basis = basis._replace(weights=KNOWN)
    return obstacle(basis, job.origin)


def _simulated(job: Job, plan: Plan, runs: Sequence[Sized], progress: Callable[[int, int], None]) -> Outcome:
    solver = job.solver.message
    work = sum(each.work for each in runs)
    affordable = plan.seeds if plan.all_seeds else max(1, min(plan.seeds, int(plan.budget * SPEED // max(work, 1))))
    steps = min(plan.steps, solver["max_iter"]) if solver["max_iter"] > 0 else plan.steps
    done = 0

    def count(number: int) -> None:
        nonlocal done
        done += number
        progress(done, steps * affordable)

    def course(sized: Sized, seed: int) -> Course:
        of_data, of_run = _generators(job, plan.content, seed)
        batches = _batches(sized, plan, of_data)
        return run(_with_files(sized, plan), solver, batches, of_run, steps, count, high=plan.high, watch=plan.watch)

    others_alone = [judged([course(each, plan.first_seed)], solver["max_iter"]) for each in runs[1:]]
    others = list(map(_weighed, runs[1:], others_alone))
    courses: list[Course] = []
    for seed in range(plan.first_seed, plan.first_seed + affordable):
        courses.append(course(runs[0], seed))
        alone = judged(courses, solver["max_iter"])
        found = _weighed(runs[0], alone)
        doubtful = plan.all_seeds or len(courses) > 1 or not all(map(_is_sure, found[1:3], _SURE))
        if not doubtful and (affordable == 1 or _says_same(runs[0].training, found.word)):
            break
    progress(-1, 0)
    if any(map(_is_open, (found, *others), (alone, *others_alone))):
        text = "a net cut to the budget says otherwise than the signal of the whole net"
        return unknown(CannotTell(OVER_BUDGET, text, "raise --budget"), cut=runs[0].said, multiply_adds=work)
    word, diverges, stalls, exploded, stalled = found
    words = {word, *(each.word for each in others)}
    if len(words) > 1:
        if runs[0].training.basis.data == UNKNOWN and not words <= {"learns", "stalls"}:
            text = f"by what the data are, it {' or '.join(sorted(words))}"
            return unknown(CannotTell("unknown data", text, DESCRIBE_DATA), multiply_adds=work)
        # The kinds of 8-bit images stand for all that there are: as likely as it is over them.
        diverges = sum((diverges, *(each.p_diverges for each in others))) / len(runs)
        stalls = sum((stalls, *(each.p_stalls for each in others))) / len(runs)
        word = word_for(diverges, stalls)
    elif others:  # with all that the data may be
        diverges = (min if word == "diverges" else max)(diverges, *(each.p_diverges for each in others))
        stalls = (min if word == "stalls" else max)(stalls, *(each.p_stalls for each in others))
    first = None
    if word in ("diverges", DEPENDS) and exploded:
        first = next((first for course in courses if (first := first_to_go(course)) is not None), None)
    layer, iteration = first or (None, None)
    part = min(each.items / each.whole for each in runs)
    spent = work * len(courses)
    return Outcome(
        word, None, diverges, stalls, courses, exploded, stalled, layer, iteration, multiply_adds=spent, part=part, alone=alone.word
    )


def _weighed(sized: Sized, found: Judgement) -> Judgement:
    """What a training comes to; what a net with smaller images or layers does counts as much as the signal of the whole one."""
    if sized.is_whole_net or sized.training.basis.unmodelled or found.word == DEPENDS:
        return found
    signal = verdict_of(signal_of(sized.training))
    diverges, stalls = _mean_odds(found.p_diverges, signal.p_diverges), _mean_odds(found.p_stalls, signal.p_stalls)
    return found._replace(word=word_for(diverges, stalls), p_diverges=diverges, p_stalls=stalls)


def _is_open(found: Judgement, alone: Judgement) -> bool:
    """Whether a cut net and the signal of the whole one differ on whether a training diverges, and neither outweighs the other."""
    if alone.word == DEPENDS or (alone.p_diverges >= EVEN) == (found.p_diverges >= EVEN):
        return False
    return RISKY <= found.p_diverges <= 1 - RISKY


def _mean_odds(one: float, other: float) -> float:
    """The probability whose log odds are the mean of those of two."""
    return logistic((0.0, 0.5), _log_odds(one) + _log_odds(other))


def _log_odds(probability: float) -> float:
    within = min(max(probability, _LEAST_PROBABILITY), 1 - _LEAST_PROBABILITY)
    return math.log(within / (1 - within))


def _says_same(training: Training, word: str) -> bool:
    """Whether the static signal says of a training, too, that it diverges or that it does not, as far as it says anything."""
    return bool(training.basis.unmodelled) or (verdict_of(signal_of(training)).word == "diverges") == (word == "diverges")


def _is_sure(probability: float, within: float) -> bool:
    return min(probability, 1 - probability) <= within


def _with_files(sized: Sized, plan: Plan) -> Cut:
    """What is simulated, with loaded weights, and with the infogain matrices in files; with made-up data diagonal ones, of class
    weights that are assumed.
    """
    cut, training = sized.cut, sized.training
    if training.trained is not None:
        cut = cut._replace(loaded=_loaded(cut.net, training.trained))
    if plan.data == REAL:
        return cut._replace(matrices={layer.index: matrix_of(layer, plan.base) for layer in training.basis.matrices})
    weight = training.context.assumed.class_weight
    losses = {layer.index: weight * cut.losses.get(layer.index, 1.0) for layer in training.basis.matrices}
    return cut._replace(losses={**cut.losses, **losses}) if losses else cut


def _loaded(net: Net, trained: TrainedWeights) -> dict[Param, Array]:
    """The values that Caffe copies from a file into the parameters of a net. Raises CannotSimulate."""
    places = copied_from(net, trained)
    try:
        values = read_values(trained.path, {layer for layer, _ in places.values()})
        found = {param: values[layer][index] for param, (layer, index) in places.items()}
    except WeightsError as error:
        raise CannotSimulate(str(error)) from None
    except LookupError:
        raise CannotSimulate(f"{trained.path} has changed while it was read") from None
    if any(values.size != param.count for param, values in found.items()):
        raise CannotSimulate(f"{trained.path} has changed while it was read")
    return found


def _batches(sized: Sized, plan: Plan, draw: Generator) -> Batches:
    net, training = sized.cut.net, sized.training
    made = MadeUpData(net, training.context.assumed, draw, whole=sized.whole, items=sized.items)
    if plan.data == MADE:
        return made.batch
    wanted = (plan.steps * max(1, training.solver["iter_size"]) + PROBES + 1) * sized.items
    return StoredData(net, plan.base, draw, made, wanted).batch


def _generators(job: Job, given: bytes, seed: int) -> tuple[Generator, Generator]:
    """The randomness of data and of the run, from what the files say: the same files, the same answer."""
    content = hashlib.blake2b(given or job.solver.file.source, digest_size=16)
    if job.train is not None and not given:
        content.update(job.train.file.source)
    first, second = np.random.SeedSequence([int.from_bytes(content.digest(), "little"), seed]).spawn(2)
    return np.random.default_rng(first), np.random.default_rng(second)


def _batch_of(net: Net) -> int:
    """The number of items in a batch: the first dimension of most tops that are fed."""
    sizes = Counter(top.shape[0] or 1 for layer in net.layers if is_fed(layer) for top in layer.tops if top.shape)
    return max(sizes, key=lambda size: (sizes[size], size)) if sizes else 1


def _least_items(net: Net) -> int:
    """How many items a batch has at least."""
    losses = [layer for layer in net.layers if layer.traits.is_loss and any(layer.loss_weights) and layer.bottoms]
    many = (layer.traits.loss_family == DETECTION or positions_of(layer.bottoms[0]) >= _MANY_PLACES for layer in losses)
    return _LEAST_MAPS if all(many) else _LEAST_ITEMS


def _keeps_batch(net: Net) -> bool:
    """Whether the first axis of data are not items alone: steps of a sequence are no batch."""
    return any(layer.traits.recurrent for layer in net.layers)


def _work(net: Net, iter_size: int, part: float, steps: int) -> int | None:
    """The multiply-adds of a simulation with one seed, for a part of the batch; None if shapes are unknown."""
    forward = backward = 0
    skipped = left_out(net)
    for layer in net.layers:
        own = 0 if is_fed(layer) or layer in skipped else multiply_adds(layer)
        if own is None:
            return None
        own += _OF_VALUE * sum(top.count or 0 for top in layer.tops)
        forward += own
        backward += 2 * own if layer.runs_backward else 0
    weights = sum(param.count or 0 for param in net.params() if param.owner is param)
    one = (forward + backward) * part * max(1, iter_size) + _OF_VALUE * weights
    return int(steps * one + 2 * PROBES * forward * part)


def _values(net: Net, part: float) -> float:
    """The values of blobs, of their gradients, and of weights with theirs and the solver's."""
    blobs = sum(top.count or 0 for layer in net.layers for top in layer.tops)
    weights = sum(param.count or 0 for param in net.params() if param.owner is param)
    return 4 * blobs * part + 4 * weights
