"""`--interactive`: the fixes one by one, each with its finding and its patch, as a person decides.

Nothing is written before the end. Ctrl-C writes nothing at all; to leave with what was taken there is `q`.
"""

from __future__ import annotations

import os
import select
import signal
import sys
from collections import Counter
from typing import TYPE_CHECKING, Any

from ..engine.fixing import Course
from ..engine.ignoring import Known, write_suppressions
from ..engine.running import agree
from ..engine.unit_check import check_unit
from ..fixes.apply import edited, next_round
from ..fixes.edit import partial_repairs
from ..proto.named_tuple import NamedTuple
from ..report import diff, full, shown
from ..report.colours import paint
from ..source.wording import counted
from .console import complain, print_text, text_width

if TYPE_CHECKING:
    from ..engine.files_in_memory import Files
    from ..engine.units import Unit, UnitResult
    from ..fixes.edit import Fix
    from ..rule.finding import Finding
    from ..settings.settings import Settings

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

    The fixes come in the rounds of `--fix`, and units that share files are gone through again as there, so that taking all of
    them gives what `--fix` writes. Units that are not reached have no result. Raises KeyboardInterrupt at Ctrl-C.
    """
    results: list[UnitResult] = []
    walk = _Walk(unsafe, colour)
    try:
        for unit, settings in work:
            results.append(walk.through(unit, files.release(unit, settings), settings))
            files.settle(results[-1])
            if walk.left:
                break
        agree(work[: len(results)], results, files, walk.through)
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


class _Answers(NamedTuple):
    """The answers of a round: the fixes to apply, by file; for each look, its fixes (None: left); how many to suppress."""

    taken: dict[str, list[Fix]]
    given: dict[_Sight, list[Fix | None]]
    ignored: Counter[_Sight]


class _Walk:
    """A walk through fixes: what was decided so far for all that is still to come."""

    def __init__(self, unsafe: bool, colour: bool) -> None:
        self.unsafe = unsafe
        self.colour = colour
        self.taken_rules: set[str] = set()
        self.suppressed = 0
        self.left = False
        self._passed: dict[Unit, Counter[_Sight]] = {}  # findings that keep standing there

    def through(self, unit: Unit, files: Files, settings: Settings) -> UnitResult:
        """The walk through the fixes of a unit, round by round."""
        passed = self._passed.setdefault(unit, Counter())
        findings = check_unit(unit, files, settings)
        course = Course(files)
        while not self.left:
            offered = self._offered(list(map(course.explained, findings)), passed)
            chosen = next_round(finding.fix for finding in offered if finding.fix is not None)
            if not chosen:
                break
            before = _sights(findings)
            answers = self._ask_round(chosen, offered, files)
            settled = course.apply(answers.taken, offered)
            if settled:
                findings = check_unit(unit, files, settings)
            standing = _sights(findings)
            for sight, fixes in answers.given.items():
                number = sum(fix is None or fix in settled for fix in fixes)  # what waits for the next round is asked again
                left = min(number, max(0, standing[sight] - before[sight] + number))
                passed[sight] += left - answers.ignored[sight]
            if answers.ignored:
                for finding in self._suppress(answers.ignored, self._offered(findings, passed), files):
                    place = f"{finding.place.path}:{finding.place.line}"
                    course.errors.append(f"{place}: no comment can suppress {finding.code} there")
                    passed[_sight(finding)] += 1
                findings = check_unit(unit, files, settings)
        return files.result(map(course.explained, findings), course.fixed, course.errors)

    def _ask_round(self, chosen: dict[str, list[Fix]], offered: list[Finding], files: Files) -> _Answers:
        """What is to become of each fix of a round. Those of files that nobody named are only tried.

        Of a repair with several parts, none is taken unless all are.
        """
        answers = _Answers({}, {}, Counter())
        for fix in (fix for of_file in chosen.values() for fix in of_file):
            finding = next(finding for finding in offered if finding.fix == fix)
            sight = _sight(finding)
            answer = "y" if files.is_companion(fix.path) else self._answer(finding, fix, files)
            if answer == "q":
                self.left = True
                break
            is_taken = answer in ("y", "a")
            answers.given.setdefault(sight, []).append(fix if is_taken else None)
            if is_taken:
                answers.taken.setdefault(fix.path, []).append(fix)
            elif answer == "i":
                answers.ignored[sight] += 1
        partial = partial_repairs([fix for of_file in answers.taken.values() for fix in of_file])
        whole = {path: [fix for fix in of_file if fix.repair not in partial] for path, of_file in answers.taken.items()}
        return answers._replace(taken={path: fixes for path, fixes in whole.items() if fixes})

    def _offered(self, findings: list[Finding], passed: Counter[_Sight]) -> list[Finding]:
        """The findings with a fix that was not decided on. Of findings that look alike, the first are the passed."""
        seen: Counter[_Sight] = Counter()
        offered = []
        for finding in findings:
            sight = _sight(finding)
            seen[sight] += 1
            if seen[sight] > passed[sight] and finding.fix is not None and (finding.fix.safe or self.unsafe):
                offered.append(finding)
        return offered

    def _answer(self, finding: Finding, fix: Fix, files: Files) -> str:
        """The letter of what to do with a fix, asked unless all of its rule are taken."""
        if finding.code in self.taken_rules:
            return "y"
        answer = self._ask(finding, fix, files)
        if answer == "a":
            self.taken_rules.add(finding.code)
        return answer

    def _suppress(self, ignored: Counter[_Sight], findings: list[Finding], files: Files) -> list[Finding]:
        """Writes suppressions for so many findings of each look, the first of them; those that cannot be suppressed."""
        wanted = ignored.copy()
        by_path: dict[str, list[Finding]] = {}
        for finding in findings:
            if wanted[_sight(finding)] > 0:
                wanted[_sight(finding)] -= 1
                by_path.setdefault(finding.place.path, []).append(finding)
        left = []
        for path, found in by_path.items():
            known = {Known(finding.code, finding.start): finding for finding in found}
            written = write_suppressions(files.get(path), known)
            if written.source != files.get(path).source:
                files.replace(path, written.source)
            self.suppressed += len(known) - len(written.left)
            left += [known[one] for one in written.left]
        return left

    def _ask(self, finding: Finding, fix: Fix, files: Files) -> str:
        """Shows a finding with the patch of its fix, and gives the letter of the answer."""
        source = files.get(fix.path).source
        patch = diff.render(fix.path, source, edited(source, fix.edits), colour=self.colour)
        print_text(f"\n{full.block(shown(finding), self.colour, text_width())}\n\n{patch}\n")
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
