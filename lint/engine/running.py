"""Running units, in one process or several, until they agree on the files that they share."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ..fixes.changes import Round
from ..settings.settings import Settings
from . import plugins
from .files_in_memory import Files
from .fixing import fix_unit
from .unit_check import check_unit
from .units import Unit, UnitResult

# Turns of running units again because another one changed a file that they share.
MAX_TURNS = 10


def run_units(work: list[tuple[Unit, Settings]], files: Files, patch: str, jobs: int) -> list[UnitResult]:
    """Checks units, in several processes if asked for, and patches them in memory if `patch` is `safe` or `unsafe`.

    Where units share files, as a deploy net is checked with its solver and for itself, all results hold the same texts.
    """
    if jobs < 2 or len(work) < 2:
        results = [_run_unit(unit, settings, files.release(unit, settings), patch) for unit, settings in work]
    else:
        results = _run_all_apart(work, files, patch, jobs)
    if any(result.patched for result in results):
        _agree(work, results, files, patch)
    return results


def _agree(work: list[tuple[Unit, Settings]], results: list[UnitResult], files: Files, patch: str) -> None:
    """Runs units again, from the texts that the others left, until no file has two texts."""
    for turn in range(MAX_TURNS):
        for number, (unit, settings) in enumerate(work):
            result = results[number]
            if _is_stale(result, files.settled):
                again = _run_unit(unit, settings, files.release(unit, settings), patch)
                # At the first turn, what it had done before is not among the settled texts: it has been done anew.
                results[number] = again._replace(applied=again.applied + (result.applied if turn else 0))
            files.settle(results[number])
        if not any(_is_stale(result, files.settled) for result in results):
            return
    results[-1].errors.append(f"gave up after {MAX_TURNS} turns of fixes in files that call for each other")


def _is_stale(result: UnitResult, settled: Mapping[str, tuple[bytes, tuple[Round, ...]]]) -> bool:
    """Whether another unit made another text of a file that this one looked at."""
    texts = {**result.sources, **result.patched} if settled else {}
    return any(settled.get(os.path.realpath(path), (text,))[0] != text for path, text in texts.items())


def _run_all_apart(work: list[tuple[Unit, Settings]], files: Files, patch: str, jobs: int) -> list[UnitResult]:
    import signal  # only with --jobs
    from concurrent.futures import ProcessPoolExecutor  # keeps multiprocessing out of the start

    with ProcessPoolExecutor(jobs) as pool:
        runs = []
        # Ctrl-C reaches every process, and this one alone heeds it: the others are born with the signal blocked.
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            for unit, settings in work:
                own = files.release(unit, settings)
                own.forget_all()  # trees are larger than the text they are read from
                runs.append(pool.submit(_run_apart, unit, settings, own, patch))
        finally:
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
        try:
            return [run.result() for run in runs]
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _run_unit(unit: Unit, settings: Settings, files: Files, patch: str) -> UnitResult:
    if patch:
        return fix_unit(unit, files, settings, unsafe=patch == "unsafe")
    findings = check_unit(unit, files, settings)
    return UnitResult(findings, 0, {}, files.sources, [], files.comparison)


def _run_apart(unit: Unit, settings: Settings, files: Files, patch: str) -> UnitResult:
    """The same in another process: what goes back holds no trees."""
    plugins.load(settings.plugins)
    result = _run_unit(unit, settings, files, patch)
    findings = [
        finding._replace(fix=finding.fix._replace(changes=())) if finding.fix is not None else finding
        for finding in result.findings
    ]
    return result._replace(findings=findings)
