"""The files of a run: reading them, distinguishing solvers from nets, and finding the nets that a solver names."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Container, Iterable, Iterator
from functools import cache, cached_property

from ..fixes.readings import Reading
from ..proto.binder import Bound, Message, bind
from ..proto.named_tuple import NamedTuple
from ..proto.parser import parse
from ..proto.schema import Schema
from ..proto.tree import Block, ListValue, Problem, Scalar, Tree
from .foreign_text import Mark, is_mostly_unknown, is_prose, may_be_prose, template_marks
from .ignored import Ignored
from .opener import MAX_PROTOTXT, Unreadable, read_regular
from .questions import question

SUFFIXES = (".prototxt", ".pbtxt", ".txtpb", ".prototxt.txt", ".pt")
GIT_LFS_POINTER = "a Git LFS pointer"  # what `NotPrototxt.what` calls it
MAX_ENTRIES = 200_000  # names looked at in a folder and below, whatever they are
ROOT_MARKERS = (".git", ".hg", ".svn", "caffe-lint.toml")

# Top-level fields that only a solver has. One of them makes a file a solver unless something contradicts it.
_SOLVER_FIELDS = frozenset(
    "net train_net test_net net_param train_net_param test_net_param base_lr lr_policy max_iter test_iter test_interval"
    " solver_mode solver_type snapshot_prefix stepsize stepvalue weight_decay clip_gradients iter_size".split()
)
# The beginning of most nets: after comments, a name and inputs, a layer that opens with a field that only layers have. It is
# enough to tell the kind, so that the trees of a folder's nets are not read before each is checked, and again then. It is looked
# for in so many bytes only, as each comment that the pattern passes costs memory.
_BEGINNING = 65_536
_GAP = rb"(?:\s|#[^\n]*\n)*"
_OPENS_AS_NET = (
    rb"%(gap)b(?:(?:(?:name|input)\s*:\s*\"[^\"\\\n]*\"|input_dim\s*:\s*\d+(?=\s)|input_shape\s*\{[\s\w:]*\})%(gap)b)*"
    rb"layers?\s*\{%(gap)b(?:name|type|bottom|top)\s*:" % {b"gap": _GAP}
)
_CONTROLS = bytes([*range(9), *range(14, 32)])
_LETTERS = bytes([*range(9, 14), *range(32, 127)])
_BEYOND_ASCII = bytes(range(128, 256))
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_MARKUP = rb"(?i)(?:\xef\xbb\xbf)?\s*<(\?xml|!doctype|html|head|body|!--)"
# What a web server says that has no such file, alone in a file: `404: Not Found`. No field begins with a number.
_LONGEST_REFUSAL = 200
_REFUSAL = (
    rb"(?i)\s*(?:(?:error:?\s+|http/[\d.]+\s+)?[45]\d\d\b[^\n{}]*|(?:not found|forbidden|access denied|bad gateway)\.?)\s*"
)
_LAYER_FIELDS = frozenset("type name bottom top layer include exclude".split())


class SourceFile:
    """A file in text format: its bytes, tree, kind (`solver`, `net`, `template` or `other`) and message.

    `asked_dialect` is the one that the user asked for, None if it is to be detected.
    """

    def __init__(self, path: str, source: bytes, schema: Schema, dialect: str | None) -> None:
        self.path = path
        self.source = source
        self.schema = schema
        self.asked_dialect = dialect

    def read_as(self, schema: Schema, dialect: str | None) -> SourceFile:
        """Return the same file, keeping its tree if it exists, with another schema or dialect."""
        if schema is self.schema and dialect == self.asked_dialect:
            return self
        other = SourceFile(self.path, self.source, schema, dialect)
        if "tree" in self.__dict__:
            other.__dict__["tree"] = self.tree
        return other

    def with_source(self, source: bytes) -> SourceFile:
        """Return the file at the same path with another text."""
        return SourceFile(self.path, source, self.schema, self.asked_dialect)

    @cached_property
    def tree(self) -> Tree:
        """The lossless tree."""
        return parse(self.source)

    @cached_property
    def kind(self) -> str:
        """What Caffe would read the file as; `template` if it would be a solver or net that cannot be read yet."""
        kind = "net" if self._opens_as_net else "other" if self.is_prose else kind_of(self.tree)
        return "template" if kind != "other" and not all(mark.in_string for mark in self.marks) else kind

    @property
    def _opens_as_net(self) -> bool:
        """Whether the text is plain ASCII, begins as nets do and can be no prose, so that its tree is not needed for its kind."""
        source = self.source
        head = source[:4096]
        plain = source.isascii() and b"\0" not in source and head == head.translate(None, _CONTROLS)
        if "tree" in self.__dict__ or not plain or b"layer" not in source:
            return False
        if re.compile(_OPENS_AS_NET).match(source, 0, _BEGINNING) is None:
            return False
        return not may_be_prose(source)

    @cached_property
    def is_prose(self) -> bool:
        """Whether the text is sentences for people, such as notes, in which fields are at most quoted."""
        if not may_be_prose(self.source) or not self.tree.problems:
            return False
        messages = map(self.schema.message, ("SolverParameter", "NetParameter"))
        return is_prose(self.tree, {name for message in messages for name in message.readable})

    @cached_property
    def marks(self) -> tuple[Mark, ...]:
        """The template marks in the text."""
        return template_marks(self.source)

    @cached_property
    def why_not_fixed(self) -> str:
        """Why nothing in the file may be changed, whatever is wrong in it; empty if it may be."""
        if self.marks:
            return f"template marks at line {self.tree.line_of(self.marks[0].start)}"
        problems = self.bound.problems
        if (self.tree.problems or problems) and is_mostly_unknown(self.tree, self.message, problems):
            return "no known Caffe has most of its fields"
        return ""

    @cached_property
    def bound(self) -> Bound:
        """The file as a `SolverParameter` or a `NetParameter`, with all problems of its fields."""
        type_name = "SolverParameter" if self.kind == "solver" else "NetParameter"
        return bind(self.tree, self.schema, type_name, self.asked_dialect)

    @property
    def reading(self) -> Reading:
        """How the text is read, to compare it with a patched one."""
        return Reading(self.path, self.tree, self.bound, self.schema, self.asked_dialect)

    @property
    def message(self) -> Message:
        """The message of `bound`."""
        return self.bound.message

    @property
    def is_for_bvlc(self) -> bool:
        """Whether BVLC's Caffe knows everything in the file, apart from misspelled words."""
        return self.bound.dialect == "bvlc" and not self.is_for_unknown_caffe

    @property
    def is_for_known_caffe(self) -> bool:
        """Whether the file is for BVLC's Caffe or the one that the user named, so that all names in it are known."""
        return self.is_for_bvlc or (self.asked_dialect is not None and not self.is_for_unknown_caffe)

    @cached_property
    def is_for_unknown_caffe(self) -> bool:
        """Whether the file has something that no known Caffe has, or is for a fork of which only names are known."""
        if not self.schema.knows_layers(self.bound.dialect):
            return True
        return any(_is_of_unknown_caffe(self.tree, found) for found in self.bound.problems)

    @cached_property
    def has_custom_types(self) -> bool:
        """Whether a layer has a type that no known Caffe has, and that is no misspelled one."""
        return any(found.kind == "unknown-layer-type" and not found.repair for found in self.bound.problems)


def _is_of_unknown_caffe(tree: Tree, problem: Problem) -> bool:
    """Whether a field or value is from an unknown Caffe, rather than a misspelled known one."""
    if problem.kind not in ("unknown-field", "unknown-enum-value") or not problem.repair:
        return problem.kind in ("unknown-field", "unknown-enum-value")
    return tree.source[problem.start : problem.end].startswith(problem.repair[0][2] + b"_")


def kind_of(tree: Tree) -> str:
    """Return the kind of a file: `solver`, `net`, or `other` (label maps, detection parameters, other text protos)."""
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


class NotPrototxt(Unreadable):
    """The bytes of a file cannot be meant as text format; `what` says in a few words what they are instead, `advice` the rest."""

    def __init__(self, path: str, what: str, advice: str) -> None:
        super().__init__(path, f"this is {what}, {advice}")
        self.what = what
        self.advice = advice


def read_source(path: str) -> bytes:
    """Return the bytes of a file. Raises Unreadable if it cannot be read, and NotPrototxt if it is no text format."""
    source = read_regular(path, MAX_PROTOTXT)
    refuse_others(path, source)
    return source


def refuse_others(path: str, source: bytes) -> None:
    """Raise NotPrototxt for the bytes of a file that cannot be meant as text format. Empty ones can."""
    head = source[:4096]
    if source.startswith((b"\xff\xfe", b"\xfe\xff")) or _is_utf16(head):
        advice = "but Caffe reads ASCII or UTF-8 (save it as UTF-8 without a byte-order mark)"
        raise NotPrototxt(path, "UTF-16", advice)
    if head.count(b"\0") > 1 or len(head) - len(head.translate(None, _CONTROLS)) > len(head) // 20 + 1:
        raise NotPrototxt(path, "a binary file", "not a prototxt in text format")
    if head.startswith(LFS_POINTER):
        raise NotPrototxt(path, GIT_LFS_POINTER, "not the file itself (`git lfs pull` fetches it)")
    if b"<" in head and (found := re.match(_MARKUP, head)) is not None:
        what = "XML" if found[1].lower() == b"?xml" else "an HTML page"
        raise NotPrototxt(path, what, "not a prototxt (was it downloaded from a web page?)")
    if len(source) <= _LONGEST_REFUSAL and re.fullmatch(_REFUSAL, source) is not None:
        raise NotPrototxt(path, "what a web server says instead of a file", "not the file (download it again)")


def _is_utf16(head: bytes) -> bool:
    """Return whether the beginning of a file is mostly ASCII in UTF-16 without a byte order mark."""
    pairs = len(head) // 2
    for first in (0, 1):
        letters, others = head[first : 2 * pairs : 2], head[1 - first : 2 * pairs : 2]
        if pairs > 1 and others.count(0) > 0.9 * pairs and not letters.translate(None, _LETTERS).strip(_BEYOND_ASCII):
            return True
    return False


def find_files(folder: str, failed: Callable[[OSError], None] | None = None) -> Iterator[str]:
    """Yield the sorted paths of files below a folder that may be in text format, unless .gitignore excludes them.

    `failed` is told of each folder that cannot be listed.
    """
    for _, paths in walk(folder, failed):
        yield from paths


def walk(folder: str, failed: Callable[[OSError], None] | None = None) -> Iterator[tuple[str, list[str]]]:
    """Yield a folder and those below it that .gitignore does not exclude, each with its paths of `find_files`."""
    folder = os.path.normpath(folder)
    ignored = Ignored(folder)
    for current, folders, names in os.walk(folder, onerror=failed):
        current = os.path.normpath(current)
        if ".gitignore" in names:
            ignored.read(current)
        folders[:] = sorted(
            name
            for name in folders
            if name not in (".git", ".hg", ".svn", "node_modules")
            and not ignored(os.path.normpath(os.path.join(current, name)), is_folder=True)
        )
        paths = [os.path.normpath(os.path.join(current, name)) for name in sorted(names) if name.endswith(SUFFIXES)]
        yield current, [path for path in paths if os.path.isfile(path) and not ignored(path, is_folder=False)]


class NetReference(NamedTuple):
    """A net named by a solver's field (its `number`th value): the path as written, the file found, and how.

    `how` is `found`, `elsewhere` (only by the longest suffix of the path), `ambiguous` or `missing`; `others` are the
    candidates if there are several. `base` is the folder in which the path as written leads to the file. `is_of_another_machine`
    says whether a path that leads to none begins with folders that this machine does not have. `is_guess` says whether the file
    was found in another folder by nothing but its name, or in a folder beside the solver's by the end of a relative path.
    """

    field: str
    number: int
    written: str
    path: str | None
    how: str
    others: tuple[str, ...] = ()
    base: str | None = None
    is_of_another_machine: bool = False
    is_guess: bool = False


def net_references(
    solver: Message, solver_path: str, root: str | None = None, given: Container[str] = (), *, from_here: bool = True
) -> list[NetReference]:
    """Return the nets that a solver names by file, each with the file that is meant.

    `root` limits the search by suffix for a solver without a project (`project_root`). `given` are paths of files that are
    known although they are not on disk. `from_here` says whether paths are resolved from the working directory first.
    """
    references = []
    for name in ("net", "train_net", "test_net"):
        for index, entry in enumerate(solver.entries.get(name, ())):
            references.append(find_net(entry[0], name, index, solver_path, root, given, from_here=from_here))
    return references


@question
def find_net(
    written: str,
    field: str,
    number: int,
    solver_path: str,
    root: str | None,
    given: Container[str] = (),
    *,
    from_here: bool = True,
) -> NetReference:
    """Return the file that a path in a solver means; see `net_references` for the parameters.

    It is resolved as users run Caffe: from the working directory, then from the solver's folder and each of its parents
    up to the root of the project; without a file there, it is whatever else is there, which cannot be read. Otherwise it is the file
    of that name in the solver's folder, since jobs are copied as folders; otherwise the one file of the project that shares the
    longest suffix of the path.
    """
    def reference(path: str, how: str, *, base: str | None = None, is_guess: bool = False) -> NetReference:
        named = _named_beside(path, solver_path, written, given)
        return NetReference(field, number, written, named, how, base=base, is_guess=is_guess)

    folder = os.path.dirname(os.path.abspath(solver_path))
    top = project_root(folder) or root
    bases = [*([working_folder(solver_path)] if from_here else ()), *_parents(folder, top or folder)]
    candidates = {base: os.path.join(base, written) for base in (bases[:1] if os.path.isabs(written) else bases)}
    for base, candidate in candidates.items():
        if os.path.isfile(candidate) or shown(candidate) in given:
            return reference(candidate, "found", base=base)
    for base, candidate in candidates.items():
        if written and os.path.lexists(candidate):  # a folder, a pipe or a broken link: no other file is meant
            return reference(candidate, "found", base=base)
    parts = [part for part in written.replace("\\", "/").split("/") if part not in ("", ".", "..")]
    foreign = _is_of_another_machine(written)
    if parts:
        beside = os.path.join(folder, parts[-1])
        if beside != os.path.abspath(solver_path) and (os.path.isfile(beside) or shown(beside) in given):
            return reference(beside, "elsewhere")
        below = _by_name(top) if top else _by_name(folder, deep=False)
        same_name = [path for path in below.get(parts[-1], ()) if path != os.path.abspath(solver_path)]
        for length in range(len(parts), 0, -1):
            suffix = "/" + "/".join(parts[-length:])
            fitting = [path for path in same_name if path.replace(os.sep, "/").endswith(suffix)]
            if len(fitting) == 1:
                above = fitting[0][: -len(suffix)]
                is_elsewhere = not os.path.isabs(written) and not (folder + os.sep).startswith(above + os.sep)
                return reference(fitting[0], "elsewhere", is_guess=length == 1 or is_elsewhere)
            if fitting:
                return NetReference(
                    field,
                    number,
                    written,
                    None,
                    "ambiguous",
                    tuple(map(shown, sorted(fitting))),
                    is_of_another_machine=foreign,
                )
    return NetReference(field, number, written, None, "missing", is_of_another_machine=foreign)


def _is_of_another_machine(written: str) -> bool:
    """Return whether a path is absolute, and this machine lacks the folder it begins with: `D:\\`, `/nfs/lab`, `/home/someone`."""
    if re.match(r"[A-Za-z]:[\\/]", written):
        return not os.path.isdir(written[:3])
    return os.path.isabs(written) and not os.path.isdir(os.sep.join(written.split(os.sep)[:3]))


def _named_beside(path: str, solver_path: str, written: str, given: Container[str]) -> str:
    """Return the path of a net as people write it who wrote that of its solver: absolute, or from the working directory."""
    if shown(path) in given:
        return shown(path)
    if os.path.isabs(solver_path):
        return os.path.abspath(path)
    return shown(path) if os.path.isabs(written) else os.path.relpath(path)


def run_folder(references: Iterable[NetReference], solver_path: str, given: Container[str] = ()) -> str | None:
    """Return the folder in which Caffe is run, as the net paths of a solver show it, whatever our working directory is.

    It is the one folder, of the solver's and those above it up to the root of its repository, from which every path leads to a
    file. None if there is none, or if it may be one of several.
    """
    written = tuple(reference.written for reference in references)
    if not written or any(os.path.isabs(path) for path in written):
        return None
    return folder_with(written, solver_path, given)


@question
def folder_with(written: tuple[str, ...], solver_path: str, given: Container[str]) -> str | None:
    """Return the folder of `run_folder` for paths as they are written."""
    folder = os.path.dirname(os.path.abspath(solver_path))
    fitting = [
        base
        for base in _parents(folder, repository_root(folder) or os.path.abspath(os.sep))
        if all(
            os.path.isfile(path) or shown(path) in given
            for path in (os.path.normpath(os.path.join(base, name)) for name in written)
        )
    ]
    return fitting[0] if len(fitting) == 1 else None


@cache
def repository_root(folder: str) -> str | None:
    """Return the nearest folder upwards that is the root of a repository, None if there is none. Cached for the run."""
    for parent in _parents(folder, os.path.abspath(os.sep)):
        if any(os.path.exists(os.path.join(parent, marker)) for marker in ROOT_MARKERS):
            return parent
    return None


_working_folders: list[str] = []


def use_working_folders(folders: Iterable[str]) -> None:
    """Set the folders that `working_folder` knows besides the working directory: an editor may have several open."""
    _working_folders[:] = sorted(map(os.path.abspath, folders), key=len, reverse=True)


def working_folder(path: str) -> str:
    """Return the folder in which Caffe is taken to be started for a file or folder: the working directory, unless others are set."""
    here = os.path.abspath(path) + os.sep if _working_folders else ""
    return next((folder for folder in _working_folders if here.startswith(folder + os.sep)), None) or os.getcwd()


def project_root(folder: str) -> str | None:
    """Return the root of the repository of a folder; without one, the working directory if the folder lies in it.

    It does not depend on what the user named. None if there is neither.
    """
    root = repository_root(folder)
    if root is not None:
        return root
    current = working_folder(folder)
    is_project = current not in (os.path.abspath(os.sep), os.path.expanduser("~"))
    return current if is_project and (folder + os.sep).startswith(current + os.sep) else None


def _parents(folder: str, top: str) -> Iterable[str]:
    while True:
        yield folder
        parent = os.path.dirname(folder)
        if folder == top or parent == folder:
            return
        folder = parent


@cache
def _by_name(root: str, *, deep: bool = True) -> dict[str, list[str]]:
    """Return the prototxt files in a folder, `deep` also below it, by name; none if it is too large. Cached for the run."""
    found: dict[str, list[str]] = {}
    entries = 0
    for current, folders, names in os.walk(root):
        entries += len(names)
        if entries > MAX_ENTRIES:
            return {}
        folders[:] = (
            [name for name in folders if not name.startswith(".") and name != "node_modules"] if deep else []
        )
        for name in names:
            if name.endswith(SUFFIXES):
                found.setdefault(name, []).append(os.path.join(current, name))
    return found


def forget_folders() -> None:
    """Clear the cached contents of folders, which are otherwise read once in a run."""
    _by_name.cache_clear()
    repository_root.cache_clear()


def shown(path: str) -> str:
    """Return a path relative to the working directory if it is inside, as people write it."""
    path = os.path.normpath(path)
    relative = os.path.relpath(path)
    return path if relative.startswith("..") else relative
