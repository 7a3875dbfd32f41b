"""Reading one statement at a time: the whole grammar of text format, and a way on behind everything that is not in it.

One mistake gives one problem. Where only one reading is likely, the problem holds the repair and the tree what the text
says after it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import deque

from .parser import SPACE
from .tree import Block, Field, ListValue, Problem, Scalar, Tree
from .values import bad_escape

# What a file can have wrong with its structure before nobody reads on.
MAX_PROBLEMS = 1000

_skip = re.compile(SPACE).match
# A token as protobuf's tokenizer cuts it. Groups: 1 identifier, 2 number, 3 string, 4 any other character.
_token = re.compile(
    rb"([A-Za-z_][A-Za-z0-9_]*)"
    rb"|((?:0[xX][0-9a-fA-F]*|0[0-9]+|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]*)?[fF]?)[A-Za-z0-9_.]*)"
    rb"|(\"(?:[^\"\\\n\0]|\\[^\n\0])*\"|'(?:[^'\\\n\0]|\\[^\n\0])*')"
    rb"|((?s:.))"
).match
_number = re.compile(
    rb"0[xX][0-9a-fA-F]+|0[0-7]+|(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fF]?"
).fullmatch
_number_and_name = re.compile(
    rb"((?:0|[1-9][0-9]*)(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?)([A-Za-z_][A-Za-z0-9_]*)[ \t]*[:{]"
).match
_word_and_name = re.compile(rb"((?:[tT]rue|[fF]alse)|[A-Z][A-Z0-9_]+)([a-z][A-Za-z0-9_]*)[ \t]*[:{]").match
_field_start = re.compile(rb"(?![A-Za-z]:[\\/])[A-Za-z_][A-Za-z0-9_]*[ \t]*[:{]").match
_odd_name = re.compile(rb"([^\s:=(){}<>#;,\"'\[\]\0-\x1f\x7f-\xff]+)[ \t]*[:{]").match
_quoted_name = re.compile(rb"[\"']([A-Za-z_][A-Za-z0-9_]*)[\"'][ \t]*[:{]").match
_glued_word = re.compile(rb"[;,][^\s{}<>#;,\"'\[\]\0-\x1f]+").match
_bare_word = re.compile(rb"[^\s{}<>#;,\"'\[\]\0-\x1f]+").match
_word = re.compile(rb"[^\s{}#;,]+|,(?=[ \t]*[-+.0-9\"'])").match
_string_with_nul = re.compile(rb"\"(?:[^\"\\\n]|\\[^\n])*\"|'(?:[^'\\\n]|\\[^\n])*'").match
_blanks = re.compile(rb"[ \t]*").match
_line_rest = re.compile(rb"[ \t]*(?:#|\r?\n|\r?\Z)").match
_stray_before_brace = re.compile(rb"([^\w\s{}\"':#]{1,3})[ \t]*(?:\r?\n[ \t]*)?\{").match
_lost_quote = re.compile(rb"([^\s\"']+)[ \t]+[A-Za-z_][A-Za-z0-9_]*[ \t]*[:{]").match
_extension = re.compile(rb"\[[ \t]*[A-Za-z_][A-Za-z0-9_./ -]*\]").match

_NAME_START = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_AFTER_WORD = frozenset(b" \t\n\v\f\r}>;,]#")
_QUOTES = b"\"'"
_CLOSERS = {0x3C: b">", 0x28: b")"}  # of < and (; every other block ends with }
_CONFLICT_MARKS = (b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||")

Edits = tuple[tuple[int, int, bytes], ...]


class _OpenList(Block):
    """A list among the open blocks. `comma` is where the last one stands while no value has followed it, else -1."""

    __slots__ = ("comma", "lacks_comma", "needs_comma", "values")

    def __init__(self, values: ListValue) -> None:
        super().__init__(values.start, values.start + 1)
        self.values = values
        self.comma = -1
        self.needs_comma = False
        self.lacks_comma = -1  # the problem that lists the missing commas


class Indentation:
    """Where the indentation may be asked about braces: from the block on that is never closed, and before each
    brace that closes nothing, back to the start of the block that was closed before it."""

    def __init__(self, tree: Tree, braces: list[Problem]) -> None:
        self.flat: set[int] = set()  # the starts of blocks whose fields are not indented
        self.missing = 0
        self.since = len(tree.source)
        self.surplus: deque[list[int]] = deque()  # from, to, number of braces
        for problem in braces:
            if problem.kind == "unclosed":
                self.since = problem.start
                self.missing = len(_open_at_end(tree))
            else:
                index = closed_early(tree, problem.start)
                start = tree.root.fields[index].start if index >= 0 else 0
                count = tree.source.count(b"}", problem.start, problem.end)
                self.surplus.append([start, problem.end, count])

    def surplus_at(self, position: int) -> list[int] | None:
        """The stretch around a position, which only ever grows, in which braces are too many."""
        while self.surplus and self.surplus[0][1] <= position:
            self.surplus.popleft()
        if self.surplus and self.surplus[0][0] <= position and self.surplus[0][2]:
            return self.surplus[0]
        return None


def closed_early(tree: Tree, brace: int) -> int:
    """The last of the outermost fields that may have lost its end to a brace that closes nothing; -1 for none.

    That is the last block no further in than the brace.
    """
    fields = tree.root.fields
    index = bisect_right(fields, brace, key=lambda field: field.start) - 1
    indent = _indent(tree, brace)
    nearest = -1
    for number in range(index, max(-1, index - MAX_PROBLEMS), -1):
        if isinstance(fields[number].value, Block):
            nearest = max(nearest, number)
            if _indent(tree, fields[number].start) <= indent:
                return number
    return nearest


def _indent(tree: Tree, position: int) -> int:
    """Width of the indentation of the line that holds a position."""
    match = _blanks(tree.source, tree.line_starts[tree.line_of(position) - 1])
    assert match is not None
    return len(match[0].expandtabs(4))


def brace_problems(tree: Tree) -> list[Problem]:
    """The problems of a tree that say that its braces do not add up, each once for every brace."""
    kinds = ("unclosed", "missing-brace", "extra-brace")
    return [problem for problem in tree.problems if problem.kind in kinds]


def _open_at_end(tree: Tree) -> list[Field]:
    """The fields whose blocks the end of the file finds open, from the outermost to the innermost."""
    found = []
    block = tree.root
    while block.fields:
        last = block.fields[-1]
        if not isinstance(last.value, Block) or last.value.close < len(tree.source):
            break
        found.append(last)
        block = last.value
    return found


class Reader:
    """Reads statements into the innermost of the open blocks in `stack`, which it shares with the parser.

    `special` counts the open lists and blocks that are not closed by a plain `}`: as long as there are any, every
    statement has to be read here.
    """

    def __init__(self, source: bytes, stack: list[Block], indentation: Indentation | None) -> None:
        self.source = source
        self.stack = stack
        self.problems: list[Problem] = []
        self.malformed: list[Scalar | Field] = []
        self.uncertain: list[tuple[int, int]] = []
        self.special = 0
        self._indentation = indentation
        self._transparent: set[int] = set()  # starts of braces that open nothing
        self._opened_by: dict[int, int] = {}  # start of a block: the problem about its opening bracket
        self._tree = Tree(source, stack[0], self.problems)
        self._edits: dict[int, list[tuple[int, int, bytes]]] = {}  # of the repairs that grow
        self._indents: dict[int, int] = {}  # line: where its text begins
        self._absent: set[bytes] = set()  # what was searched for and does not come any more
        self._conflict = (-1, -1)  # the second side of the last merge conflict
        self._prose = (-1, -1)  # the last problem about a line of prose, and where that ended

    # -- places ---------------------------------------------------------------------------------------------

    def problem(
        self,
        kind: str,
        start: int,
        end: int,
        message: str,
        repair: Edits | None = None,
        title: str = "",
        safe: bool = True,
    ) -> int:
        """Reports a problem and gives its number, -1 if there are too many already."""
        if len(self.problems) >= MAX_PROBLEMS:
            return -1
        self.problems.append(Problem(kind, start, max(end, start), message, repair, title, safe))
        return len(self.problems) - 1

    def also_repair(self, number: int, *edits: tuple[int, int, bytes]) -> None:
        """Adds edits to the repair of a problem that has been reported."""
        if number >= 0:
            if number not in self._edits:
                self._edits[number] = list(self.problems[number].repair or ())
            self._edits[number] += edits

    def finish(self) -> None:
        """Writes the repairs that grew into their problems."""
        for number, edits in self._edits.items():
            self.problems[number] = self.problems[number]._replace(repair=tuple(edits))

    def bad(self, scalar: Scalar) -> Scalar:
        """Marks a scalar as none that the tokenizer would cut."""
        if len(self.malformed) < MAX_PROBLEMS:
            self.malformed.append(scalar)
        elif len(self.problems) < MAX_PROBLEMS:
            self.problem("syntax", scalar.start, scalar.end, f"{self.quote(scalar.start, scalar.end)} is no value")
        return scalar

    def line_of(self, position: int) -> int:
        """Line of a position, from 1."""
        return self._tree.line_of(position)

    def line_start(self, position: int) -> int:
        return self._tree.line_starts[self.line_of(position) - 1]

    def line_end(self, position: int) -> int:
        """Where the line ends that holds a position: its line feed, or the end of the file."""
        line, starts = self.line_of(position), self._tree.line_starts
        return starts[line] - 1 if line < len(starts) else len(self.source)

    def text_start(self, position: int) -> int:
        """Where the text of a line begins, behind its indentation."""
        line = self.line_of(position)
        if line not in self._indents:
            match = _blanks(self.source, self.line_start(position))
            assert match is not None
            self._indents[line] = match.end()
        return self._indents[line]

    def begins_line(self, position: int) -> bool:
        return self.text_start(position) == position

    def indent(self, position: int) -> int:
        """Width of the indentation of the line that holds a position."""
        return len(self.source[self.line_start(position) : self.text_start(position)].expandtabs(4))

    def same_line(self, start: int, end: int) -> bool:
        return self.source.find(b"\n", start, end) < 0

    def eol(self, position: int) -> bytes:
        """How the line before `position` ends."""
        return b"\r\n" if self.source[position - 2 : position] == b"\r\n" else b"\n"

    def quote(self, start: int, end: int) -> str:
        """What stands there, shortened, for a message."""
        text = self.source[start : min(end, start + 200)].decode("utf-8", "replace")
        return text if len(text) <= 40 else text[:37] + "..."

    def find(self, what: bytes, position: int) -> int:
        """Where something comes next, -1 if it does not. What does not come is looked for once only."""
        found = -1 if what in self._absent else self.source.find(what, position)
        if found < 0:
            self._absent.add(what)
        return found

    # -- between statements ---------------------------------------------------------------------------------

    def skip(self, position: int) -> int:
        """Past space and comments, and past what was meant as such (each a problem)."""
        source = self.source
        while True:
            match = _skip(source, position)
            assert match is not None
            position = match.end()
            if position >= len(source):
                return position
            character = source[position]
            if character == 0x2F and source[position + 1 : position + 2] in (b"/", b"*"):
                position = self.foreign_comment(position)
            elif character == 0x23:  # a comment that runs into a NUL
                nul = source.index(b"\0", position)
                self.control_characters(nul)
                position = self.line_end(nul)
            elif character < 0x20 or character == 0x7F:
                position = self.control_characters(position)
            else:
                return position

    def control_characters(self, start: int) -> int:
        source = self.source
        end = start
        while end < len(source) and (source[end] == 0x7F or source[end] < 0x20) and source[end] not in b" \t\n\v\f\r":
            end += 1
        name = "NUL byte" if source[start] == 0 else f"control character 0x{source[start]:02x}"
        # Between two halves of a word it is not clear that they belong together.
        within_word = source[start - 1 : start].isalnum() and source[end : end + 1].isalnum()
        repair = None if within_word else ((start, end, b""),)
        self.problem("syntax", start, end, f"{name}: Caffe's parser stops here", repair, "remove it" if repair else "")
        return end

    def foreign_comment(self, start: int) -> int:
        source = self.source
        if source[start + 1] == 0x2F:
            self.problem(
                "foreign-comment", start, start + 2, "'//' does not start a comment in text format, '#' does",
                ((start, start + 2, b"#"),), "write '#'",
            )  # fmt: skip
            return self.line_end(start)
        close = self.find(b"*/", start + 2)
        if close < 0:
            self.problem(
                "foreign-comment", start, start + 2, "'/*' does not start a comment in text format, '#' does",
                ((start, start + 2, b"#"),), "write '#'",
            )  # fmt: skip
            return self.line_end(start)
        end = close + 2
        behind = _blanks(source, end)
        assert behind is not None
        line_end = self.line_end(end)
        if behind.end() >= line_end or source[behind.end()] in b"\r#":
            # The lines of the comment become comments of their own.
            repair = [(start, start + 2, b"#")]
            line = source.find(b"\n", start, close)
            while line >= 0:
                repair.append((line + 1, line + 1, b"#"))
                line = source.find(b"\n", line + 1, close)
            repair.append((close, end, b""))
            title = "make every line of it a '#' comment"
        else:
            repair = [(start, end, b" ")]
            title = "remove it"
        self.problem(
            "foreign-comment", start, start + 2, "'/* */' is no comment in text format, '#' to the end of a line is",
            tuple(repair), title,
        )  # fmt: skip
        return end

    def conflict(self, start: int) -> int:
        """A mark of a merge conflict: what the first side says is read, the other one is not."""
        end = self.line_end(start)
        if self.source[start] != 0x3C:
            self.problem("syntax", start, end, "mark of a merge conflict that is not resolved")
        else:
            self.problem("syntax", start, end, "a merge conflict is not resolved: both sides of it stand here")
            middle = self.find(b"\n=======", end)
            last = self.find(b"\n>>>>>>>", end)
            if end <= middle < last:
                self._conflict = middle + 1, self.line_end(last + 1)
        return end

    # -- a statement ----------------------------------------------------------------------------------------

    def read(self, position: int) -> int:
        """Reads one statement, closing brace or piece of a list; gives the position behind it, -1 at the end."""
        source = self.source
        position = self.skip(position)
        top = self.stack[-1]
        if isinstance(top, _OpenList):
            return self.list_piece(top, position)
        if position >= len(source):
            self.close_at_end()
            self.finish()
            return -1
        character = source[position]
        if character in b"<=>|" and source[position : position + 7] in _CONFLICT_MARKS and self.begins_line(position):
            if position == self._conflict[0]:
                return self._conflict[1]
            return self.conflict(position)
        if character in _NAME_START:
            if self._indentation:
                self.close_by_indentation(position, self._indentation)
            return self.field(position)
        if character in b"}>":
            return self.close(position)
        if character in b")]" and len(self.stack) > 1 and self.closes_by(character, position):
            return self.close(position)
        if character in b";,":
            return self.separator(position)
        if character in _QUOTES:
            return self.string_at_start(position)
        if character == 0x7B:
            return self.nameless_brace(position)
        if character == 0x5B and (name := _extension(source, position)):
            return self.extension_name(position, name.end())
        if _odd_name(source, position):
            return self.field_of_odd_name(position)
        return self.junk(position)

    def string_at_start(self, position: int) -> int:
        """A string where a field should start: more of the string before it, or a name in quotes."""
        source = self.source
        name = _quoted_name(source, position)
        if name:
            self.problem(
                "syntax", position, name.end(1) + 1, f"the name of a field stands without quotes: {name[1].decode()}",
                ((position, position + 1, b""), (name.end(1), name.end(1) + 1, b"")), "remove the quotes",
            )  # fmt: skip
            return self.field(position + 1, name.end(1) + 1)
        fields = self.stack[-1].fields
        last = fields[-1] if fields else None
        token = _token(source, position)
        assert token is not None
        if last and self.joins(last.value, last.end) and token.lastindex == 3:
            assert isinstance(last.value, Scalar)
            self.join(last.value, token[3], token.end())
            last.end = token.end()
            return token.end()
        return self.junk(position)

    def joins(self, value: object, end: int) -> bool:
        """Whether a string that follows a value is joined to it: it is a string, nothing is wrong with it, and
        nothing but space and comments follows."""
        if not isinstance(value, Scalar) or value.text[0] not in _QUOTES or value.end != end:
            return False
        return not self.malformed or self.malformed[-1] is not value or value.text[-1] == value.text[0]

    def join(self, value: Scalar, text: bytes, end: int) -> None:
        value.text += text
        value.end = end
        if (
            b"\\" in text
            and bad_escape(text[1:-1]) is not None
            and not (self.malformed and self.malformed[-1] is value)
        ):
            self.bad(value)

    def separator(self, position: int) -> int:
        """A `;` or `,`: right after a field, once."""
        fields = self.stack[-1].fields
        if fields:
            last = fields[-1]
            between = _skip(self.source, last.end)
            assert between is not None
            if last.name and self.source[last.end - 1] not in b";," and between.end() == position:
                last.end = position + 1
                return position + 1
        end = position + 1
        while end < len(self.source) and self.source[end] in b";,":
            end += 1
        written = self.quote(position, end)
        self.problem(
            "syntax", position, end, f"expected a field name, found '{written}' (one separator at most may follow a field)",
            ((position, end, b""),), f"remove the '{written}'",
        )  # fmt: skip
        return end

    def extension_name(self, position: int, end: int) -> int:
        self.problem(
            "syntax", position, end,
            f"expected a field name, found {self.quote(position, end)}: Caffe's messages have no extensions",
        )  # fmt: skip
        field = Field("", position, -1, None, end)
        self.stack[-1].fields.append(field)
        after = self.skip(end)
        if self.source[after : after + 1] == b":":
            field.colon = after
            after = self.skip(after + 1)
        if (
            after < len(self.source)
            and (field.colon >= 0 or self.source[after] in b"{<[")
            and self.source[after] not in b"}>;,"
        ):
            return self.value(field, after)
        return after

    def nameless_brace(self, position: int) -> int:
        """`{` without a name: what is inside belongs to the block around it. Or it was meant as `}`."""
        if self._indentation and self.closes_wrong_way(position, self._indentation):
            self.problem(
                "syntax", position, position + 1, "expected '}' to close the block, found '{'", ((position, position + 1, b"}"),),
                "write '}'",
            )  # fmt: skip
            self.stack[-1].close = position
            self.leave(position + 1)
            return position + 1
        number = self.problem(
            "syntax", position, position + 1, "expected a field name, found '{'", ((position, position + 1, b""),),
            "remove the brace",
        )  # fmt: skip
        if not self._indentation:
            block = Block(position, position + 1)
            block.fields = self.stack[-1].fields
            self.stack.append(block)
            self.special += 1
            self._transparent.add(position)
            self._opened_by[position] = number
        return position + 1

    def junk(self, position: int) -> int:
        """What can be no field: more of the value before it on the same line, or a problem of its own."""
        source = self.source
        end = self.junk_end(position)
        fields = self.stack[-1].fields
        last = fields[-1] if fields else None
        if last and isinstance(last.value, Scalar):
            value = last.value
            between = _blanks(source, last.end)
            assert between is not None
            if between.end() == position and self.same_line(value.end, position):
                lost = self.reopened(value, position)
                if lost >= 0:
                    last.end = lost
                    return lost
                value.text = source[value.start : end]
                value.end = last.end = end
                if not (self.malformed and self.malformed[-1] is value):
                    self.bad(value)
                return end
        found = self.quote(position, end)
        if not self.ends_line(end):
            self.problem(
                "syntax",
                position,
                end,
                f"expected a field name, found {found}",
                ((position, end, b""),),
                "remove it",
                safe=False,
            )
            return end
        number, before = self._prose
        if number >= 0 and not source[before:position].strip():
            self.problems[number] = self.problems[number]._replace(end=end)
            self.also_repair(number, (position, position, b"# "))
        else:
            number = self.problem(
                "syntax", position, end, f"expected 'name: value', found {found}",
                ((position, position, b"# "),), "make it a comment", safe=False,
            )  # fmt: skip
        self._prose = number, end
        return end

    def ends_line(self, position: int) -> bool:
        """Whether nothing but a comment follows on the line."""
        return _line_rest(self.source, position) is not None

    def junk_end(self, position: int) -> int:
        """Where junk ends: with its line, or before a brace, a comment, or the start of a field."""
        source = self.source
        end = position
        while True:
            blanks = _blanks(source, end)
            assert blanks is not None
            start = blanks.end()
            if end > position and (_field_start(source, start) or source[start : start + 2] in (b"//", b"/*")):
                return end
            word = _word(source, start)
            if word is None:
                return max(end, position + 1)
            end = word.end()
            string = re.compile(rb"[\"']").search(source, start, end)
            if string and _field_start(source, string.end()):
                return string.end()

    def reopened(self, value: Scalar, position: int) -> int:
        """Where a string really ended, if it lost its closing quote and took the next string's opening quote for it.

        `name: "a type: "ReLU"` reads as the string `"a type: "` with `ReLU"` behind it. -1 if this is no such thing.
        """
        if value.end != position or value.text[0] not in _QUOTES or self.source[position] not in _NAME_START:
            return -1
        lost = _lost_quote(value.text, 1)
        if lost is None or value.text[lost.end():].strip(b" \t") != value.text[:1]:
            return -1
        if len(value.text) != value.end - value.start:
            return -1
        value.end = value.start + lost.end(1)
        value.text = value.text[: lost.end(1)]
        self.bad(value)
        return value.end

    # -- a field --------------------------------------------------------------------------------------------

    def field(self, start: int, behind_name: int = -1) -> int:
        """A field whose name stands at `start`. `behind_name` is given where more than the name belongs to it."""
        source = self.source
        token = _token(source, start)
        assert token is not None
        name = token[1].decode()
        name_end = token.end()
        after = self.skip(name_end if behind_name < 0 else behind_name)
        field = Field(name, start, -1, None, name_end)
        character = source[after] if after < len(source) else 0
        if character == 0x3A:
            self.stack[-1].fields.append(field)
            return self.after_colon(field, after)
        if character in b"{<[" and character:
            self.stack[-1].fields.append(field)
            return self.value(field, after)
        if character == 0x28 and self.opens_block(after):
            self.stack[-1].fields.append(field)
            return self.value(field, after)
        stray = _stray_before_brace(source, after)
        if stray:
            end = stray.end(1)
            self.problem(
                "syntax",
                after,
                end,
                f"expected '{{' after '{name}', found '{self.quote(after, end)}'",
                ((after, end, b""),),
                "remove it",
            )
            self.stack[-1].fields.append(field)
            return self.value(field, stray.end() - 1)
        if character == 0x3D:
            end = after + 1
            while end < len(source) and source[end] in b"=:>":
                end += 1
            self.problem(
                "syntax", after, end, f"expected ':' after '{name}', found '{self.quote(after, end)}'",
                ((after, end, b":"),), "write ':'",
            )  # fmt: skip
            self.stack[-1].fields.append(field)
            return self.after_colon(field, after, end)
        if not character or character in b"}>)]" or not self.same_line(name_end, after):
            return self.bare_name(field, after)
        if character in b";,":
            return self.separator_for_colon(field, after)
        if after == name_end:
            return self.field_of_odd_name(start) if _odd_name(source, start) else self.junk(start)
        if character in b"\"'-." or 0x30 <= character <= 0x39:
            return self.without_colon(field, after)
        if character in _NAME_START:
            if _field_start(source, after):
                return self.missing_value(field, after, "the next field")
            word = _bare_word(source, after)
            assert word is not None
            blanks = _blanks(source, word.end())
            assert blanks is not None
            if source[blanks.end() : blanks.end() + 1] in (b"", b"\n", b"\r", b"}", b"#", b";", b","):
                return self.without_colon(field, after)
        return self.junk(start)

    def after_colon(self, field: Field, colon: int, end: int = -1) -> int:
        """What follows a colon (which ends at `end`): the value, or what shows that there is none."""
        source = self.source
        field.colon = colon
        end = colon + 1 if end < 0 else end
        field.end = end
        surplus = end
        while source[surplus : surplus + 1] in (b":", b"="):
            surplus += 1
        if surplus > end:
            self.problem(
                "syntax", end, surplus, f"expected a value for '{field.name}', found '{self.quote(end, surplus)}'",
                ((end, surplus, b""),), f"remove the '{self.quote(end, surplus)}'",
            )  # fmt: skip
            end = surplus
        plain = _skip(source, end)
        assert plain is not None
        after = plain.end()
        if not (
            source[after : after + 2] == b"//"
            and source[after + 2 : after + 3].isalnum()
            and self.same_line(end, after)
        ):
            after = self.skip(after)
        if after >= len(source):
            return self.missing_value(field, after, "the end of the file")
        character = source[after]
        if character in b"}>;,:)]":
            found = f"'{chr(character)}'"
            return self.missing_value(field, after + 1 if character == 0x3A else after, found)
        if character in _NAME_START and _field_start(source, after):
            if _word_and_name(source, after):
                return self.value(field, after)
            if self.opens_without_brace(field, after):
                return self.open_without_brace(field, end, after)
            return self.missing_value(field, after, "the next field")
        return self.value(field, after)

    def missing_value(self, field: Field, after: int, found: str) -> int:
        fields = self.stack[-1].fields
        if not fields or fields[-1] is not field:
            fields.append(field)
        if field.colon >= 0:
            self.problem(
                "missing-value", field.start, field.end, f"expected a value after '{field.name}:', found {found}"
            )
        else:
            self.problem(
                "missing-value", field.start, field.name_end,
                f"expected ':' and a value, or '{{', after '{field.name}', found {found}",
            )  # fmt: skip
        return after

    def without_colon(self, field: Field, after: int) -> int:
        """`name value`."""
        self.stack[-1].fields.append(field)
        if len(self.malformed) < MAX_PROBLEMS:
            self.malformed.append(field)
        else:
            self.problem("missing-colon", field.start, field.name_end, f"expected ':' after '{field.name}'")
        return self.value(field, after)

    def separator_for_colon(self, field: Field, after: int) -> int:
        """`name; value` where `name: value` was meant, or a name without value."""
        source = self.source
        blanks = _blanks(source, after + 1)
        assert blanks is not None
        value = blanks.end()
        word = _bare_word(source, value)
        meant = word is not None and source[after] == 0x3B and self.ends_line(word.end()) and value > after + 1
        if value < len(source) and (source[value] in b"\"'-." or 0x30 <= source[value] <= 0x39 or meant):
            self.problem(
                "syntax", after, after + 1, f"expected ':' after '{field.name}', found '{chr(source[after])}'",
                ((after, after + 1, b":"),), "write ':'",
            )  # fmt: skip
            self.stack[-1].fields.append(field)
            return self.after_colon(field, after)
        return self.missing_value(field, after + 1, f"'{chr(source[after])}'")

    def bare_name(self, field: Field, after: int) -> int:
        """A name with nothing behind it on its line."""
        source = self.source
        if after < len(source) and source[after] in _NAME_START and self.opens_without_brace(field, after):
            self.stack[-1].fields.append(field)
            return self.open_without_brace(field, field.name_end, after)
        fields = self.stack[-1].fields
        if fields and isinstance(fields[-1].value, Scalar):
            blanks = _blanks(source, fields[-1].end)
            assert blanks is not None
            if blanks.end() == field.start:  # the last word of a value of several
                return self.junk(field.start)
        if source[after : after + 1] == b"}" and self.opens_wrong_way(field, after):
            self.problem(
                "syntax",
                after,
                after + 1,
                f"expected '{{' after '{field.name}', found '}}'",
                ((after, after + 1, b"{"),),
                "write '{'",
            )
            fields.append(field)
            return self.open(field, Block(after, after + 1))
        if after >= len(source):
            found = "the end of the file"
        elif source[after] in _NAME_START or source[after] >= 0x7F:
            found = "the next line"
        else:
            found = f"'{chr(source[after])}'"
        return self.missing_value(field, after, found)

    def opens_without_brace(self, field: Field, after: int) -> bool:
        """Whether a name ends its line and the lines behind it are indented like the fields of a block."""
        return (
            bool(_field_start(self.source, after))
            and self.begins_line(field.start)
            and self.begins_line(after)
            and self.indent(after) > self.indent(field.start)
        )

    def opens_wrong_way(self, field: Field, brace: int) -> bool:
        """Whether a `}` behind a name is meant as `{`: the lines behind it are indented like the fields of a block."""
        if not self.same_line(field.name_end, brace) or not self.ends_line(brace + 1):
            return False
        match = _skip(self.source, brace + 1)
        assert match is not None
        return self.opens_without_brace(field, match.end())

    def open_without_brace(self, field: Field, end: int, after: int) -> int:
        self.problem(
            "missing-brace", field.start, end, f"expected '{{' after '{field.name}', found the fields of a block",
            ((end, end, b" {"),), "insert '{'", safe=False,
        )  # fmt: skip
        self.open(field, Block(end, end))
        return after

    def field_of_odd_name(self, start: int) -> int:
        """A field whose name is no identifier, such as `kernel-size: 3`. The name is judged with the type of its block."""
        match = _odd_name(self.source, start)
        assert match is not None
        field = Field(match[1].decode(), start, -1, None, match.end(1))
        self.stack[-1].fields.append(field)
        if len(self.malformed) < MAX_PROBLEMS:
            self.malformed.append(field)
        else:
            self.problem("syntax", start, field.end, f"{field.name} is no name of a field")
        if self.source[match.end() - 1] == 0x3A:
            return self.after_colon(field, match.end() - 1)
        return self.value(field, match.end() - 1)

    # -- values ---------------------------------------------------------------------------------------------

    def value(self, field: Field, position: int) -> int:
        """The value of a field: a block or a list is opened, a scalar read whole."""
        character = self.source[position]
        if character in b"{<" or (character == 0x28 and self.opens_block(position)):
            return self.open(field, Block(position, position + 1))
        if character == 0x5B:
            if self.opens_block(position):  # `[` for `{`
                return self.open(field, Block(position, position + 1))
            values = ListValue(position)
            field.value = values
            field.end = position + 1
            self.stack.append(_OpenList(values))
            self.special += 1
            return position + 1
        scalar = self.scalar(position)
        field.value = scalar
        field.end = scalar.end
        return scalar.end

    def open(self, field: Field, block: Block) -> int:
        field.value = block
        field.end = block.open_end
        self.stack.append(block)
        opener = self.source[block.start : block.open_end]
        if opener in (b"<", b"(", b"["):
            self.special += 1
        if opener in (b"(", b"["):
            self._opened_by[block.start] = self.problem(
                "syntax", block.start, block.open_end, f"expected '{{' after '{field.name}', found '{opener.decode()}'",
                ((block.start, block.open_end, b"{"),), "write braces",
            )  # fmt: skip
        return block.open_end

    def opens_block(self, position: int) -> bool:
        """Whether `(` or `[` is meant as `{`: a field follows."""
        match = _skip(self.source, position + 1)
        assert match is not None
        return bool(_field_start(self.source, match.end()))

    def scalar(self, start: int) -> Scalar:
        source = self.source
        position = start
        minus = b""
        if source[position] == 0x2D:
            minus = b"-"
            position = self.skip(position + 1)
            if position >= len(source) or source[position] in b"}>];,{<[:":
                return self.bad(Scalar(minus, start, start + 1))
        token = _token(source, position)
        assert token is not None
        kind, end = token.lastindex, token.end()
        if kind == 3 and not minus:
            scalar = Scalar(token[3], start, end)
            if b"\\" in token[3] and bad_escape(token[3][1:-1]) is not None:
                self.bad(scalar)
            return scalar
        if (
            kind in (1, 2)
            and (end == len(source) or source[end] in _AFTER_WORD)
            and (kind == 1 or _number(token[2]) is not None)
        ):
            return Scalar(minus + token[0], start, end)
        glued = _number_and_name(source, position) or _word_and_name(source, position)
        if glued and not glued[2].startswith((b"x", b"X")):
            end = glued.end(1)
            line = self.line_start(end)
            between = self.eol(line) + source[line : self.text_start(end)] if line else b" "
            self.problem(
                "syntax", end, glued.end(2), f"expected the end of the value, found {self.quote(end, glued.end(2))}",
                ((end, end, between),), "begin a new line",
            )  # fmt: skip
            return Scalar(minus + glued[1], start, end)
        if source[position] in _QUOTES:
            with_nul = _string_with_nul(source, position)
            end = with_nul.end() if with_nul else self.unclosed_end(position)
        else:
            end = self.bare_end(position)
        return self.bad(Scalar(source[start:end], start, end))

    def bare_end(self, position: int) -> int:
        """Where a text without quotes, or with a closing quote only, ends."""
        source = self.source
        word = _bare_word(source, position)
        if word is None:
            return position + 1
        end = word.end()
        while b"=" in word[0] and (more := _glued_word(source, end)):  # a=b;c=d
            end = more.end()
        closing = end + 1
        if source[end:closing] in (b'"', b"'") and (closing == len(source) or source[closing] in _AFTER_WORD):
            return closing
        return end

    def unclosed_end(self, position: int) -> int:
        """Where a string was meant to end whose closing quote is not on its line, or nowhere before a NUL."""
        source = self.source
        line_start, line_end = self.line_start(position), self.line_end(position)
        nul = source.find(b"\0", position, line_end)
        end = line_end if nul < 0 else nul
        lost = _lost_quote(source, position + 1, end)
        if lost:
            return lost.end(1)
        comment = re.compile(rb"[ \t]#").search(source, position + 1, end)
        if comment:
            end = comment.start()
        end = position + len(source[position:end].rstrip(b" \t\r"))
        depth = len(self.stack) - 1
        while depth > 0 and self.stack[depth].start >= line_start and source[end - 1] == 0x7D and end > position + 2:
            end = position + len(source[position : end - 1].rstrip(b" \t"))
            depth -= 1
        while source[end - 1] in b";," and end > position + 2:
            end -= 1
        return max(end, position + 1)

    def list_piece(self, top: _OpenList, position: int) -> int:
        """The next of the things a list is made of, up to its end."""
        source = self.source
        values = top.values
        if (
            position >= len(source)
            or source[position] in b"}>)"
            or (source[position] in _NAME_START and _field_start(source, position))
        ):
            end = values.items[-1].end if values.items else values.start + 1
            self.problem(
                "syntax",
                values.start,
                values.start + 1,
                "the list is not closed: expected ']'",
                ((end, end, b"]"),),
                "insert ']'",
            )
            self.close_list(end)
            return position
        character = source[position]
        if character == 0x5D:
            if top.comma >= 0:
                self.problem(
                    "syntax", top.comma, top.comma + 1, "expected a value behind the last ',' of the list",
                    ((top.comma, top.comma + 1, b""),), "remove the surplus ','",
                )  # fmt: skip
            self.close_list(position + 1)
            return position + 1
        if character == 0x2C:
            if top.needs_comma:
                top.comma = position
                top.needs_comma = False
            else:
                self.problem(
                    "syntax", position, position + 1, "expected a value in the list, found ','",
                    ((position, position + 1, b""),), "remove the surplus ','",
                )  # fmt: skip
            return position + 1
        if character in b";:":
            self.problem("syntax", position, position + 1, f"expected a value in the list, found '{chr(character)}'")
            return position + 1
        if top.needs_comma:
            last = values.items[-1]
            token = _token(source, position)
            assert token is not None
            if token.lastindex == 3 and self.joins(last, last.end):
                assert isinstance(last, Scalar)
                self.join(last, token[3], token.end())
                return token.end()
            if top.lacks_comma < 0:
                top.lacks_comma = self.problem(
                    "syntax", position, position + 1,
                    f"expected ',' or ']' in the list, found {self.quote(position, position + 1)}", (), "insert ','",
                )  # fmt: skip
            self.also_repair(top.lacks_comma, (last.end, last.end, b","))
        top.comma = -1
        top.needs_comma = True
        if character == 0x5B:
            self.problem("syntax", position, position + 1, "a list inside a list")
            inner = ListValue(position)
            self.stack.append(_OpenList(inner))
            self.special += 1
            return position + 1
        if character in b"{<":
            block = Block(position, position + 1)
            values.items.append(block)
            self.stack.append(block)
            self.special += 1
            if character == 0x3C:
                self.special += 1
            return position + 1
        scalar = self.scalar(position)
        values.items.append(scalar)
        return scalar.end

    def close_list(self, end: int) -> None:
        top = self.stack.pop()
        assert isinstance(top, _OpenList)
        self.special -= 1
        top.values.end = end
        below = self.stack[-1]
        if isinstance(below, _OpenList):
            below.needs_comma = bool(below.values.items)
        else:
            below.fields[-1].end = end

    # -- braces ---------------------------------------------------------------------------------------------

    def closes_by(self, character: int, position: int) -> bool:
        """Whether `)` or `]` stands where a block should be closed."""
        opener = self.source[self.stack[-1].start]
        if opener == (0x28 if character == 0x29 else 0x5B):
            return True
        return self.begins_line(position) and self.ends_line(position + 1)

    def close(self, position: int) -> int:
        source = self.source
        if self._indentation and len(self.stack) > 1 and self.is_surplus(position, self._indentation):
            self.problem(
                "extra-brace", position, position + 1, "this brace is one too many, as the indentation shows",
                ((position, position + 1, b""),), "remove it", safe=False,
            )  # fmt: skip
            return position + 1
        if len(self.stack) == 1:
            return self.closes_nothing(position)
        if self._indentation:
            self.close_inner_by_indentation(position, self._indentation)
        block = self.stack[-1]
        expected = _CLOSERS.get(source[block.start], b"}")
        written = source[position : position + 1]
        if block.start in self._opened_by:
            opened_by = self._opened_by[block.start]
            if block.start in self._transparent:
                self.also_repair(opened_by, (position, position + 1, b""))
            elif written != b"}":
                self.also_repair(opened_by, (position, position + 1, b"}"))
        elif written != expected:
            self.problem(
                "syntax", position, position + 1,
                f"expected '{expected.decode()}' to close the block, found '{written.decode()}'",
                ((position, position + 1, expected),), f"write '{expected.decode()}'",
            )  # fmt: skip
        block.close = position
        self.leave(position + 1)
        return position + 1

    def closes_nothing(self, position: int) -> int:
        """A brace when no block is open, together with those that follow it directly."""
        if len(self.problems) >= MAX_PROBLEMS:
            return position + 1
        last = self.problems[-1] if self.problems else None
        if last and last.kind == "extra-brace" and not self.source[last.end : position].strip():
            self.problems[-1] = last._replace(end=position + 1)
            if last.repair:
                self.also_repair(len(self.problems) - 1, (position, position + 1, b""))
            return position + 1
        fields = self.stack[0].fields
        index = closed_early(self._tree, position)
        # Fields between the block before and its brace: it was closed too early, and not by this brace.
        early = index < len(fields) - 1
        if early:
            self.uncertain.append((fields[index].start if index >= 0 else 0, position + 1))
        self.problem(
            "extra-brace", position, position + 1, f"'{chr(self.source[position])}' closes nothing: no block is open here",
            None if early else ((position, position + 1, b""),), "" if early else "remove it", safe=False,
        )  # fmt: skip
        return position + 1

    def leave(self, end: int) -> None:
        """Closes the innermost block at `end`, where an optional separator may follow."""
        block = self.stack.pop()
        block.end = end
        parent = self.stack[-1]
        if self.source[block.start : block.open_end] in (b"<", b"(", b"["):
            self.special -= 1
        if block.start in self._transparent or isinstance(parent, _OpenList):
            self.special -= 1
        else:
            parent.fields[-1].end = end

    def closer(self, block: Block) -> bytes:
        """What closes a block, or would if what opened it were right."""
        return b"}" if block.start in self._opened_by else _CLOSERS.get(self.source[block.start], b"}")

    def holder(self, depth: int) -> Field | None:
        """The field whose value is the open block at a depth of the stack; None for an item of a list."""
        parent = self.stack[depth - 1]
        return None if isinstance(parent, _OpenList) or not parent.fields else parent.fields[-1]

    def close_at_end(self) -> None:
        """Reports what the end of the file finds open, at the outermost block: there all began."""
        size = len(self.source)
        named = []
        for depth in range(1, len(self.stack)):
            if self.stack[depth].start not in self._transparent and not isinstance(self.stack[depth], _OpenList):
                holder = self.holder(depth)
                named.append((holder.name if holder else "", depth))
        if named:
            self.report_unclosed(named)
        while len(self.stack) > 1:
            if isinstance(self.stack[-1], _OpenList):
                self.close_list(size)
            else:
                self.stack[-1].close = size
                self.leave(size)

    def report_unclosed(self, named: list[tuple[str, int]]) -> None:
        source = self.source
        size = len(source)
        name, depth = named[0]
        outermost = self.stack[depth]
        holder = self.holder(depth)
        start = holder.start if holder else outermost.start
        line = self.line_of(outermost.start)
        inner = ", ".join(f"'{name}'" for name, _ in named[1:4]) + (", ..." if len(named) > 4 else "")
        nor = f" (nor is {inner} in it)" if inner else ""
        closers = [self.closer(self.stack[depth]) for _, depth in reversed(named)]
        missing = "'" + b" ".join(closers[:8]).decode() + (" ..." if len(closers) > 8 else "") + "'"
        repair: Edits | None = None
        in_list = any(isinstance(block, _OpenList) for block in self.stack)
        if len(named) <= 8 and not in_list and not self.holds_itself(named):
            eol = b"\r\n" if source[self.line_start(outermost.start) - 2 :][:2] == b"\r\n" else b"\n"
            text = b"" if source.endswith(b"\n") else eol
            for closer, (_, depth) in zip(closers, reversed(named), strict=False):
                opened = self.stack[depth].start
                text += source[self.line_start(opened) : self.text_start(opened)] + closer + eol
            repair = ((size, size, text),)
        else:
            self.uncertain.append((start, size))
        self.problem(
            "unclosed", start, outermost.open_end,
            f"'{name}' opened on line {line} is never closed{nor}: expected {missing}",
            repair, f"insert {missing} at the end", safe=False,
        )  # fmt: skip

    def holds_itself(self, named: list[tuple[str, int]]) -> bool:
        """Whether an open block holds a block of its own name, as happens when a brace is lost further up."""
        names = {name for name, _ in named}
        inside = {
            field.name
            for _, depth in named
            for field in self.stack[depth].fields[: None if depth == len(self.stack) - 1 else -1]
            if isinstance(field.value, Block)
        }
        return len(names) < len(named) or bool(names & inside)

    # -- braces by indentation ------------------------------------------------------------------------------

    def close_by_indentation(self, position: int, indentation: Indentation) -> None:
        """Closes the blocks that a line no deeper than their own shows to have lost their brace."""
        if position <= indentation.since or not indentation.missing or not self.begins_line(position):
            return
        indent = self.indent(position)
        token = _token(self.source, position)
        assert token is not None
        while len(self.stack) > 1 and indentation.missing:
            block = self.stack[-1]
            holder = self.holder(len(self.stack) - 1)
            if holder is None or self.line_of(holder.start) == self.line_of(position):
                return
            shallow = indent <= self.indent(holder.start)
            if shallow and not block.fields:
                if holder.name == token[1].decode() and not self.source[block.open_end : position].strip():
                    self.drop_repeated_start(holder, block, position, indentation)
                    return
                indentation.flat.add(block.start)
            if block.start in indentation.flat:
                shallow = False
                if self.source[token.end() : token.end() + 2].strip()[:1] == b"{":
                    shallow = any(
                        (outer := self.holder(depth)) is not None and outer.name == token[1].decode()
                        for depth in range(max(1, len(self.stack) - indentation.missing), len(self.stack))
                    )
            if not shallow:
                return
            self.close_missing(position, indentation)

    def drop_repeated_start(self, holder: Field, block: Block, position: int, indentation: Indentation) -> None:
        """Leaves out the first of two lines that open the same block."""
        self.problem(
            "extra-brace", holder.start, block.open_end, f"'{holder.name} {{' stands here twice in a row",
            ((holder.start, position, b""),), "remove the first one", safe=False,
        )  # fmt: skip
        self.stack.pop()
        self.stack[-1].fields.pop()
        indentation.missing -= 1

    def closes_wrong_way(self, position: int, indentation: Indentation) -> bool:
        """Whether a `{` without a name stands where the brace should that closes the innermost block."""
        holder = self.holder(len(self.stack) - 1) if len(self.stack) > 1 else None
        if holder is None or not indentation.missing or position <= indentation.since:
            return False
        if not self.begins_line(position) or not self.ends_line(position + 1):
            return False
        if self.indent(position) != self.indent(holder.start):
            return False
        indentation.missing -= 1
        return True

    def close_inner_by_indentation(self, position: int, indentation: Indentation) -> None:
        """Closes the blocks inside the one that a brace belongs to by its indentation."""
        if position <= indentation.since or not self.begins_line(position):
            return
        indent = self.indent(position)
        while len(self.stack) > 2 and indentation.missing:
            inner, outer = self.holder(len(self.stack) - 1), self.holder(len(self.stack) - 2)
            if inner is None or outer is None or self.stack[-1].start in indentation.flat:
                return
            if indent >= self.indent(inner.start) or indent > self.indent(outer.start):
                return
            self.close_missing(position, indentation)

    def is_surplus(self, position: int, indentation: Indentation) -> bool:
        """Whether a brace does not stand where the one should that closes the innermost block."""
        stretch = indentation.surplus_at(position)
        holder = self.holder(len(self.stack) - 1)
        if stretch is None or holder is None:
            return False
        opened = self.indent(holder.start)
        if self.line_of(holder.start) == self.line_of(position):
            return False
        if self.begins_line(position):
            surplus = self.indent(position) > opened and self.stack[-1].start not in indentation.flat
        else:
            # Behind another brace on this line, while its own block began on a line of its own.
            before = self.source[self.text_start(position) : position]
            surplus = self.begins_line(holder.start) and (b"{" in before or b"}" in before)
        if surplus:
            stretch[2] -= 1
        return surplus

    def close_missing(self, position: int, indentation: Indentation) -> None:
        """Closes the innermost block before the line of `position`, right behind its last field."""
        source = self.source
        block = self.stack[-1]
        holder = self.holder(len(self.stack) - 1)
        assert holder is not None
        last_end = block.fields[-1].end if block.fields else block.open_end
        where = min(self.line_end(last_end) + 1, self.line_start(position))
        closer = self.closer(block)
        indent = source[self.line_start(holder.start) : self.text_start(holder.start)]
        text = indent + closer + self.eol(where)
        self.problem(
            "missing-brace", position, position,
            f"expected '{closer.decode()}' before this line: '{holder.name}' opened on line {self.line_of(block.start)}"
            " is not closed",
            ((where, where, text),), f"insert '{closer.decode()}'", safe=False,
        )  # fmt: skip
        indentation.missing -= 1
        block.close = where
        self.leave(where)
