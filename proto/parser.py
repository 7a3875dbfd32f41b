"""Reading text format into a lossless tree, on through every error.

Accepts what protobuf's C++ `TextFormat::Parse` accepts (text_format.cc, io/tokenizer.cc), which Caffe uses
in `ReadProtoFromTextFile`. Names and types of fields are not looked at here; see `binder`.

Nearly every statement of a real file is matched whole by one regular expression (`_STATEMENT`). What that does
not match goes to `_Statement`, which reads token by token, knows the rest of the grammar, reports errors and
finds where to go on.
"""

from __future__ import annotations

import re

from .tree import Block, Field, ListValue, Problem, Scalar, Tree

_SPACE = rb"[ \t\n\v\f\r]*(?:#[^\n\0]*(?:\n[ \t\n\v\f\r]*|\Z))*"
_skip = re.compile(_SPACE).match

# Groups: 1 name, then 2 scalar, 3 brace behind a colon, or 4 brace; or 5 closing brace. The look-aheads leave to the slow path what
# needs a second look: separators, adjacent strings, whatever sticks to a number.
_STATEMENT = re.compile(
    _SPACE + rb"(?:([A-Za-z_][A-Za-z0-9_]*)[ \t]*"
    rb"(?::[ \t]*(?:"
    rb"((?:-?(?:[1-9][0-9]*|0)(?:\.[0-9]*)?(?:[eE][+-]?[0-9]+)?|-?\.[0-9]+|[A-Za-z_][A-Za-z0-9_]*)(?=[ \t\r\n}#])"
    rb"|\"[^\"\\\n\0]*\"(?=[ \t\r\n]*[A-Za-z_}]))"
    rb"|(\{))"
    rb"|(\{))"
    rb"|(\}))"
).match

# A token as the tokenizer of protobuf cuts it. Groups: 1 identifier, 2 number, 3 string, 4 any other character.
_TOKEN = re.compile(
    rb"([A-Za-z_][A-Za-z0-9_]*)"
    rb"|((?:0[xX][0-9a-fA-F]*|0[0-9]+|(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]*)?[fF]?)[A-Za-z0-9_.]*)"
    rb"|(\"(?:[^\"\\\n\0]|\\[^\n\0])*\"|'(?:[^'\\\n\0]|\\[^\n\0])*')"
    rb"|((?s:.))"
).match
_number = re.compile(
    rb"0[xX][0-9a-fA-F]+|0[0-7]+|(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?[fF]?"
).fullmatch
_escapes = re.compile(
    rb"[^\\]+|\\(?:[abfnrtv\\?'\"]|[0-7]{1,3}|[xX][0-9a-fA-F]{1,2}|u[0-9a-fA-F]{4}|U00(?:0[0-9a-fA-F]|10)[0-9a-fA-F]{4})"
)
# Space and zero-width characters of Unicode that editors, word processors and web pages leave in files.
_UNICODE_SPACE = re.compile(
    rb"(?:\xc2\xa0|\xe1\x9a\x80|\xe2\x80[\x80-\x8d\xa8\xa9\xaf]|\xe2\x81[\x9f\xa0]|\xe3\x80\x80|\xef\xbb\xbf)+"
).match
_ZERO_WIDTH = re.compile(rb"\xe2\x80[\x8b-\x8d]|\xe2\x81\xa0|\xef\xbb\xbf")
_OPEN_QUOTE = rb"\xe2\x80[\x98-\x9f]|\xc2[\xab\xbb]|\xef\xbc\x82"
_SMART_STRING = re.compile(
    rb"(?:" + _OPEN_QUOTE + rb")([^\n\"\\\xe2\xc2\xef]*)(?:" + _OPEN_QUOTE + rb"|\"|')"
    rb"|[\"']([^\n\"'\\\xe2\xc2\xef]*)(?:" + _OPEN_QUOTE + rb")"
).match
_BARE_WORD = re.compile(rb"[^\s{}\[\]<>#;,\"']+").match
_REST_OF_LINE = re.compile(rb"[^\n]*").match
_INDENT = re.compile(rb"[ \t]*").match

_BLOCK_OPENERS = b"{<"
_CLOSER = {0x7B: 0x7D, 0x3C: 0x3E}  # { }  < >
_NAME_START = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_")


def parse(source: bytes) -> Tree:
    """The tree of a file, with all its syntax problems in the order of their places.

    Never raises: an unreadable stretch becomes a problem and reading goes on behind it.
    """
    tree = _parse(source, by_indent=False)
    unclosed = [problem for problem in tree.problems if problem.kind == "unclosed"]
    if unclosed:
        # The braces do not add up. If the indentation says where one is missing, everything after it keeps its place.
        guess = _parse(source, by_indent=True)
        if not any(problem.kind == "unclosed" for problem in guess.problems) and len(guess.problems) <= len(
            tree.problems
        ) + len(unclosed):
            tree = guess
    tree.problems.sort(key=lambda problem: problem.start)
    return tree


def _parse(source: bytes, *, by_indent: bool) -> Tree:
    root = Block(0, 0)
    state = _Statement(source, root, by_indent)
    stack = state.stack
    block = root
    append = root.fields.append
    position = 0
    while True:
        match = _STATEMENT(source, position)
        if match is None or by_indent:
            if state.read(position):
                break
            position = state.position
            if stack[-1] is not block:
                block = stack[-1]
                append = block.fields.append
            continue
        kind = match.lastindex
        position = match.end()
        if kind == 2:
            start, name_end = match.span(1)
            value_start = match.start(2)
            append(
                Field(
                    match[1].decode(),
                    start,
                    source.find(b":", name_end),
                    Scalar(match[2], value_start, position),
                    position,
                )
            )
        elif kind == 5:
            if len(stack) == 1 or source[block.start] != 0x7B:
                state.read(position - 1)
                position = state.position
            else:
                block.close = position - 1
                block.end = position
                stack.pop()
                block = stack[-1]
                block.fields[-1].end = position
                append = block.fields.append
                continue
            block = stack[-1]
            append = block.fields.append
        else:
            start = match.start(1)
            inner = Block(position - 1, position)
            colon = source.find(b":", start, position) if kind == 3 else -1
            append(Field(match[1].decode(), start, colon, inner, position))
            stack.append(inner)
            block = inner
            append = inner.fields.append
    root.close = root.end = len(source)
    return Tree(source, root, state.problems)


class _Statement:
    """The slow path: one statement at a time, by the whole grammar, with recovery."""

    def __init__(self, source: bytes, root: Block, by_indent: bool) -> None:
        self.source = source
        self.stack = [root]
        self.problems: list[Problem] = []
        self.position = 0
        self.by_indent = by_indent

    # -- places ---------------------------------------------------------------------------------------------

    def problem(
        self,
        kind: str,
        start: int,
        end: int,
        message: str,
        repair: tuple[tuple[int, int, bytes], ...] | None = None,
        title: str = "",
        safe: bool = True,
    ) -> None:
        self.problems.append(Problem(kind, start, max(end, start), message, repair, title, safe))

    def line_end(self, position: int) -> int:
        found = self.source.find(b"\n", position)
        return len(self.source) if found < 0 else found

    def on_one_line(self, start: int, end: int) -> bool:
        return self.source.find(b"\n", start, end) < 0

    def indent_of_line(self, position: int) -> int | None:
        """Width of the indentation before `position`, None if something else stands before it on the line."""
        line_start = self.source.rfind(b"\n", 0, position) + 1
        match = _INDENT(self.source, line_start, position)
        assert match is not None
        return None if match.end() < position else len(match[0].expandtabs(4))

    def quote(self, start: int, end: int) -> str:
        """What stands there, shortened, for a message."""
        text = self.source[start:end].decode("utf-8", "replace")
        return text if len(text) <= 40 else text[:37] + "..."

    def skip(self, position: int) -> int:
        """Past space and comments, and past characters that merely look like space (each a problem)."""
        source = self.source
        while True:
            match = _skip(source, position)
            assert match is not None
            position = match.end()
            if position >= len(source):
                return position
            character = source[position]
            if character > 0x7F:
                space = _UNICODE_SPACE(source, position)
                if space is None:
                    return position
                self.unicode_space(position, space.end())
                position = space.end()
            elif character == 0x2F and source[position + 1 : position + 2] in (b"/", b"*"):
                position = self.foreign_comment(position)
            elif character == 0x23:  # a comment that runs into a NUL
                nul = source.index(b"\0", position)
                self.problem(
                    "syntax", nul, nul + 1, "NUL byte in a comment: Caffe's parser stops here", ((nul, nul + 1, b""),),
                    "remove the NUL byte",
                )
                position = self.line_end(nul)
            elif character < 0x20:
                end = position + 1
                while end < len(source) and source[end] < 0x20 and source[end] not in b" \t\n\v\f\r":
                    end += 1
                self.problem("syntax", position, end, f"control character 0x{character:02x} between tokens")
                position = end
            else:
                return position

    def unicode_space(self, start: int, end: int) -> None:
        text = self.source[start:end]
        if start == 0 and text.startswith(b"\xef\xbb\xbf"):
            self.problem(
                "byte-order-mark", 0, 3, "byte-order mark at the start of the file: Caffe's parser stops at it",
                ((0, 3, b""),), "remove the byte-order mark",
            )
            start += 3
            text = text[3:]
            if not text:
                return
        visible = _ZERO_WIDTH.sub(b"", text)
        name = f"U+{ord(text.decode('utf-8', 'replace')[0]):04X}"
        self.problem(
            "unicode-space", start, end,
            f"{name} looks like a space but Caffe's parser knows only ASCII space and stops at it",
            ((start, end, b" " if visible else b""),),
            "replace it by a space" if visible else "remove it",
        )

    def foreign_comment(self, start: int) -> int:
        source = self.source
        if source[start + 1] == 0x2F:
            end = self.line_end(start)
            self.problem(
                "foreign-comment", start, start + 2, "'//' does not start a comment in text format, '#' does",
                ((start, start + 2, b"#"),), "write '#'",
            )
            return end
        close = source.find(b"*/", start + 2)
        if close < 0:
            self.problem("foreign-comment", start, start + 2, "'/*' does not start a comment in text format, '#' does")
            return self.line_end(start)
        repair: list[tuple[int, int, bytes]] | None = None
        behind = source[close + 2 : self.line_end(close)].strip()
        if not behind or behind.startswith(b"#"):
            repair = [(start, start + 2, b"#")]
            line = source.find(b"\n", start, close)
            while line >= 0:
                repair.append((line + 1, line + 1, b"#"))
                line = source.find(b"\n", line + 1, close)
            repair.append((close, close + 2, b""))
        self.problem(
            "foreign-comment", start, start + 2, "'/* */' is no comment in text format, '#' to the end of a line is",
            tuple(repair) if repair else None, "make every line of it a '#' comment",
        )
        return close + 2

    # -- a statement ----------------------------------------------------------------------------------------

    def read(self, position: int) -> bool:
        """Reads one statement or closing brace and leaves `self.position` behind it; True at the end of the file."""
        source = self.source
        position = self.skip(position)
        if position >= len(source):
            self.close_at_end()
            return True
        character = source[position]
        if character in _NAME_START:
            if self.by_indent:
                self.close_by_indent(position)
            self.position = self.field(position)
        elif character in b"}>":
            self.position = self.close(position)
        elif character in b";,":
            self.position = self.separator(position)
        elif character == 0x5B:
            self.position = self.extension_name(position)
        else:
            self.position = self.junk(position)
        return False

    def close(self, position: int) -> int:
        source = self.source
        block = self.stack[-1]
        written = chr(source[position])
        if len(self.stack) == 1:
            self.problem(
                "extra-brace", position, position + 1, f"'{written}' closes nothing: no block is open here"
            )
            return position + 1
        if self.by_indent:
            # A brace further out than the block it would close belongs to an outer block.
            indent = self.indent_of_line(position)
            while indent is not None and len(self.stack) > 2:
                opener = self.opener_indent(self.stack[-1])
                outer = self.opener_indent(self.stack[-2])
                if opener is None or outer is None or indent >= opener or indent > outer:
                    break
                self.close_missing(position)
            block = self.stack[-1]
        expected = _CLOSER[source[block.start]]
        if source[position] != expected:
            self.problem(
                "syntax", position, position + 1, f"expected '{chr(expected)}' to close the block, found '{written}'",
                ((position, position + 1, bytes([expected])),), f"write '{chr(expected)}'",
            )
        block.close = position
        return self.leave(position + 1)

    def leave(self, end: int) -> int:
        """Closes the innermost block at `end`, where an optional separator may follow."""
        block = self.stack.pop()
        block.end = end
        self.stack[-1].fields[-1].end = end
        return end

    def separator(self, position: int) -> int:
        """A `;` or `,`: right after a field, once."""
        fields = self.stack[-1].fields
        if fields:
            last = fields[-1]
            between = _skip(self.source, last.end)
            assert between is not None
            if self.source[last.end - 1] not in b";," and between.end() == position:
                last.end = position + 1
                return position + 1
        written = chr(self.source[position])
        self.problem(
            "syntax", position, position + 1, f"expected a field name, found '{written}' (one separator at most may follow a field)",
            ((position, position + 1, b""),), f"remove the '{written}'",
        )
        return position + 1

    def extension_name(self, position: int) -> int:
        source = self.source
        close = source.find(b"]", position, self.line_end(position))
        end = close + 1 if close >= 0 else position + 1
        self.problem(
            "syntax", position, end,
            f"expected a field name, found {self.quote(position, end)}: Caffe's messages have no extensions",
        )
        after = self.skip(end)
        if source[after : after + 1] == b":":
            after = self.skip(after + 1)
        if close >= 0 and after < len(source) and source[after] not in _NAME_START and source[after] not in b"}>":
            _, after = self.value(after, "", position)
        return max(after, end)

    def junk(self, position: int) -> int:
        token = _TOKEN(self.source, position)
        assert token is not None
        if token.lastindex == 4:
            word = _BARE_WORD(self.source, position)
            end = word.end() if word else position + 1
        else:
            end = token.end()
        self.problem("syntax", position, end, f"expected a field name, found {self.quote(position, end)}")
        return end

    def field(self, start: int) -> int:
        source = self.source
        token = _TOKEN(source, start)
        assert token is not None
        name = token[1].decode()
        name_end = token.end()
        field = Field(name, start, -1, None, name_end)
        self.stack[-1].fields.append(field)
        after = self.skip(name_end)
        following = source[after] if after < len(source) else 0
        if following == 0x3A:
            field.colon = after
            after = self.skip(after + 1)
        elif following == 0x3D:
            self.problem(
                "syntax", after, after + 1, f"expected ':' after '{name}', found '='", ((after, after + 1, b":"),),
                "write ':'",
            )
            field.colon = after
            after = self.skip(after + 1)
        elif following and following not in b"{<[}>;," and self.on_one_line(name_end, after):
            glued = after == name_end
            if glued:
                word = _BARE_WORD(source, start)
                end = word.end() if word else after + 1
                self.problem(
                    "syntax", start, end, f"expected a field name, found {self.quote(start, end)}: a name has only letters, digits and '_'"
                )
                field.name = source[start:name_end].decode()
                behind = self.skip(end)
                if source[behind : behind + 1] != b":":
                    self.stack[-1].fields.pop()
                    return end
                field.colon = behind
                after = self.skip(behind + 1)
            else:
                self.problem(
                    "missing-colon", after, after, f"expected ':' between '{name}' and its value",
                    ((name_end, name_end, b":"),), "insert ':'",
                )
                field.colon = name_end
        following = source[after] if after < len(source) else 0
        if not following or following in b"}>;,:" or (field.colon < 0 and following not in b"{<["):
            expected = "a value" if field.colon >= 0 else "':' and a value, or '{'"
            found = f"'{chr(following)}'" if following and following < 0x80 else "the end of the file"
            if following in _NAME_START:
                token = _TOKEN(source, after)
                assert token is not None
                found = f"'{token[0].decode()}'"
            self.problem("missing-value", start, max(name_end, field.colon + 1), f"expected {expected} after '{name}', found {found}")
            field.end = max(name_end, field.colon + 1)
            return after + 1 if following == 0x3A else field.end
        if following in _NAME_START and field.colon >= 0 and not self.on_one_line(field.colon, after) and self.starts_field(after):
            self.problem(
                "missing-value", start, field.colon + 1, f"expected a value after '{name}:', found the next field"
            )
            field.end = field.colon + 1
            return field.end
        if following in _BLOCK_OPENERS:
            inner = Block(after, after + 1)
            field.value = inner
            field.end = after + 1
            self.stack.append(inner)
            return after + 1
        field.value, field.end = self.value(after, name, start)
        return field.end

    def starts_field(self, position: int) -> bool:
        """Whether `name:` or `name {` stands at `position`."""
        token = _TOKEN(self.source, position)
        assert token is not None
        match = _skip(self.source, token.end())
        assert match is not None
        return self.source[match.end() : match.end() + 1] in (b":", b"{")

    # -- values ---------------------------------------------------------------------------------------------

    def value(self, position: int, name: str, field_start: int) -> tuple[Scalar | ListValue | Block | None, int]:
        """A scalar or a list at `position`, and where it ends; messages in lists are read here too."""
        if self.source[position] == 0x5B:
            return self.list_value(position, name)
        if self.source[position] in _BLOCK_OPENERS:
            return self.list_block(position)
        return self.scalar(position, name)

    def list_value(self, position: int, name: str) -> tuple[ListValue, int]:
        source = self.source
        values = ListValue(position)
        position = self.skip(position + 1)
        if source[position : position + 1] == b"]":
            values.end = position + 1
            return values, values.end
        while True:
            if position >= len(source) or source[position] in b"}>":
                self.problem(
                    "syntax", values.start, values.start + 1, f"the list of '{name}' is not closed: expected ']'"
                )
                break
            if source[position] in b",]:;":
                comma = source.rfind(b",", values.start, position)
                trailing = source[position] == 0x5D and comma >= 0 and bool(values.items)
                self.problem(
                    "syntax", position, position + 1, f"expected a value in the list of '{name}', found '{chr(source[position])}'",
                    ((comma, comma + 1, b""),) if trailing else ((position, position + 1, b""),) if source[position] == 0x2C else None,
                    "remove the surplus ','",
                )
                if source[position] == 0x5D:
                    position += 1
                    break
                position = self.skip(position + 1)
                continue
            item, position = self.value(position, name, position)
            if isinstance(item, ListValue):
                self.problem("syntax", item.start, item.end, f"a list inside the list of '{name}'")
            elif item is not None:
                values.items.append(item)
            position = self.skip(position)
            following = source[position : position + 1]
            if following == b"]":
                position += 1
                break
            if following == b",":
                position = self.skip(position + 1)
            elif following and following[0] not in b"}>" and not (following[0] in _NAME_START and self.starts_field(position)):
                self.problem(
                    "syntax", position, position + 1, f"expected ',' or ']' in the list of '{name}', found {self.quote(position, position + 1)}"
                )
            else:
                self.problem(
                    "syntax", values.start, values.start + 1, f"the list of '{name}' is not closed: expected ']'"
                )
                break
        values.end = position
        return values, position

    def list_block(self, position: int) -> tuple[Block, int]:
        """A message inside a list: read with the same loop as the file, on a stack of its own."""
        outer = self.stack
        block = Block(position, position + 1)
        holder = Block(position, position)
        holder.fields.append(Field("", position, -1, block, position))
        self.stack = [holder, block]
        self.position = position + 1
        while len(self.stack) > 1:
            if self.read(self.position):
                break
        end = self.position if len(self.stack) == 1 else len(self.source)
        block.end = end
        self.stack = outer
        return block, end

    def scalar(self, start: int, name: str) -> tuple[Scalar | None, int]:
        source = self.source
        position = start
        minus = b""
        if source[position] == 0x2D:
            minus = b"-"
            position = self.skip(position + 1)
            if position >= len(source):
                self.problem("missing-value", start, start + 1, f"expected a number after '-' in '{name}'")
                return None, position
        token = _TOKEN(source, position)
        assert token is not None
        kind = token.lastindex
        end = token.end()
        if kind == 3 and not minus:
            smart = _SMART_STRING(source, position)
            if smart and smart[2] is not None and smart.end() < end:
                return self.smart_string(smart, name)
            return self.strings(position, end)
        if kind in (1, 2):
            if kind == 2 and not _number(token[2]):
                return self.bad_number(start, position, end, token[2], minus, name)
            glued = source[end] if end < len(source) else 0x20
            if kind == 1 and glued in b"\"'":
                repaired = self.missing_quote(position, name)
                if repaired:
                    return repaired
            if kind == 1 and glued in b"-./\\:@$%&*+!?~^|=`" and self.bare_word_ends_line(position) and not minus:
                return self.bare_word(position, name)
            return Scalar(minus + token[0], start, end), end
        character = source[position]
        if character in b"\"'":
            return self.missing_quote(position, name) or self.unclosed_string(position, name)
        smart = _SMART_STRING(source, position)
        if smart:
            return self.smart_string(smart, name)
        if character == 0x2B and (number := _TOKEN(source, position + 1)) and number.lastindex == 2:
            self.problem(
                "syntax", position, position + 1, "'+' before a number is not allowed", ((position, position + 1, b""),),
                "remove the '+'",
            )
            return Scalar(number[0], start, number.end()), number.end()
        return self.bare_word(position, name)

    def strings(self, start: int, end: int) -> tuple[Scalar, int]:
        """A string and those that follow it, which the format joins."""
        source = self.source
        text = source[start:end]
        self.check_escapes(start, end)
        while True:
            after = self.skip(end)
            token = _TOKEN(source, after) if after < len(source) else None
            if token is None or token.lastindex != 3:
                return Scalar(text, start, end), end
            self.check_escapes(after, token.end())
            text += token[3]
            end = token.end()

    def check_escapes(self, start: int, end: int) -> None:
        """Invalid escapes, which nearly always are the backslashes of a Windows path."""
        source = self.source
        if b"\\" not in source[start:end]:
            return
        position = start + 1
        while position < end - 1:
            match = _escapes.match(source, position, end - 1)
            if match:
                position = match.end()
                continue
            inside = source[start + 1 : end - 1]
            windows = re.match(rb"[A-Za-z]:\\|\\\\|\.{0,2}\\", inside) and b"\\\\" not in inside[2:]
            repair = tuple(
                (start + 1 + offset, start + 2 + offset, b"\\\\")
                for offset, byte in enumerate(inside)
                if byte == 0x5C
            )
            hint = ": in a Windows path write '\\\\' or '/'" if windows else ""
            self.problem(
                "bad-escape", position, min(position + 2, end),
                f"'{self.quote(position, min(position + 2, end))}' is no escape sequence{hint}",
                repair if windows else None, "double the backslashes",
            )
            return

    def bad_number(
        self, start: int, position: int, end: int, text: bytes, minus: bytes, name: str
    ) -> tuple[Scalar | None, int]:
        shown = text.decode()
        if re.fullmatch(rb"0[0-9]+", text):
            message = f"{shown} starts with 0, which makes it octal, but has digits over 7"
        elif re.fullmatch(rb"0[xX]", text):
            message = f"expected hexadecimal digits after '{shown}'"
        elif self.bare_word_ends_line(position):
            return self.bare_word(position, name)
        else:
            message = f"{shown} is not a number"
        self.problem("syntax", position, end, message)
        return Scalar(minus + text, start, end), end

    def bare_word_ends_line(self, position: int) -> bool:
        """Whether nothing but a comment or a closing brace follows the run of characters at `position`."""
        word = _BARE_WORD(self.source, position)
        if word is None:
            return False
        match = re.compile(rb"[ \t]*(?:\r?\n|#|\}|\Z)").match(self.source, word.end())
        return match is not None

    def bare_word(self, position: int, name: str) -> tuple[Scalar | None, int]:
        """Characters that are no token, such as a path or a name with a dash whose quotes are missing."""
        source = self.source
        word = _BARE_WORD(source, position)
        if word is None:
            self.problem("syntax", position, position + 1, f"expected a value for '{name}', found {self.quote(position, position + 1)}")
            return None, position + 1
        end = word.end()
        text = word[0]
        quotable = b"\\" not in text and text.isascii()
        self.problem(
            "missing-quotes", position, end, f"expected a value for '{name}', found {self.quote(position, end)}: text needs quotes",
            ((position, position, b'"'), (end, end, b'"')) if quotable and self.bare_word_ends_line(position) else None,
            f'write "{self.quote(position, end)}"',
        )
        return Scalar(b'"' + text.replace(b"\\", b"\\\\") + b'"', position, end), end

    def missing_quote(self, position: int, name: str) -> tuple[Scalar, int] | None:
        """A string with one of its two quotes missing, on a line that holds nothing else."""
        source = self.source
        line_end = self.line_end(position)
        match = re.compile(rb"(?:([\"'])([^\s\"'#{}\\]+)|([^\s\"'#{}\\]+)([\"']))[ \t\r]*\Z").match(
            source, position, line_end
        )
        if match is None:
            return None
        quote = match[1] or match[4]
        text = match[2] or match[3]
        end = match.end(2) if match[1] else match.end(4)
        where = end if match[1] else position
        self.problem(
            "unclosed-string", position, end,
            f"the string of '{name}' is not closed on its line" if match[1] else f"the string of '{name}' has no opening quote",
            ((where, where, quote),), f"insert {quote.decode()}",
        )
        return Scalar(quote + text + quote, position, end), end

    def unclosed_string(self, position: int, name: str) -> tuple[Scalar | None, int]:
        source = self.source
        nul = source.find(b"\0", position, self.line_end(position))
        end = nul if nul >= 0 else self.line_end(position)
        while end > position + 1 and source[end - 1] in b" \t\r":
            end -= 1
        self.problem("unclosed-string", position, end, f"the string of '{name}' is not closed on its line")
        text = source[position + 1 : end].replace(b"\\", b"\\\\")
        quote = source[position : position + 1]
        return Scalar(quote + text + quote, position, end), end if nul < 0 else nul + 1

    def smart_string(self, match: re.Match[bytes], name: str) -> tuple[Scalar, int]:
        start, end = match.span()
        inside = match[1] if match[1] is not None else match[2]
        inner_start, inner_end = match.span(1) if match[1] is not None else match.span(2)
        self.problem(
            "smart-quotes", start, end, f"typographic quotes around the value of '{name}': text format takes \" and ' only",
            ((start, inner_start, b'"'), (inner_end, end, b'"')), 'write "',
        )
        return Scalar(b'"' + inside + b'"', start, end), end

    # -- braces that are missing ----------------------------------------------------------------------------

    def close_at_end(self) -> None:
        """Reports every block that the end of the file finds open, at its opening line."""
        size = len(self.source)
        while len(self.stack) > 1:
            block = self.stack[-1]
            holder = self.stack[-2].fields[-1]
            line = self.source.count(b"\n", 0, block.start) + 1
            closer = chr(_CLOSER[self.source[block.start]])
            self.problem(
                "unclosed", holder.start, block.open_end, f"'{holder.name or '['}' opened on line {line} is never closed: expected '{closer}'"
            )
            block.close = size
            self.leave(size)

    def opener_indent(self, block: Block) -> int | None:
        """Indentation of the line that opens a block, None if its name does not begin that line."""
        holder = self.stack[self.stack.index(block) - 1].fields[-1]
        return self.indent_of_line(holder.start)

    def close_by_indent(self, position: int) -> None:
        """Closes the blocks that a line no deeper than their opening line shows to have lost their brace."""
        indent = self.indent_of_line(position)
        while indent is not None and len(self.stack) > 1:
            block = self.stack[-1]
            opener = self.opener_indent(block)
            if opener is None or indent > opener or self.on_one_line(block.start, position):
                return
            self.close_missing(position)

    def close_missing(self, position: int) -> None:
        source = self.source
        block = self.stack[-1]
        holder = self.stack[-2].fields[-1]
        line_start = source.rfind(b"\n", 0, position) + 1
        closer = bytes([_CLOSER[source[block.start]]])
        line = source.count(b"\n", 0, block.start) + 1
        indent = source[source.rfind(b"\n", 0, holder.start) + 1 : holder.start]
        eol = b"\r\n" if source[line_start - 2 : line_start] == b"\r\n" else b"\n"
        self.problem(
            "missing-brace", position, position,
            f"expected '{closer.decode()}' before this line: '{holder.name}' opened on line"
            f" {line} is not closed",
            ((line_start, line_start, indent + closer + eol),), f"insert '{closer.decode()}'", safe=False,
        )
        block.close = line_start
        self.leave(line_start)
