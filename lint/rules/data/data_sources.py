"""Sources of data whose name says that they are something else than what the layer opens."""

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
from .test_passes import judge_pass

_NAMES = ("LMDB", "LEVELDB")
_CALLED = {"LMDB": "an LMDB", "LEVELDB": "a LevelDB"}
# The files inside of an LMDB, which is a folder.
_INSIDE = r"(?i)[/\\](data|lock)\.mdb$"
# Folders at the root of a machine: a path that begins with one has lost its slash.
_AT_THE_ROOT = r"(home|Users|root|mnt|media|opt|usr|var)/."

_LARGEST_LIST = 50_000_000  # bytes; a check does not wait for more


@rule("D116", "suspicious-source", subject="net", severity="warning", fixes="unsafe")
def suspicious_source(subject: NetInPhase) -> Iterator[Hit]:
    """A source bears the name of something that its layer cannot open.

    ## What it does

    By names alone, in a Data layer: an LMDB where `backend` is LEVELDB or not written, a LevelDB where it is LMDB, a
    file `data.mdb` or `lock.mdb` instead of its folder, a list (`.txt`). In every data layer: a path that begins with
    `home/`, `mnt/` or the like, without the slash, unless there is such a folder. `caffe-lint inputs` looks at the data
    themselves.

    ## Why is this bad?

    Caffe stops when it opens the source. What is not written as `backend` is LEVELDB, though most people have LMDBs; a
    database is a folder, also where it holds a single large file.

    ## When it is reported

    The name is what it is, and the data fit the layer.

    ## Fix

    The fix writes the backend that the name says, the folder of the file, or the slash. It is unsafe: names may lie.

    ## References

    caffe.proto, DataParameter (backend is LEVELDB unless written); data_layer.cpp and util/db.cpp, which open it.
    """
    for layer in subject.net.layers:
        found = source_param(layer.message) if not layer.bottoms else None
        if found is None:
            continue
        name, settings = found
        source = settings["source"]
        if name == "data_param" == layer.traits.settings:
            yield from _database(subject, layer, settings, source)
        if re.match(_AT_THE_ROOT, source) and not _is_there(subject, source.split("/")[0]):
            message = f"{named(layer)}: '{source}' begins like a path from the root, without its slash"
            reason = "Caffe looks for it in the folder that it is run in."
            yield _hit(subject, settings, message, reason, {"source": f"/{source}"})


@rule("D117", "test-iter-list-mismatch", subject="job", severity="warning", fixes="safe")
def test_iter_list_mismatch(job: Job) -> Iterator[Hit]:
    """A test does not go once through a list of images that is at hand.

    ## What it does

    The same as D114, in a check: a test net that reads an ImageData list which is there, from the working directory or
    the net's folder, and a `test_iter` that times the batch is less than its lines, or a batch or more too many. Where
    the facts about the data tell the number, D114 says it.

    ## Why is this bad?

    A part of the data is never tested in that pass, or some count twice: the accuracy is that of other data each time.

    ## When it is reported

    The test data are so many that a part of them is enough.

    ## Fix

    The fix writes the number of batches, rounded up. It is safe: it changes what is tested, not what is learnt.

    ## References

    solver.cpp, Solver::Test; image_data_layer.cpp, which begins anew at the end of the list.
    """
    for index, test in enumerate(job.tests):
        for layer in test.net.layers:
            settings = layer.message["image_data_param"] if layer.traits.settings == "image_data_param" else None
            if settings is None or settings["source"] in test.net.built_with.facts:
                continue
            items = _lines(test, settings["source"])
            hit = judge_pass(job.solver, index, items, settings["batch_size"], f"'{settings['source']}'")
            if hit is not None:
                yield hit


def _lines(net: NetInPhase, written: str) -> int:
    """How many items a list has that is there and of a size to be read at once, else 0."""
    from ...data.image_list import count  # keeps what reads lists out of the start

    for base in ("", os.path.dirname(net.file.path)):
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
        message = f"{named(layer)}: '{source}' is a file in a database, not the database"
        yield _hit(subject, settings, message, "Caffe opens the folder.", {"source": source[: inside.start()]})
    elif source.endswith(".txt"):
        message = f"{named(layer)}: '{source}' looks like a list, and Data reads a database"
        yield _hit(subject, settings, message, "Lists of images are read by ImageData.", {})
    said = _said(source)
    if said is not None and backend in _NAMES and backend != said:
        written = f"backend is {backend}" if "backend" in settings else f"without a backend it is opened as {backend}"
        message = f"{named(layer)}: '{source}' looks like {_CALLED[said]}, but {written}"
        yield _hit(subject, settings, message, "Caffe stops when it opens it, if the name is right.", {"backend": said})


def _said(source: str) -> str | None:
    """Which kind of database a path names, in its last part or else anywhere; None for neither or both."""
    for part in (os.path.basename(source.rstrip("/")), source):
        said = [backend for backend in _NAMES if backend in part.upper()]
        if len(said) == 1:
            return said[0]
    return None


def _is_there(subject: NetInPhase, folder: str) -> bool:
    """Whether there is such a folder where a source may be looked for."""
    return any(os.path.isdir(os.path.join(base, folder)) for base in ("", os.path.dirname(subject.file.path)))


def _hit(subject: NetInPhase, settings: Message, message: str, reason: str, values: dict[str, str]) -> Hit:
    tree, fix = subject.file.tree, None
    patch = Patch()
    for name, value in values.items():
        patch += set_field(tree, settings, name, value, beside=("source",), text=value if name == "backend" else "")
    if values and "v0" not in subject.net.upgraded.steps:
        title = ", ".join(f"{name}: {value}" for name, value in values.items())
        fix = patch.fix(subject.file.path, f"write {title}", safe=False)
    return Hit(subject.file, settings.span("source"), message, reason, fix=fix)
