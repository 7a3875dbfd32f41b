"""Running units, in one process or several, until they agree on shared files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial

from ..fixes.changes import Round
from ..settings.settings import Settings
from . import plugins
from .files_in_memory import Files
from .fixing import fix_unit
from .unit_check import check_unit
from .units import Unit, UnitResult

# Turns of running units again because another unit changed a shared file.
MAX_TURNS = 10
# The number of units up to which another process costs more than it saves.
FEW = 4


def run_units(
    work: list[tuple[Unit, Settings]], files: Files, patch: str, jobs: int | None = None
) -> list[UnitResult]:
    """Check units in `jobs` processes, and patch them in memory if `patch` is `safe` or `unsafe`.

    Without `jobs`, there is one for each core if there are more than a few units.

    If units share files (a deploy net is checked with its solver and on its own), all results have the same texts.
    """
    def run(unit: Unit, files: Files, settings: Settings) -> UnitResult:
        return _run_unit(unit, settings, files, patch)

    if jobs is None:
        jobs = _cores() if len(work) > FEW else 1
    results: list[UnitResult] = []
    separate = _run_in_processes(work, files, patch, jobs) if jobs > 1 and len(work) > 1 else []
    for number, (unit, settings) in enumerate(work):
        if separate and not _is_stale(separate[number], files.settled):
            results.append(separate[number])
        else:
            results.append(run(unit, files.release(unit, settings), settings))
        files.settle(results[-1])
    agree(work, results, files, run)
    return results


def _cores() -> int:
    from ..source.workers import cores  # as below

    return cores()


def agree(
    work: Sequence[tuple[Unit, Settings]],
    results: list[UnitResult],
    files: Files,
    run: Callable[[Unit, Files, Settings], UnitResult],
) -> None:
    """Run units again, from the texts that they settled, until no file has two texts; `results` are replaced."""
    for _ in range(MAX_TURNS):
        for number, (unit, settings) in enumerate(work):
            result = results[number]
            if _is_stale(result, files.settled):
                again = run(unit, files.release(unit, settings), settings)
                results[number] = again._replace(fixed=(*result.fixed, *again.fixed))
                files.settle(results[number])
        if not any(_is_stale(result, files.settled) for result in results):
            return
    results[-1].errors.append(f"gave up after {MAX_TURNS} turns: fixes in shared files trigger each other")


def _is_stale(result: UnitResult, settled: Mapping[str, tuple[bytes, tuple[Round, ...]]]) -> bool:
    """Return whether another unit changed a file that this one read."""
    texts = {**result.sources, **result.patched} if settled else {}
    return any(settled.get(os.path.realpath(path), (text,))[0] != text for path, text in texts.items())


def _run_in_processes(work: list[tuple[Unit, Settings]], files: Files, patch: str, jobs: int) -> list[UnitResult]:
    from ..source.workers import CONTEXT, spread  # keeps multiprocessing out of the start

    if CONTEXT.get_start_method() != "fork":
        files.forget_all()  # trees are larger than the text they are read from
    results = dict(spread(partial(_run_in_process, work, files, patch), len(work), jobs))
    files.forget_all()  # the processes had copies
    return [results[number] for number in range(len(work))]


def _run_unit(unit: Unit, settings: Settings, files: Files, patch: str) -> UnitResult:
    if patch:
        return fix_unit(unit, files, settings, unsafe=patch == "unsafe")
    findings = check_unit(unit, files, settings)
    return files.result(findings, (), [])


def _run_in_process(work: list[tuple[Unit, Settings]], files: Files, patch: str, number: int) -> UnitResult:
    """Run a unit in another process: the result that is sent back has no trees."""
    unit, settings = work[number]
    plugins.load(settings.plugins)
    result = _run_unit(unit, settings, files.release(unit, settings), patch)
    findings = [
        finding._replace(fix=finding.fix._replace(changes=())) if finding.fix is not None else finding
        for finding in result.findings
    ]
    return result._replace(findings=findings)
