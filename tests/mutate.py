"""Small broken and odd variants of text-format files, for holding one parser against another."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from typing import NamedTuple

from caffe_lint.proto.parser import parse
from caffe_lint.proto.tree import Field

_TOKEN = re.compile(rb"\"[^\"\n]*\"|'[^'\n]*'|[A-Za-z_]\w*|[0-9.]+(?:[eE][-+]?[0-9]+)?|[ \t]+|\n|.", re.DOTALL)
_NUMBER = re.compile(rb"(?<![\w.\"])-?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.\"])")
_STRING = re.compile(rb"\"[^\"\n]*\"|'[^'\n]*'")
_SCALAR_FIELD = re.compile(rb"([A-Za-z_]\w*)[ \t]*:[ \t]*(\"[^\"\n]*\"|[-\w.]+)")

NUMBERS = (
    b"0 -0 00 01 010 08 0x10 0X1f 0x -0x1 0xg 1. .5 -.5 . 1.5.2 1e3 1e 1e+ 1E-3 1.e2 1f 1.5F 0f 1ff 1e3f 0x1f 1x 10name "
    b"2147483647 2147483648 -2147483648 -2147483649 4294967295 4294967296 9223372036854775807 9223372036854775808 "
    b"-9223372036854775808 18446744073709551615 18446744073709551616 99999999999999999999999999 1e38 3.4028235e38 "
    b"3.40282357e38 3.5e38 1e39 1e-46 1e308 1e309 -1e309 inf -inf nan -nan NaN Infinity INF infinit inff --1 - -  1 +1 "
    b"1_000 0b1 0o7 1,5 1/2 0.1e-45 4.9e-324 1.0 2.0 00.5 0.0 0e1 0e 1e5.5 5.a"
).split(b" ")
WORDS = (
    b"true false True False TRUE t f T F 1 0 yes MAX AVE TRAIN TEST train LEVELDB CONVOLUTION nan inf layer layers name "
    b"type top bottom param lr_mult reserved _ a A"
).split(b" ")
ESCAPES = [
    *rb"\n \t \\ \' \" \? \a \b \f \r \v \0 \8 \1 \12 \123 \1234 \400 \777 \x \x4 \x41 \xg \X41 \u12 \u1234 \ud83d "
    rb"\ud83d\ude00 \U00012345 \U0010FFFF \U00110000 \U12345678 \q \d \M \e \U0001".split(b" "),
    b"\\",
    b"\\\n",
]
STRANGE = [
    b"\0", b"\x01", b"\x07", b"\x0b", b"\x0c", b"\x1a", b"\x1b", b"\x7f", b"\x80", b"\xa0", b"\xff", b"\xc2\xa0", b"\xe2\x80\x8b",
    b"\xe2\x80\x9c", b"\xe2\x80\x9d", b"\xe2\x80\x99", b"\xef\xbb\xbf", b"\xe3\x80\x80", b"\xef\xbc\x9a", b"\xe2\x88\x92", b"\xc3\xa4",
    b"\xe4\xb8\xad", b"\xff\xfe", b"\xed\xa0\x80", b"\xf0\x9f\x98\x80",
]  # fmt: skip
PUNCTUATION = [bytes([byte]) for byte in b"{}<>[]():;,.=-+/#\"'\\*!@$%^&|~`? \t\n\r"]
COMMENTS = [b"# c", b"#", b'# "', b"# {", b"# \xe4", b"# \0", b"// c", b"/* c */", b"/*", b"#\r", b"# a \\"]
SNIPPETS = [
    b"[", b"]", b"[]", b"[,]", b"[1, 2]", b"[1 2]", b"[{}]", b"{}", b"<>", b"{", b"}", b"<", b">", b": ", b":", b";", b",", b";;", b"\"",
    b"'", b"\"\"", b"''", b"\"a\" \"b\"", b"'a' # c\n\"b\"", b"[a.b]: 1", b"[type.googleapis.com/x.Y] { }", b"-", b"- ", b"-\n", b"a: 1",
    b"name: \"x\"", b"layer {", b"layer { }", b"<<<<<<< a\n", b"=======\n", b">>>>>>> b\n", b"\r\n", b"\n\n", b"\\\"",
]  # fmt: skip


class Mutant(NamedTuple):
    """A changed text, and what was done to it."""

    text: bytes
    how: tuple[str, ...]


def cuts(source: bytes, chance: random.Random, sizes: tuple[int, ...]) -> list[bytes]:
    """Pieces of a file of about so many bytes at most: some of its fields, or else some of its lines."""
    fields = parse(source).root.fields
    pieces = []
    for size in sizes:
        if len(source) <= size:
            pieces.append(source)
        elif fields and chance.random() < 0.9:
            pieces.append(_some_fields(source, fields, chance, size))
        else:
            start = source.rfind(b"\n", 0, chance.randrange(len(source))) + 1
            pieces.append(source[start : start + size])
    return pieces


def _some_fields(source: bytes, fields: list[Field], chance: random.Random, size: int) -> bytes:
    index = chance.randrange(len(fields))
    start, end = fields[index].start, fields[index].end
    while index + 1 < len(fields) and fields[index + 1].end - start <= size:
        index += 1
        end = fields[index].end
    return source[start : min(end, start + 3000)] + b"\n"


def mutated(text: bytes, chance: random.Random) -> Mutant:
    """A text with one to four changes of random kinds."""
    how = []
    for _ in range(chance.choice((1, 1, 1, 1, 1, 1, 2, 2, 3))):
        kind = chance.choice(KINDS)
        text = kind(text, chance)
        how.append(kind.__name__.strip("_"))
    return Mutant(text, tuple(how))


def _put(text: bytes, start: int, end: int, new: bytes) -> bytes:
    return text[:start] + new + text[end:]


def _tokens(text: bytes) -> list[bytes]:
    return _TOKEN.findall(text)


def _spot(text: bytes, chance: random.Random) -> int:
    return chance.randint(0, len(text))


def _delete_bytes(text: bytes, chance: random.Random) -> bytes:
    spot = _spot(text, chance)
    return _put(text, spot, spot + chance.choice((1, 1, 1, 2, 5, 20)), b"")


def _double_bytes(text: bytes, chance: random.Random) -> bytes:
    spot = _spot(text, chance)
    return _put(text, spot, spot, text[spot : spot + chance.choice((1, 1, 3, 10))])


def _swap_bytes(text: bytes, chance: random.Random) -> bytes:
    spot = _spot(text, chance)
    return _put(text, spot, spot + 2, text[spot : spot + 2][::-1])


def _random_byte(text: bytes, chance: random.Random) -> bytes:
    spot = _spot(text, chance)
    return _put(text, spot, spot + chance.randint(0, 1), bytes([chance.randrange(256)]))


def _punctuate(text: bytes, chance: random.Random) -> bytes:
    spot = _spot(text, chance)
    return _put(text, spot, spot + chance.randint(0, 1), chance.choice(PUNCTUATION))


def _strange_character(text: bytes, chance: random.Random) -> bytes:
    spot = _spot(text, chance)
    return _put(text, spot, spot + chance.choice((0, 0, 1)), chance.choice(STRANGE))


def _snippet(text: bytes, chance: random.Random) -> bytes:
    spot = _between(text, chance)
    return _put(text, spot, spot, chance.choice(SNIPPETS))


def _between(text: bytes, chance: random.Random) -> int:
    """A place between two tokens."""
    tokens = _tokens(text)
    return sum(map(len, tokens[: chance.randint(0, len(tokens))]))


def _comment(text: bytes, chance: random.Random) -> bytes:
    spot = _between(text, chance)
    return _put(text, spot, spot, chance.choice(COMMENTS) + chance.choice((b"", b"\n", b"\n")))


def _edit_tokens(text: bytes, chance: random.Random) -> bytes:
    tokens = _tokens(text)
    if not tokens:
        return text
    index = chance.randrange(len(tokens))
    match chance.randrange(6):
        case 0:
            del tokens[index]
        case 1:
            tokens.insert(index, tokens[index])
        case 2:
            other = chance.randrange(len(tokens))
            tokens[index], tokens[other] = tokens[other], tokens[index]
        case 3:
            tokens[index] = chance.choice(WORDS)
        case 4:
            tokens[index] = chance.choice(NUMBERS)
        case _:
            tokens[index] = chance.choice(SNIPPETS)
    return b"".join(tokens)


def _edit_lines(text: bytes, chance: random.Random) -> bytes:
    lines = text.splitlines(keepends=True)
    if not lines:
        return text
    index = chance.randrange(len(lines))
    match chance.randrange(5):
        case 0:
            del lines[index]
        case 1:
            lines.insert(index, lines[index])
        case 2:
            other = chance.randrange(len(lines))
            lines[index], lines[other] = lines[other], lines[index]
        case 3:
            lines[index] = lines[index].rstrip(b"\r\n") + b" "
        case _:
            lines[index] = chance.choice((b"#", b"//", b"  ", b"-", b";")) + lines[index]
    return b"".join(lines)


def _replace_number(text: bytes, chance: random.Random) -> bytes:
    return _replace_match(_NUMBER, text, chance, lambda _: chance.choice(NUMBERS))


def _replace_word(text: bytes, chance: random.Random) -> bytes:
    return _replace_match(re.compile(rb"\b[A-Za-z_]\w*"), text, chance, lambda _: chance.choice(WORDS))


def _misspell(text: bytes, chance: random.Random) -> bytes:
    def misspelt(word: bytes) -> bytes:
        spot = chance.randrange(len(word))
        return _put(word, spot, spot + chance.randint(0, 1), chance.choice((b"", b"x", b"_", b"A", word[spot:][:1])))

    return _replace_match(re.compile(rb"\b[A-Za-z_]\w*"), text, chance, misspelt)


def _requote(text: bytes, chance: random.Random) -> bytes:
    def other(string: bytes) -> bytes:
        inside = string[1:-1]
        half = chance.randint(0, len(inside))
        return chance.choice(
            (
                inside, string[1:], string[:-1], b"'" + inside + b"'", b'"' + inside + b"'", b'"' + inside + b'\\"',
                b'"%s" "%s"' % (inside[:half], inside[half:]), b"\"%s\"\n'%s'" % (inside[:half], inside[half:]),
                b'"%s"\'%s\'' % (inside[:half], inside[half:]), b'"%s"#c\n"%s"' % (inside[:half], inside[half:]),
                b'"%s\n%s"' % (inside[:half], inside[half:]), b"\xe2\x80\x9c" + inside + b"\xe2\x80\x9d",
                b"[" + string + b"]", string + b" x", string + b"x",
            )
        )  # fmt: skip

    return _replace_match(_STRING, text, chance, other)


def _escape(text: bytes, chance: random.Random) -> bytes:
    def escaped(string: bytes) -> bytes:
        spot = chance.randint(1, len(string) - 1)
        return _put(string, spot, spot, chance.choice(ESCAPES))

    return _replace_match(_STRING, text, chance, escaped)


def _strange_in_string(text: bytes, chance: random.Random) -> bytes:
    def filled(string: bytes) -> bytes:
        spot = chance.randint(1, len(string) - 1)
        return _put(string, spot, spot, chance.choice(STRANGE))

    return _replace_match(_STRING, text, chance, filled)


def _rewrite_field(text: bytes, chance: random.Random) -> bytes:
    match = _any_match(_SCALAR_FIELD, text, chance)
    if match is None:
        return text
    name, value = match.groups()
    new = chance.choice(
        (
            b"%s %s", b"%s:: %s", b"%s = %s", b"%s:%s", b"%s\n:\n%s", b"%s: [%s]", b"%s [%s]", b"%s: [%s,]", b"%s: {%s}", b"%s {%s}",
            b"%s: - %s", b"%s: -%s", b"%s: -\n#c\n%s", b"%s: %s;", b"%s: %s,", b"%s: %s;;", b"%s: %s ;", b"%s: # c\n%s", b"%s: %s}",
            b"%s\x0b:\x0c%s", b"%s\r:\r%s", b"\"%s\": %s", b"%s: \"%s\"", b"%s: [ ]%.0s", b"%s: %sf", b"%s: <%s>", b"%s:%.0s",
            b"[%s]: %s", b"%s: %s.5", b"%s: %s/2", b"%s: %s # }", b"%s: [%s, 1]", b"%s: [%s 1]", b"%s.x: %s", b"%s-x: %s",
        )
    )  # fmt: skip
    return _put(text, match.start(), match.end(), new % (name, value))


def _double_field(text: bytes, chance: random.Random) -> bytes:
    match = _any_match(_SCALAR_FIELD, text, chance)
    if match is None:
        return text
    return _put(text, match.end(), match.end(), chance.choice((b"\n", b" ", b", ", b";")) + match[0])


def _rebrace(text: bytes, chance: random.Random) -> bytes:
    spots = [spot for spot, byte in enumerate(text) if byte in b"{}"]
    if not spots:
        return text
    spot = chance.choice(spots)
    opens = text[spot] == 0x7B
    new = (b"<", b"(", b"[", b": {", b":{", b"{{", b"", b"{ {", b"\n{") if opens else (
        b">", b")", b"]", b"}}", b"", b"} }", b"};", b"},", b"};;", b"} ;", b"\n}\n",
    )  # fmt: skip
    return _put(text, spot, spot + 1, chance.choice(new))


def _angle(text: bytes, chance: random.Random) -> bytes:
    """A block in angle brackets, or in a list."""
    spots = [match.start() for match in re.finditer(rb"\{", text)]
    if not spots:
        return text
    start = chance.choice(spots)
    depth = 0
    for end in range(start, len(text)):
        depth += (text[end] == 0x7B) - (text[end] == 0x7D)
        if not depth:
            inside = text[start + 1 : end]
            new = chance.choice(
                (b"<%s>", b"[{%s}]", b": [{%s}]", b": [{%s}, {%s}]", b"[<%s>, ]", b"[{%s} {%s}]", b": <%s>")
            )
            return _put(text, start, end + 1, new.replace(b"%s", inside))
    return text


def _end_early(text: bytes, chance: random.Random) -> bytes:
    return text[: _spot(text, chance)]


def _carriage_returns(text: bytes, chance: random.Random) -> bytes:
    return text.replace(b"\n", chance.choice((b"\r\n", b"\r", b" ", b"\n\n", b"\x0b")), chance.choice((1, 2, -1)))


def _any_match(pattern: re.Pattern[bytes], text: bytes, chance: random.Random) -> re.Match[bytes] | None:
    matches = list(pattern.finditer(text))
    return chance.choice(matches) if matches else None


def _replace_match(
    pattern: re.Pattern[bytes], text: bytes, chance: random.Random, new: Callable[[bytes], bytes]
) -> bytes:
    match = _any_match(pattern, text, chance)
    return text if match is None else _put(text, match.start(), match.end(), new(match[0]))


KINDS: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    _delete_bytes, _double_bytes, _swap_bytes, _random_byte, _punctuate, _strange_character, _snippet, _comment, _edit_tokens,
    _edit_lines, _replace_number, _replace_number, _replace_word, _misspell, _requote, _escape, _strange_in_string,
    _rewrite_field, _rewrite_field, _double_field, _rebrace, _angle, _end_early, _carriage_returns,
)  # fmt: skip
