"""Python programs that train with pycaffe, or that run or write the commands that do, read as text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from .caffe_commands import TrainingRun, runs_of_commands
from .python_text import Reader, Statement, statements
from .script_values import MAX_VALUES, Variables
from .shell_text import commands

MAX_WRITTEN = 100_000  # characters that a program writes to files

_SOLVERS = frozenset({
    "SGDSolver", "NesterovSolver", "AdaGradSolver", "RMSPropSolver", "AdaDeltaSolver", "AdamSolver", "get_solver",
})  # fmt: skip
_HARMLESS = frozenset({"print", "len", "range", "xrange", "str", "type", "id", "dir", "isinstance", "enumerate", "zip", "list"})


class _Solver:
    """A solver that a program makes: its name, where it is made, the paths that it may be made from, and what becomes of it.

    `loads` says whether weights are loaded into it, None perhaps, in `line`; `trains` whether it is run, `steps` whether by calls
    of `step`. `weights` are the files that are loaded, None if one of them is not known.
    """

    def __init__(self, name: str, made: Statement, paths: list[str]) -> None:
        self.name = name
        self.made = made
        self.paths = paths
        self.line = made.line
        self.loads: bool | None = False
        self.resumes = False
        self.trains = False
        self.steps = False
        self.weights: list[str] | None = []


def runs_of_program(path: str, text: str, first_line: int = 1) -> Iterator[TrainingRun]:
    """Yield the trainings of a program: solvers of pycaffe, and commands that it runs or writes to a file."""
    program = _Program()
    for statement in statements(text, first_line):
        for line, command in program.follow(statement):
            yield from runs_of_commands(path, commands(command, first_line=line))
    for line, script in program.written():
        yield from runs_of_commands(path, (each._replace(line=line) for each in commands(script)))
    for solver in program.solvers:
        if solver.trains:
            for written in solver.paths:
                weights = ",".join(solver.weights or ())
                yield TrainingRun(path, solver.line, "", written, solver.loads, solver.resumes, 0, weights, solver.steps)


class _Program:
    """A Python program, followed statement by statement."""

    def __init__(self) -> None:
        self.variables = Variables()
        self.solvers: list[_Solver] = []
        self._nets: dict[str, str] = {}  # other names of the nets of solvers
        self._written: list[str] = [""]
        self._line_of_written = 1

    def follow(self, statement: Statement) -> Iterator[tuple[int, str]]:
        """Follow a statement, and yield the command lines that it runs, with their lines."""
        tokens = statement.tokens
        target, operator, start = _assignment(statement)
        reader = Reader(tokens, self.variables, start)
        for at, token in enumerate(tokens[:-1]):
            if token.kind == "name" and tokens[at + 1].text == "(":
                yield from self._call(statement, at, target)
        if target and operator == "+=":
            self.variables.append(target, reader.expression(), statement.block)
        elif target:
            first = reader.dotted_name() if tokens[start].kind == "name" else ""
            if first.endswith(".net") and reader.at == len(tokens):
                self._nets[target] = first
            values = Reader(tokens, self.variables, start).expression()
            self.variables.assign(target, values, statement.block)
        written = _written_params(statement)
        if written:
            self._use(written, statement)

    def written(self) -> Iterator[tuple[int, str]]:
        """Yield the texts that the program writes, in the order of its lines."""
        for text in self._written:
            if text:
                yield self._line_of_written, text

    def _call(self, statement: Statement, at: int, target: str) -> Iterator[tuple[int, str]]:
        """Follow a call, whose name is the token at `at`."""
        tokens = statement.tokens
        name = tokens[at].text
        owner = _dotted_up_to(statement, at - 1)
        arguments = Reader(tokens, self.variables, at + 2)
        if name in _SOLVERS and owner in ("", "caffe"):
            self.solvers.append(_Solver(target, statement, arguments.expression()))
        elif name in ("step", "solve"):
            solver = self._named(owner)
            if solver is not None:
                solver.trains = True
                solver.steps |= name == "step"
        elif name in ("copy_from", "load_hdf5"):
            self._use(owner, statement, arguments.expression())
        elif name == "share_with":
            self._use(owner, statement)
        elif name == "restore":
            self._use(owner + ".net", statement, resumes=True)
        elif name == "add_argument":
            self._argument(statement, at)
        elif name in ("append", "extend") and owner and self.variables.get(owner):
            values = arguments.expression()
            self.variables.append(owner, [f" {value.strip()} " for value in values], statement.block)
        elif name == "write":
            texts = arguments.expression()
            if any("train" in text for text in texts):
                self._line_of_written = statement.line
            optional = [""] if statement.block else []
            written = [(old + new)[:MAX_WRITTEN] for old in self._written for new in (*texts, *optional)]
            self._written = written[:MAX_VALUES]
        elif name not in _HARMLESS:
            for value in arguments.expression():
                if "train" in value and "olver" in value:
                    yield statement.line, value
            for each in self.solvers:
                if each.name and each.loads is False and _is_passed(statement, at + 1, each.name):
                    each.loads, each.line = None, statement.line

    def _argument(self, statement: Statement, at: int) -> None:
        """Keep the default of an argument of the program's command line."""
        tokens = statement.tokens
        names = [
            token.text.strip("\"'-").replace("-", "_") for token in tokens if token.kind == "string" and token.text[1:3] == "--"
        ]
        for place in range(at, len(tokens) - 2):
            if tokens[place].text == "default" and tokens[place + 1].text == "=" and names:
                values = Reader(tokens, self.variables, place + 2).expression()
                self.variables.assign("--" + names[0], values, ())

    def _named(self, name: str) -> _Solver | None:
        """Return the solver with a name; of several made under one name, the last."""
        return next((solver for solver in reversed(self.solvers) if name and solver.name == name), None)

    def _use(self, net: str, statement: Statement, files: Sequence[str] = (), *, resumes: bool = False) -> None:
        """Note that weights are loaded into a net, from one of the files, or written into it."""
        solver = self._named(self._nets.get(net, net).removesuffix(".net"))
        if solver is None:
            return
        solver.weights = [*solver.weights, *files] if solver.weights is not None and len(files) == 1 else None
        if solver.loads is not True:
            is_certain = statement.block == solver.made.block[: len(statement.block)]
            solver.loads = True if is_certain else None
            solver.resumes = resumes
            solver.line = statement.line


def _assignment(statement: Statement) -> tuple[str, str, int]:
    """Return the name that a statement assigns to, the operator, and where the value starts; no name if it assigns none."""
    tokens = statement.tokens
    at = 0
    parts = []
    while at < len(tokens) and tokens[at].kind == "name":
        parts.append(tokens[at].text)
        at += 1
        if at < len(tokens) and tokens[at].text == ".":
            at += 1
        else:
            break
    if parts and at + 1 < len(tokens) and tokens[at].text in ("=", "+="):
        return ".".join(parts), tokens[at].text, at + 1
    return "", "", 0


def _dotted_up_to(statement: Statement, dot: int) -> str:
    """Return the dotted name before a dot, empty if no dot is there."""
    tokens = statement.tokens
    parts: list[str] = []
    while dot > 0 and tokens[dot].text == "." and tokens[dot - 1].kind == "name":
        parts.append(tokens[dot - 1].text)
        dot -= 2
    return ".".join(reversed(parts))


def _written_params(statement: Statement) -> str:
    """Return the net whose `params` a statement assigns to, empty if it does not."""
    depth, net = 0, ""
    for at, token in enumerate(statement.tokens):
        depth += token.text in ("(", "[", "{")
        depth -= token.text in (")", "]", "}")
        if token.text == "params" and not net:
            net = _dotted_up_to(statement, at - 1)
        elif depth == 0 and token.kind == "op" and token.text.endswith("="):
            return net
    return ""


def _is_passed(statement: Statement, at: int, name: str) -> bool:
    """Whether a solver, or its net, is an argument of the call whose bracket is at `at`."""
    tokens = statement.tokens
    depth = 0
    for place in range(at, len(tokens)):
        text = tokens[place].text
        depth += text in ("(", "[", "{")
        depth -= text in (")", "]", "}")
        if depth == 0:
            return False
        if depth == 1 and tokens[place].kind == "name" and tokens[place - 1].text in ("(", ",", "="):
            reader = Reader(tokens, Variables(), place)
            if reader.dotted_name() in (name, name + ".net") and reader.peek() in (",", ")"):
                return True
    return False
