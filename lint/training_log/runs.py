"""Runs: the steps, passes of debug_info, tests and events of one training in a log, in bounded memory.

A run keeps the first and last steps and a sample of those between, the first and last passes of debug_info, those
around the first that is not finite, and an even sample of all.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Generic, TypeVar

from ..proto.named_tuple import NamedTuple
from .log_lines import Clipping, Debug, Norms, Output, debug, message

Item = TypeVar("Item")

HEAD, TAIL, MIDDLE = 512, 1024, 4096  # steps and tests that a run keeps: first, last, and evenly between
FIRST_PASSES, RECENT_PASSES, AFTER_BAD, SAMPLE = 3, 12, 2, 160
ROUNDING = 1e-12  # a loss below is 0: Caffe prints some as -6e-20
BAD_STEPS, BAD_TESTS = 1000, 16
NOTES = 1000  # events in the life of a run
TOLD, FRAMES = 6, 16  # lines that may explain the end of a run, and stack frames
RECENT_BYTES = SAMPLE_BYTES = 24_000_000  # of passes that are kept as text: the latest, and a sample


class Key(NamedTuple):
    """Identifies a value of debug_info: `Forward`, `Backward` or `Update`; `top`, `bottom` or `param`; `data` or `diff`."""

    direction: str
    layer: str
    role: str
    blob: str
    what: str


class Value(NamedTuple):
    """A value of debug_info - the mean of |x| - and its line in the log."""

    key: Key
    value: float
    line: int

    @property
    def finite(self) -> bool:
        """Whether it is neither NaN nor infinite."""
        return math.isfinite(self.value)


class Pass:
    """The debug_info of one forward and backward pass, in the order of the log; parsed on demand."""

    def __init__(self, text: bytes, line: int, norms: Norms | None, norms_line: int) -> None:
        self.text = text
        self.line = line
        self.norms = norms
        self.norms_line = norms_line
        self.iteration: int | None = None
        self._values: list[Value] | None = None

    @property
    def values(self) -> list[Value]:
        """Its values; of several forward sweeps in one pass (an unrecognised test), those of the last."""
        if self._values is None:
            *_, self._values = _sweeps(self.text, self.line)
        return self._values

    def sweeps(self) -> Iterator[list[Value]]:
        """The values of each forward sweep, such as those of the iterations of a test."""
        return _sweeps(self.text, self.line)

    def __iter__(self) -> Iterator[Value]:
        return iter(self.values)


def _sweeps(text: bytes, line: int) -> Iterator[list[Value]]:
    """The values of debug_info, separately for each forward sweep."""
    seen: dict[Key, Value] = {}
    for number, written in enumerate(text.split(b"\n"), line):
        found = debug(message(written).text)
        if isinstance(found, Debug):
            key = Key(*found[:5])
            if key in seen and key.direction == "Forward":
                yield list(seen.values())
                seen.clear()
            seen[key] = Value(key, found.value, number)
    yield list(seen.values())


class Step(NamedTuple):
    """A displayed iteration; `rate`, `norms` and `clipping` are None if the log does not have them."""

    iteration: int
    line: int
    loss: float
    rate: float | None = None
    rate_line: int = 0
    outputs: tuple[Output, ...] = ()
    norms: Norms | None = None
    norms_line: int = 0
    clipping: Clipping | None = None

    @property
    def heading(self) -> str:
        """What Caffe prints before the loss."""
        return f"Iteration {self.iteration}"

    @property
    def finite(self) -> bool:
        """Whether its loss and all its outputs are neither NaN nor infinite."""
        return math.isfinite(self.loss) and all(math.isfinite(out.value) for out in self.outputs)

    @property
    def is_zero(self) -> bool:
        """Whether its loss and all its outputs that are losses are 0, up to rounding."""
        losses = [self.loss, *(out.value for out in self.outputs if out.weight)]
        return all(abs(loss) < ROUNDING for loss in losses)


class Test(NamedTuple):
    """The outputs of a test net."""

    iteration: int | None
    line: int
    net: int
    outputs: tuple[Output, ...]

    @property
    def heading(self) -> str:
        """What Caffe prints above the outputs; without the iteration if the log does not have it."""
        return f"Iteration {self.iteration}, Testing net (#{self.net})" if self.iteration is not None else f"Testing net (#{self.net})"


class Clipped(NamedTuple):
    """A line of gradient clipping, with the iteration if it is known."""

    iteration: int | None
    line: int
    norm: float
    bound: float


class Noted(NamedTuple):
    """An event of a run; `kind` as in `log_lines.Note`."""

    kind: str
    text: str
    source: str
    line: int


class Thinned(Generic[Item]):
    """A list that keeps its first and last items, and thins out those between: every second one goes if they are too many."""

    def __init__(self, head: int = HEAD, tail: int = TAIL, middle: int = MIDDLE) -> None:
        self.count = 0
        self._head: list[Item] = []
        self._middle: list[Item] = []
        self._tail: deque[Item] = deque()
        self._sizes = head, tail, middle
        self._stride = 1
        self._passed = 0

    def append(self, item: Item) -> None:
        """Appends an item."""
        head, tail, middle = self._sizes
        self.count += 1
        if len(self._head) < head:
            self._head.append(item)
            return
        self._tail.append(item)
        if len(self._tail) <= tail:
            return
        leaving = self._tail.popleft()
        if self._passed % self._stride == 0:
            self._middle.append(leaving)
            if len(self._middle) > middle:
                del self._middle[1::2]
                self._stride *= 2
        self._passed += 1

    def replace_last(self, item: Item) -> None:
        """Replaces the last item."""
        (self._tail or self._head)[-1] = item

    @property
    def last(self) -> Item | None:
        """The last item."""
        return self._tail[-1] if self._tail else self._head[-1] if self._head else None

    def __iter__(self) -> Iterator[Item]:
        yield from self._head
        yield from self._middle
        yield from self._tail

    def __len__(self) -> int:
        return len(self._head) + len(self._middle) + len(self._tail)

    def __bool__(self) -> bool:
        return bool(self._head)


class Passes:
    """The passes that a run keeps."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[Pass] = []
        self.recent: deque[Pass] = deque()
        self.around_bad: list[Pass] = []  # those before the first that is not finite, that one, and some after
        self.bad: Pass | None = None
        self.sample: list[Pass] = []  # evenly over the run
        self._sampled_bytes = 0
        self._stride = 1

    def append(self, passed: Pass, *, bad: bool) -> None:
        """Adds a pass; `bad` says that one of its values is not finite."""
        if len(self.first) < FIRST_PASSES:
            self.first.append(passed)
        if self.bad is not None and len(self.around_bad) <= RECENT_PASSES + AFTER_BAD:
            self.around_bad.append(passed)
        if bad and self.bad is None:
            self.bad = passed
            self.around_bad = [*self.recent, passed][-RECENT_PASSES:]
        self.recent.append(passed)
        while len(self.recent) > RECENT_PASSES or (
            len(self.recent) > 2 and sum(len(each.text) for each in self.recent) > RECENT_BYTES
        ):
            self.recent.popleft()
        if self.count % self._stride == 0:
            self.sample.append(passed)
            self._sampled_bytes += len(passed.text)
            if len(self.sample) > SAMPLE or (self._sampled_bytes > SAMPLE_BYTES and len(self.sample) > 4):
                del self.sample[1::2]
                self._sampled_bytes = sum(len(each.text) for each in self.sample)
                self._stride *= 2
        self.count += 1

    def kept(self) -> list[Pass]:
        """All passes kept as text, each once, in the order of the log."""
        passes = {each.line: each for each in (*self.first, *self.around_bad, *self.recent)}
        return [passes[line] for line in sorted(passes)]


class Run:
    """One training in a log. `number` counts from 1 in the order of the log."""

    def __init__(self, first_line: int, stream: bytes = b"") -> None:
        self.first_line = first_line
        self.stream = stream
        self.number = 1
        self.last_line = first_line
        self.solver_text = b""
        self.net_texts: list[bytes] = []
        self.no_backward: set[str] = set()
        self.shapes: dict[str, list[tuple[int, ...]]] = {}
        self.creating: str | None = None  # the layer that Caffe last started to create
        self.steps: Thinned[Step] = Thinned()
        self.passes = Passes()
        self.tests: Thinned[Test] = Thinned()
        self.bad_steps: list[Step] = []  # the first that are not finite
        self.tests_bad: list[tuple[int, Pass]] = []  # the first tests with a value that is not finite, by net
        self.clipped: Thinned[Clipped] = Thinned()
        self.notes: list[Noted] = []
        self.told: deque[Noted] = deque(maxlen=TOLD)  # errors and what was opened, before the end
        self.frames: list[Noted] = []
        self.reached: int | None = None  # the last iteration of which any line was read
        self.recognised = False  # whether any line is Caffe's

    def take_built(self, built: Run) -> None:
        """Takes the solver, the nets and the notes of a run that has nothing else: it built what this one trains."""
        self.first_line = min(self.first_line, built.first_line)
        self.solver_text, self.net_texts = built.solver_text, built.net_texts
        self.no_backward, self.shapes, self.creating = built.no_backward, built.shapes, built.creating
        self.notes = sorted((*built.notes, *self.notes), key=lambda note: note.line)
        self.told = deque(sorted((*built.told, *self.told), key=lambda note: note.line), maxlen=TOLD)
        built.solver_text, built.notes, built.told = b"", [], deque(maxlen=TOLD)

    @property
    def test_bad(self) -> Pass | None:
        """The first test with a value of debug_info that is not finite."""
        return self.tests_bad[0][1] if self.tests_bad else None

    @property
    def resumed(self) -> bool:
        """Whether it started from a snapshot or pretrained weights, so that its first step is not that of an untrained net."""
        return any(note.kind in ("resumed", "finetuned") for note in self.notes)

    @property
    def empty(self) -> bool:
        """Whether it has neither steps nor passes, tests or clipping lines."""
        return not (self.steps or self.passes.count or self.tests or self.clipped or self.test_bad)
