"""Apply fixes to a text, and verify that they changed what they say and nothing else."""

from __future__ import annotations

from collections.abc import Iterable

from ..proto.message import Message, plain
from ..proto.tree import Scalar
from .changes import FixRejected, PathChanges, after_changes, changes_by_path, require_equal
from .edit import Change, Edit, Fix, Replacement, Stage, partial_repairs


def next_round(fixes: Iterable[Fix]) -> dict[str, list[Fix]]:
    """Return the fixes of files that are checked together which are applied next, by path.

    These are the fixes of the earliest stage that is offered, and of each file those that `select` returns. What is computed
    is computed anew after each change, so a file gets one of these at a time, or the parts of one repair. A repair of which
    not all parts can be chosen waits.
    """
    fixes = list(fixes)
    partial = partial_repairs(fixes)
    offered = [fix for fix in fixes if fix.repair not in partial]
    stage = min((fix.stage for fix in offered), default=Stage.SYNTAX)
    of_stage = [fix for fix in offered if fix.stage == stage]
    while True:
        by_path: dict[str, list[Fix]] = {}
        for fix in of_stage:
            by_path.setdefault(fix.path, []).append(fix)
        chosen = {path: select(_of_one_repair(of_file) if stage.is_computed else of_file) for path, of_file in by_path.items()}
        torn = partial_repairs([fix for of_file in chosen.values() for fix in of_file])
        if not torn:
            return chosen
        of_stage = [fix for fix in of_stage if fix.repair != max(torn)]  # one at a time: of two that exclude each other, one stays


def _of_one_repair(fixes: list[Fix]) -> list[Fix]:
    """The first fix of a file, those of repairs with parts before others, and the other parts of its repair."""
    first = min(fixes, key=lambda fix: (not fix.repair, fix.start, fix.edits))
    return [fix for fix in fixes if fix is first or fix.repair == first.repair != ""]


def select(fixes: Iterable[Fix]) -> list[Fix]:
    """Return the fixes of one file that can be applied together, in the order of their positions.

    If two fixes touch the same text, or the same field of a message, the first is applied now. The other waits for the
    next round, where it is found again if it is still needed. A fix that is a `Replacement` is applied alone. Equal
    fixes count once.
    """
    chosen: list[Fix] = []
    end = -1
    taken: set[tuple[int, str]] = set()
    for fix in sorted(fixes, key=lambda fix: (fix.start, fix.edits)):
        fields = {(id(change.block), change.field) for change in fix.changes if isinstance(change, Change)}
        whole = any(isinstance(change, Replacement) for change in fix.changes)
        if fields & taken or fix.start <= end or (whole and chosen):
            continue
        chosen.append(fix)
        if whole:
            break
        taken |= fields
        end = max(end, *(edit.end for edit in fix.edits))
    return chosen


def edited(source: bytes, edits: Iterable[Edit]) -> bytes:
    """Return the text after edits that do not overlap. Raises FixRejected if they do."""
    pieces: list[bytes] = []
    position = 0
    for edit in sorted(edits, key=lambda edit: (edit.start, edit.end)):
        if edit.start < position:
            raise FixRejected(f"its edits overlap at byte {edit.start}")
        pieces += (source[position : edit.start], edit.text)
        position = edit.end
    pieces.append(source[position:])
    return b"".join(pieces)


def what_changes(fix: Fix, source: bytes) -> str:
    """Return what a fix changes in a text: fields with their old and new values if that is all, otherwise its title.

    To a title that does not say what is written or removed, that is added.
    """
    values = [_value_change(fix, edit, source) for edit in fix.edits]
    if len(values) <= _LISTED and all(values):
        return ", ".join(values)
    untold = []
    for edit, value in zip(fix.edits, values, strict=True):
        old, new = (_shortened(text) for text in (source[edit.start : edit.end], edit.text))
        if (new or old) and (new or old) not in fix.title and not (new and fix.title.startswith("insert ")):
            untold.append(value or (f"{old} → {new}" if old and new else f"{new} inserted" if new else f"{old} removed"))
    if not untold or any(isinstance(change, Replacement) for change in fix.changes):
        return fix.title
    more = f" and {len(untold) - _LISTED} more" if len(untold) > _LISTED else ""
    return f"{fix.title}: {', '.join(untold[:_LISTED])}{more}"


_LISTED = 3  # changes in one line
_SHOWN = 60  # characters of each


def _value_change(fix: Fix, edit: Edit, source: bytes) -> str:
    """Return a field with its old and new value if an edit changes just a value in a block that its fix names; else nothing."""
    for block in {id(change.block): change.block for change in fix.changes if isinstance(change, Change)}.values():
        for field in block.fields:
            value = field.value
            if isinstance(value, Scalar) and value.start <= edit.start < edit.end <= value.end and edit.text:
                new = source[value.start : edit.start] + edit.text + source[edit.end : value.end]
                return f"{field.name} {_shortened(source[value.start : value.end])} → {_shortened(new)}"
    return ""


def _shortened(text: bytes) -> str:
    """Return a text of a file in one short line."""
    line = " ".join(text.decode("utf-8-sig", "replace").split())
    return line if len(line) <= _SHOWN else f"{line[:_SHOWN]}…"


def verify(old: Message, new: Message, fixes: Iterable[Fix]) -> PathChanges:
    """Return the changes that fixes name, by path. Raises FixRejected unless `new` is `old` with exactly these changes.

    This checks one round of fixes with one reader, our binder, and identifies the faulty fix. The final text is checked
    by `bindings.verified` with a reader that shares no code with ours.
    """
    changes = changes_by_path(old, fixes)
    require_equal(after_changes(plain(old), changes), plain(new))
    return changes
