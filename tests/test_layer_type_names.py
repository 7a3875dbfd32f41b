"""What is known of a layer type stands in its record in `lint/layers/`: nothing else compares or lists type names."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from caffe_lint.layers.record import TYPES
from caffe_lint.proto.schema import caffe_schema

ROOT = Path(__file__).parent.parent
LAYERS = ROOT / "lint" / "layers"
NAMES = frozenset(caffe_schema().layer_types or ()) | frozenset(TYPES)

INSERTED = "the fix inserts a layer of it"
# Who may name a type, by file: a rule or repair whose subject is that one type, and text that is inserted.
EXEMPT: dict[tuple[str, str], str] = {
    ("api.py", "Log"): "the class of a log that was read",
    ("batch_norm.py", "Scale"): INSERTED,
    ("looking.py", "AnnotatedData"): "its databases hold AnnotatedDatum, where those of Data hold Datum",
    ("probe_nets.py", "EuclideanLoss"): "a probe is known by the losses that `probe_net.prototxt.j2` writes",
    ("refused_blobs.py", "Sigmoid"): INSERTED,
    ("refused_blobs.py", "Softmax"): INSERTED,
    ("unused_parts.py", "Silence"): INSERTED,
    ("upgrade_text.py", "BatchNorm"): "Caffe's upgrade (upgrade_proto.cpp, UpgradeNetBatchNorm) is about this type",
    ("valid_labels.py", "SoftmaxWithLoss"): "the rule is about what old Caffes' SoftmaxWithLoss divides by",
    ("wasted.py", "ReLU"): INSERTED,
    ("widening_block.py", "BN"): "a Caffe whose nets have BN may have another BatchNorm, or none",
    ("widening_block.py", "BatchNorm"): INSERTED,
    ("widening_block.py", "Scale"): INSERTED,
}
MOST_EXEMPT = 30
# Calls that take what they compare with, or look up, as their first argument.
_ASKING = frozenset({"get", "pop", "startswith", "endswith", "index", "count", "find_type", "traits_of"})
_COLLECTING = frozenset({"frozenset", "set", "tuple", "list", "dict", "fromkeys"})

Constants = dict[str, ast.expr]


def test_nothing_outside_of_the_records_compares_or_lists_layer_types() -> None:
    found = {(path.name, name): f"{path.relative_to(ROOT)}:{line}" for path, name, line in _named()}
    assert {place: where for place, where in found.items() if place not in EXEMPT} == {}


def test_every_exemption_is_needed() -> None:
    found = {(path.name, name) for path, name, _ in _named()}
    assert set(EXEMPT) - found == set()
    assert len(EXEMPT) <= MOST_EXEMPT


def test_the_search_finds_comparisons_and_collections_only() -> None:
    text = """
from somewhere import elsewhere
TABLE = {"ReLU": 1}
def ask(kind, rest):
    if kind == "Data" or kind in ("Exp", *rest):
        return TABLE.get(kind)
    if kind not in frozenset(("Log",)) and kind in TABLE:
        return {"a": ["Crop"]}["Power"]
    match kind:
        case "Scale":
            return traits_of("Input")
    raise ValueError("Filter")  # a text
"""
    names = {"ReLU", "Data", "Exp", "Log", "Crop", "Power", "Scale", "Input"}
    assert {name for name, _ in _questions(ast.parse(text), {})} == names
    imported = "def ask(kind): return kind in MODELLED"
    assert [
        name for name, _ in _questions(ast.parse(imported), {"MODELLED": ast.parse('("LRN",)', mode="eval").body})
    ] == ["LRN"]


@cache
def _named() -> list[tuple[Path, str, int]]:
    """Every layer type that a file outside of the records compares with, or lists: file, type and line."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in _files()}
    constants = {path.stem: _module_constants(tree) for path, tree in trees.items()}
    return [
        (path, name, line)
        for path, tree in trees.items()
        if LAYERS not in path.parents
        for name, line in _questions(tree, _imported(tree, constants))
    ]


def _files() -> Iterator[Path]:
    for folder in ("lint", "fixes"):
        yield from sorted((ROOT / folder).rglob("*.py"))


def _module_constants(tree: ast.Module) -> Constants:
    constants: Constants = {}
    for node in tree.body:
        if isinstance(node, ast.Assign):
            constants.update({target.id: node.value for target in node.targets if isinstance(target, ast.Name)})
        elif isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name) and node.value is not None:
            constants[node.target.id] = node.value
    return constants


def _imported(tree: ast.Module, constants: dict[str, Constants]) -> Constants:
    """The constants of other modules that a module imports by name."""
    found: Constants = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            there = constants.get(node.module.rpartition(".")[2], {})
            found.update({name.asname or name.name: there[name.name] for name in node.names if name.name in there})
    return found


def _questions(tree: ast.Module, imported: Constants) -> Iterator[tuple[str, int]]:
    constants = {**imported, **_module_constants(tree)}
    for node in ast.walk(tree):
        asked: list[ast.expr] = []
        if isinstance(node, ast.Compare):
            asked = [node.left, *node.comparators]
        elif isinstance(node, (ast.Dict, ast.Set, ast.List, ast.Tuple)):
            asked = [node]
        elif isinstance(node, ast.Subscript):
            asked = [node.value, node.slice]
        elif isinstance(node, ast.MatchValue):
            asked = [node.value]
        elif isinstance(node, ast.Call) and _called(node) in _ASKING:
            asked = node.args[:1]
        for expression in asked:
            for name in _names(expression, constants):
                yield name, expression.lineno


def _called(node: ast.Call) -> str:
    if isinstance(node.func, ast.Attribute):
        return node.func.attr
    return node.func.id if isinstance(node.func, ast.Name) else ""


def _names(node: ast.expr, constants: Constants) -> Iterator[str]:
    """The layer types that an expression is or holds: literals, and constants that stand for them."""
    parts: list[ast.expr] = []
    if isinstance(node, ast.Constant):
        if isinstance(node.value, str) and node.value in NAMES:
            yield node.value
    elif isinstance(node, (ast.Tuple, ast.List, ast.Set)):
        parts = node.elts
    elif isinstance(node, ast.Dict):
        parts = [part for part in (*node.keys, *node.values) if part is not None]
    elif isinstance(node, ast.BinOp):
        parts = [node.left, node.right]
    elif isinstance(node, ast.Starred):
        parts = [node.value]
    elif isinstance(node, ast.Call) and _called(node) in _COLLECTING:
        parts = [*node.args, *(keyword.value for keyword in node.keywords)]
    elif isinstance(node, ast.Name) and node.id in constants:
        yield from _names(constants[node.id], {})
    for part in parts:
        yield from _names(part, constants)
