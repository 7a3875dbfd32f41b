"""Family P, suppressions: comments that are to silence a finding, and do not, or no longer need to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from ...fixes.edit import Edit, Fix
from ...rule.finding import Hit
from ...rule.registry import rule
from ...rule.suppressed import suppressions_of

if TYPE_CHECKING:
    from ...rule.suppressions import Outcome, Selector, Suppression
    from ...source.files import SourceFile


@rule("P901", "unused-suppression", subject="suppressions", severity="advice", fixes="safe")
def unused_suppression(outcome: Outcome) -> Iterator[Hit]:
    """A suppression names a rule that finds nothing there.

    ## What it does

    Names in `caffe-lint: ignore[…]` and `file-ignore[…]` without which the report would be the same. Judged are only
    rules that ran and could see all that there is: a rule that is switched off, one that compares the solver with
    its net where the net is checked alone, a layer that is kept only with a stage that no solver gives, a file with
    errors of syntax leave the question open, and nothing is said.

    ## Why is this bad?

    It does not yet. But it will hide the next finding of that rule at this place, which nobody has looked at, and
    it tells readers of a problem that is no longer there.

    ## When it is reported

    Where a file is checked in several ways, with another `dialect` or other settings, of which only some bring the
    finding. Only its own name suppresses it, `ignore[P901]` in the same line: `ignore[ALL]` or `ignore[P]` do not.

    ## Fix

    The fix takes the names away that suppress nothing, and the whole comment where none is left. It is safe:
    comments mean nothing to Caffe.

    ## References

    None of Caffe's: this is about the linter.
    """
    for suppression, idle in outcome.unused():
        names = ", ".join(selector.text for selector in idle)
        yield Hit(
            outcome.file,
            (idle[0].start, idle[-1].end),
            f"{names} {'suppresses' if len(idle) == 1 else 'suppress'} nothing here",
            _where_it_would(suppression),
            fix=_without(outcome.file, suppression, idle),
        )


@rule("P902", "invalid-suppression", subject="file", severity="warning")
def invalid_suppression(file: SourceFile) -> Iterator[Hit]:
    """A suppression, or a name in one, that means nothing.

    ## What it does

    Comments that begin with `caffe-lint:` and go on with another word than `ignore` or `file-ignore`; suppressions
    without codes in brackets; names in the brackets that no rule has.

    ## Why is this bad?

    Somebody thinks that a finding is suppressed, and it is not; or believes to have suppressed one and has written
    down another. A suppression without codes is not taken for one of everything, as that would hide the error that
    somebody makes there next month.

    ## When it is reported

    When the codes are those of a plugin that is not installed everywhere.

    ## Example

    There is no fix: only its author knows what it is to suppress. `--add-ignore` writes suppressions for what is
    found.

    ## References

    None of Caffe's: this is about the linter.
    """
    suppressions = suppressions_of(file)
    for mistake in suppressions.mistakes if suppressions else ():
        reason = (
            "In brackets stand codes, beginnings of codes or names of rules: ignore[G102], ignore[N3, high-learning-rate]."
        )
        yield Hit(file, (mistake.start, mistake.end), mistake.message, reason)


def _where_it_would(suppression: Suppression) -> str:
    """How far a suppression reaches, which is mostly why it misses."""
    if suppression.scope == "file":
        return "It holds for the whole file, which has no such finding."
    if suppression.scope == "field":
        return "On a line of its own it holds for the next field, with all that is inside it."
    return (
        "At the end of a line it holds for this line, and a field that ends on it; before a message,"
        " on a line of its own, for all that is inside."
    )


def _without(file: SourceFile, suppression: Suppression, idle: list[Selector]) -> Fix:
    """Takes names out of a suppression, and the comment itself, with its line, where none is left."""
    left = [selector.text for selector in suppression.selectors if selector not in idle]
    names = ", ".join(selector.text for selector in idle)
    if left:
        edit = Edit(suppression.opens, suppression.closes, ", ".join(left).encode())
        return Fix(file.path, f"take {names} out of it", (edit,), ())
    lines = file.tree.lines
    source = file.source
    start, end = suppression.start, suppression.end
    line_start, line_end = lines.start(start), lines.end(end)
    if not source[line_start:start].strip() and not source[end:line_end].strip():
        # The line is the comment's own. At the end of a text without a last line feed, the one before it goes.
        if line_end < len(source):
            line_end += 1
        elif line_start:
            line_start -= len(lines.end_before(line_start))
        return Fix(file.path, "remove it", (Edit(line_start, line_end, b""),), ())
    start = line_start + len(source[line_start:start].rstrip(b" \t"))
    return Fix(file.path, "remove it", (Edit(start, end, b""),), ())
