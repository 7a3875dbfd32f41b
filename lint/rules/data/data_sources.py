"""Sources whose names do not match what the layer opens, and image lists that `test_iter` does not cover once."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from ...fixes.fields import Patch, set_field
from ...moments.graph import Layer
from ...net.data_facts import source_param
from ...net.job import Job, NetInPhase
from ...net.names import named
from ...proto.binder import Message
from ...rule.finding import Hit
from ...rule.registry import rule
from ...source.questions import question
from .test_passes import judge_pass

_NAMES = ("LMDB", "LEVELDB")
_DATABASES = {"LMDB": "an LMDB", "LEVELDB": "a LevelDB"}
# The files inside an LMDB, which is a folder.
_INSIDE = r"(?i)[/\\](data|lock)\.mdb$"
# Folders at the root of a file system: a path that begins with one is missing its slash.
_AT_THE_ROOT = frozenset("home Users root mnt media opt usr var".split())

_LARGEST_LIST = 50_000_000  # bytes; larger lists are not read in a check


@rule("D116", "suspicious-source", subject="net", severity="warning", fixes="unsafe")
def suspicious_source(subject: NetInPhase) -> Iterator[Hit]:
    """Flags a `source` whose name suggests that the layer cannot open it.

    ## What it does

    Looks at names only; `caffe-lint inputs` looks at the data.

    - In Data layers, flags an LMDB if `backend` is LEVELDB or not set, a LevelDB if it is LMDB, a list (`.txt`), and a file
      `data.mdb` or `lock.mdb` instead of the folder that contains it.
    - In all data layers, flags a path that begins with `home/`, `mnt/` or the like instead of `/home/` or `/mnt/`, unless
      that folder exists in the working directory or beside the net.

    ## Why is this bad?

    Caffe stops when it opens the source. The default of `backend` is LEVELDB, though most people use LMDB. A database is a
    folder, even if it contains a single large file.

    ## When it is reported

    Reported as a **warning**. Ignore it if the name is misleading and the data match the layer.

    ## Fix

    Sets `backend` to the kind in the name, replaces the file by its folder, or inserts the slash. The fix is unsafe, because
    names can be misleading.

    ## References

    `DataParameter` in caffe.proto, where the default of `backend` is LEVELDB; data_layer.cpp and util/db.cpp, which open the
    source.
    """
    for layer in subject.net.layers:
        found = source_param(layer.message) if not layer.bottoms else None
        if found is None:
            continue
        name, settings = found
        source = settings["source"]
        if name == "data_param" == layer.traits.settings:
            yield from _database(subject, layer, settings, source)
        first, _, rest = source.partition("/")
        if rest and first in _AT_THE_ROOT and not is_folder_near(subject.file.path, first):
            message = f"{named(layer)}: source '{source}' looks like an absolute path without its slash"
            reason = "Caffe looks for it in the folder in which it is started."
            yield _hit(subject, settings, message, reason, {"source": f"/{source}"})


@rule("D117", "test-iter-list-mismatch", subject="job", severity="warning", fixes="unsafe")
def test_iter_list_mismatch(job: Job) -> Iterator[Hit]:
    """Flags a `test_iter` that does not cover an image list exactly once.

    ## What it does

    Does the same as D114, but in checks and for ImageData lists only. It counts the lines of the list, if it exists in the
    working directory or in the net's folder, and compares them with `test_iter` times the batch size of the test net.

    ## Why is this bad?

    If items are left out, each test measures the accuracy on another part of the data. If items are read twice, they count
    twice.

    ## When it is reported

    Reported as a **warning** if the test leaves items out or reads at least one batch more than all items. Nothing is
    reported if `caffe-lint.data.json` describes the list: then D114 reports it.

    Ignore it if the test data are so many that a part of them is enough.

    ## Fix

    Sets `test_iter` to the number of batches, rounded up. The fix is unsafe, because a part of the data may be enough.

    ## References

    `Solver::Test` in solver.cpp; image_data_layer.cpp, which starts over at the end of the list.
    """
    for index, test in enumerate(job.tests):
        for layer in test.net.layers:
            settings = layer.message["image_data_param"] if layer.traits.settings == "image_data_param" else None
            if settings is None or settings["source"] in test.net.built_with.facts:
                continue
            items = items_of_list(test.file.path, settings["source"])
            hit = judge_pass(job.solver, index, items, settings["batch_size"], f"'{settings['source']}'")
            if hit is not None:
                yield hit


@question
def items_of_list(net: str, written: str) -> int:
    """Return the number of items of a list that a net names, 0 if it does not exist or is too large to be read in a check."""
    from ...data.image_list import count  # keeps what reads lists out of the start

    for base in ("", os.path.dirname(net)):
        path = os.path.join(base, written)
        if written and os.path.isfile(path) and os.path.getsize(path) <= _LARGEST_LIST:
            try:
                return count(path)
            except OSError:
                return 0
    return 0


def _database(subject: NetInPhase, layer: Layer, settings: Message, source: str) -> Iterator[Hit]:
    backend = settings["backend"]
    inside = re.search(_INSIDE, source) if source[-1:] in "bB" else None
    if inside is not None:
        message = f"{named(layer)}: source '{source}' is a file inside a database, not the database"
        yield _hit(subject, settings, message, "Caffe opens the folder that contains it.", {"source": source[: inside.start()]})
    elif source.endswith(".txt"):
        message = f"{named(layer)}: source '{source}' looks like a list, but Data reads a database"
        yield _hit(subject, settings, message, "ImageData reads image lists.", {})
    suggested = _backend_in(source)
    if suggested is not None and backend in _NAMES and backend != suggested:
        stated = "is" if "backend" in settings else "is not set and defaults to"
        message = f"{named(layer)}: source '{source}' looks like {_DATABASES[suggested]}, but backend {stated} {backend}"
        yield _hit(subject, settings, message, "If the name is right, Caffe stops when it opens it.", {"backend": suggested})


def _backend_in(source: str) -> str | None:
    """Return the kind of database that the last part of a path names, or else the whole path; None for neither or both."""
    for part in (os.path.basename(source.rstrip("/")), source):
        named_here = [backend for backend in _NAMES if backend in part.upper()]
        if len(named_here) == 1:
            return named_here[0]
    return None


@question
def is_folder_near(net: str, folder: str) -> bool:
    """Return whether a folder exists where a source may be: in the working directory or beside the net."""
    return any(os.path.isdir(os.path.join(base, folder)) for base in ("", os.path.dirname(net)))


def _hit(subject: NetInPhase, settings: Message, message: str, reason: str, values: dict[str, str]) -> Hit:
    tree, fix = subject.file.tree, None
    patch = Patch()
    for name, value in values.items():
        patch += set_field(tree, settings, name, value, beside=("source",), text=value if name == "backend" else "")
    if values and "v0" not in subject.net.upgraded.steps:
        title = ", ".join(f"set {name} to {value}" for name, value in values.items())
        fix = patch.fix(subject.file.path, title, safe=False)
    return Hit(subject.file, settings.span("source"), message, reason, fix=fix)
