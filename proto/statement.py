"""Parse one statement at a time, with the whole grammar of text format, and recover from anything outside it.

Each mistake is reported as one problem. If only one meaning is likely, the problem holds a repair, and the tree holds
what the repaired text says.
"""

from __future__ import annotations

import re
from sys import intern

from .braces import Indentation, OpenList, TopBlocks, holder_of
from .extents import (
    AFTER_WORD,
    QUOTES,
    bare_end,
    bare_word,
    blanks_end,
    field_start,
    junk_end,
    unclosed_end,
    without_next_name,
)
from .lines import SPACE, Lines
from .tree import Block, Field, ListValue, Problem, Scalar
from .values import bad_escape

# The number of structural problems reported per file.
MAX_PROBLEMS = 1000

_skip = re.compile(SPACE).match
# A token as in protobuf's tokenizer. Groups: 1 identifier, 2 number, 3 string, 4 any other character.
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
_odd_name = re.compile(rb"([^\s:=(){}<>#;,\"'\[\]\0-\x1f\x7f-\xff]+)[ \t]*[:{]").match
_quoted_name = re.compile(rb"[\"']([A-Za-z_][A-Za-z0-9_]*)[\"'][ \t]*[:{]").match
_stray_before_brace = re.compile(rb"([^\w\s{}\"':#]{1,3})[ \t]*(?:\r?\n[ \t]*)?\{").match
_extension = re.compile(rb"\[[ \t]*[A-Za-z_][A-Za-z0-9_./ -]*\]").match

_NAME_START = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")
_CLOSERS = {0x3C: b">", 0x28: b")"}  # for < and (; every other block ends with }
_CONFLICT_MARKS = (b"<<<<<<<", b"=======", b">>>>>>>", b"|||||||")

Edits = tuple[tuple[int, int, bytes], ...]


class Reader:
    """Reads statements into the innermost of the open blocks in `stack`, which it shares with the parser.

    `special` counts the open lists and blocks that are not closed by a plain `}`. While there are any, the parser cannot
    use its fast path, and every statement is read here.
    """

    def __init__(self, source: bytes, stack: list[Block], indentation: Indentation | None) -> None:
        self.source = source
        self.stack = stack
        self.problems: list[Problem] = []
        self.malformed: list[Scalar | Field] = []
        self.uncertain: list[tuple[int, int]] = []
        self.special = 0
        self.indentation = indentation
        self._transparent: set[int] = set()  # starts of braces without a name, whose fields belong to the outer block
        self._opened_by: dict[int, int] = {}  # start of a block: the problem about its opening bracket
        self._lines: Lines | None = None
        self._top_blocks: TopBlocks | None = None
        self._edits: dict[int, list[tuple[int, int, bytes]]] = {}  # repairs that still grow, by problem
        self._absent: set[bytes] = set()  # strings that do not occur in the rest of the file
        self._conflict = (-1, -1)  # span of the second side of the last merge conflict
        self._prose = (-1, -1)  # the last problem about a line of prose, and the end of that line

    @property
    def lines(self) -> Lines:
        """The lines of the source."""
        if self._lines is None:
            self._lines = Lines(self.source)
        return self._lines

    # -- problems -------------------------------------------------------------------------------------------

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
        """Report a problem and return its number, -1 if there are too many already."""
        if len(self.problems) >= MAX_PROBLEMS:
            return -1
        self.problems.append(Problem(kind, start, max(end, start), message, repair, title, safe))
        return len(self.problems) - 1

    def also_repair(self, number: int, *edits: tuple[int, int, bytes]) -> None:
        """Add edits to the repair of a problem that has been reported."""
        if number >= 0:
            if number not in self._edits:
                self._edits[number] = list(self.problems[number].repair or ())
            self._edits[number] += edits

    def finish(self) -> None:
        """Store the collected repairs in their problems."""
        for number, edits in self._edits.items():
            self.problems[number] = self.problems[number]._replace(repair=tuple(edits))

    def bad(self, scalar: Scalar) -> Scalar:
        """Mark a scalar as malformed, that is, not a valid token."""
        if len(self.malformed) < MAX_PROBLEMS:
            self.malformed.append(scalar)
        elif len(self.problems) < MAX_PROBLEMS:
            self.problem("syntax", scalar.start, scalar.end, f"{self.quote(scalar.start, scalar.end)} is not a value")
        return scalar

    def quote(self, start: int, end: int) -> str:
        """Return the text of a span for a message, shortened."""
        text = self.source[start : min(end, start + 200)].decode("utf-8", "replace")
        return text if len(text) <= 40 else text[:37] + "..."

    def find(self, what: bytes, position: int) -> int:
        """Return the next position of a string, -1 if there is none. A string that is not found is not searched again."""
        found = -1 if what in self._absent else self.source.find(what, position)
        if found < 0:
            self._absent.add(what)
        return found

    # -- between statements ---------------------------------------------------------------------------------

    def skip(self, position: int) -> int:
        """Skip space and comments, and report anything that was meant as such."""
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
            elif character == 0x23:  # a comment with a NUL byte
                nul = source.index(b"\0", position)
                self.control_characters(nul, in_comment=True)
                position = self.lines.end(nul)
            elif character < 0x20 or character == 0x7F:
                position = self.control_characters(position)
            else:
                return position

    def control_characters(self, start: int, *, in_comment: bool = False) -> int:
        source = self.source
        end = start
        while end < len(source) and (source[end] == 0x7F or source[end] < 0x20) and source[end] not in b" \t\n\v\f\r":
            end += 1
        name = "NUL byte" if source[start] == 0 else f"control character 0x{source[start]:02x}"
        # Within a word, it is unclear whether the two halves belong together.
        within_word = source[start - 1 : start].isalnum() and source[end : end + 1].isalnum()
        repair = None if within_word and not in_comment else ((start, end, b""),)
        self.problem("syntax", start, end, f"{name}: Caffe's parser stops here", repair, "remove it" if repair else "")
        return end

    def foreign_comment(self, start: int) -> int:
        source = self.source
        if source[start + 1] == 0x2F:
            self.problem(
                "c-style-comment", start, start + 2, "'//' does not start a comment; use '#'",
                ((start, start + 2, b"#"),), "write '#'",
            )  # fmt: skip
            return self.lines.end(start)
        close = self.find(b"*/", start + 2)
        if close < 0:
            self.problem(
                "c-style-comment", start, start + 2, "'/*' does not start a comment; use '#'",
                ((start, start + 2, b"#"),), "write '#'",
            )  # fmt: skip
            return self.lines.end(start)
        end = close + 2
        if self.lines.ends_at(end):
            # Comment out each line.
            repair = [(start, start + 2, b"#")]
            line = source.find(b"\n", start, close)
            while line >= 0:
                repair.append((line + 1, line + 1, b"#"))
                line = source.find(b"\n", line + 1, close)
            repair.append((close, end, b""))
            title = "comment out each line with '#'"
        else:
            repair = [(start, end, b" ")]
            title = "remove it"
        self.problem(
            "c-style-comment", start, start + 2, "'/* */' is not a comment; use '#'",
            tuple(repair), title,
        )  # fmt: skip
        return end

    def conflict(self, start: int) -> int:
        """Report a merge conflict marker. The first side is read, the other one is skipped."""
        end = self.lines.end(start)
        if self.source[start] != 0x3C:
            self.problem("syntax", start, end, "unresolved merge conflict marker")
        else:
            self.problem("syntax", start, end, "unresolved merge conflict: the file contains both sides")
            middle = self.find(b"\n=======", end)
            last = self.find(b"\n>>>>>>>", end)
            if end <= middle < last:
                self._conflict = middle + 1, self.lines.end(last + 1)
        return end

    # -- a statement ----------------------------------------------------------------------------------------

    def read(self, position: int) -> int:
        """Read a statement, closing brace or item of a list. Return the position after it, -1 at the end of the file."""
        source = self.source
        position = self.skip(position)
        top = self.stack[-1]
        if isinstance(top, OpenList):
            return self.list_piece(top, position)
        if position >= len(source):
            self.close_at_end()
            self.finish()
            return -1
        character = source[position]
        if (
            character in b"<=>|"
            and source[position : position + 7] in _CONFLICT_MARKS
            and self.lines.begins_at(position)
        ):
            if position == self._conflict[0]:
                return self._conflict[1]
            return self.conflict(position)
        if character in _NAME_START:
            if self.indentation and len(self.stack) > 1:
                self.close_by_indentation(position, self.indentation)
            return self.field(position)
        if character in b"}>":
            return self.close(position)
        if character in b")]" and len(self.stack) > 1 and self.closes_by(character, position):
            return self.close(position)
        if character in b";,":
            return self.separator(position)
        if character in QUOTES:
            return self.string_at_start(position)
        if character == 0x7B:
            return self.nameless_brace(position)
        if character == 0x5B and (name := _extension(source, position)):
            return self.extension_name(position, name.end())
        if _odd_name(source, position):
            return self.field_of_odd_name(position)
        return self.junk(position)

    def string_at_start(self, position: int) -> int:
        """Read a string in place of a field: a continuation of the string before it, or a quoted name."""
        source = self.source
        name = _quoted_name(source, position)
        if name:
            self.problem(
                "syntax", position, name.end(1) + 1,
                f"field names must not be quoted: {name[1].decode()}",
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
        """Whether a string continues the value before it: that is a valid string, followed only by space and comments."""
        if not isinstance(value, Scalar) or value.text[0] not in QUOTES or value.end != end:
            return False
        return not self.malformed or self.malformed[-1] is not value or value.text[-1] == value.text[0]

    def join(self, value: Scalar, text: bytes, end: int) -> None:
        value.text += text
        value.move(value.start, end)
        if (
            b"\\" in text
            and bad_escape(text[1:-1]) is not None
            and not (self.malformed and self.malformed[-1] is value)
        ):
            self.bad(value)

    def separator(self, position: int) -> int:
        """Read a `;` or `,`, which is allowed once after a field."""
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
            "syntax", position, end,
            f"expected a field name, found '{written}' (at most one separator may follow a field)",
            ((position, end, b""),), f"remove the '{written}'",
        )  # fmt: skip
        return end

    def extension_name(self, position: int, end: int) -> int:
        self.problem(
            "syntax", position, end,
            f"expected a field name, found {self.quote(position, end)}: Caffe's messages have no extensions",
        )  # fmt: skip
        field = Field("", position, False)
        field.end = end
        self.stack[-1].fields.append(field)
        after = self.skip(end)
        if self.source[after : after + 1] == b":":
            field.add_colon()
            after = self.skip(after + 1)
        character = self.source[after : after + 1]
        if character in (b"{", b"<", b"[") or (field.has_colon and character not in (b"", b"}", b">", b";", b",")):
            return self.value(field, after)
        return after

    def nameless_brace(self, position: int) -> int:
        """Report a `{` without a name. Its fields belong to the outer block, unless it was meant as `}`."""
        if self.indentation and len(self.stack) > 1 and self.indentation.reversed_brace(self.stack, position):
            self.problem(
                "syntax", position, position + 1, "expected '}' to close the block, found '{'",
                ((position, position + 1, b"}"),), "write '}'",
            )  # fmt: skip
            self.leave(position + 1)
            return position + 1
        number = self.problem(
            "syntax", position, position + 1, "expected a field name, found '{'", ((position, position + 1, b""),),
            "remove the brace",
        )  # fmt: skip
        if not self.indentation:
            block = Block(position + 1)
            block.fields = self.stack[-1].fields
            self.stack.append(block)
            self.special += 1
            self._transparent.add(position)
            self._opened_by[position] = number
        return position + 1

    def junk(self, position: int) -> int:
        """Read text that cannot be a field: a continuation of the value before it on the same line, or an error."""
        source = self.source
        character = source[position]
        end = junk_end(source, position)
        fields = self.stack[-1].fields
        last = fields[-1] if fields else None
        if last and isinstance(last.value, Scalar):
            value = last.value
            if blanks_end(source, last.end) == position and self.lines.same(value.end, position):
                string = without_next_name(value.text) if value.end == position and character in _NAME_START else None
                if string and len(value.text) == value.end - value.start:
                    value.move(value.start, value.start + len(string))
                    value.text = string
                    last.end = value.end
                    self.bad(value)
                    return value.end
                value.text = source[value.start : end]
                value.move(value.start, end)
                last.end = end
                if not (self.malformed and self.malformed[-1] is value):
                    self.bad(value)
                return end
        found = self.quote(position, end)
        if not self.lines.ends_at(end):
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

    # -- a field --------------------------------------------------------------------------------------------

    def field(self, start: int, after_name: int = -1) -> int:
        """Read a field whose name is at `start`. `after_name` is the position to continue from, if not the name's end."""
        source = self.source
        token = _token(source, start)
        assert token is not None
        name = intern(token[1].decode())  # as in `_Names`, equal names share one object
        name_end = token.end()
        after = self.skip(name_end if after_name < 0 else after_name)
        field = Field(name, start, False)
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
        if not character or character in b"}>)]" or not self.lines.same(name_end, after):
            return self.bare_name(field, after)
        if character in b";,":
            return self.separator_for_colon(field, after)
        if after == name_end:
            return self.field_of_odd_name(start) if _odd_name(source, start) else self.junk(start)
        if character in b"\"'-." or 0x30 <= character <= 0x39:
            return self.without_colon(field, after)
        if character in _NAME_START:
            if field_start(source, after):
                return self.missing_value(field, after, "the next field")
            word = bare_word(source, after)
            assert word is not None
            end = blanks_end(source, word.end())
            if source[end : end + 1] in (b"", b"\n", b"\r", b"}", b"#", b";", b","):
                return self.without_colon(field, after)
        return self.junk(start)

    def after_colon(self, field: Field, colon: int, end: int = -1) -> int:
        """Read the value after a colon that ends at `end`, or report that there is none."""
        source = self.source
        field.add_colon()
        end = colon + 1 if end < 0 else end
        field.end = end
        extra_end = end
        while source[extra_end : extra_end + 1] in (b":", b"="):
            extra_end += 1
        if extra_end > end:
            self.problem(
                "syntax", end, extra_end, f"expected a value for '{field.name}', found '{self.quote(end, extra_end)}'",
                ((end, extra_end, b""),), f"remove the '{self.quote(end, extra_end)}'",
            )  # fmt: skip
            end = extra_end
        plain = _skip(source, end)
        assert plain is not None
        after = plain.end()
        if not (
            source[after : after + 2] == b"//"
            and source[after + 2 : after + 3].isalnum()
            and self.lines.same(end, after)
        ):
            after = self.skip(after)
        if after >= len(source):
            return self.missing_value(field, after, "the end of the file")
        character = source[after]
        if character in b"}>;,:)]":
            found = f"'{chr(character)}'"
            return self.missing_value(field, after + 1 if character == 0x3A else after, found)
        if character in _NAME_START and field_start(source, after):
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
        if field.has_colon:
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
        """Read `name value`."""
        self.stack[-1].fields.append(field)
        if len(self.malformed) < MAX_PROBLEMS:
            self.malformed.append(field)
        else:
            self.problem("missing-colon", field.start, field.name_end, f"expected ':' after '{field.name}'")
        return self.value(field, after)

    def separator_for_colon(self, field: Field, after: int) -> int:
        """Read `name; value`, which was meant as `name: value`, or a name without a value."""
        source = self.source
        value = blanks_end(source, after + 1)
        word = bare_word(source, value)
        meant = word is not None and source[after] == 0x3B and self.lines.ends_at(word.end()) and value > after + 1
        if value < len(source) and (source[value] in b"\"'-." or 0x30 <= source[value] <= 0x39 or meant):
            self.problem(
                "syntax", after, after + 1, f"expected ':' after '{field.name}', found '{chr(source[after])}'",
                ((after, after + 1, b":"),), "write ':'",
            )  # fmt: skip
            self.stack[-1].fields.append(field)
            return self.after_colon(field, after)
        return self.missing_value(field, after + 1, f"'{chr(source[after])}'")

    def bare_name(self, field: Field, after: int) -> int:
        """Read a name with nothing after it on its line."""
        source = self.source
        if after < len(source) and source[after] in _NAME_START and self.opens_without_brace(field, after):
            self.stack[-1].fields.append(field)
            return self.open_without_brace(field, field.name_end, after)
        fields = self.stack[-1].fields
        of_value = bool(fields) and isinstance(fields[-1].value, Scalar)
        if of_value and blanks_end(source, fields[-1].end) == field.start:  # the last word of a value of several words
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
            return self.open(field, Block(after + 1))
        if after >= len(source):
            found = "the end of the file"
        elif source[after] in _NAME_START or source[after] >= 0x7F:
            found = "the next line"
        else:
            found = f"'{chr(source[after])}'"
        return self.missing_value(field, after, found)

    def opens_without_brace(self, field: Field, after: int) -> bool:
        """Whether a name is alone on its line and the lines after it are indented like the fields of a block."""
        return (
            bool(field_start(self.source, after))
            and self.lines.begins_at(field.start)
            and self.lines.begins_at(after)
            and self.lines.indent(after) > self.lines.indent(field.start)
        )

    def opens_wrong_way(self, field: Field, brace: int) -> bool:
        """Whether a `}` after a name was meant as `{`, because the lines after it are indented like fields of a block."""
        if not self.lines.same(field.name_end, brace) or not self.lines.ends_at(brace + 1):
            return False
        match = _skip(self.source, brace + 1)
        assert match is not None
        return self.opens_without_brace(field, match.end())

    def open_without_brace(self, field: Field, end: int, after: int) -> int:
        self.problem(
            "missing-brace", field.start, end, f"expected '{{' after '{field.name}', found the fields of a block",
            ((end, end, b" {"),), "insert '{'", safe=False,
        )  # fmt: skip
        self.open(field, Block(end, 0))
        return after

    def field_of_odd_name(self, start: int) -> int:
        """Read a field whose name is not an identifier, such as `kernel-size: 3`. The binder reports it."""
        match = _odd_name(self.source, start)
        assert match is not None
        field = Field(match[1].decode(), start, False)
        self.stack[-1].fields.append(field)
        if len(self.malformed) < MAX_PROBLEMS:
            self.malformed.append(field)
        else:
            self.problem("syntax", start, field.end, f"{field.name} is not a valid field name")
        if self.source[match.end() - 1] == 0x3A:
            return self.after_colon(field, match.end() - 1)
        return self.value(field, match.end() - 1)

    # -- values ---------------------------------------------------------------------------------------------

    def value(self, field: Field, position: int) -> int:
        """Read the value of a field: open a block or a list, or read a whole scalar."""
        character = self.source[position]
        if character in b"{<" or (character == 0x28 and self.opens_block(position)):
            return self.open(field, Block(position + 1))
        if character == 0x5B:
            if self.opens_block(position):  # `[` for `{`
                return self.open(field, Block(position + 1))
            values = ListValue(position)
            field.take(values)
            field.end = position + 1
            self.stack.append(OpenList(values))
            self.special += 1
            return position + 1
        scalar = self.scalar(position)
        field.take(scalar)
        return scalar.end

    def open(self, field: Field, block: Block) -> int:
        field.take(block)
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
        """Whether `(` or `[` was meant as `{`, because a field follows."""
        match = _skip(self.source, position + 1)
        assert match is not None
        return bool(field_start(self.source, match.end()))

    def scalar(self, start: int) -> Scalar:
        source = self.source
        position = start
        minus = b""
        if source[position] == 0x2D:
            minus = b"-"
            position = self.skip(position + 1)
            if position >= len(source) or source[position] in b"}>];,{<[:":
                return self.bad(Scalar(minus, start + 1, 1))
        token = _token(source, position)
        assert token is not None
        kind, end = token.lastindex, token.end()
        if kind == 3 and not minus:
            scalar = Scalar(token[3], end, end - start)
            if b"\\" in token[3] and bad_escape(token[3][1:-1]) is not None:
                self.bad(scalar)
            return scalar
        if (
            kind in (1, 2)
            and (end == len(source) or source[end] in AFTER_WORD)
            and (kind == 1 or _number(token[2]) is not None)
        ):
            return Scalar(minus + token[0], end, end - start)
        glued = _number_and_name(source, position) or _word_and_name(source, position)
        if glued and not glued[2].startswith((b"x", b"X")):
            end = glued.end(1)
            line = self.lines.start(end)
            between = self.lines.end_before(line) + self.lines.indentation(end) if line else b" "
            self.problem(
                "syntax", end, glued.end(2), f"expected the end of the value, found {self.quote(end, glued.end(2))}",
                ((end, end, between),), "start a new line" if line else "insert a space",
            )  # fmt: skip
            return Scalar(minus + glued[1], end, end - start)
        quoted = source[position] in QUOTES
        end = unclosed_end(self.lines, position, self.stack) if quoted else bare_end(source, position)
        return self.bad(Scalar(source[start:end], end, end - start))

    def list_piece(self, top: OpenList, position: int) -> int:
        """Read the next item, comma or end of a list."""
        source = self.source
        values = top.values
        if (
            position >= len(source)
            or source[position] in b"}>)"
            or (source[position] in _NAME_START and field_start(source, position))
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
                    "syntax", top.comma, top.comma + 1, "expected a value after the last ',' of the list",
                    ((top.comma, top.comma + 1, b""),), "remove the extra ','",
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
                    ((position, position + 1, b""),), "remove the extra ','",
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
            self.problem("syntax", position, position + 1, "a list must not contain another list")
            inner = ListValue(position)
            self.stack.append(OpenList(inner))
            self.special += 1
            return position + 1
        if character in b"{<":
            block = Block(position + 1)
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
        assert isinstance(top, OpenList)
        self.special -= 1
        top.values.end = end
        below = self.stack[-1]
        if isinstance(below, OpenList):
            below.needs_comma = bool(below.values.items)
        else:
            below.fields[-1].end = end

    # -- braces ---------------------------------------------------------------------------------------------

    def closes_by(self, character: int, position: int) -> bool:
        """Whether `)` or `]` is in the place of a closing brace."""
        opener = self.source[self.stack[-1].start]
        if opener == (0x28 if character == 0x29 else 0x5B):
            return True
        return self.lines.begins_at(position) and self.lines.ends_at(position + 1)

    def close(self, position: int) -> int:
        source = self.source
        indentation = self.indentation
        if indentation and len(self.stack) > 1 and indentation.is_extra(self.stack, position):
            self.problem(
                "extra-brace", position, position + 1, "extra closing brace, judging by the indentation",
                ((position, position + 1, b""),), "remove it", safe=False,
            )  # fmt: skip
            return position + 1
        if len(self.stack) == 1:
            return self.unmatched_brace(position)
        while indentation and indentation.lost_before_brace(self.stack, position):
            self.close_missing(position)
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
        self.leave(position + 1)
        return position + 1

    def unmatched_brace(self, position: int) -> int:
        """Report a closing brace when no block is open, together with those that follow it directly."""
        if len(self.problems) >= MAX_PROBLEMS:
            return position + 1
        last = self.problems[-1] if self.problems else None
        if last and last.kind == "extra-brace" and not self.source[last.end : position].strip():
            self.problems[-1] = last._replace(end=position + 1)
            if last.repair:
                self.also_repair(len(self.problems) - 1, (position, position + 1, b""))
            return position + 1
        fields = self.stack[0].fields
        if self._top_blocks is None:
            self._top_blocks = TopBlocks(fields, self.lines)
        index = self._top_blocks.closed_early(position)
        # If there are fields between the block before and this brace, that block was closed too early by another brace.
        early = index < len(fields) - 1
        if early:
            self.uncertain.append((fields[index].start if index >= 0 else 0, position + 1))
        self.problem(
            "extra-brace", position, position + 1,
            f"unmatched '{chr(self.source[position])}': no block is open here",
            None if early else ((position, position + 1, b""),), "" if early else "remove it", safe=False,
        )  # fmt: skip
        return position + 1

    def leave(self, end: int, closing: int = 1) -> None:
        """Close the innermost block at `end`, with a brace of that length; a separator may follow."""
        block = self.stack.pop()
        block.close_at(end, closing)
        parent = self.stack[-1]
        if self.source[block.start : block.open_end] in (b"<", b"(", b"["):
            self.special -= 1
        if block.start in self._transparent or isinstance(parent, OpenList):
            self.special -= 1
        else:
            parent.fields[-1].end = end

    def closer(self, block: Block) -> bytes:
        """Return the bracket that closes a block, assuming that a wrong opening bracket is corrected."""
        return b"}" if block.start in self._opened_by else _CLOSERS.get(self.source[block.start], b"}")

    def close_at_end(self) -> None:
        """Report the blocks that are open at the end of the file, at the outermost one."""
        size = len(self.source)
        named = []
        for depth in range(1, len(self.stack)):
            if self.stack[depth].start not in self._transparent and not isinstance(self.stack[depth], OpenList):
                holder = holder_of(self.stack, depth)
                named.append((holder.name if holder else "", depth))
        if named:
            self.report_unclosed(named)
        while len(self.stack) > 1:
            if isinstance(self.stack[-1], OpenList):
                self.close_list(size)
            else:
                self.leave(size, 0)

    def report_unclosed(self, named: list[tuple[str, int]]) -> None:
        source = self.source
        size = len(source)
        name, depth = named[0]
        outermost = self.stack[depth]
        holder = holder_of(self.stack, depth)
        start = holder.start if holder else outermost.start
        line = self.lines.number(outermost.start)
        inner = ", ".join(f"'{name}'" for name, _ in named[1:4]) + (", ..." if len(named) > 4 else "")
        nor = f", nor is {inner} inside it" if inner else ""
        closers = [self.closer(self.stack[depth]) for _, depth in reversed(named)]
        missing = "'" + b" ".join(closers[:8]).decode() + (" ..." if len(closers) > 8 else "") + "'"
        repair: Edits | None = None
        in_list = any(isinstance(block, OpenList) for block in self.stack)
        if len(named) <= 8 and not in_list and not self.holds_itself(named):
            eol = self.lines.end_before(self.lines.start(outermost.start))
            text = b"" if source.endswith(b"\n") else eol
            for closer, (_, depth) in zip(closers, reversed(named), strict=False):
                opened = self.stack[depth].start
                text += self.lines.indentation(opened) + closer + eol
            repair = ((size, size, text),)
        else:
            self.uncertain.append((start, size))
        self.problem(
            "unclosed", start, outermost.open_end,
            f"'{name}' opened on line {line} is never closed{nor}: expected {missing}",
            repair, f"insert {missing} at the end", safe=False,
        )  # fmt: skip

    def holds_itself(self, named: list[tuple[str, int]]) -> bool:
        """Whether an open block contains a block of the same name, which means that a brace is missing further up."""
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
        """Close the blocks whose brace is missing before the field at `position`."""
        token = _token(self.source, position)
        assert token is not None
        name = token[1].decode()
        opens = self.source.startswith(b"{", blanks_end(self.source, token.end()))
        if indentation.repeats_start(self.stack, position, name):
            block, holder = self.stack.pop(), self.stack[-1].fields.pop()
            self.problem(
                "extra-brace", holder.start, block.open_end, f"'{name} {{' is repeated",
                ((holder.start, position, b""),), "remove the first one", safe=False,
            )  # fmt: skip
        while len(self.stack) > 1 and indentation.lost_before_field(self.stack, position, name, opens=opens):
            self.close_missing(position)

    def close_missing(self, position: int) -> None:
        """Close the innermost block before the line of `position`, right after its last field."""
        block = self.stack[-1]
        holder = holder_of(self.stack, len(self.stack) - 1)
        assert holder is not None
        last_end = block.fields[-1].end if block.fields else block.open_end
        where = min(self.lines.end(last_end) + 1, self.lines.start(position))
        closer = self.closer(block)
        text = self.lines.indentation(holder.start) + closer + self.lines.end_before(where)
        self.problem(
            "missing-brace", position, position,
            f"expected '{closer.decode()}' before this line:"
            f" '{holder.name}' opened on line {self.lines.number(block.start)} is not closed",
            ((where, where, text),), f"insert '{closer.decode()}'", safe=False,
        )  # fmt: skip
        self.leave(where, 0)
