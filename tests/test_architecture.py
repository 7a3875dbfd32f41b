"""The plan of the house: which room may import which, and that nothing goes in circles.

The graph of imports is drawn from the code itself. It counts imports inside functions and those for type checkers.
"""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Iterator
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

from caffe_lint.cli.command_table import COMMANDS
from caffe_lint.rules import OF_DATA, OF_FILES, OF_LOGS

ROOT = Path(__file__).parent.parent
PACKAGE = "caffe_lint"
ROOTS = {"lint": PACKAGE, "proto": f"{PACKAGE}.proto", "fixes": f"{PACKAGE}.fixes"}

# From the ground up: each room may import the ones before it.
ROOMS = (
    "proto", "fixes", "source", "settings", "rule", "moments", "layers", "net", "solver", "stability", "data",
    "training_log", "simulation", "rules", "engine", "report", "api", "server", "cli", "__main__",
)  # fmt: skip

# Imports for type checkers that close a circle inside a room, where two types truly name each other.
TYPE_CIRCLES = {
    ("moments.layer_type", "moments.graph"): "what is known of a layer type is asked of a layer, which has its type",
    ("rule.pages", "rule.registry"): "a page is read from a rule, and a plugin's rule is refused without its page",
}

# What is done with files: the command line and the language server call it through `caffe_lint.api`. The other rooms below them
# hold what is said of files, and how.
WORKING_ROOMS = {"net", "solver", "layers", "stability", "data", "training_log", "simulation", "rules", "engine"}
_TABLE = "a table of what is known, in which one entry is looked up"
# Imports of the command line and the language server from these rooms, apart from types: each with its reason.
NOT_BY_API = {
    ("cli.check_command", "rules.portability.legacy"): "the codes of --upgrade",
    ("cli.explain_command", "engine.selection"): "whether a word selects a rule",
    ("cli.explain_command", "training_log.refusal_messages"): _TABLE,
    ("cli.explain_command", "training_log.symptoms"): _TABLE,
    ("cli.from_options", "net.data_facts"): "reads the file that an option names",
    ("cli.interactive", "engine.fixing"): "runs units itself, since it asks between the rounds of their fixes",
    ("cli.interactive", "engine.ignoring"): "as above",
    ("cli.interactive", "engine.running"): "as above",
    ("cli.interactive", "engine.unit_check"): "as above",
    ("server.actions", "engine.ignoring"): "writes a comment into one text, whatever the settings",
    ("server.actions", "rules.portability.legacy"): "the codes of the action that upgrades a file",
    ("server.completion", "layers.fillers"): _TABLE,
    ("server.completion", "layers.record"): _TABLE,
    ("server.completion", "layers.skeletons"): _TABLE,
    ("server.completion", "solver.schedule"): _TABLE,
    ("server.completion", "solver.solver_types"): _TABLE,
    ("server.hover", "net.costs"): "the costs of one layer of a net that is built",
    ("server.hover", "solver.rate_course"): "the rate of a solver that is read, half typed or not",
    ("server.hover", "solver.schedule"): _TABLE,
    ("server.language_server", "rules.portability.legacy"): "the codes of the action that upgrades a file",
}


class Import(NamedTuple):
    """An import: the module it stands in, its line, and the module it names, both without `caffe_lint.`.

    `target` is the full name of a module of others. `explained`: a comment stands beside or above it.
    """

    module: str
    target: str
    line: int
    is_ours: bool
    in_function: bool
    for_types: bool
    explained: bool

    def __str__(self) -> str:
        return f"{self.module}:{self.line} imports {self.target}"


@cache
def modules() -> dict[str, Path]:
    """Every file of the package by the name of its module, without `caffe_lint.`; a package by its own name."""
    found = {}
    for folder, package in ROOTS.items():
        for path in sorted((ROOT / folder).rglob("*.py")):
            parts = path.relative_to(ROOT / folder).with_suffix("").parts
            if parts[:2] == ("rules", "examples"):
                continue  # programs that make data for examples
            name = ".".join((package, *(part for part in parts if part != "__init__")))
            found[name.removeprefix(PACKAGE).removeprefix(".")] = path
    return found


@cache
def imports() -> tuple[Import, ...]:
    """All imports of the package."""
    return tuple(found for module, path in modules().items() for found in _imports_of(module, path))


def _imports_of(module: str, path: Path) -> Iterator[Import]:
    source = path.read_text(encoding="utf-8")
    lines = source.split("\n")
    full = f"{PACKAGE}.{module}".rstrip(".")
    package = full if path.name == "__init__.py" else full.rpartition(".")[0]

    def visit(node: ast.AST, in_function: bool, for_types: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            if isinstance(child, (ast.Import, ast.ImportFrom)):
                beside = lines[child.lineno - 1 : child.end_lineno]
                explained = any("#" in line for line in beside) or lines[child.lineno - 2].strip().startswith("#")
                for target in _targets(child, package):
                    is_ours = target == PACKAGE or target.startswith(f"{PACKAGE}.")
                    shown = target.removeprefix(PACKAGE).removeprefix(".") if is_ours else target
                    yield Import(module, shown, child.lineno, is_ours, in_function, for_types, explained)
            inner = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            yield from visit(child, in_function or inner, for_types or types)

    yield from visit(ast.parse(source), False, False)


def _targets(node: ast.Import | ast.ImportFrom, package: str) -> list[str]:
    """The modules that an import names, by their full names."""
    if isinstance(node, ast.Import):
        return [name.name for name in node.names]
    base = node.module or ""
    if node.level:
        above = package.split(".")[: len(package.split(".")) - node.level + 1]
        base = ".".join((*above, *([base] if base else [])))
    inside = f"{base}.".removeprefix(PACKAGE).removeprefix(".")
    return list(
        dict.fromkeys(f"{base}.{each.name}" if inside + each.name in modules() else base for each in node.names)
    )


def room_of(module: str) -> str:
    """The room of a module."""
    return module.partition(".")[0]


def graph(*, with_types: bool, without: frozenset[tuple[str, str]] = frozenset()) -> dict[str, set[str]]:
    """What each module imports, with the packages that a module from outside runs through on its way in."""
    edges: dict[str, set[str]] = {module: set() for module in modules()}
    for each in imports():
        if not each.is_ours or (each.for_types and not with_types) or (each.module, each.target) in without:
            continue
        edges[each.module].add(each.target)
        parts = each.target.split(".")
        for count in range(1, len(parts)):
            parent = ".".join(parts[:count])
            if each.module != parent and not each.module.startswith(f"{parent}."):
                edges[each.module].add(parent)
    return edges


def circle(edges: dict[str, set[str]]) -> list[str]:
    """Modules that import each other in a circle; empty if none do."""
    try:
        TopologicalSorter(edges).prepare()
    except CycleError as error:
        return list(error.args[1])
    return []


def test_every_room_is_on_the_plan() -> None:
    assert {room_of(module) for module in modules()} - {""} <= set(ROOMS)


def test_imports_go_down_the_rooms_only() -> None:
    upwards = [
        str(each)
        for each in imports()
        if each.is_ours and each.target and ROOMS.index(room_of(each.target)) > ROOMS.index(room_of(each.module))
    ]
    assert upwards == []


def test_the_engine_is_called_through_the_api() -> None:
    direct = {
        (each.module, each.target)
        for each in imports()
        if each.is_ours
        and not each.for_types
        and room_of(each.module) in ("cli", "server")
        and room_of(each.target) in WORKING_ROOMS
    }
    assert direct == set(NOT_BY_API)


def test_no_files_import_each_other_in_a_circle() -> None:
    assert circle(graph(with_types=False)) == []


def test_types_close_a_circle_only_where_two_of_a_room_name_each_other() -> None:
    assert circle(graph(with_types=True, without=frozenset(TYPE_CIRCLES))) == []
    assert len(TYPE_CIRCLES) <= 5
    for module, target in TYPE_CIRCLES:
        assert room_of(module) == room_of(target)
        listed = [each for each in imports() if (each.module, each.target) == (module, target)]
        assert listed, f"{module} no longer names the types of {target}"
        assert all(each.for_types for each in listed)
        assert circle(graph(with_types=True, without=frozenset(TYPE_CIRCLES) - {(module, target)}))


def test_no_two_files_have_the_same_name() -> None:
    names = Counter(path.name for path in modules().values() if path.name != "__init__.py")
    assert [name for name, count in names.items() if count > 1] == []


def test_an_import_inside_a_function_says_what_it_keeps_out_of_the_start() -> None:
    unexplained = [str(each) for each in imports() if each.in_function and not each.explained]
    assert unexplained == []


def _registers_rules(module: str) -> bool:
    tree = ast.parse(modules()[module].read_text(encoding="utf-8"))
    return any(
        isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "rule"
        for node in ast.walk(tree)
    )


def test_every_file_of_rules_is_loaded() -> None:
    loaded = {
        f"rules.{family}.{name}"
        for group in (OF_FILES, OF_DATA, OF_LOGS)
        for family, names in group.items()
        for name in names
    }
    assert {module for module in modules() if room_of(module) == "rules" and _registers_rules(module)} == loaded


def test_a_file_among_the_rules_has_a_rule_or_is_imported_by_one() -> None:
    files = [
        module for module, path in modules().items() if room_of(module) == "rules" and path.name != "__init__.py"
    ]
    imported = {each.target for each in imports() if room_of(each.module) == "rules"}
    assert [module for module in files if module not in imported and not _registers_rules(module)] == []


def test_every_command_is_one_file_and_one_line_of_the_table() -> None:
    files = {path.stem for path in (ROOT / "lint" / "cli").glob("*_command.py")}
    assert set(COMMANDS.values()) == files
    assert len(COMMANDS) == len(files)
