"""Shell scripts, Makefiles and batch files, read as text: the commands in them, with the variables that they set."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from ..proto.named_tuple import NamedTuple
from .script_values import SCRIPT_FOLDER, UNKNOWN, Block, Variables, joined

MAX_LINE = 20_000  # characters; longer lines are no commands that somebody wrote

_USED = re.compile(r"\$[({]?([A-Za-z_]\w*)")
_ASSIGNMENT = re.compile(r"([A-Za-z_]\w*)(\+?)=(.*)", re.DOTALL)
_MAKE_ASSIGNMENT = re.compile(r"(?:export )?([A-Za-z_]\w*)[ \t]?(:{0,2}|\?|\+)=(.*)", re.DOTALL)
_BATCH_VARIABLE = re.compile(r"%([A-Za-z_]\w*)%")
_NAME = re.compile(r"[A-Za-z_]\w*|[0-9]+")
_OPENING = frozenset({"if", "for", "while", "until", "case", "select", "{"})
_CLOSING = frozenset({"fi", "done", "esac", "}"})
_MIDDLE = frozenset({"else", "elif", "then", "do", ";;"})
_DECLARING = frozenset({"export", "local", "declare", "readonly", "set"})


class Command(NamedTuple):
    """A simple command: its words, its line, and the folder to which commands before it changed (empty: none)."""

    words: tuple[str, ...]
    line: int
    folder: str


def commands(text: str, *, kind: str = "shell", first_line: int = 1) -> Iterator[Command]:
    """Yield the commands of a text, once for each combination of values that its variables may have.

    `kind` is `shell`, `make` or `batch`.
    """
    state = _State()
    for line, written in _logical_lines(text, kind):
        if kind == "make" and not written.startswith("\t"):
            found = _MAKE_ASSIGNMENT.match(written)
            if found:
                state.assign_in_make(*found.groups())
            continue
        if kind == "make":
            state.folder = ""  # each line of a recipe has a shell of its own
        for operator, chunk in _chunks(written.lstrip("\t @-") if kind == "make" else written):
            for words in state.run(operator, chunk):
                yield Command(words, first_line + line - 1, state.folder)


class _State:
    """Where reading a script has come to: its variables, the blocks around the place, and the folder changed to."""

    def __init__(self) -> None:
        self.variables = Variables()
        self.folder = ""
        self._block: Block = ()
        self._blocks = 0
        self._folders: list[str] = []

    def assign_in_make(self, name: str, sign: str, value: str) -> None:
        """Assign a variable of a Makefile: `=`, `:=`, `?=` or `+=`."""
        values = [" ".join(_words(value, chosen)) for chosen in self.variables.combinations(_USED.findall(value))]
        if sign == "+":
            self.variables.append(name, [" " + value for value in values], ())
        elif sign != "?" or not self.variables.get(name):
            self.variables.assign(name, values, ())

    def run(self, operator: str, chunk: str) -> list[tuple[str, ...]]:
        """Follow one command, and return its words for each combination of values, unless it only sets variables."""
        if operator == "(":
            self._folders.append(self.folder)
        elif operator == ")" and self._folders:
            self.folder = self._folders.pop()
        elif operator == ";;":
            self._enter(middle=True)
        forms = [_words(chunk, chosen) for chosen in self.variables.combinations(_USED.findall(chunk))]
        found: dict[tuple[str, ...], None] = {}
        skipped = self._keywords(forms[0]) if forms else 0
        assigned: dict[str, tuple[str, list[str]]] = {}
        for form in forms:
            words = form[skipped:]
            if words and words[0].lower() in _DECLARING:
                words = [word for word in words[1:] if not word.startswith(("-", "/"))]
            settings = []
            while words and (match := _ASSIGNMENT.fullmatch(words[0])):
                settings.append(match.groups())
                words = words[1:]
            if words:
                found[tuple(words)] = None
            else:
                for name, plus, value in settings:
                    assigned.setdefault(name, (plus, []))[1].append(value)
        maybe = operator in ("&&", "||")
        self._blocks += maybe
        block = (*self._block, self._blocks) if maybe else self._block
        for name, (plus, values) in assigned.items():
            (self.variables.append if plus else self.variables.assign)(name, values, block)
        for command in found:
            if command[0] in ("cd", "pushd") and len(command) > 1:
                self.folder = joined(self.folder, command[-1])
        return [command for command in found if command[0] not in ("cd", "pushd")]

    def _keywords(self, words: list[str]) -> int:
        """Follow the keywords before a command, and return their number; a loop's variable gets its values."""
        for number, word in enumerate(words):
            if word in _CLOSING:
                self._block = self._block[:-1]
            elif word in _OPENING:
                self._enter()
                if word == "for" and len(words) > number + 3 and words[number + 2] == "in":
                    self.variables.assign(words[number + 1], words[number + 3 :], self._block)
                if word in ("for", "case", "select"):
                    return len(words)
            elif word in _MIDDLE:
                self._enter(middle=True)
            elif word != "!":
                return number
        return len(words)

    def _enter(self, *, middle: bool = False) -> None:
        self._blocks += 1
        self._block = (*(self._block[:-1] if middle else self._block), self._blocks)


def _logical_lines(text: str, kind: str) -> Iterator[tuple[int, str]]:
    """Yield lines with those that continue them, each with the number of its first line."""
    mark = "^" if kind == "batch" else "\\"
    pending: list[str] = []
    start = 1
    for number, raw in enumerate(text.split("\n"), start=1):
        line = raw.rstrip()
        if kind == "batch":
            line = _of_batch(line)
        if not pending:
            start = number
        continues = line.endswith(mark) and number - start < MAX_LINE
        pending.append(line[:-1] if continues else line)
        if not continues:
            if sum(map(len, pending)) <= MAX_LINE:
                yield start, " ".join(pending) if len(pending) > 1 else pending[0]
            pending = []
    if pending and sum(map(len, pending)) <= MAX_LINE:
        yield start, " ".join(pending)


def _of_batch(line: str) -> str:
    """Return a line of a batch file as a shell would write it."""
    if line.lstrip("@ \t").lower().startswith(("rem ", "::")):
        return ""
    line = line.replace("%~dp0", SCRIPT_FOLDER + "/").replace("%cd%", ".").replace("%*", "")
    return _BATCH_VARIABLE.sub(r"${\1}", line).replace("\\", "/").lstrip("@")


def _chunks(line: str) -> Iterator[tuple[str, str]]:
    """Yield the simple commands of a line, each with the operator before it."""
    operator, start, at, size = "", 0, 0, len(line)
    while at < size:
        char = line[at]
        if char == "\\":
            at += 2
        elif char == "'":
            at = _after(line, "'", at + 1)
        elif char in '"`':
            at = _after_quote(line, at)
        elif char == "$" and line[at + 1 : at + 2] in ("(", "{"):
            at = _after_bracket(line, at + 1)
        elif char == "#" and (at == 0 or line[at - 1] in " \t;"):
            break
        elif char in ";|&()" and not (char == "&" and (line[at - 1 : at] == ">" or line[at + 1 : at + 2] == ">")):
            yield operator, line[start:at]
            operator = char * 2 if line[at + 1 : at + 2] == char and char not in "()" else char
            at += len(operator)
            start = at
        else:
            at += 1
    yield operator, line[start : min(at, size)]


def _after(line: str, mark: str, at: int) -> int:
    end = line.find(mark, at)
    return len(line) if end < 0 else end + 1


def _after_quote(line: str, at: int) -> int:
    """Return the place after a quoted text, in which a backslash escapes and commands have quotes of their own."""
    quote = line[at]
    at += 1
    while at < len(line) and line[at] != quote:
        if quote == '"' and line.startswith("$(", at):
            at = _after_bracket(line, at + 1)
        else:
            at += 2 if line[at] == "\\" else 1
    return min(at + 1, len(line))


def _after_bracket(line: str, at: int) -> int:
    """Return the place after the bracket that closes the one at a place."""
    opening, depth = line[at], 0
    closing = ")" if opening == "(" else "}"
    while at < len(line):
        if line[at] == opening:
            depth += 1
        elif line[at] == closing:
            depth -= 1
            if not depth:
                return at + 1
        at += 1
    return len(line)


def _words(chunk: str, values: Mapping[str, str]) -> list[str]:
    """Return the words of a simple command without redirections; what is not known of them is `UNKNOWN`."""
    words: list[str] = []
    word: list[str] | None = None
    dropping = False  # the next word, which names a file to read or write
    at = 0

    def end() -> None:
        nonlocal word, dropping
        if word is not None:
            if not dropping:
                words.append("".join(word))
            dropping = False
        word = None

    while at < len(chunk):
        char = chunk[at]
        if char in " \t\r":
            end()
            at += 1
        elif char == "\\":
            word = word or []
            word.append(chunk[at + 1 : at + 2])
            at += 2
        elif char == "'":
            after = _after(chunk, "'", at + 1)
            word = word or []
            word.append(chunk[at + 1 : after].removesuffix("'"))
            at = after
        elif char == '"':
            after = _after_quote(chunk, at)
            word = word or []
            word.append(_quoted(chunk[at + 1 : after].removesuffix('"'), values))
            at = after
        elif char in "<>" or (char == "&" and chunk[at + 1 : at + 2] == ">"):
            if word is not None and "".join(word).isdigit():
                word = None
            end()
            while at < len(chunk) and chunk[at] in "<>&|":
                at += 1
            dropping = True
        elif char in "$`":
            value, at = _expanded(chunk, at, values)
            parts = value.split()
            if word is None and not parts:
                continue
            if value[:1].isspace():
                end()
            for number, part in enumerate(parts):
                if number:
                    end()
                word = word or []
                word.append(part)
            if value[-1:].isspace():
                end()
        else:
            start = at
            while at < len(chunk) and chunk[at] not in " \t\r\\'\"<>&$`":
                at += 1
            at = max(at, start + 1)
            word = word or []
            word.append(chunk[start:at])
    end()
    return words


def _quoted(text: str, values: Mapping[str, str]) -> str:
    parts: list[str] = []
    at = 0
    while at < len(text):
        if text[at] == "\\":
            parts.append(text[at + 1 : at + 2])
            at += 2
        elif text[at] in "$`":
            value, at = _expanded(text, at, values)
            parts.append(value)
        else:
            start = at
            while at < len(text) and text[at] not in "\\$`":
                at += 1
            parts.append(text[start:at])
    return "".join(parts)


def _expanded(text: str, at: int, values: Mapping[str, str]) -> tuple[str, int]:
    """Return what `$…` or a command in backquotes at a place stands for, and the place after it."""
    if text[at] == "`":
        after = _after(text, "`", at + 1)
        return _substituted(text[at + 1 : after]), after
    following = text[at + 1 : at + 2]
    if following in ("(", "{"):
        after = _after_bracket(text, at + 1)
        inside = text[at + 2 : after - 1]
        name = _NAME.match(inside)
        if name is None or (following == "(" and name.end() != len(inside)):
            return (_substituted(inside) if following == "(" else _special(inside)), after
        if name.end() == len(inside) and inside in values:
            return values[inside], after
        modifier = inside[name.end() :]
        if name[0] in values:
            return (values[name[0]] if modifier.startswith((":-", ":=", "-", "=")) else UNKNOWN), after
        if modifier.startswith((":-", ":=")):
            return (UNKNOWN if "$" in modifier else modifier[2:].strip("\"'")), after
        return _special(inside), after
    name = _NAME.match(text, at + 1)
    if name is not None:
        return values[name[0]] if name[0] in values else _special(name[0]), name.end()
    return _special(following), at + 2


def _special(name: str) -> str:
    """Return a variable that the shell sets: what a script is given on its command line is taken as nothing."""
    return {"@": "", "*": "", "PWD": ".", "CURDIR": "."}.get(name, UNKNOWN)


def _substituted(command: str) -> str:
    """Return what a command prints that asks for the folder of the script or the working directory."""
    if "dirname" in command and ("$0" in command or "BASH_SOURCE" in command or "${0" in command):
        above = command.count("dirname") - 1 + command.count("..")
        return SCRIPT_FOLDER + "/.." * min(above, 9)
    return "." if command.strip() == "pwd" else UNKNOWN
