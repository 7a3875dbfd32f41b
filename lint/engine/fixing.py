"""Applying the fixes of one unit, in memory, until none is left."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

from ..fixes.apply import edited, next_round, verify, what_changes
from ..fixes.changes import FixRejected, PathChanges
from ..fixes.edit import Fix, Stage, partial_repairs
from ..fixes.readings import compare
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
    name. A fix that fails this is skipped and reported in `errors`. If the rounds find no end, no fix is made.
    `fixes.bindings.verified` verifies the result of all rounds before it is written or shown.
    """
    findings = check_unit(unit, files, settings)
    course = Course(files)
    for _ in range(MAX_ROUNDS):
        offered = [one.fix for one in findings if one.fix is not None and (one.fix.safe or unsafe)]
        chosen = next_round(fix for fix in offered if course.is_open(fix))
        if not chosen:
            break
        course.apply(chosen, findings)
        files.take_nets_apart()
        findings = check_unit(unit, files, settings)
    else:
        course.drop()
        course.errors.append(f"{unit.paths[0]}: not fixed: gave up after {MAX_ROUNDS} rounds of fixes that trigger each other")
        findings = check_unit(unit, files, settings)
    result = files.result(map(course.explained, findings), course.fixed, course.errors)
    files.take_nets_apart()
    return result


class Course:
    """The fixes that were applied to the files of a unit, round by round, and those that are not to be.

    If the fixes of some rounds lead back to texts that were there before, they undo each other, and none of them is made: the
    texts stay as they are then, so that the next run ends with them too. `errors` are messages on fixes that did not verify, unless
    they are guesses at what text with mistakes means.
    """

    def __init__(self, files: Files) -> None:
        self.files = files
        self.fixed: list[Fixed] = []
        self.errors: list[str] = []
        self._done: list[Fix] = []  # those of `fixed`
        self._left: dict[tuple[Any, ...], str] = {}  # why a fix is not made
        self._start = dict(files.patched), dict(files.rounds)
        self._seen = {self._texts(): (0, dict(self.files.rounds))}

    def is_open(self, fix: Fix) -> bool:
        """Return whether a fix may be made."""
        return _key(fix) not in self._left

    def apply(self, chosen: dict[str, list[Fix]], findings: Iterable[Finding]) -> list[Fix]:
        """Apply fixes that `next_round` chose from those of findings. Return those that were applied, or are not to be."""
        before = {path: self.files.get(path).source for path in chosen}
        done, failed = apply_round(self.files, chosen)
        self.fixed += _fixed_by(done, findings, before)
        self._done += done
        for fix, error in failed:
            # What text with mistakes is meant to say is a guess, which may depend on other mistakes.
            is_guessed = fix.stage <= Stage.NAMES or bool(self.files.get(fix.path).tree.problems)
            self._left[_key(fix)] = "it would change how other lines with mistakes are read" if is_guessed else ""
            if not is_guessed and not self.files.is_companion(fix.path):
                self.errors.append(f"{fix.path}: not fixed ({fix.title}): {error}")
        texts = self._texts()
        number, rounds = self._seen.setdefault(texts, (len(self._done), dict(self.files.rounds)))
        if number < len(self._done):
            codes = sorted({one.code for one in self.fixed[number:]})
            why = f"the fixes of {' and '.join(codes)} undo each other" if len(codes) > 1 else "it would be undone"
            self._left.update((_key(fix), why) for fix in self._done[number:])
            del self._done[number:], self.fixed[number:]
            self.files.rounds = dict(rounds)
            for path in chosen:
                if path not in rounds:  # as it was read, and as if nothing had been tried
                    self.files.patched.pop(path, None)
        return [*done, *(fix for fix, _ in failed)]

    def drop(self) -> None:
        """Take all fixes back."""
        self.files.restore(*self._start)
        self.fixed.clear()
        self._done.clear()

    def explained(self, finding: Finding) -> Finding:
        """Return a finding without its fix, and with the reason, if the fix is not made."""
        why = self._left.get(_key(finding.fix)) if finding.fix is not None else None
        if why is None:
            return finding
        return finding.without_fix(why) if why else finding._replace(fix=None)

    def _texts(self) -> frozenset[tuple[str, bytes]]:
        return frozenset(item for item in self.files.patched.items() if item[1] != self.files.sources[item[0]])


def _fixed_by(done: Iterable[Fix], findings: Iterable[Finding], before: Mapping[str, bytes]) -> list[Fixed]:
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
    """Apply the fixes of a round. Return those that were applied, and those that did not verify even alone, each with its error.

    If fixes of a file do not verify together, the first of them is applied alone, and the others wait for the next round. So does
    a repair of which not all parts verify.
    """
    failed: dict[tuple[Any, ...], tuple[Fix, FixRejected]] = {}
    while True:
        texts: dict[str, tuple[bytes, PathChanges]] = {}
        done: list[Fix] = []
        for path, fixes in chosen.items():
            for together in (fixes, fixes[:1]) if len(fixes) > 1 else (fixes,):
                try:
                    texts[path] = with_fixes(files.get(path), together)
                except FixRejected as error:
                    if len(together) == 1:
                        failed[_key(together[0])] = together[0], error
                else:
                    done += together
                    break
        torn = partial_repairs(done)
        if not torn:
            break
        whole = {path: [fix for fix in fixes if fix.repair != max(torn)] for path, fixes in chosen.items()}
        chosen = {path: fixes for path, fixes in whole.items() if fixes}
    for path, (source, changes) in texts.items():
        files.replace(path, source, changes)
    return done, list(failed.values())


def with_fixes(old: SourceFile, fixes: list[Fix]) -> tuple[bytes, PathChanges]:
    """Return the text of a file with fixes, and the changes that they make. Raises FixRejected if they do not verify."""
    source = edited(old.source, (edit for fix in fixes for edit in fix.edits))
    new = SourceFile(old.path, source, old.schema, old.asked_dialect)
    if len(new.tree.problems) > len(old.tree.problems):
        raise FixRejected(f"the patched text would have a new syntax error: {new.tree.problems[0].message}")
    if new.kind != old.kind:
        raise FixRejected(f"the patched text would no longer be a {old.kind}")
    return source, compare(old.reading, new.reading, partial(verify, fixes=fixes))
