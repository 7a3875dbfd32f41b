"""The cache: the findings of units whose files, and all else that was asked of the file system, are as they were.

What is kept are findings, for reports. What is written to files is computed each time.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import import_module
from typing import Any

from ..fixes.edit import Edit, Fix, Stage
from ..proto.schema import caffe_schema
from ..rule.finding import Cause, Finding
from ..rule.registry import FAMILIES
from ..settings.settings import CONFIDENCES, SEVERITIES, ConfigError, Settings
from ..source.opener import MAX_PROTOTXT, Unreadable, real_path
from ..source.places import Place
from ..source.questions import digest_now, digest_of, kept, kept_questions, key_of
from ..source.repository_proto import KnownName
from .cache_folder import is_trusted, read_store, store_of, write_store
from .files_in_memory import Files
from .job_verdicts import JobVerdict
from .unit_check import check_unit
from .units import LeftAlone, Unit, UnitResult

# Where each question is, which is loaded when it is asked again.
QUESTIONS = {
    "read_regular": "source.opener",
    "fingerprint": "source.opener",
    "real_path": "source.opener",
    "find_net": "source.files",
    "folder_with": "source.files",
    "runs_of_solver": "source.run_scripts",
    "mentions_of": "source.solver_index",
    "repository_protos": "source.repository_proto",
    "layer_sources": "source.repository_proto",
    "deploy_beside": "net.beside",
    "training_beside": "net.beside",
    "read_shapes": "data.caffemodel",
    "state_of_file": "data.caffemodel",
    "items_of_list": "rules.data.data_sources",
    "labels_near": "data.image_list",
    "is_folder_near": "rules.data.data_sources",
}
_SETTINGS, _EXCLUDED = "settings", "excluded"  # what is asked of the settings, as a question


class Cache:
    """The kept results of units in one run; `folder` is where they are kept between runs."""

    def __init__(self, folder: str) -> None:
        self._store = store_of(folder, os.getcwd())
        self._values = read_store(self._store) if is_trusted(folder) else {}
        self._is_trusted = is_trusted(folder)
        self._used: dict[str, str] = {}
        self._has_new = False
        self._answers: dict[str, str] = {}  # each question is asked once in a run

    def find_all(self, work: Iterable[tuple[Unit, Settings]], files: Files) -> dict[int, UnitResult]:
        """Return the results that are kept and still right, by the numbers of their units."""
        for path, source in files.sources.items():
            self._answers[_content(path)] = digest_of(source)  # which are not read again
        results = {}
        for number, (unit, settings) in enumerate(work):
            found = self._find(unit, settings, files)
            if found is not None:
                results[number] = found
                files.forget_unit(unit)
        return results

    def _find(self, unit: Unit, settings: Settings, files: Files) -> UnitResult | None:
        key = _key(unit, files, settings)
        value = self._values.get(key)
        if value is None:
            return None
        try:
            entry = json.loads(value)
            if any(self._answer(asked, settings) != answer for asked, answer in entry["asked"].items()):
                return None
            result = _result(entry, files)
        except (Unreadable, ConfigError, ValueError, TypeError, LookupError, AttributeError, RecursionError):
            return None  # damaged, or a file is gone or a configuration broken since it was asked for
        self._used[key] = value
        return result

    def add(self, unit: Unit, files: Files, settings: Settings, result: UnitResult) -> None:
        """Keep the result of a unit, unless it rests on something that cannot be asked again."""
        if result.asked is not None:
            entry = _entry(result) if files.with_verdicts else {**_entry(result), "verdicts": None}
            self._used[_key(unit, files, settings)] = json.dumps(entry, default=_as_text)
            self._has_new = True

    def write(self) -> None:
        """Keep the results of this run, and those of others as far as there is room."""
        if self._has_new and self._is_trusted:
            write_store(self._store, {**{key: self._values[key] for key in self._values.keys() - self._used}, **self._used})

    def _answer(self, asked: str, settings: Settings) -> str:
        if asked not in self._answers:
            name, args, kwargs = json.loads(asked)
            if name == _SETTINGS:
                self._answers[asked] = _digest_of_settings(settings.of(*args))
            elif name == _EXCLUDED:
                self._answers[asked] = digest_of(settings.excluded(*args))
            else:
                self._answers[asked] = digest_now(_function(name), args, kwargs)
        return self._answers[asked]


def check_with_questions(unit: Unit, files: Files, settings: Settings) -> UnitResult:
    """Check a unit of `files`, and return its result with what was asked of the file system."""
    with kept_questions() as asked:
        settings = _asked(settings)
        own = files.release(unit, settings)
        asked.answers.update((_content(path), digest_of(source)) for path, source in own.sources.items())
        result = own.result(check_unit(unit, own, settings), (), []).without_trees()
        own.take_nets_apart()
        for path in own.sources:
            real_path(path)
    return result._replace(asked=asked.answers if asked.complete else None)


def is_usable(files: Files) -> bool:
    """Return whether results of a run can be kept: all is on disk, and read by our own schema."""
    return not files.given and files.schema is caffe_schema()


def _asked(settings: Settings) -> Settings:
    """Return settings that keep what is asked of them. They say too if rules of others, or a baseline, have a part in it.

    What rests on a configuration that is broken is not kept.
    """
    def of(path: str) -> Settings:
        with _not_kept_if_broken():
            own = settings.of(path)
        if (asked := kept()) is not None:
            asked.answers[key_of(_SETTINGS, path)] = _digest_of_settings(own)
            asked.complete = asked.complete and not own.plugins and own.known is None
        return own

    def excluded(path: str) -> bool:
        with _not_kept_if_broken():
            answer = settings.excluded(path)
        if (asked := kept()) is not None:
            asked.answers[key_of(_EXCLUDED, path)] = digest_of(answer)
        return answer

    return settings._replace(elsewhere=of, excludes=excluded)


@contextmanager
def _not_kept_if_broken() -> Iterator[None]:
    try:
        yield
    except ConfigError:
        if (asked := kept()) is not None:
            asked.complete = False
        raise


def _digest_of_settings(settings: Settings) -> str:
    return digest_of(settings._replace(elsewhere=None, excludes=None))


def _content(path: str) -> str:
    return key_of("read_regular", path, MAX_PROTOTXT)


def _key(unit: Unit, files: Files, settings: Settings) -> str:
    """Return what identifies a unit among those of a working directory; with simulations it is another one."""
    return digest_of((tuple(unit), files.roots, settings.simulate))


@cache
def _function(name: str) -> Callable[..., object]:
    function: Callable[..., object] = getattr(import_module(f"..{QUESTIONS[name]}", __package__), name)
    return function


def _entry(result: UnitResult) -> dict[str, Any]:
    return {
        "asked": result.asked,
        "files": list(result.sources),
        "left_alone": result.left_alone,
        "findings": result.without_trees().findings,
        "verdicts": result.verdicts,
        "known": result.known,
    }


def _as_text(value: object) -> str:
    """Return the bytes of an edit as text of the same length."""
    if not isinstance(value, bytes):
        raise TypeError(f"a finding with {value!r} cannot be kept")
    return value.decode("latin-1")


def _result(entry: dict[str, Any], files: Files) -> UnitResult:
    """Return a result as it was kept. Raises ValueError, TypeError, LookupError or AttributeError if it is damaged."""
    sources = {_text(path): files.get_bytes(path) for path in entry["files"]}
    left_alone = {path: LeftAlone(_text(reason), checked is True) for path, (reason, checked) in entry["left_alone"].items()}
    findings = [_finding(*values) for values in entry["findings"]]
    verdicts = tuple(_verdict(*values) for values in entry["verdicts"]) if files.with_verdicts else ()
    known = tuple(KnownName(*map(_text, values)) for values in entry["known"])
    return UnitResult(findings, (), {}, sources, [], left_alone=left_alone, verdicts=verdicts, known=known)


def _finding(
    place: Any, code: Any, name: Any, severity: Any, message: Any, reason: Any, line: Any, related: Any, fix: Any, start: Any,
    confidence: Any, caused_by: Any,
) -> Finding:  # fmt: skip
    if _text(code)[:1] not in FAMILIES or severity not in SEVERITIES or confidence not in CONFIDENCES:
        raise ValueError("no finding")
    return Finding(
        _place(*place),
        code,
        _text(name),
        severity,
        _text(message),
        _text(reason),
        _text(line),
        tuple(_place(*other) for other in related),
        None if fix is None else _fix(*fix),
        _number(start),
        confidence,
        None if caused_by is None else _cause(*caused_by),
    )


def _cause(code: Any, path: Any, line: Any, column: Any) -> Cause:
    return Cause(_text(code), _text(path), _number(line), _number(column))


def _verdict(path: Any, severity: Any, sentence: Any) -> JobVerdict:
    if severity not in ("", *SEVERITIES):
        raise ValueError("no verdict")
    return JobVerdict(_text(path), severity, _text(sentence))


def _place(path: Any, *values: Any) -> Place:
    *numbers, message = values
    line, column, end_line, end_column = map(_number, numbers)
    return Place(_text(path), line, column, end_line, end_column, _text(message))


def _fix(path: Any, title: Any, edits: Any, changes: Any, safe: Any, stage: Any, repair: Any, parts: Any) -> Fix:
    kept_edits = tuple(Edit(_number(start), _number(end), _text(text).encode("latin-1")) for start, end, text in edits)
    return Fix(_text(path), _text(title), kept_edits, (), safe is True, Stage(stage), _text(repair), _number(parts))


def _text(value: Any) -> str:
    if not isinstance(value, str):
        raise TypeError("no text")
    return value


def _number(value: Any) -> int:
    if type(value) is not int:
        raise TypeError("no number")
    return value
