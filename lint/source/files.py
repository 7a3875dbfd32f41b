"""The files of a run: reading them, telling solvers from nets, and finding the nets that a solver names."""

from __future__ import annotations

import os
from collections.abc import Container, Iterable, Iterator
from contextlib import suppress
from functools import cache, cached_property
from typing import TYPE_CHECKING

from ..proto.binder import Bound, Message, bind
from ..proto.named_tuple import NamedTuple
from ..proto.parser import parse
from ..proto.schema import Schema
from ..proto.tree import Block, ListValue, Scalar, Tree
from .errors import InputError

if TYPE_CHECKING:
    from pathspec import GitIgnoreSpec

SUFFIXES = (".prototxt", ".pbtxt", ".txtpb", ".prototxt.txt", ".pt")
ROOT_MARKERS = (".git", ".hg", ".svn", "caffe-lint.toml")

# Fields at the top level that only a solver has; one of them makes a file a solver if nothing speaks against it.
_SOLVER_FIELDS = frozenset(
    "net train_net test_net net_param train_net_param test_net_param base_lr lr_policy max_iter test_iter test_interval"
    " solver_mode solver_type snapshot_prefix stepsize stepvalue weight_decay clip_gradients iter_size".split()
)
_CONTROLS = bytes([*range(9), *range(14, 32)])
_LAYER_FIELDS = frozenset("type name bottom top layer include exclude".split())


class Unreadable(InputError):
    """A file that cannot be read, or holds no text; says why."""


class SourceFile:
    """A file of text format: its bytes, tree, kind (`solver`, `net` or `other`) and message.

    `asked_dialect` is the one that the user holds it to, None where it is to be found out.
    """

    def __init__(self, path: str, source: bytes, schema: Schema, dialect: str | None) -> None:
        self.path = path
        self.source = source
        self.schema = schema
        self.asked_dialect = dialect

    def read_as(self, path: str, schema: Schema, dialect: str | None) -> SourceFile:
        """The same file, with the tree if there is one, under another path or read by another schema or dialect."""
        if path == self.path and schema is self.schema and dialect == self.asked_dialect:
            return self
        other = SourceFile(path, self.source, schema, dialect)
        if "tree" in self.__dict__:
            other.__dict__["tree"] = self.tree
        return other

    @cached_property
    def tree(self) -> Tree:
        """The lossless tree."""
        return parse(self.source)

    @cached_property
    def kind(self) -> str:
        """What Caffe would read the file as."""
        return kind_of(self.tree)

    @cached_property
    def bound(self) -> Bound:
        """The file as a `SolverParameter` or a `NetParameter`, with all that is wrong with its fields."""
        type_name = "SolverParameter" if self.kind == "solver" else "NetParameter"
        return bind(self.tree, self.schema, type_name, self.asked_dialect)

    @property
    def message(self) -> Message:
        """The message of `bound`."""
        return self.bound.message


def kind_of(tree: Tree) -> str:
    """Whether a file is a `solver`, a `net`, or `other` (label maps, detection parameters, other text protos)."""
    names = [field.name for field in tree.root.fields]
    for field in tree.root.fields:
        if field.name in ("layer", "layers"):
            blocks = field.value.items if isinstance(field.value, ListValue) else [field.value]
            inside = {inner.name for block in blocks if isinstance(block, Block) for inner in block.fields}
            if inside & _LAYER_FIELDS or not inside:
                return "net"
    solver_names = _SOLVER_FIELDS.intersection(names)
    if solver_names and (len(solver_names) > 1 or len(set(names)) <= 3):
        return "solver"
    shapes = {"input_dim", "input_shape"}.intersection(names)
    for field in tree.root.fields:
        if field.name == "input" and isinstance(field.value, Scalar) and shapes:
            return "net"
    return "other"


def read_source(path: str) -> bytes:
    """The bytes of a file. Raises Unreadable for what is no readable text file."""
    try:
        with open(path, "rb") as file:
            source = file.read()
    except OSError as error:
        raise Unreadable(f"{path}: {error.strerror or error}") from None
    reason = not_text(source)
    if reason:
        raise Unreadable(f"{path}: {reason}")
    return source


def not_text(source: bytes) -> str:
    """Why bytes are no text that could be meant as text format; empty if they may be."""
    if source.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "this is UTF-16; Caffe reads ASCII or UTF-8 (save it as UTF-8 without byte-order mark)"
    head = source[:4096]
    if head.count(b"\0") > 1 or len(head) - len(head.translate(None, _CONTROLS)) > len(head) // 20 + 1:
        return "this is a binary file, not a prototxt in text format"
    return ""


def find_files(folder: str) -> Iterator[str]:
    """Paths of the files below a folder that may hold text format, sorted; what .gitignore names is left out."""
    for _, paths in walk(folder):
        yield from paths


def walk(folder: str) -> Iterator[tuple[str, list[str]]]:
    """A folder and those below it that .gitignore does not name, each with the paths that `find_files` gives."""
    ignores: dict[str, GitIgnoreSpec] = {}

    def ignored(path: str, is_folder: bool) -> bool:
        parent = path
        while parent != folder:
            parent = os.path.dirname(parent) or "."
            spec = ignores.get(parent)
            relative = os.path.relpath(path, parent) + ("/" if is_folder else "")
            if spec is not None and spec.match_file(relative):
                return True
        return False

    folder = os.path.normpath(folder)
    for current, folders, names in os.walk(folder):
        current = os.path.normpath(current)
        if ".gitignore" in names:
            from .patterns import spec_of_file  # keeps pathspec out of the start where no .gitignore asks for it

            with (
                suppress(OSError),
                open(os.path.join(current, ".gitignore"), encoding="utf-8", errors="replace") as file,
            ):
                ignores[current] = spec_of_file(file)
        folders[:] = sorted(
            name
            for name in folders
            if name not in (".git", ".hg", ".svn", "node_modules")
            and not (ignores and ignored(os.path.normpath(os.path.join(current, name)), True))
        )
        paths = [os.path.normpath(os.path.join(current, name)) for name in sorted(names) if name.endswith(SUFFIXES)]
        yield current, [path for path in paths if os.path.isfile(path) and not (ignores and ignored(path, False))]


class NetReference(NamedTuple):
    """How a solver's field (its `number`th value) names a net: the path as written, the file found, and how.

    `how` is `found`, `elsewhere` (only by the longest suffix of the path), `ambiguous` or `missing`;
    `others` are the candidates where several fit.
    """

    field: str
    number: int
    written: str
    path: str | None
    how: str
    others: tuple[str, ...] = ()


def net_references(
    solver: Message, solver_path: str, root: str | None = None, given: Container[str] = ()
) -> list[NetReference]:
    """The nets that a solver names by file, each with the file it means.

    `root` bounds the search by suffix. `given` are paths of files that are not on the disk but known all the same.
    """
    references = []
    for name in ("net", "train_net", "test_net"):
        for index, entry in enumerate(solver.entries.get(name, ())):
            references.append(find_net(entry[0], name, index, solver_path, root, given))
    return references


def find_net(
    written: str, field: str, number: int, solver_path: str, root: str | None, given: Container[str] = ()
) -> NetReference:
    """The file that a path in a solver means; for the parameters see `net_references`.

    As Caffe's users run it: from the working directory, then from the solver's folder and each of its parents up
    to the root of the repository. Failing that, the file of the repository that alone shares the longest suffix.
    """
    folder = os.path.dirname(os.path.abspath(solver_path))
    top = root or repository_root(folder)
    bases = [os.getcwd(), *_parents(folder, top or folder)]
    for base in bases if not os.path.isabs(written) else bases[:1]:
        candidate = os.path.join(base, written)
        if os.path.isfile(candidate) or _shown(candidate) in given:
            return NetReference(field, number, written, _shown(candidate), "found")
    parts = [part for part in written.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    if parts:
        below = _by_name(top) if top else _by_name(folder, deep=False)
        same_name = [path for path in below.get(parts[-1], ()) if path != os.path.abspath(solver_path)]
        for length in range(len(parts), 0, -1):
            suffix = "/" + "/".join(parts[-length:])
            fitting = [path for path in same_name if path.replace(os.sep, "/").endswith(suffix)]
            if len(fitting) == 1:
                return NetReference(field, number, written, _shown(fitting[0]), "elsewhere")
            if fitting:
                beside = [path for path in fitting if os.path.dirname(path) == folder]
                if length == 1 and len(beside) == 1:
                    return NetReference(field, number, written, _shown(beside[0]), "elsewhere")
                return NetReference(
                    field, number, written, None, "ambiguous", tuple(map(_shown, sorted(fitting)))
                )
    return NetReference(field, number, written, None, "missing")


@cache
def repository_root(folder: str) -> str | None:
    """The nearest folder upwards that is the root of a repository, None if there is none; looked for once in a run."""
    for parent in _parents(folder, os.path.abspath(os.sep)):
        if any(os.path.exists(os.path.join(parent, marker)) for marker in ROOT_MARKERS):
            return parent
    return None


def _parents(folder: str, top: str) -> Iterable[str]:
    while True:
        yield folder
        parent = os.path.dirname(folder)
        if folder == top or parent == folder:
            return
        folder = parent


@cache
def _by_name(root: str, *, deep: bool = True) -> dict[str, list[str]]:
    """The prototxt files in a folder, or also below it, by their names; looked for once in a run."""
    found: dict[str, list[str]] = {}
    for current, folders, names in os.walk(root):
        folders[:] = (
            [name for name in folders if not name.startswith(".") and name != "node_modules"] if deep else []
        )
        for name in names:
            if name.endswith(SUFFIXES):
                found.setdefault(name, []).append(os.path.join(current, name))
    return found


def forget_folders() -> None:
    """Lets folders be looked through again: in a run they are looked through once."""
    _by_name.cache_clear()
    repository_root.cache_clear()


def _shown(path: str) -> str:
    """A path relative to the working directory where it lies below it, as people write it."""
    path = os.path.normpath(path)
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
