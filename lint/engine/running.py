"""Running units, in one process or several, until they agree on shared files."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence

from ..fixes.changes import Round
from ..settings.settings import Settings
from . import plugins
from .files_in_memory import Files
from .fixing import fix_unit
from .unit_check import check_unit
from .units import Unit, UnitResult

# Turns of running units again because another unit changed a shared file.
MAX_TURNS = 10


def run_units(work: list[tuple[Unit, Settings]], files: Files, patch: str, jobs: int) -> list[UnitResult]:
    """Check units, in several processes if `jobs` is above 1, and patch them in memory if `patch` is `safe` or `unsafe`.

    If units share files (a deploy net is checked with its solver and on its own), all results have the same texts.
    """
    def run(unit: Unit, files: Files, settings: Settings) -> UnitResult:
        return _run_unit(unit, settings, files, patch)

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
    import signal  # only with --jobs

    from ..source.workers import worker_pool  # keeps multiprocessing out of the start

    with worker_pool(jobs) as pool:
        runs = []
        # Ctrl-C reaches every process, but only this one handles it: the others start with the signal blocked.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for unit, settings in work:
                own = files.release(unit, settings)
                own.forget_all()  # trees are larger than the text they are read from
                runs.append(pool.submit(_run_in_process, unit, settings, own, patch))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        return [run.result() for run in runs]


def _run_unit(unit: Unit, settings: Settings, files: Files, patch: str) -> UnitResult:
    if patch:
        return fix_unit(unit, files, settings, unsafe=patch == "unsafe")
    findings = check_unit(unit, files, settings)
    return files.result(findings, (), [])


def _run_in_process(unit: Unit, settings: Settings, files: Files, patch: str) -> UnitResult:
    """Run a unit in another process: the result that is sent back has no trees."""
    plugins.load(settings.plugins)
    result = _run_unit(unit, settings, files, patch)
    findings = [
        finding._replace(fix=finding.fix._replace(changes=())) if finding.fix is not None else finding
        for finding in result.findings
    ]
    return result._replace(findings=findings)
