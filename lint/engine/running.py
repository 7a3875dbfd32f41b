"""Running units, in one process or several, until they agree on shared files."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from ..fixes.changes import Round
from ..proto.named_tuple import NamedTuple
from ..settings.settings import Settings
from . import plugins
from .files_in_memory import Files
from .unit_check import check_unit
from .units import Unit, UnitResult, path_order

if TYPE_CHECKING:
    from .cache import Cache

Work = list[tuple[Unit, Settings]]

# Turns of running units again because another unit changed a shared file.
MAX_TURNS = 10
# The number of units up to which another process costs more than it saves.
FEW = 4


class Listener(NamedTuple):
    """Functions that are called while units run.

    `progress` is called often, with the number of units that are done; `result` with the number of a unit and its result as soon
    as that is final, in the order of the units' paths. If files are patched, no result is final before all units agree.
    """

    progress: Callable[[int], None] = lambda done: None
    result: Callable[[int, UnitResult], None] = lambda number, result: None


_NOBODY = Listener()


def run_units(
    work: Work,
    files: Files,
    patch: str,
    jobs: int | None = None,
    *,
    cache: Cache | None = None,
    listener: Listener = _NOBODY,
) -> list[UnitResult]:
    """Check units in `jobs` processes, and patch them in memory if `patch` is `safe` or `unsafe`.

    Without `jobs`, there is one for each core if there are more than a few units. Results that a `cache` has are taken from it,
    and the others are kept in it; what is patched is computed each time.

    If units share files (a deploy net is checked with its solver and on its own), all results have the same texts.
    """
    if patch:
        return _patch_units(work, files, patch, jobs, listener)
    results = _check_units(work, files, jobs, cache, listener)
    return [results[number] for number in range(len(work))]


class Kept(NamedTuple):
    """A checked unit with the files as they were checked, in which its jobs and nets are."""

    unit: Unit
    files: Files
    result: UnitResult


def keeping(kept: list[Kept]) -> Callable[[Work, Files], list[UnitResult]]:
    """Return what runs units in this process, and keeps each with what it was checked with."""

    def run(work: Work, files: Files) -> list[UnitResult]:
        for unit, settings in work:
            plugins.load(settings.plugins)
            own = files.release(unit, settings)
            kept.append(Kept(unit, own, own.result(check_unit(unit, own, settings), (), [])))
        return [each.result for each in kept]

    return run


def _check_units(
    work: Work, files: Files, jobs: int | None, cache: Cache | None, listener: Listener
) -> dict[int, UnitResult]:
    results = cache.find_all(work, files) if cache is not None else {}
    order = path_order([unit for unit, _ in work])
    left = [number for number in order if number not in results]
    unheard = iter(order)
    following = next(unheard, None)
    check = partial(_check_unit, work, files, keeps=cache is not None)
    try:
        for number, result in _each(
            check, work, left, files, jobs, lambda done: listener.progress(len(work) - len(left) + done)
        ):
            results[number] = result
            if cache is not None:
                cache.add(work[number][0], files, work[number][1], result)
            while following is not None and following in results:
                listener.result(following, results[following])
                following = next(unheard, None)
    finally:
        if cache is not None:
            cache.write()
    for number in (following, *unheard) if following is not None else ():
        listener.result(number, results[number])
    return results


def _patch_units(work: Work, files: Files, patch: str, jobs: int | None, listener: Listener) -> list[UnitResult]:
    from .fixing import fix_unit  # keeps what applies fixes out of a check

    def run(unit: Unit, files: Files, settings: Settings) -> UnitResult:
        return fix_unit(unit, files, settings, unsafe=patch == "unsafe")

    numbers = list(range(len(work)))
    separate: dict[int, UnitResult] = {}
    if _processes(jobs, len(work)) > 1:
        separate = dict(_each(partial(_patch_unit, work, files, patch), work, numbers, files, jobs, listener.progress))
    results: list[UnitResult] = []
    for number, (unit, settings) in enumerate(work):
        if separate and not _is_stale(separate[number], files.settled):
            results.append(separate[number])
        else:
            results.append(run(unit, files.release(unit, settings), settings))
        files.settle(results[-1])
        if not separate:
            listener.progress(len(results))
    agree(work, results, files, run)
    for number in path_order([unit for unit, _ in work]):
        listener.result(number, results[number])
    return results


def agree(
    work: Sequence[tuple[Unit, Settings]],
    results: list[UnitResult],
    files: Files,
    run: Callable[[Unit, Files, Settings], UnitResult],
) -> None:
    """Run units again, from the texts that they settled, until no file has two texts; `results` are replaced.

    If a turn leads back to texts that were settled before, units undo each other's fixes. These are not made: the files whose texts
    they do not agree on stay as they are then, so that the next run ends with them too.
    """
    seen: list[dict[str, bytes]] = []  # the settled texts, and how much was fixed until then
    fixed: list[list[int]] = []
    for _ in range(MAX_TURNS):
        settled = {path: text for path, (text, _) in files.settled.items()}
        if settled in seen:
            start = seen.index(settled)
            files.contested |= _contested(results, seen[start:])
            _forget_undone(results, fixed[start], files.contested)
        seen.append(settled)
        fixed.append([len(result.fixed) for result in results])
        for number, (unit, settings) in enumerate(work):
            result = results[number]
            if _is_stale(result, files.settled):
                again = run(unit, files.release(unit, settings), settings)
                results[number] = again._replace(fixed=(*result.fixed, *again.fixed))
                files.settle(results[number])
        if not any(_is_stale(result, files.settled) for result in results):
            return
    contested = _contested(results, seen)
    for number, result in enumerate(results):
        if not contested.isdisjoint(map(os.path.realpath, result.patched)):
            results[number] = result._replace(patched={}, rounds={}, fixed=())
    results[-1].errors.append(f"not fixed: gave up after {MAX_TURNS} turns: fixes in shared files trigger each other")


def _contested(results: Sequence[UnitResult], settled: Sequence[Mapping[str, bytes]]) -> set[str]:
    """Return the real paths of files that units left with different texts, or that had different settled texts."""
    texts: dict[str, set[bytes]] = {}
    for each in settled:
        for real, text in each.items():
            texts.setdefault(real, set()).add(text)
    for result in results:
        for path, text in result.patched.items():
            texts.setdefault(os.path.realpath(path), set()).add(text)
    return {real for real, different in texts.items() if len(different) > 1}


def _forget_undone(results: list[UnitResult], since: Sequence[int], contested: Collection[str]) -> None:
    """Take what was fixed in contested files since then, and undone again, out of the results, each time that it was fixed."""
    undone = {
        one[:1] + one[2:]  # on whatever line
        for result, number in zip(results, since, strict=True)
        for one in result.fixed[number:]
        if os.path.realpath(one.path) in contested
    }
    for number, result in enumerate(results):
        left = tuple(one for one in result.fixed if one[:1] + one[2:] not in undone)
        results[number] = result._replace(fixed=left)


def _is_stale(result: UnitResult, settled: Mapping[str, tuple[bytes, tuple[Round, ...]]]) -> bool:
    """Return whether another unit changed a file that this one read."""
    texts = {**result.sources, **result.patched} if settled else {}
    return any(settled.get(os.path.realpath(path), (text,))[0] != text for path, text in texts.items())


def _each(
    run: Callable[[int], UnitResult],
    work: Work,
    numbers: list[int],
    files: Files,
    jobs: int | None,
    progress: Callable[[int], None],
) -> Iterator[tuple[int, UnitResult]]:
    """Yield the numbers of units with their results, as they are done. If a process dies, its unit has an error for a result."""
    processes = _processes(jobs, len(numbers))
    if processes == 1:
        for place, number in enumerate(numbers):
            progress(place)
            yield number, run(number)
        return
    from ..source.workers import CONTEXT, WorkerDied, spread  # keeps multiprocessing out of the start

    if CONTEXT.get_start_method() != "fork":
        files.forget_all()  # trees are larger than the text they are read from
    done: set[int] = set()
    while len(done) < len(numbers):
        left = [number for number in numbers if number not in done]
        try:
            for place, result in spread(
                partial(_run_in_process, run, left), len(left), processes, lambda: progress(len(done))
            ):
                done.add(left[place])
                yield left[place], result
        except WorkerDied as death:  # the others are begun again where they were
            number = left[death.number]
            done.add(number)
            path = work[number][0].paths[0]
            yield number, UnitResult([], (), {}, {}, [f"{path}: not checked: {death}"])
    files.forget_all()  # the processes had copies


def _processes(jobs: int | None, number: int) -> int:
    """Return in how many processes to run a number of units."""
    if jobs is None:
        if number <= FEW:
            return 1
        from ..source.workers import cores  # keeps multiprocessing out of the start

        jobs = cores()
    return max(1, min(jobs, number))


def _check_unit(work: Work, files: Files, number: int, *, keeps: bool) -> UnitResult:
    unit, settings = work[number]
    plugins.load(settings.plugins)  # in another process, they may not be
    if keeps:
        from .cache import check_with_questions  # only with a cache

        return check_with_questions(unit, files, settings)
    own = files.release(unit, settings)
    result = own.result(check_unit(unit, own, settings), (), []).without_trees()
    own.take_nets_apart()
    return result


def _patch_unit(work: Work, files: Files, patch: str, number: int) -> UnitResult:
    unit, settings = work[number]
    plugins.load(settings.plugins)
    from .fixing import fix_unit  # keeps what applies fixes out of a check

    return fix_unit(unit, files.release(unit, settings), settings, unsafe=patch == "unsafe")


def _run_in_process(run: Callable[[int], UnitResult], numbers: list[int], place: int) -> UnitResult:
    """Run a unit in another process: the result that is sent back has no trees."""
    return run(numbers[place]).without_trees()
