"""Check all sources that nets read, each one once, in several processes, until done or interrupted."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

from ..moments.graph import Blob, Layer
from ..net.classes import label_uses
from ..net.data_facts import source_param
from ..net.job import NetInPhase
from ..proto.named_tuple import NamedTuple
from ..source.opener import Unreadable
from ..source.workers import CONTEXT, POLL, WorkerDied, limit_memory, limit_processor_time, spread
from . import hdf5_source, image_list, leveldb_source, listed_images, lmdb_source, window_file
from .broken import BrokenDatabase
from .counting import DATABASE, HDF5, LIST, WINDOWS
from .libraries import MissingLibrary
from .source_report import ITEM_LABELS, PIXEL_LABELS, SourceReport, Watch

# The most memory of its own that a process may have that reads data, and the most seconds of processor time for the next items.
# No record, image or chunk that Caffe can train with needs a tenth of either; set by hand.
MOST_MEMORY, STUCK = 8_000_000_000, 120
_KINDS = {DATABASE: "lmdb", HDF5: "hdf5", LIST: "images", WINDOWS: "windows"}


class Source(NamedTuple):
    """A source to check: the field that names it, its location, and the layer's settings that matter for reading it.

    `written` is the path in the net; `tops` are HDF5 datasets. `labels` are the arrays that hold labels, as a report names them.
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
    used = {use.top for use in label_uses(net.net) if use.top.producer is layer}
    labels = tuple(array_of(name, top) for top in layer.tops if top in used or (top.top_index and name != HDF5))
    if name == DATABASE:
        return Source(name, written, base, labels=labels, annotated=layer.type == "AnnotatedData")
    if name == HDF5:
        return Source(name, written, base, tops=tuple(top.name for top in layer.tops), labels=labels)
    if name == LIST == layer.traits.settings:
        return Source(name, written, base, root=param["root_folder"], labels=labels)
    if name == WINDOWS == layer.traits.settings:
        thresholds = (param["fg_threshold"], param["bg_threshold"])
        return Source(
            name, written, base, param["root_folder"], labels=labels, foreground=thresholds[0], background=thresholds[1]
        )
    return None


def array_of(field: str, top: Blob) -> str:
    """The array of a source that fills a top of a layer, as a report names it. `field` names the source."""
    return top.name if field == HDF5 else ITEM_LABELS if top.top_index else PIXEL_LABELS


def look(
    sources: Iterable[Source], *, sample: int | None, jobs: int, progress: Callable[[int, int], None]
) -> dict[Source, SourceReport]:
    """Return a report on each source. `progress` is called with the number of items read and their total.

    Ctrl-C stops the check; the reports then cover what was read and are not `complete`. Raises MissingLibrary.
    """
    wanted = list(dict.fromkeys(sources))
    found = _apart(partial(_size_of, wanted, sample), len(wanted), jobs, lambda number, how: _UNKNOWN_SIZE)
    sizes = dict(zip(wanted, found, strict=True))
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
        results = _apart(
            partial(_run_in_process, tasks, stop, seen),
            len(tasks),
            jobs,
            lambda number, how: _report_of_death(tasks[number].source, how),
            lambda: progress(seen.value, total),
        )
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


_UNKNOWN_SIZE = _Size(0, 0, False)


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
            limit_processor_time(STUCK)
            with _state["seen"].get_lock():
                _state["seen"].value += self.unreported
            self.unreported = 0
        return not _state["stop"].is_set()


def _apart(
    work: Callable[[int], Any],
    number: int,
    jobs: int,
    died: Callable[[int, str], Any],
    waiting: Callable[[], None] | None = None,
) -> list[Any]:
    """Return what `work` makes of each number below `number`, in processes of their own: a damaged file may end them.

    `died` makes the result of a piece of work from how its process ended.
    """
    results: dict[int, Any] = {}
    todo = list(range(number))
    while todo:
        try:
            for index, result in spread(partial(_nth, work, todo), len(todo), max(1, jobs), waiting):
                results[todo[index]] = result
        except WorkerDied as death:
            results[todo[death.number]] = died(todo[death.number], death.how)
        todo = [each for each in todo if each not in results]
    return [results[each] for each in range(number)]


def _nth(work: Callable[[int], Any], numbers: list[int], index: int) -> Any:
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), 2)  # where a library in C says that it gives up
    limit_memory(MOST_MEMORY)
    limit_processor_time(STUCK)
    return work(numbers[index])


def _size_of(sources: list[Source], sample: int | None, number: int) -> _Size:
    return _size(sources[number], sample)


def _run_in_process(tasks: list[_Task], stop: Any, seen: Any, number: int) -> SourceReport:
    _state.update(stop=stop, seen=seen)
    return _run(tasks[number])


def _report_of_death(source: Source, how: str) -> SourceReport:
    """The report on a source that ended the process that read it."""
    report = SourceReport(_KINDS[source.field], source.path)
    report.cut_short = True
    report.error_kind = "unreadable"
    report.error = f"cannot be read: the process reading it ended with {how}, so it is damaged or needs too much memory"
    return report


def _run(task: _Task) -> SourceReport:
    source, path = task.source, task.source.path
    report = SourceReport(_KINDS[source.field], path)
    if _state["stop"].is_set():
        report.interrupted = True
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
                path, source.base, source.root, watch, sample=task.sample, pixel_labels=PIXEL_LABELS in source.labels,
                part=task.part, parts=task.parts,
            )  # fmt: skip
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
        "part": task.part, "parts": task.parts, "pixel_labels": PIXEL_LABELS in task.source.labels,
    }  # fmt: skip
    if os.path.isdir(path) and not os.path.exists(os.path.join(path, "data.mdb")):
        report = SourceReport("leveldb", path)
        if not leveldb_source.is_leveldb(path):
            report.error, report.error_kind = "is neither an LMDB nor a LevelDB", "unreadable"
            return report
        try:
            return leveldb_source.look(path, watch, **options)
        except BrokenDatabase as error:
            report.error, report.error_kind = f"is damaged: {error}", "unreadable"
            return report
    try:
        return lmdb_source.look(path, watch, **options)
    except BrokenDatabase as error:
        report = SourceReport("lmdb", path)
        report.error, report.error_kind = f"cannot be read as an LMDB: {error}", "unreadable"
        return report


def _in_main_thread() -> bool:
    import threading  # keeps multiprocessing out of the start

    return threading.current_thread() is threading.main_thread()
