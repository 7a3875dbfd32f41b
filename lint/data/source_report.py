"""The report on one source: numbers, shapes, labels, and faulty items."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Iterator
from typing import Any

EXAMPLES = 5  # items named per kind of fault
DISTINCT = 100_000  # limit of distinct labels or shapes to keep
ITEM_LABELS, PIXEL_LABELS = "label", "data"  # the arrays of labels of databases, lists and window files
SKETCH = 1 << 16  # limit of digests to keep for finding equal items in other sources


class Numbers:
    """The range and moments of an array, computed in one pass, and the distribution of the items' largest values."""

    def __init__(self) -> None:
        self.count = 0
        self.total = 0.0
        self.absolute = 0.0
        self.squares = 0.0
        self.low = math.inf
        self.high = -math.inf
        self.exponents: dict[int, int] = {}  # number of items by the exponent of their largest magnitude
        self.largest: list[tuple[float, str]] = []  # the items with the largest values

    def add_counts(self, counts: Any) -> None:
        """Add bytes; `counts` has the number of occurrences of each of the 256 values."""
        occurring = [(value, int(number)) for value, number in enumerate(counts) if number]
        if not occurring:
            return
        total = float(sum(value * number for value, number in occurring))
        self.count += sum(number for _, number in occurring)
        self.total += total
        self.absolute += total
        self.squares += float(sum(value * value * number for value, number in occurring))
        self.low = min(self.low, occurring[0][0])
        self.high = max(self.high, occurring[-1][0])

    def add_array(self, array: Any, where: Any) -> tuple[list[int], list[int]]:
        """Add items, one per row of a numpy array; `where(row)` names an item.

        Return the rows that contain NaN, and those that contain infinity but not NaN.
        """
        import numpy  # of the extra `data`

        with numpy.errstate(invalid="ignore"):  # a signalling NaN
            rows = numpy.asarray(array, dtype=numpy.float64).reshape(len(array), -1)
        if not rows.size:
            return [], []
        good = numpy.isfinite(rows)
        bad = ~good.all(axis=1)
        nan_rows: list[int] = []
        inf_rows: list[int] = []
        if bad.any():
            for row in numpy.flatnonzero(bad).tolist():
                (nan_rows if numpy.isnan(rows[row]).any() else inf_rows).append(row)
            rows = numpy.where(good, rows, 0.0)
        sizes = numpy.abs(rows)
        self.count += int(good.sum())
        with numpy.errstate(over="ignore", invalid="ignore"):  # sums of doubles may overflow
            self.total += float(rows.sum())
            self.absolute += float(sizes.sum())
            self.squares += float((rows * rows).sum())
        if good.any():
            self.low = min(self.low, float(rows[good].min()))
            self.high = max(self.high, float(rows[good].max()))
        greatest = sizes.max(axis=1)
        exponents, numbers = numpy.unique(numpy.frexp(greatest[greatest > 0])[1], return_counts=True)
        for exponent, number in zip(exponents.tolist(), numbers.tolist(), strict=True):
            self.exponents[exponent] = self.exponents.get(exponent, 0) + number
        least = self.largest[-1][0] if len(self.largest) == EXAMPLES else 0.0
        best = numpy.argsort(greatest)[-EXAMPLES:]
        found = [(float(greatest[row]), where(int(row))) for row in best if greatest[row] > least]
        self.largest = sorted(self.largest + found, key=lambda one: -one[0])[:EXAMPLES]
        return nan_rows, inf_rows

    def merge(self, other: Numbers) -> None:
        """Add the numbers of another part of the same source."""
        for name in ("count", "total", "absolute", "squares"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        for exponent, number in other.exponents.items():
            self.exponents[exponent] = self.exponents.get(exponent, 0) + number
        self.largest = sorted(self.largest + other.largest, key=lambda one: -one[0])[:EXAMPLES]

    @property
    def mean(self) -> float:
        """The mean of all finite values."""
        return self.total / self.count

    @property
    def mean_abs(self) -> float:
        """The mean of their absolute values, which Caffe prints with debug_info."""
        return self.absolute / self.count

    @property
    def std(self) -> float:
        """Their standard deviation."""
        return math.sqrt(max(0.0, self.squares / self.count - self.mean * self.mean))

    def out_of_proportion(self, factor: float) -> int:
        """Return the number of items whose largest value is at least `factor` times that of the median item."""
        items = sum(self.exponents.values())
        half = 0
        for exponent in sorted(self.exponents):
            half += self.exponents[exponent]
            if half * 2 >= items:
                limit = exponent + math.log2(factor)
                return sum(number for other, number in self.exponents.items() if other >= limit)
        return 0


class Fault:
    """A kind of fault: the number of items that have it, and a description of a few of them."""

    def __init__(self) -> None:
        self.count = 0
        self.examples: list[str] = []

    def add(self, example: str, number: int = 1) -> None:
        """Record an item."""
        self.count += number
        if len(self.examples) < EXAMPLES:
            self.examples.append(example)

    def shown(self, most: int = 3) -> str:
        """Return the examples as one text."""
        more = self.count - min(most, len(self.examples))
        return "; ".join(self.examples[:most]) + (f" and {more} more" if more > 0 else "")


class SourceReport:
    """The report on one source.

    `kind` is that of `data_facts.SourceFacts`. `items` is the number of items, None if the source cannot be opened, in
    which case `error` says why, as a predicate such as "does not exist". `looked_at` is the number of items read, and
    `complete` is False if the check was interrupted. `shapes` and `labels` hold the number of occurrences and the first
    place of each shape, and of each label by the array that holds it: an HDF5 dataset, ITEM_LABELS or PIXEL_LABELS.
    `contents` is a sample of digests of items with their places; equal items are in the samples of both sources.
    """

    def __init__(self, kind: str, path: str) -> None:
        self.kind = kind
        self.path = path
        self.items: int | None = None
        self.looked_at = 0
        self.interrupted = False  # by the user
        self.cut_short = False  # by damage
        self.error = ""
        self.error_kind = ""  # "missing" or "unreadable"
        self.data: dict[str, Numbers] = {}
        self.array_shapes: dict[str, tuple[int, ...]] = {}  # of HDF5 datasets, without the item axis
        self.shapes: dict[tuple[int, ...], list[Any]] = {}  # (channels, height, width): number and first place
        self.labels: dict[str, dict[float, list[Any]]] = {}
        self.faults: dict[str, Fault] = {}
        self.encoded = 0
        self.contents: dict[int, str] = {}
        self.threshold = 1 << 64

    @property
    def complete(self) -> bool:
        """Whether all that was asked for was read."""
        return not (self.interrupted or self.cut_short)

    def numbers(self, name: str) -> Numbers:
        """Return the numbers of an array, creating them if necessary."""
        return self.data.setdefault(name, Numbers())

    def fault(self, kind: str, example: str, number: int = 1) -> None:
        """Record an item with a fault."""
        self.faults.setdefault(kind, Fault()).add(example, number)

    def label(self, array: str, value: float, where: str, number: int = 1) -> None:
        """Count a label that an array holds."""
        _count(self.labels.setdefault(array, {}), value, where, number)

    def shape(self, shape: tuple[int, ...], where: str, number: int = 1) -> None:
        """Count the shape of an item."""
        _count(self.shapes, shape, where, number)

    def content(self, digest: int, where: str) -> None:
        """Keep a 64-bit digest of an item's content if it is part of the sample, which is thinned out when full."""
        if digest < self.threshold:
            self.contents.setdefault(digest, where)
            if len(self.contents) > SKETCH:
                self._thin_out()

    def _thin_out(self) -> None:
        while len(self.contents) > SKETCH:
            self.threshold //= 2
            self.contents = {digest: where for digest, where in self.contents.items() if digest < self.threshold}

    def merge(self, other: SourceReport) -> None:
        """Add the report on another part of the same source. `items` is that of the whole source in both."""
        self.looked_at += other.looked_at
        self.interrupted = self.interrupted or other.interrupted
        self.cut_short = self.cut_short or other.cut_short
        self.encoded += other.encoded
        self.error = self.error or other.error
        self.error_kind = self.error_kind or other.error_kind
        for name, numbers in other.data.items():
            self.numbers(name).merge(numbers)
        self.array_shapes = {**other.array_shapes, **self.array_shapes}
        for shape, (number, where) in other.shapes.items():
            self.shape(shape, where, number)
        for array, labels in other.labels.items():
            for value, (number, where) in labels.items():
                self.label(array, value, where, number)
        for kind, fault in other.faults.items():
            mine = self.faults.setdefault(kind, Fault())
            mine.count += fault.count
            mine.examples = (mine.examples + fault.examples)[:EXAMPLES]
        self.threshold = min(self.threshold, other.threshold)
        both = {**other.contents, **self.contents}
        self.contents = {digest: where for digest, where in both.items() if digest < self.threshold}
        self._thin_out()

    def same_contents(self, other: SourceReport) -> tuple[int, int, list[tuple[str, str]]]:
        """Return the number of sampled items that both sources share, the sample size, and the places of some of them."""
        limit = min(self.threshold, other.threshold)
        mine = {digest for digest in self.contents if digest < limit}
        shared = sorted(mine & other.contents.keys())
        total = len(mine) or 1
        return len(shared), total, [(self.contents[one], other.contents[one]) for one in shared[:EXAMPLES]]


def _count(table: dict[Any, list[Any]], key: Any, where: str, number: int) -> None:
    known = table.get(key)
    if known is not None:
        known[0] += number
    elif len(table) < DISTINCT:
        table[key] = [number, where]


class Watch:
    """Receives the progress of a check and decides whether to continue."""

    def seen(self, number: int) -> bool:
        """Record that more items were read; False if the check should stop."""
        return True


def chosen(items: int, sample: int | None) -> Iterator[int]:
    """Return the indices of a sample, one at random from each of equally long sections; without a sample, all indices.

    They are random because labels often alternate, but the same in every run and process.
    """
    if sample is None or sample >= items:
        yield from range(items)
    else:
        pick = random.Random(items)
        ends = [index * items // sample for index in range(sample + 1)]
        yield from (pick.randrange(start, end) for start, end in itertools.pairwise(ends))
