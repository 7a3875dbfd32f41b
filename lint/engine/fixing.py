"""Applying the fixes of one unit, in memory, until none is left."""

from __future__ import annotations

from typing import Any

from ..fixes.apply import edited, select, verify
from ..fixes.changes import FixRejected
from ..fixes.edit import Fix
from ..settings.settings import Settings
from ..source.files import SourceFile
from .files_in_memory import Files
from .unit_check import check_unit
from .units import Unit, UnitResult

# Rounds of applying fixes and checking again. Each round applies all fixes that do not overlap.
MAX_ROUNDS = 100


def fix_unit(unit: Unit, files: Files, settings: Settings, *, unsafe: bool) -> UnitResult:
    """Apply the fixes of a unit, round after round, until none is left; nothing is written to disk.

    Every round is verified: read by our binder, the new text differs from the old one only in the fields that its fixes
    name. A fix that fails this is skipped and reported in `errors`. `fixes.bindings.verified` verifies the result of all
    rounds before it is written or shown.
    """
    errors: list[str] = []
    applied = 0
    refused: set[tuple[Any, ...]] = set()
    findings = check_unit(unit, files, settings)
    for _ in range(MAX_ROUNDS):
        fixes: dict[str, list[Fix]] = {}
        for finding in findings:
            fix = finding.fix
            if fix is not None and (fix.safe or unsafe) and _key(fix) not in refused:
                fixes.setdefault(fix.path, []).append(fix)
        if not fixes:
            break
        for path, offered in fixes.items():
            chosen = select(offered)
            if len(chosen) > 1 and not _try(files, path, chosen):
                chosen = chosen[:1]
            elif len(chosen) > 1:
                applied += len(chosen)
                continue
            try:
                apply_fixes(files, path, chosen)
                applied += 1
            except FixRejected as error:
                refused.add(_key(chosen[0]))
                errors.append(f"{path}: not fixed ({chosen[0].title}): {error}")
        findings = check_unit(unit, files, settings)
    else:
        errors.append(f"{unit.paths[0]}: gave up after {MAX_ROUNDS} rounds of fixes that trigger each other")
    return UnitResult(
        findings, applied, dict(files.patched), dict(files.sources), errors, files.comparison, files.rounds
    )


def _key(fix: Fix) -> tuple[Any, ...]:
    return fix.path, fix.title, fix.edits


def _try(files: Files, path: str, fixes: list[Fix]) -> bool:
    try:
        apply_fixes(files, path, fixes)
    except FixRejected:
        return False
    return True


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
