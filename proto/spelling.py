"""Find the known name that a misspelled one probably means, and tell whether that is certain enough to write it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache

_SHORTEST = 3  # letters; in a shorter name, one wrong letter says too little


@lru_cache(maxsize=8192)  # each unknown name is compared with all that the schema knows
def fold(name: str) -> str:
    """Return a name in lower case without underscores and dashes."""
    return name.replace("_", "").replace("-", "").lower()


_letters = lru_cache(maxsize=8192)(frozenset[str])


class KnownNames:
    """Names that misspelled ones are compared with."""

    def __init__(self, names: Iterable[str]) -> None:
        self.folded: dict[str, list[str]] = {}
        self.of_length: dict[int, list[tuple[str, frozenset[str]]]] = {}
        for name in names:
            self.folded.setdefault(fold(name), []).append(name)
            self.of_length.setdefault(len(name), []).append((name, _letters(name)))


def nearest_name(name: str, known: Iterable[str] | KnownNames) -> str | None:
    """Return the closest known name within edit distance 2 (1 for names of up to four letters), if it is unique.

    A name that differs only in case and underscores is closer than any other.
    """
    names = known if isinstance(known, KnownNames) else KnownNames(known)
    same = names.folded.get(fold(name))
    if same:
        return same[0] if len(same) == 1 else None
    limit = 1 if len(name) <= 4 else 2
    letters = _letters(name)
    best: list[str] = []
    for length in range(len(name) - limit, len(name) + limit + 1):
        for candidate, others in names.of_length.get(length, ()):
            if len(letters - others) > limit or len(others - letters) > limit:
                continue  # an edit adds one letter at most, and removes one at most
            distance = edit_distance(name, candidate, limit)
            if distance < limit:
                best = [candidate]
                limit = distance
            elif distance == limit:
                best.append(candidate)
    return best[0] if len(best) == 1 else None


def is_certain(written: str, meant: str, known: Iterable[str]) -> bool:
    """Whether a name can only be a slip for `meant`, so that a default fix may write that.

    They differ in case, underscores and dashes only, or by one letter, two swapped neighbours counting as one, and never in a
    digit; and no other of the `known` names is as close. Everything else is a suggestion.
    """
    others = [name for name in known if name != meant]
    folded = fold(written)
    if folded == fold(meant):
        return all(fold(name) != folded for name in others)
    return (
        len(written) >= _SHORTEST
        and edit_distance(written, meant, 1) == 1
        and same_numbers(written, meant)
        and all(fold(name) != folded and edit_distance(written, name, 1) > 1 for name in others)
    )


def same_numbers(name: str, other: str) -> bool:
    """Whether two names contain the same numbers, in the same order."""
    return re.findall(r"\d+", name) == re.findall(r"\d+", other)


def edit_distance(a: str, b: str, limit: int) -> int:
    """Return the Levenshtein distance, counting a transposition as one edit, or `limit + 1` if it exceeds `limit`."""
    if abs(len(a) - len(b)) > limit:
        return limit + 1
    previous: list[int] = []
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        before, previous, row = previous, row, [i]
        for j, y in enumerate(b, 1):
            cost = previous[j - 1] + (x != y)
            if previous[j] < cost:
                cost = previous[j] + 1
            if row[-1] < cost:
                cost = row[-1] + 1
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y and before[j - 2] < cost:
                cost = before[j - 2] + 1
            row.append(cost)
        if min(row) > limit:
            return limit + 1
    return row[-1] if row[-1] <= limit else limit + 1
