"""Read the text of a caffe.proto as data, for the names in it: nothing is compiled, imported or run.

protoc reads the file of a user who names one (`compile`). This reader is for files that were found in a repository: it knows
just enough of the language for messages, fields and enums, takes time in proportion to the text, and refuses everything else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .schema import Schema

# A caffe.proto has about 10,000 tokens, and messages in it nest three deep.
MAX_TOKENS = 500_000
MAX_DEPTH = 20
MAX_NUMBER = 2**29  # of a field (language guide); enum values are 32-bit

_TOKEN = re.compile(
    r"\s+|//[^\n]*|(?P<comment>/\*)|(?P<token>[A-Za-z_][\w.]*|\.[A-Za-z_][\w.]*|-?\d[\w.+-]*|\"(?:[^\"\\\n]|\\.)*\"|'(?:[^'\\\n]|\\.)*'"
    r"|[^\s\w\"'])",
    re.ASCII,
)
_NAME = re.compile(r"[A-Za-z_]\w*\Z", re.ASCII).match
_LABELS = {"optional": "o", "required": "q", "repeated": "r"}
_SCALARS = frozenset(
    "double float int64 uint64 int32 fixed64 fixed32 bool string bytes uint32 sfixed32 sfixed64 sint32 sint64".split()
)


class ProtoError(Exception):
    """A text is not one that this reader reads; says what was found, and where."""


class _Message:
    """A message: its fields as label, type, name and number, and the names of the messages and enums in it."""

    def __init__(self) -> None:
        self.fields: list[tuple[str, str, str, int]] = []


def proto_table(text: str, also: Schema | None = None) -> str:
    """Return what `compile.schema_table` makes of a caffe.proto, but for default values. Raises ProtoError.

    A field of a type that is neither in the text nor in the schema `also`, but perhaps in an imported one, is left out.
    """
    reader = _Reader(text, also)
    reader.declarations("", 0)
    lines = [line for name, values in reader.enums.items() for line in _enum_lines(name, values)]
    for name, message in reader.messages.items():
        lines.append(f"M\t{name}\t")
        for label, type_name, field, number in message.fields:
            found = reader.resolved(type_name, name)
            if found is not None:
                lines.append("\t".join(("F", field, str(number), label, *found, "-", "", "")))
    return "".join(f"{line}\n" for line in lines)


def _enum_lines(name: str, values: dict[str, int]) -> Iterator[str]:
    yield f"E\t{name}\t"
    for value, number in values.items():
        yield f"V\t{value}\t{number}\t"


class _Reader:
    """Reads declarations, one token after the other."""

    def __init__(self, text: str, also: Schema | None) -> None:
        self.text = text
        self.also = also
        self.package = ""
        self.messages: dict[str, _Message] = {}
        self.enums: dict[str, dict[str, int]] = {}
        self.place = 0
        self.number = 0
        self.ahead = self._token()

    def resolved(self, type_name: str, scope: str) -> tuple[str, str] | None:
        """Return the kind of a field and the full name of its type, looked up from the inside out; None if it is unknown."""
        if type_name in _SCALARS:
            return type_name, ""
        name = type_name.removeprefix(".")
        if self.package:
            name = name.removeprefix(f"{self.package}.")
        while True:
            full = f"{scope}.{name}" if scope else name
            if full in self.messages or (self.also is not None and self.also.has(full)):
                return "message", full
            if full in self.enums or (self.also is not None and self.also.has_enum(full)):
                return "enum", full
            if not scope:
                return None
            scope = scope.rpartition(".")[0]

    def declarations(self, scope: str, depth: int) -> None:
        """Read what is in a file, or in the message `scope` up to its closing brace."""
        if depth > MAX_DEPTH:
            raise self._error(f"messages nested more than {MAX_DEPTH} deep")
        while self.ahead != ("}" if scope else ""):
            word = self._next()
            if word == "message":
                self._message(scope, self._name(), depth)
            elif word == "enum":
                self._enum(scope, self._name())
            elif word == "package" and not scope:
                self.package = self._next()
                self._expect(";")
            elif word == "oneof" and scope:
                self._name()
                self._expect("{")
                self._fields_of_oneof(scope, depth)
            elif word in ("extend", "service"):
                self._next()
                self._block()
            elif word in ("syntax", "import", "option", "extensions", "reserved", "edition"):
                self._rest()
            elif word != ";":
                if not scope:
                    raise self._error(f"'{word[:40]}' begins no declaration")
                self._field(scope, word, depth)

    def _message(self, scope: str, name: str, depth: int) -> None:
        full = f"{scope}.{name}" if scope else name
        self.messages.setdefault(full, _Message())
        self._expect("{")
        self.declarations(full, depth + 1)
        self._expect("}")

    def _enum(self, scope: str, name: str) -> None:
        values = self.enums.setdefault(f"{scope}.{name}" if scope else name, {})
        self._expect("{")
        while self.ahead != "}":
            word = self._next()
            if word in ("option", "reserved"):
                self._rest()
            elif word != ";":
                value = self._as_name(word)
                self._expect("=")
                values[value] = self._whole(2**31)
                self._rest()
        self._expect("}")

    def _fields_of_oneof(self, scope: str, depth: int) -> None:
        while self.ahead != "}":
            word = self._next()
            if word == "option":
                self._rest()
            elif word != ";":
                self._field(scope, word, depth)
        self._expect("}")

    def _field(self, scope: str, word: str, depth: int) -> None:
        label = _LABELS.get(word, "o")
        type_name = self._next() if word in _LABELS else word
        if type_name == "map" and self.ahead == "<":
            return self._rest()  # Caffe's messages have none
        name = self._name()
        self._expect("=")
        number = self._whole(MAX_NUMBER)
        if type_name == "group":
            self._as_name(name)
            if self.ahead == "[":
                self._until("]")
            self._message(scope, name, depth)
            type_name = name
        else:
            self._rest()
        self.messages[scope].fields.append((label, type_name, name, number))
        return None

    def _rest(self) -> None:
        """Skip to the end of a statement."""
        while (word := self._next()) != ";":
            if word == "{":
                self._inside()
            elif word == "}":
                raise self._error("a statement has no end")

    def _until(self, end: str) -> None:
        while self._next() != end:
            pass

    def _block(self) -> None:
        self._expect("{")
        self._inside()

    def _inside(self) -> None:
        """Skip to the brace that closes a block."""
        depth = 1
        while depth:
            word = self._next()
            depth += (word == "{") - (word == "}")

    def _whole(self, limit: int) -> int:
        word = self._next()
        if word == "-":
            word += self._next()
        try:
            number = int(word[:20], 0)
        except ValueError:
            raise self._error(f"'{word[:40]}' is no whole number") from None
        if not -limit <= number < limit:
            raise self._error(f"{number} is out of range")
        return number

    def _name(self) -> str:
        return self._as_name(self._next())

    def _as_name(self, word: str) -> str:
        if not _NAME(word):
            raise self._error(f"'{word[:40]}' is no name")
        return word

    def _expect(self, word: str) -> None:
        found = self._next()
        if found != word:
            raise self._error(f"expected '{word}', found '{found[:40]}'")

    def _next(self) -> str:
        word = self.ahead
        if not word:
            raise self._error("the text ends too early")
        self.ahead = self._token()
        return word

    def _token(self) -> str:
        """Return the next token; empty at the end of the text."""
        while self.place < len(self.text):
            match = _TOKEN.match(self.text, self.place)
            if match is None:
                raise self._error(f"unexpected {self.text[self.place]!r}")
            self.place = match.end()
            if match["comment"] is not None:
                end = self.text.find("*/", self.place)
                if end < 0:
                    raise self._error("a comment has no end")
                self.place = end + 2
            elif match["token"] is not None:
                self.number += 1
                if self.number > MAX_TOKENS:
                    raise self._error(f"more than {MAX_TOKENS:,} tokens")
                return match["token"]
        return ""

    def _error(self, what: str) -> ProtoError:
        return ProtoError(f"line {self.text.count(chr(10), 0, self.place) + 1}: {what}")
