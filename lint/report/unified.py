"""The differences between two lists of lines as a unified diff, whose lines are those that an edit touched.

Python's own matcher takes lines that are frequent in a large file, as most lines of a net are, for noise, and shows lines
that nobody touched as removed and added. Here lines that occur once in both texts are matched first, the others between them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from difflib import Match, SequenceMatcher

Lines = Sequence[str]


def unified_lines(old: Lines, new: Lines, context: int, *names: str) -> Iterator[str]:
    """Yield the lines of the diff with their endings, with `context` lines around each change; none if nothing differs.

    `names` are those of the old and the new file, which its head names, if there is to be one.
    """
    hunks = _Matcher(old, new).get_grouped_opcodes(context)
    if names and old != new:
        yield f"--- {names[0]}\n"
        yield f"+++ {names[1]}\n"
    for hunk in hunks:
        (_, first, _, new_first, _), (_, _, last, _, new_last) = hunk[0], hunk[-1]
        yield f"@@ -{_range(first, last)} +{_range(new_first, new_last)} @@\n"
        for tag, start, end, new_start, new_end in hunk:
            if tag == "equal":
                yield from (" " + line for line in old[start:end])
            else:
                yield from ("-" + line for line in old[start:end])
                yield from ("+" + line for line in new[new_start:new_end])


def _range(start: int, end: int) -> str:
    """Return a range of lines as the head of a hunk writes it; that of no lines names the line before it."""
    length = end - start
    return f"{start + 1}" if length == 1 else f"{start + (length > 0)},{length}"


class _Matcher(SequenceMatcher[str]):
    """A matcher of lines that takes its matching blocks from `_pairs`."""

    def __init__(self, old: Lines, new: Lines) -> None:
        super().__init__(None, old, new, autojunk=False)
        self._texts = old, new

    def get_matching_blocks(self) -> list[Match]:
        """Return the runs of equal lines in order, and an empty one at the end."""
        blocks: list[Match] = []
        for old, new in _pairs(*self._texts):
            start, new_start, size = blocks.pop() if blocks else Match(old, new, 0)
            if (start + size, new_start + size) == (old, new):
                blocks.append(Match(start, new_start, size + 1))
            else:
                blocks += (Match(start, new_start, size), Match(old, new, 1))
        return [*blocks, Match(len(self._texts[0]), len(self._texts[1]), 0)]


def _pairs(old: Lines, new: Lines) -> list[tuple[int, int]]:
    """Return the indices of the lines that stay, in both texts."""
    found: list[tuple[int, int]] = []
    parts = [(0, len(old), 0, len(new))]
    while parts:
        start, end, new_start, new_end = parts.pop()
        while start < end and new_start < new_end and old[start] == new[new_start]:
            found.append((start, new_start))
            start, new_start = start + 1, new_start + 1
        while start < end and new_start < new_end and old[end - 1] == new[new_end - 1]:
            end, new_end = end - 1, new_end - 1
            found.append((end, new_end))
        if start == end or new_start == new_end:
            continue
        anchors = _anchors(old, new, start, end, new_start, new_end)
        for at, new_at in anchors:
            found.append((at, new_at))
            parts.append((start, at, new_start, new_at))
            start, new_start = at + 1, new_at + 1
        if anchors:
            parts.append((start, end, new_start, new_end))
            continue
        matcher = SequenceMatcher(None, old[start:end], new[new_start:new_end], autojunk=False)
        for block in matcher.get_matching_blocks():
            found += ((start + block.a + each, new_start + block.b + each) for each in range(block.size))
    return sorted(found)


def _anchors(old: Lines, new: Lines, start: int, end: int, new_start: int, new_end: int) -> list[tuple[int, int]]:
    """Return the lines that occur once in a part of both texts, as many as are in the same order in both (patience diff)."""
    new_places = _single_lines(new, new_start, new_end)
    pairs = [(at, new_places[line]) for line, at in _single_lines(old, start, end).items() if line in new_places]
    ends: list[int] = []  # for each length, the place at which the sequence of that length with the earliest end ends
    lasts: list[int] = []  # the pair there
    before: list[int] = []  # the pair before each pair in its sequence, -1 for none
    for index, (_, place) in enumerate(pairs):
        length = bisect_left(ends, place)
        ends[length : length + 1] = [place]
        lasts[length : length + 1] = [index]
        before.append(lasts[length - 1] if length else -1)
    found = []
    index = lasts[-1] if lasts else -1
    while index >= 0:
        found.append(pairs[index])
        index = before[index]
    return found[::-1]


def _single_lines(lines: Lines, start: int, end: int) -> dict[str, int]:
    """Return the places of the lines that occur once in a part, in order."""
    places: dict[str, int] = {}
    for at in range(start, end):
        places[lines[at]] = -1 if lines[at] in places else at
    return {line: at for line, at in places.items() if at >= 0}
