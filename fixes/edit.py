"""Edits, the changes in meaning that they cause, and fixes, which consist of both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from enum import IntEnum
from typing import Any

from ..proto.named_tuple import NamedTuple
from ..proto.tree import Block


class Edit(NamedTuple):
    """Replaces the bytes from `start` to `end` of the original with `text`; an insertion if both are equal."""

    start: int
    end: int
    text: bytes


class Change(NamedTuple):
    """A change to the meaning of one message: after the fix, `field` holds exactly `values`.

    The message is identified by its block in the tree. Values are in the form of `binder.plain_value`; no values mean that
    the field is removed. A field that is not in the schema has the name `?field`.
    """

    block: Block
    field: str
    values: tuple[Any, ...]


class Insertion(NamedTuple):
    """An addition to a repeated message field: `value` comes after the message `after` (None: at the start)."""

    block: Block
    field: str
    after: Block | None
    value: dict[str, list[Any]]


class Replacement(NamedTuple):
    """The new meaning of a whole file: exactly `value`, in the form of `binder.plain`."""

    value: dict[str, list[Any]]


class Stage(IntEnum):
    """What a fix changes, in the order in which fixes are applied.

    Later ones depend on earlier ones: a misspelled field, once repaired, gives another loss, this another learning rate, and
    this another clip threshold.
    """

    SYNTAX = 0  # text that cannot be read, or only its layout
    NAMES = 1  # unknown fields and values
    STRUCTURE = 2  # everything else
    LOSS_WEIGHTS = 3  # or all parts of a computed repair
    RATE = 4  # base_lr, also together with a clip threshold
    CLIPPING = 5

    @property
    def is_computed(self) -> bool:
        """Whether its values are computed from all files of a training."""
        return self >= Stage.LOSS_WEIGHTS


def stage_of(changes: Iterable[Change | Insertion | Replacement]) -> Stage:
    """Return the stage of a fix with these changes."""
    fields = {change.field if isinstance(change, Change) else "" for change in changes}
    if not fields:
        return Stage.SYNTAX
    if any(field.startswith("?") for field in fields):
        return Stage.NAMES
    if fields == {"loss_weight"}:
        return Stage.LOSS_WEIGHTS
    if "base_lr" in fields:
        return Stage.RATE
    return Stage.CLIPPING if fields == {"clip_gradients"} else Stage.STRUCTURE


class Fix(NamedTuple):
    """A repair of one file.

    `safe` fixes are applied by `--fix`. The others, which change the architecture or are a guess, are applied only with
    `--unsafe-fixes`. `changes` lists every field whose value differs afterwards; no other field may change.
    A repair that is one as a whole may consist of several fixes, of several files: `repair` says which it is, and `parts` of how
    many. They are applied together, or none of them.
    """

    path: str
    title: str
    edits: tuple[Edit, ...]
    changes: tuple[Change | Insertion | Replacement, ...]
    safe: bool = True
    stage: Stage = Stage.STRUCTURE
    repair: str = ""
    parts: int = 1

    @property
    def start(self) -> int:
        """The first byte that it changes."""
        return min(edit.start for edit in self.edits)

    def part_of(self, repair: str, parts: int, stage: Stage = Stage.LOSS_WEIGHTS) -> Fix:
        """The same as one of several fixes of a repair, which are all of one stage."""
        return self if parts < 2 else self._replace(repair=repair, parts=parts, stage=stage)


def partial_repairs(fixes: Collection[Fix]) -> set[str]:
    """Return the repairs of which not all parts are among some fixes."""
    parts = {fix.repair: fix.parts for fix in fixes if fix.repair}
    counts = Counter(repair for repair, _, _ in {(fix.repair, fix.path, fix.edits) for fix in fixes})
    return {repair for repair, number in parts.items() if counts[repair] < number}
