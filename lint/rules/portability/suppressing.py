"""Suppressions that have no effect, because they are invalid or no longer needed."""

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
    """Flags suppressions of rules that find nothing there.

    ## What it does

    Flags names in `caffe-lint: ignore[…]` and `file-ignore[…]` without which the report would be the same.

    ## Why is this bad?

    The suppression does no harm yet. But it will hide the next finding of that rule at this place, which nobody has
    looked at, and it tells readers of a problem that no longer exists.

    ## When it is reported

    Reported as **advice**, and only for rules that ran and could see everything. Nothing is reported for a rule that
    is switched off, for a rule that compares the solver with its net if the net is checked alone, for a layer that is
    included only in a stage that no solver sets, and in a file with syntax errors.

    Only its own name suppresses this finding, `ignore[P901]` on the same line; `ignore[ALL]` and `ignore[P]` do not.
    Ignore it if the file is checked in several ways, with different `dialect` or other settings, and only some of
    them report the finding.

    ## Fix

    Removes the names that suppress nothing, and if none is left the whole suppression with its reason, up to another
    comment (`# …`) on the line. The fix is safe: comments mean nothing to Caffe.

    ## References

    None in Caffe: this is about the linter.
    """
    for suppression, unused in outcome.unused():
        names = ", ".join(selector.text for selector in unused)
        yield Hit(
            outcome.file,
            (unused[0].start, unused[-1].end),
            f"suppression of {names} has no effect",
            _what_it_covers(suppression),
            fix=_without(outcome.file, suppression, unused),
        )


@rule("P902", "invalid-suppression", subject="file", severity="warning")
def invalid_suppression(file: SourceFile) -> Iterator[Hit]:
    """Flags suppressions that have no effect because they are malformed or name no rule.

    ## What it does

    - Flags comments that begin with `caffe-lint:` and continue with another word than `ignore` or `file-ignore`, or in
      which `caffe-lint:` itself is misspelt. Case and blanks between the words do not matter.
    - Flags suppressions without codes in brackets.
    - Flags names in the brackets that are not the name, code or code prefix of a rule.

    ## Why is this bad?

    Its author believes that a finding is suppressed, but it is not. A suppression without codes does not suppress
    everything, since that would hide an error introduced there next month.

    ## When it is reported

    Reported as a **warning**. There is no fix, because only its author knows what it should suppress; `--add-ignore`
    writes suppressions for current findings. Ignore it if the codes belong to a plugin that is not installed
    everywhere.

    ## References

    None in Caffe: this is about the linter.
    """
    suppressions = suppressions_of(file)
    for mistake in suppressions.mistakes if suppressions else ():
        reason = "Codes, code prefixes or names of rules are expected in brackets: ignore[G102], ignore[N3, high-learning-rate]."
        yield Hit(file, (mistake.start, mistake.end), mistake.message, reason)


def _what_it_covers(suppression: Suppression) -> str:
    """Return what a suppression applies to, usually the reason why it misses."""
    if suppression.scope == "file":
        return "The suppression applies to the whole file, which has no such finding."
    if suppression.scope == "field":
        return "On a line of its own, a suppression applies to the next field and everything inside."
    return (
        "At the end of a line, a suppression applies to that line and to a field that ends there; on a line of its own"
        " before a message, it applies to everything inside."
    )


def _without(file: SourceFile, suppression: Suppression, unused: list[Selector]) -> Fix:
    """Return a fix that removes names from a suppression, or the comment, with its line, if none is left."""
    idle = set(unused)
    left = [selector.text for selector in suppression.selectors if selector not in idle]
    names = ", ".join(selector.text for selector in unused)
    if left:
        edit = Edit(suppression.opens, suppression.closes, ", ".join(left).encode())
        return Fix(file.path, f"remove {names} from the suppression", (edit,), ())
    lines = file.tree.lines
    source = file.source
    start, end = suppression.start, suppression.end
    line_start, line_end = lines.start(start), lines.end(end)
    if not source[line_start:start].strip() and not source[end:line_end].strip():
        # The comment is alone on its line. At the end of a text without a final line feed, the previous one is removed.
        if line_end < len(source):
            line_end += 1
        elif line_start:
            line_start -= len(lines.end_before(line_start))
        return Fix(file.path, "remove the suppression", (Edit(line_start, line_end, b""),), ())
    if not source[line_start:start].strip():  # what follows takes the place of the comment
        end += len(source[end:line_end]) - len(source[end:line_end].lstrip(b" \t"))
        return Fix(file.path, "remove the suppression", (Edit(start, end, b""),), ())
    start = line_start + len(source[line_start:start].rstrip(b" \t"))
    return Fix(file.path, "remove the suppression", (Edit(start, end, b""),), ())
