"""Applying the fixes of one unit, in memory, until none is left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..fixes.apply import edited, next_round, verify, what_changes
from ..fixes.changes import FixRejected
from ..fixes.edit import Fix
from ..rule.finding import Finding, Fixed
from ..settings.settings import Settings
from ..source.files import SourceFile
from .files_in_memory import Files
from .unit_check import check_unit
from .units import Unit, UnitResult

# Rounds of applying fixes and checking again.
MAX_ROUNDS = 100


def fix_unit(unit: Unit, files: Files, settings: Settings, *, unsafe: bool) -> UnitResult:
    """Apply the fixes of a unit, round after round, until none is left; nothing is written to disk.

    Every round is verified: read by our binder, the new text differs from the old one only in the fields that its fixes
    name. A fix that fails this is skipped and reported in `errors`. `fixes.bindings.verified` verifies the result of all
    rounds before it is written or shown.
    """
    errors: list[str] = []
    fixed: list[Fixed] = []
    refused: set[tuple[Any, ...]] = set()
    findings = check_unit(unit, files, settings)
    for _ in range(MAX_ROUNDS):
        offered = [one.fix for one in findings if one.fix is not None and (one.fix.safe or unsafe)]
        chosen = next_round(fix for fix in offered if _key(fix) not in refused)
        if not chosen:
            break
        before = {path: files.get(path).source for path in chosen}
        done, failed = apply_round(files, chosen)
        fixed += fixed_by(done, findings, before)
        for fix, error in failed:
            refused.add(_key(fix))
            if not files.is_companion(fix.path):
                errors.append(f"{fix.path}: not fixed ({fix.title}): {error}")
        findings = check_unit(unit, files, settings)
    else:
        errors.append(f"{unit.paths[0]}: gave up after {MAX_ROUNDS} rounds of fixes that trigger each other")
    return files.result(findings, fixed, errors)


def fixed_by(done: Iterable[Fix], findings: Iterable[Finding], before: Mapping[str, bytes]) -> list[Fixed]:
    """Return the findings that fixes have fixed; `before` are the texts of the files before."""
    by_fix = {_key(one.fix): one for one in reversed(list(findings)) if one.fix is not None}
    fixed = []
    for fix in done:
        source = before[fix.path]
        line = source.count(b"\n", 0, fix.start) + 1
        fixed.append(Fixed(fix.path, line, by_fix[_key(fix)].code, what_changes(fix, source)))
    return fixed


def _key(fix: Fix) -> tuple[Any, ...]:
    return fix.path, fix.title, fix.edits


def apply_round(files: Files, chosen: dict[str, list[Fix]]) -> tuple[list[Fix], list[tuple[Fix, FixRejected]]]:
    """Apply a round of fixes to files in memory; return those applied, and those that did not verify, with the error.

    If those of a file do not verify together, only the first is applied; the others are found again in the next round.
    """
    done: list[Fix] = []
    failed: list[tuple[Fix, FixRejected]] = []
    for path, fixes in chosen.items():
        for together in (fixes, fixes[:1]) if len(fixes) > 1 else (fixes,):
            try:
                apply_fixes(files, path, together)
            except FixRejected as error:
                if len(together) == 1:
                    failed.append((together[0], error))
            else:
                done += together
                break
    return done, failed


def apply_fixes(files: Files, path: str, fixes: list[Fix]) -> None:
    """Apply fixes to a file in memory. Raises FixRejected, without changes, if they do not verify."""
    old = files.get(path)
    source = edited(old.source, (edit for fix in fixes for edit in fix.edits))
    new = SourceFile(path, source, old.schema, old.asked_dialect)
    if len(new.tree.problems) > len(old.tree.problems):
        raise FixRejected(f"the patched text would have a new syntax error: {new.tree.problems[0].message}")
    if new.kind != old.kind:
        raise FixRejected(f"the patched text would no longer be a {old.kind}")
    files.replace(path, source, verify(old.message, new.message, fixes))
