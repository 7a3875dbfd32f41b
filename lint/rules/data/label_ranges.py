"""Labels against the number of classes of what reads them, as they arrive there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from ...net.classes import LabelUse
from ...proto.named_tuple import NamedTuple
from ...source.wording import counted

Labels = Mapping[float, list[Any]]  # each with its number, 0 if that is unknown, and its first place, which may be empty

MOST_CLASSES = 100_000  # that a message proposes


def labels_out_of_range(
    name: str, uses: Iterable[LabelUse], labels_of: Callable[[LabelUse], Labels]
) -> Iterator[tuple[str, str]]:
    """Yield a message and a reason for labels of a source that are none of the classes, for all readers of the same ones."""
    every = list(uses)
    groups: dict[tuple[Any, ...], list[LabelUse]] = {}
    for use in every:
        if use.classes is None or not use.source.whole:
            continue
        bad = tuple(sorted(label for label in arriving(use, labels_of(use)) if not use.is_valid(label)))
        if bad:
            groups.setdefault((use.top, use.classes, bad), []).append(use)
    for (_, classes, wrong), group in groups.items():
        group.sort(key=lambda use: use.reader.traits.measures)
        use = group[0]
        found = arriving(use, labels_of(use))
        labels = {label: occurrences for label, occurrences in found.items() if label in wrong}
        number = total(labels)
        shown = counted(number, "label") if number else "labels"
        readers = " and ".join(f"{one.reader.type} '{one.reader.name}'" for one in group)
        scores = f" of '{use.scores_of.name}'" if use.scores_of is not None else ""
        reason = f"Caffe does not check labels: it reads memory outside the scores{scores}, or the loss is NaN."
        which = "the only class" if classes == 1 else f"the {classes} classes"
        remedy = _remedy(use, every, found, labels)
        message = f"{name}: {shown} out of range for {which} of {readers}: {examples(labels)}{remedy.what}"
        yield message, f"{reason} {remedy.advice}".rstrip()


def arriving(use: LabelUse, labels: Labels) -> dict[float, list[Any]]:
    """Return the labels of a source as their reader gets them, each with its number and first place."""
    found: dict[float, list[Any]] = {}
    for label, (number, where) in labels.items():
        arrives = use.source.arrives(label)
        if arrives is not None:
            entry = found.setdefault(arrives, [0, where])
            entry[0] += number
    return found


def examples(labels: Labels) -> str:
    """Return up to three labels, each with the place of its first occurrence unless that is not known."""
    return "; ".join(
        f"{label:g} ({where})" if where else f"{label:g}" for label, (_, where) in sorted(labels.items())[:3]
    )


def total(labels: Labels) -> int:
    """Return the number of occurrences, 0 if it is not known: facts may have the range of labels only."""
    return sum(number for number, _ in labels.values())


class _Remedy(NamedTuple):
    """What labels that are out of range have in common, to be appended to the message, and what would settle it."""

    what: str
    advice: str


def _remedy(use: LabelUse, uses: Iterable[LabelUse], found: Labels, bad: Labels) -> _Remedy:
    if not all(map(math.isfinite, found)):
        return _Remedy("", "")
    least, most = min(found), max(found)
    classes = use.classes or 0
    ignoring = [
        other.reader.name
        for other in uses
        if other.top is use.top and other.ignored is not None and all(int(label) == other.ignored for label in bad)
    ]
    if ignoring:
        return _Remedy(f"; loss '{ignoring[0]}' ignores it, '{use.reader.name}' does not", "Set the same ignore_label for both.")
    if least == 1 and most == classes and len(bad) == 1:
        return _Remedy("; labels seem to count from 1", "Caffe counts classes from 0.")
    if most - least + 1 == classes and least > 0:
        return _Remedy(f"; labels seem to count from {least:g}", "Caffe counts classes from 0.")
    rest = [label for label in found if label not in bad]
    if set(bad) == {255.0} and max(rest, default=0.0) < 254:
        return _Remedy("", "255 often marks pixels without a class: ignore_label: 255 skips them.")
    if least >= 0 and not most % 1 and most < MOST_CLASSES:
        name = f" in '{use.scores_of.name}'" if use.scores_of is not None else ""
        needed = f"Labels from {least:g} to {most:g} need num_output: {int(most) + 1}{name}"
        skipped = f", or ignore_label: {int(most)} if that is no class" if len(bad) == 1 and not use.is_per_item else ""
        return _Remedy("", f"{needed}{skipped}.")
    return _Remedy("", "")
