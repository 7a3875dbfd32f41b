"""Missing and extra braces, and what the indentation says about them."""

from __future__ import annotations

from bisect import bisect_right
from collections import deque
from collections.abc import Sequence

from .lines import Lines
from .tree import Block, Field, ListValue, Problem, Tree


class OpenList(Block):
    """A list among the open blocks. `comma` is the position of a comma that no value has followed yet, otherwise -1."""

    __slots__ = ("comma", "lacks_comma", "needs_comma", "values")

    def __init__(self, values: ListValue) -> None:
        super().__init__(values.start + 1)
        self.values = values
        self.comma = -1
        self.needs_comma = False
        self.lacks_comma = -1  # the problem that lists the missing commas


def holder_of(open_blocks: Sequence[Block], depth: int) -> Field | None:
    """Return the field whose value is the open block at a depth; None for an item of a list."""
    parent = open_blocks[depth - 1]
    return None if isinstance(parent, OpenList) or not parent.fields else parent.fields[-1]


def brace_problems(tree: Tree) -> list[Problem]:
    """Return the problems of a tree that are about unbalanced braces."""
    return [problem for problem in tree.problems if problem.kind in ("unclosed", "missing-brace", "extra-brace")]


def open_at_end(tree: Tree) -> list[Field]:
    """Return the fields whose blocks are still open at the end of the file, outermost first."""
    found = []
    block = tree.root
    while block.fields:
        last = block.fields[-1]
        if not isinstance(last.value, Block) or last.value.close < len(tree.source):
            break
        found.append(last)
        block = last.value
    return found


class TopBlocks:
    """The top-level blocks of a file, asked for the one that an unmatched brace may have been meant to close.

    `fields` may grow between the questions, which must move forward through the file.
    """

    def __init__(self, fields: Sequence[Field], lines: Lines) -> None:
        self._fields = fields
        self._lines = lines
        self._seen = 0
        # Indentation and index of the blocks that no block after them has less or equal indentation than.
        self._outward: list[tuple[int, int]] = []

    def closed_early(self, brace: int) -> int:
        """Return the index of the last block that is indented no further than the brace, or else of the last; -1 for none."""
        end = bisect_right(self._fields, brace, key=lambda field: field.start)
        for number in range(self._seen, end):
            if isinstance(self._fields[number].value, Block):
                indent = self._lines.indent(self._fields[number].start)
                while self._outward and self._outward[-1][0] >= indent:
                    self._outward.pop()
                self._outward.append((indent, number))
        self._seen = max(self._seen, end)
        if not self._outward:
            return -1
        within = bisect_right(self._outward, self._lines.indent(brace), key=lambda block: block[0])
        return self._outward[within - 1][1]


class Indentation:
    """Finds missing and extra braces by indentation, in a file with unbalanced braces.

    It is consulted from the start of a block that is never closed, and before each unmatched brace, from the start of the
    block that was closed before it, and for no more braces than are wrong. Each positive answer counts as one brace
    found. Queries must move forward through the file.
    """

    def __init__(self, tree: Tree, braces: Sequence[Problem]) -> None:
        self.lines = tree.lines
        self._missing = 0
        self._since = len(tree.source)
        self._extra: deque[list[int]] = deque()  # from, to, number of braces
        self._flat: set[int] = set()  # the starts of blocks whose fields are not indented
        top = TopBlocks(tree.root.fields, tree.lines)
        for problem in braces:
            if problem.kind == "unclosed":
                self._since = problem.start
                self._missing = len(open_at_end(tree))
            else:
                index = top.closed_early(problem.start)
                start = tree.root.fields[index].start if index >= 0 else 0
                self._extra.append([start, problem.end, tree.source.count(b"}", problem.start, problem.end)])

    def quiet_until(self, position: int) -> int:
        """Return the start of a line up to which, from a position on, every answer is no; that or less if none can be told."""
        quiet = self.lines.start(self._since) if self._missing > 0 else len(self.lines.source)
        while self._extra and self._extra[0][1] <= position:
            self._extra.popleft()
        if self._extra:
            start, end, number = self._extra[0]
            quiet = min(quiet, self.lines.start(start if number else end))
        return quiet

    def _asks(self, position: int) -> bool:
        return position > self._since and self._missing > 0 and self.lines.begins_at(position)

    def repeats_start(self, open_blocks: Sequence[Block], position: int, name: str) -> bool:
        """Whether the line of `position` opens the same block as the line before it."""
        block, holder = open_blocks[-1], holder_of(open_blocks, len(open_blocks) - 1)
        if not self._asks(position) or holder is None or block.fields or holder.name != name:
            return False
        if self.lines.indent(position) > self.lines.indent(holder.start):
            return False
        between = self.lines.source[block.open_end : position]
        repeats = between.isspace() and b"\n" in between
        self._missing -= repeats
        return repeats

    def lost_before_field(self, open_blocks: Sequence[Block], position: int, name: str, *, opens: bool) -> bool:
        """Whether the closing brace of the innermost block is missing before the line on which the field `name` starts.

        This is so if the line is indented no further than the one that opened the block or, in a block whose fields are
        not indented, if it starts a block with the name of one that is open.
        """
        holder = holder_of(open_blocks, len(open_blocks) - 1)
        if not self._asks(position) or holder is None or self.lines.same(holder.start, position):
            return False
        block = open_blocks[-1]
        lost = self.lines.indent(position) <= self.lines.indent(holder.start)
        if lost and not block.fields:
            self._flat.add(block.start)
        if block.start in self._flat:
            outer = range(max(1, len(open_blocks) - self._missing), len(open_blocks))
            holders = (holder_of(open_blocks, depth) for depth in outer)
            lost = opens and any(holder is not None and holder.name == name for holder in holders)
        self._missing -= lost
        return lost

    def lost_before_brace(self, open_blocks: Sequence[Block], position: int) -> bool:
        """Whether the closing brace of the innermost block is missing before a brace of the block around it."""
        if len(open_blocks) < 3 or not self._asks(position) or open_blocks[-1].start in self._flat:
            return False
        inner = holder_of(open_blocks, len(open_blocks) - 1)
        outer = holder_of(open_blocks, len(open_blocks) - 2)
        if inner is None or outer is None:
            return False
        lost = self.lines.indent(outer.start) >= self.lines.indent(position) < self.lines.indent(inner.start)
        self._missing -= lost
        return lost

    def reversed_brace(self, open_blocks: Sequence[Block], position: int) -> bool:
        """Whether a `{` without a name is in the place of the closing brace of the innermost block."""
        holder = holder_of(open_blocks, len(open_blocks) - 1)
        is_reversed = (
            holder is not None
            and self._asks(position)
            and self.lines.ends_at(position + 1)
            and self.lines.indent(position) == self.lines.indent(holder.start)
        )
        self._missing -= is_reversed
        return is_reversed

    def is_extra(self, open_blocks: Sequence[Block], position: int) -> bool:
        """Whether a closing brace is extra because it is not in the place where the innermost block should end."""
        while self._extra and self._extra[0][1] <= position:
            self._extra.popleft()
        holder = holder_of(open_blocks, len(open_blocks) - 1)
        if not self._extra or self._extra[0][0] > position or not self._extra[0][2] or holder is None:
            return False
        lines = self.lines
        if lines.same(holder.start, position):
            return False
        if lines.begins_at(position):
            is_extra = lines.indent(position) > lines.indent(holder.start) and open_blocks[-1].start not in self._flat
        else:
            # It follows another brace on this line, although its block started on a separate line.
            before = lines.source[lines.text_start(position) : position]
            is_extra = lines.begins_at(holder.start) and (b"{" in before or b"}" in before)
        self._extra[0][2] -= is_extra
        return is_extra
