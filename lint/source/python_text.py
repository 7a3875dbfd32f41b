"""Python programs, read as text, in Python 2 or 3: their statements, and the texts that expressions stand for.

Nothing is run or compiled. What an expression stands for is known for literals, names that were assigned, `+`, `%`,
`format`, `os.path.join` and the like; everything else is `UNKNOWN`. A list is the command line of its items.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import islice, product

from ..proto.named_tuple import NamedTuple
from .script_values import MAX_LENGTH, MAX_VALUES, SCRIPT_FOLDER, UNKNOWN, Block, Variables

MAX_TOKENS = 1_000  # of a statement; longer ones are data
_MAX_DEPTH = 20  # of brackets in an expression

_TOKEN = re.compile(
    r"""(?P<space>[ \t\r\f]+|\\\r?\n)|(?P<string>[rRbBuUfF]{0,2}(?:\"\"\"(?:[^"\\]|\\.|"(?!""))*\"\"\"|'''(?:[^'\\]|\\.|'(?!''))*'''"""
    r"""|"(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'))"""
    r"""|(?P<name>[A-Za-z_][A-Za-z_0-9]*)|(?P<number>[0-9][\w.]*)|(?P<comment>\#[^\n]*)|(?P<newline>\n)"""
    r"""|(?P<op>[-+*/%&|^=<>!]?=|.)""",
    re.DOTALL,
)
_HOLE = re.compile(r"%(?:\([^)]{0,100}\))?[-#0 +]{0,5}[0-9*]{0,5}(?:\.[0-9*]{1,5})?([a-zA-Z%])")
_FIELD = re.compile(r"\{\{|\}\}|\{([^{}:!]{0,100})[^{}]{0,100}\}")
_ESCAPE = re.compile(r"\\(\n|.)", re.DOTALL)
_ESCAPES = {"n": "\n", "t": "\t", "r": "\r", "\n": "", "0": ""}
_SAME = frozenset({"str", "abspath", "realpath", "normpath", "expanduser", "strip", "rstrip", "lstrip", "unicode", "Path"})
_BRACKETS = {"(": ")", "[": "]", "{": "}"}
_BRANCHES = frozenset({"if", "elif", "else", "for", "while", "try", "except", "finally"})


class Token(NamedTuple):
    """A token: its kind (string, name, number or op), its text, and its line."""

    kind: str
    text: str
    line: int


class Statement(NamedTuple):
    """A logical line: its tokens, and the branches and loops that it stands in, the outermost first."""

    tokens: tuple[Token, ...]
    block: Block

    @property
    def line(self) -> int:
        """The number of its first line."""
        return self.tokens[0].line


def statements(text: str, first_line: int = 1) -> Iterator[Statement]:
    """Yield the statements of a program; those with more than `MAX_TOKENS` tokens are left out."""
    tokens: list[Token] = []
    headers: list[tuple[int, bool, int]] = []  # of the blocks around: indentation, whether it is a branch, number
    line, depth, indent, blocks, at_start = first_line, 0, 0, 0, True
    for match in _TOKEN.finditer(text + "\n"):
        kind, found = match.lastgroup or "op", match[0]
        if kind == "space":
            if at_start and not tokens:
                indent = len(found.expandtabs(8))
            line += found[-1] == "\n"
        elif kind == "newline":
            if not depth or len(tokens) > MAX_TOKENS:
                if tokens and len(tokens) <= MAX_TOKENS:
                    while headers and headers[-1][0] >= indent:
                        headers.pop()
                    yield Statement(tuple(tokens), tuple(number for _, branch, number in headers if branch))
                    if tokens[-1].text == ":":
                        blocks += 1
                        is_main = any(token.text == "__name__" for token in tokens)
                        headers.append((indent, tokens[0].text in _BRANCHES and not is_main, blocks))
                tokens, depth, indent, at_start = [], 0, 0, True
            line += 1
        elif kind != "comment":
            if kind == "op":
                if found in _BRACKETS:
                    depth += 1
                elif found in (")", "]", "}"):
                    depth = max(0, depth - 1)
            if len(tokens) <= MAX_TOKENS:
                tokens.append(Token(kind, found, line))
            if kind == "string":
                line += found.count("\n")


class Reader:
    """Evaluates expressions, from a place in the tokens of a statement on, with the variables known there."""

    def __init__(self, tokens: tuple[Token, ...], variables: Variables, at: int = 0) -> None:
        self.tokens = tokens
        self.at = at
        self._variables = variables

    def peek(self) -> str:
        """Return the text of the next token, empty at the end."""
        return self.tokens[self.at].text if self.at < len(self.tokens) else ""

    def expression(self, depth: int = 0) -> list[str]:
        """Return the texts that the expression at this place may stand for, and go past it."""
        values = self._sum(depth)
        if self.peek() == "if" and depth < _MAX_DEPTH:
            self._pass_over("else")
            if self.peek() == "else":
                self.at += 1
                return [*values, *self.expression(depth + 1)][:MAX_VALUES]
        if self.peek() not in (",", ")", "]", "}", "", ";", ":", "="):
            self._pass_over()
            return [UNKNOWN]
        return values

    def _sum(self, depth: int) -> list[str]:
        values = self._term(depth)
        while self.peek() in ("+", "%"):
            operator = self.peek()
            self.at += 1
            arguments = self._arguments(depth) if operator == "%" and self.peek() == "(" else [self._term(depth)]
            if operator == "+":
                values = _products([values, *arguments], "".join)
            else:
                values = _products([values, *arguments], lambda parts: _filled(parts[0], parts[1:]))
        return values

    def _term(self, depth: int) -> list[str]:
        if self.at >= len(self.tokens) or depth > _MAX_DEPTH:
            self._pass_over()
            return [UNKNOWN]
        token = self.tokens[self.at]
        dotted = ""
        if token.kind == "string":
            values = self._literals()
        elif token.kind == "number":
            self.at += 1
            values = [token.text]
        elif token.kind == "name":
            dotted = self.dotted_name()
            values = self._named(dotted)
        elif token.text == "[":
            values = _products(self._arguments(depth), _command_line)
        elif token.text == "(":
            inside = self._arguments(depth)
            values = inside[0] if len(inside) == 1 else _products(inside, _command_line)
        else:
            self.at += 1
            return [UNKNOWN]
        return self._trailers(values, dotted, depth)

    def _trailers(self, values: list[str], dotted: str, depth: int) -> list[str]:
        """Return the values after calls, indices and methods that follow an expression."""
        while self.peek() in ("(", "[", "."):
            mark = self.peek()
            if mark == "[":
                self._arguments(depth)
                values, dotted = [UNKNOWN], ""
            elif mark == ".":
                self.at += 1
                dotted = "." + self.dotted_name()
            else:
                named: dict[str, list[str]] = {}
                arguments = self._arguments(depth, named)
                values = _called(dotted, values, arguments, named)
                dotted = ""
        return [UNKNOWN] if dotted.startswith(".") else values

    def dotted_name(self) -> str:
        """Return the dotted name at this place, and go past it."""
        parts = []
        while self.at < len(self.tokens) and self.tokens[self.at].kind == "name":
            parts.append(self.tokens[self.at].text)
            self.at += 1
            if self.peek() != "." or self.at + 1 >= len(self.tokens) or self.tokens[self.at + 1].kind != "name":
                break
            self.at += 1
        return ".".join(parts)

    def _named(self, dotted: str) -> list[str]:
        if dotted == "__file__":
            return [SCRIPT_FOLDER + "/__file__"]
        if dotted == "None":
            return [""]
        values = self._variables.get(dotted)
        if not values and dotted.count(".") == 1:
            values = self._variables.get("--" + dotted.partition(".")[2])  # an argument of the command line
        return values or [UNKNOWN]

    def _literals(self) -> list[str]:
        """Return adjacent literals, joined."""
        parts = [""]
        while self.at < len(self.tokens) and self.tokens[self.at].kind == "string":
            parts = _products([parts, self._literal(self.tokens[self.at].text)], "".join)
            self.at += 1
        return parts

    def _literal(self, text: str) -> list[str]:
        quote = min(place for place in (text.find('"'), text.find("'")) if place >= 0)
        prefix, body = text[:quote].lower(), text[quote:]
        width = 3 if body[:3] in ('"""', "'''") and len(body) >= 6 else 1
        body = body[width:-width][:MAX_LENGTH]
        if "r" not in prefix:
            body = _ESCAPE.sub(lambda match: _ESCAPES.get(match[1], match[1]), body)
        if "f" not in prefix:
            return [body]
        names = {match[1].strip() for match in _FIELD.finditer(body) if match[1]}
        named = {name: self._named(name) for name in names}
        return [
            _formatted(body, [], dict(zip(named, chosen, strict=True)))
            for chosen in islice(product(*named.values()), MAX_VALUES)
        ]

    def _arguments(self, depth: int, named: dict[str, list[str]] | None = None) -> list[list[str]]:
        """Return the values of what stands in brackets, separated by commas; keyword arguments are put into `named`."""
        closing = _BRACKETS[self.peek()]
        self.at += 1
        found = []
        while self.at < len(self.tokens) and self.peek() != closing:
            before = self.at
            keyword = ""
            if self.tokens[self.at].kind == "name" and self.at + 1 < len(self.tokens) and self.tokens[self.at + 1].text == "=":
                keyword = self.peek()
                self.at += 2
            value = self.expression(depth + 1)
            if keyword:
                if named is not None:
                    named[keyword] = value
            else:
                found.append(value)
            if self.peek() == "," or self.at == before:
                self.at += 1
            elif self.peek() not in (closing, ""):
                self._pass_over()
                self.at += self.peek() == ","
        self.at += 1
        return found

    def _pass_over(self, *stops: str) -> None:
        """Go to the end of the expression: a comma or a closing bracket on this level, or one of some words."""
        depth = 0
        while self.at < len(self.tokens):
            text = self.tokens[self.at].text
            if depth == 0 and (text in (",", ")", "]", "}", ";") or text in stops):
                return
            depth += text in _BRACKETS
            depth -= text in (")", "]", "}")
            self.at += 1


def _products(parts: list[list[str]], join: Callable[[tuple[str, ...]], str]) -> list[str]:
    """Return the values of an expression from all combinations of the values of its parts."""
    return [join(chosen)[:MAX_LENGTH] for chosen in islice(product(*parts), MAX_VALUES)]


def _called(name: str, values: list[str], arguments: list[list[str]], named: dict[str, list[str]]) -> list[str]:
    """Return the values of a call of a function or of a method of `values`."""
    function = name.rpartition(".")[2]
    is_method = name.startswith(".")
    if is_method and function == "format":
        names = list(named)
        return _products(
            [values, *arguments, *named.values()],
            lambda chosen: _formatted(
                chosen[0], chosen[1 : 1 + len(arguments)], dict(zip(names, chosen[1 + len(arguments) :], strict=True))
            ),
        )
    if function in _SAME:
        return arguments[0] if arguments and not is_method else values
    if function == "join" and arguments:
        if is_method:
            return arguments[0] if values == [" "] else [UNKNOWN]
        return _products(arguments, "/".join)
    if function == "split":
        return values if is_method and not arguments else arguments[0] if name == "shlex.split" and arguments else [UNKNOWN]
    if function == "dirname" and arguments:
        return [_folder_of(value) for value in arguments[0]]
    if function in ("getcwd", "getcwdu"):
        return ["."]
    return [UNKNOWN]


def _folder_of(path: str) -> str:
    is_above = path.rpartition("/")[2] in (SCRIPT_FOLDER, "..")
    return path + "/.." if is_above else path.rpartition("/")[0]


def _filled(text: str, values: tuple[str, ...]) -> str:
    """Return a text with its `%s` replaced."""
    left = iter(values)
    return _HOLE.sub(lambda match: "%" if match[1] == "%" else next(left, UNKNOWN), text)


def _formatted(text: str, values: Sequence[str], named: Mapping[str, str]) -> str:
    """Return a text with its `{}` replaced."""
    left = iter(values)

    def field(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        name = match[1].strip()
        if not name:
            return next(left, UNKNOWN)
        if name.isdigit() and len(name) < 4:
            return values[int(name)] if int(name) < len(values) else UNKNOWN
        return named.get(name, UNKNOWN)

    return _FIELD.sub(field, text)


def _command_line(words: tuple[str, ...]) -> str:
    """Return words as the command line that they make, with a space at both ends so that such texts can be added."""
    return " " + " ".join(_as_word(word) for word in words) + " "


def _as_word(word: str) -> str:
    if word.startswith(" ") and word.endswith(" ") and len(word) > 1:
        return word.strip()  # a list in a list
    return "'" + word.replace("'", "'\\''") + "'" if not word or any(char in word for char in " \t'\"$\\;|&()<>") else word
