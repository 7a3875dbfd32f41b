"""Check all sources that nets read, each one once, in several processes, until done or interrupted."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ..moments.graph import Layer
from ..net.classes import label_uses
from ..net.data_facts import source_param
from ..net.job import NetInPhase
from ..proto.named_tuple import NamedTuple
from ..source.opener import Unreadable
from ..source.workers import CONTEXT, POLL, spread
from . import hdf5_source, image_list, leveldb_source, listed_images, lmdb_source, window_file
from .counting import DATABASE, HDF5, LIST, WINDOWS
from .libraries import MissingLibrary
from .source_report import SourceReport, Watch


class Source(NamedTuple):
    """A source to check: the field that names it, its location, and the layer's settings that matter for reading it.

    `written` is the path in the net; `tops` and `labels` are HDF5 datasets.
    """

    field: str
    written: str
    base: str
    root: str = ""
    tops: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    annotated: bool = False
    foreground: float = 0.5
    background: float = 0.5

    @property
    def path(self) -> str:
        """The path relative to the working directory."""
        return os.path.join(self.base, self.written)


def source_in(net: NetInPhase, layer: Layer, base: str) -> Source | None:
    """Return the source of a data layer, None if this kind of layer is not supported."""
    found = source_param(layer.message)
    if found is None:
        return None
    name, param = found
    written = param["source"]
    if name == DATABASE:
        return Source(name, written, base, annotated=layer.type == "AnnotatedData")
    if name == HDF5:
        used = {use.top.name for use in label_uses(net.net) if use.top.producer is layer}
        tops = tuple(top.name for top in layer.tops)
        return Source(name, written, base, tops=tops, labels=tuple(top for top in tops if top in used))
    if name == LIST == layer.traits.settings:
        return Source(name, written, base, root=param["root_folder"])
    if name == WINDOWS == layer.traits.settings:
        thresholds = (param["fg_threshold"], param["bg_threshold"])
        return Source(name, written, base, param["root_folder"], foreground=thresholds[0], background=thresholds[1])
    return None


def look(
    sources: Iterable[Source], *, sample: int | None, jobs: int, progress: Callable[[int, int], None]
) -> dict[Source, SourceReport]:
    """Return a report on each source. `progress` is called with the number of items read and their total.

    Ctrl-C stops the check; the reports then cover what was read and are not `complete`. Raises MissingLibrary.
    """
    wanted = list(dict.fromkeys(sources))
    sizes = {source: _size(source, sample) for source in wanted}
    largest = max((size.items for size in sizes.values()), default=0)
    tasks = [
        _Task(source, sample, largest, part, parts)
        for source in wanted
        for parts in [jobs if sizes[source].divisible and sizes[source].items > 256 else 1]
        for part in range(parts)
    ]
    total = sum(size.wanted for size in sizes.values())
    stop = CONTEXT.Event()
    seen = CONTEXT.Value("q", 0)
    before = signal.signal(signal.SIGINT, lambda *_: stop.set()) if _in_main_thread() else None
    try:
        if jobs < 2 or len(tasks) < 2:
            _begin(stop, seen, lambda: progress(seen.value, total))
            results = [_run(task) for task in tasks]
        else:
            results = _run_apart(tasks, jobs, stop, seen, lambda: progress(seen.value, total))
    finally:
        if before is not None:
            signal.signal(signal.SIGINT, before)
    progress(-1, total)
    reports: dict[Source, SourceReport] = {}
    for task, report in zip(tasks, results, strict=True):
        if task.source in reports:
            reports[task.source].merge(report)
        else:
            reports[task.source] = report
    return reports


# -- work ------------------------------------------------------------------------------------------------------


class _Task(NamedTuple):
    source: Source
    sample: int | None
    largest: int
    part: int
    parts: int


class _Size(NamedTuple):
    items: int
    wanted: int
    divisible: bool  # decoding takes longer than reading


def _size(source: Source, sample: int | None) -> _Size:
    items = 0
    divisible = source.field == LIST
    path = source.path
    try:
        if source.field == DATABASE and os.path.exists(path) and not leveldb_source.is_leveldb(path):
            items = lmdb_source.count(path)
            first = lmdb_source.first(path)
            divisible = b"\x38\x01" in (first[:24] + first[-16:]) or source.annotated
        elif source.field == LIST:
            items = image_list.count(path)
    except MissingLibrary:
        raise
    except Exception:  # the check itself will report the error
        items = 0
    return _Size(items, min(items, sample) if sample is not None else items, divisible)


_state: dict[str, Any] = {}


class _SharedWatch(Watch):
    def __init__(self) -> None:
        self.unreported = 0
        self.due = 0.0

    def seen(self, number: int) -> bool:
        self.unreported += number
        now = time.monotonic()
        if now >= self.due:
            self.due = now + POLL
            with _state["seen"].get_lock():
                _state["seen"].value += self.unreported
            self.unreported = 0
            _state["report_progress"]()
        return not _state["stop"].is_set()


def _begin(stop: Any, seen: Any, report_progress: Callable[[], None]) -> None:
    _state.update(stop=stop, seen=seen, report_progress=report_progress)


def _run_apart(tasks: list[_Task], jobs: int, stop: Any, seen: Any, report_progress: Callable[[], None]) -> list[SourceReport]:
    results = dict(spread(partial(_run_in_process, tasks, stop, seen), len(tasks), jobs, report_progress))
    return [results[number] for number in range(len(tasks))]


def _run_in_process(tasks: list[_Task], stop: Any, seen: Any, number: int) -> SourceReport:
    _begin(stop, seen, lambda: None)
    return _run(tasks[number])


def _run(task: _Task) -> SourceReport:
    source, path = task.source, task.source.path
    kind = {DATABASE: "lmdb", HDF5: "hdf5", LIST: "images", WINDOWS: "windows"}[source.field]
    report = SourceReport(kind, path)
    if _state["stop"].is_set():
        report.complete = False
        return report
    if not os.path.exists(path):
        report.error, report.error_kind = "does not exist", "missing"
        return report
    watch = _SharedWatch()
    try:
        if source.field == DATABASE:
            return _look_at_database(task, watch)
        if source.field == HDF5:
            return hdf5_source.look(path, source.base, source.tops, source.labels, watch, sample=task.sample)
        if source.field == LIST:
            return listed_images.look(
                path, source.base, source.root, watch, sample=task.sample, part=task.part, parts=task.parts
            )
        return window_file.look(
            path, source.base, source.root, watch, sample=task.sample,
            foreground=source.foreground, background=source.background,
        )  # fmt: skip
    except Unreadable as error:
        report.error, report.error_kind = f"cannot be opened: {error.reason}", "unreadable"
        return report
    except OSError as error:
        report.error, report.error_kind = f"cannot be opened: {error.strerror or error}", "unreadable"
        return report


def _look_at_database(task: _Task, watch: Watch) -> SourceReport:
    path = task.source.path
    options: dict[str, Any] = {
        "sample": task.sample, "annotated": task.source.annotated, "largest": task.largest,
        "part": task.part, "parts": task.parts,
    }  # fmt: skip
    if os.path.isdir(path) and not os.path.exists(os.path.join(path, "data.mdb")):
        report = SourceReport("leveldb", path)
        if not leveldb_source.is_leveldb(path):
            report.error, report.error_kind = "is neither an LMDB nor a LevelDB", "unreadable"
            return report
        try:
            return leveldb_source.look(path, watch, **options)
        except leveldb_source.BrokenDatabase as error:
            report.error, report.error_kind = f"is damaged: {error}", "unreadable"
            return report
    from .libraries import library  # keeps the libraries of the extra `data` out of the start

    lmdb = library("lmdb", "reading LMDB")
    try:
        return lmdb_source.look(path, watch, **options)
    except lmdb.Error as error:
        report = SourceReport("lmdb", path)
        report.error, report.error_kind = f"cannot be read as an LMDB ({error})", "unreadable"
        return report


def _in_main_thread() -> bool:
    import threading  # keeps multiprocessing out of the start

    return threading.current_thread() is threading.main_thread()
