"""`--interactive`: the fixes one by one, each with its finding and its patch, as a person decides.

Nothing is written before the end. Ctrl-C writes nothing at all; to leave with what was taken there is `q`.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections import Counter
from typing import Any

from ..engine.files_in_memory import Files
from ..engine.fixing import apply_fixes
from ..engine.ignoring import Known, write_suppressions
from ..engine.unit_check import check_unit
from ..engine.units import Unit, UnitResult
from ..fixes.apply import edited
from ..fixes.changes import FixRejected
from ..fixes.edit import Fix
from ..proto.named_tuple import NamedTuple
from ..report import diff, full
from ..report.colours import paint
from ..rule.finding import Finding
from ..settings.settings import Settings
from ..source.wording import counted
from .console import complain, print_text

ANSWERS = {
    "y": "take this fix",
    "n": "leave it as it is",
    "i": "ignore it from now on: a comment that suppresses it is written",
    "a": "take this fix and all others of its rule",
    "q": "write what was taken, and leave",
}


def fix_as_chosen(
    work: list[tuple[Unit, Settings]], files: Files, *, unsafe: bool, colour: bool
) -> list[UnitResult]:
    """Asks for each fix what to do with it, unit by unit; what was taken is in the results, written is nothing.

    Units that are not reached have no result. Raises KeyboardInterrupt at Ctrl-C.
    """
    results = []
    walk = _Walk(unsafe, colour)
    try:
        for unit, settings in work:
            results.append(walk.through(unit, files.release(unit, settings), settings))
            files.settle(results[-1])
            if walk.left:
                break
    except KeyboardInterrupt:
        print_text("\n")
        complain("nothing was written")
        raise
    if walk.suppressed:
        complain(f"suppressed {counted(walk.suppressed, 'finding')}")
    return results


class _Sight(NamedTuple):
    """What makes a finding the same after other places of its file were changed."""

    path: str
    code: str
    message: str
    line: str


class _Walk:
    """A walk through fixes: what was decided so far for all that is still to come."""

    def __init__(self, unsafe: bool, colour: bool) -> None:
        self.unsafe = unsafe
        self.colour = colour
        self.taken_rules: set[str] = set()
        self.suppressed = 0
        self.left = False

    def through(self, unit: Unit, files: Files, settings: Settings) -> UnitResult:
        """The walk through the fixes of a unit."""
        errors: list[str] = []
        applied = 0
        passed: Counter[_Sight] = Counter()  # findings that keep standing there, as they were left or could not be fixed
        findings = check_unit(unit, files, settings)
        while not self.left:
            finding = self._next(findings, passed)
            if finding is None:
                break
            assert finding.fix is not None
            answer = "y" if finding.code in self.taken_rules else self._ask(finding, finding.fix, files)
            sight = _sight(finding)
            before = _sights(findings)[sight]
            if answer in ("y", "a"):
                if answer == "a":
                    self.taken_rules.add(finding.code)
                try:
                    apply_fixes(files, finding.fix.path, [finding.fix])
                    applied += 1
                except FixRejected as error:
                    errors.append(f"{finding.fix.path}: not fixed ({finding.fix.title}): {error}")
            elif answer == "i" and not self._suppress(finding, files):
                errors.append(f"{finding.place.path}:{finding.place.line}: no comment can suppress {finding.code} there")
            elif answer == "q":
                self.left = True
            if answer not in ("n", "q"):
                findings = check_unit(unit, files, settings)
            if _sights(findings)[sight] >= before:
                passed[sight] += 1
        return files.result(findings, applied, errors)

    def _next(self, findings: list[Finding], passed: Counter[_Sight]) -> Finding | None:
        """The first finding with a fix that was not decided on. Of findings that look alike, the first are the passed."""
        seen: Counter[_Sight] = Counter()
        for finding in findings:
            sight = _sight(finding)
            seen[sight] += 1
            if seen[sight] > passed[sight] and finding.fix is not None and (finding.fix.safe or self.unsafe):
                return finding
        return None

    def _suppress(self, finding: Finding, files: Files) -> bool:
        written = write_suppressions(files.get(finding.place.path), [Known(finding.code, finding.start)])
        if written.left:
            return False
        files.replace(finding.place.path, written.source)
        self.suppressed += 1
        return True

    def _ask(self, finding: Finding, fix: Fix, files: Files) -> str:
        """Shows a finding with the patch of its fix, and gives the letter of the answer."""
        source = files.get(fix.path).source
        patch = diff.render(fix.path, source, edited(source, fix.edits), colour=self.colour)
        print_text(f"\n{full.block(finding, self.colour)}\n\n{patch}\n")
        letters = ",".join(ANSWERS)
        while True:
            answer = _read(paint(f"Take this fix of {finding.code}? [{letters},?] ", "path", self.colour))
            if answer in ANSWERS:
                return answer
            print_text("".join(f"  {letter}  {meaning}\n" for letter, meaning in ANSWERS.items()))


def _read(question: str) -> str:
    """The first letter of what is typed; the end of the input is a `q`."""
    print_text(question)
    typed = _typed()
    if not typed:
        print_text("\n")
        return "q"
    return typed.decode("utf-8", "replace").strip().lower()[:1]


def _typed() -> bytes:
    """A line from the terminal, nothing at its end. Ctrl-C is a KeyboardInterrupt.

    Not by input(): a Ctrl-C in the instant between its question and its waiting only leaves a mark, which nobody looks
    at before the next line is typed. Here the signal makes a pipe readable that is waited for as well.
    """
    terminal = sys.stdin.fileno()
    woken, waker = os.pipe()
    os.set_blocking(waker, False)
    before = signal.set_wakeup_fd(waker)
    try:
        if terminal not in select.select([terminal, woken], [], [])[0]:
            raise KeyboardInterrupt
        return os.read(terminal, 4096)
    finally:
        signal.set_wakeup_fd(before)
        os.close(woken)
        os.close(waker)


def _sight(finding: Finding) -> _Sight:
    return _Sight(finding.place.path, finding.code, finding.message, finding.line_text.strip())


def _sights(findings: list[Finding]) -> Counter[Any]:
    return Counter(map(_sight, findings))
