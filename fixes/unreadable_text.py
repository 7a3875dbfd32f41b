"""Turn the repairs of unreadable text into fixes, with the changes that each makes to the meaning of its file.

A `Problem` of the parser or the binder says how to repair the text. The resulting change of the message is found by reading
the repaired fields on their own, since the rest of the file must not change.
"""

from __future__ import annotations

import re
from bisect import bisect_left, bisect_right
from collections.abc import Sequence

from ..proto.binder import Bound, Message, bind, plain
from ..proto.message import message_at
from ..proto.parser import parse
from ..proto.tree import Block, Field, Problem, are_alike
from .apply import edited, select, verify
from .changes import FixRejected
from .edit import Change, Edit, Fix, Stage
from .readings import Reading, compare

_IN_WORD = rb"[A-Za-z0-9_]"
_QUOTE_FOLLOWS = rb"\s*(?:#[^\n]*\n\s*)*[\"']"
# If fixes of syntax cannot be made together, each is tried alone, but not more of them than this.
MAX_TRIED = 8


def repairs(text: Reading, problems: Sequence[Problem]) -> list[Fix | None]:
    """Return the fix of each problem, None if it has no repair, or one that would only cause another problem.

    Problems with fields of the same name in one message share a fix, because only all of them determine the new value.

    A fix without changes is a guess: see `misread`.
    """
    groups: dict[object, list[Problem]] = {}
    keys: list[object] = []
    for problem in problems:
        key: object = problem
        if problem.repair:
            message, fields = _owners(text, _edits(text, [problem]))
            if fields:
                key = id(message.block), fields[0].name
            groups.setdefault(key, []).append(problem)
        keys.append(key)
    fixes = {key: _repair(text, group) for key, group in groups.items()}
    return [fixes.get(key) for key in keys]


def misread(text: Reading, fixes: Sequence[Fix]) -> list[Fix]:
    """Return which of some fixes that change nothing but syntax would change what is read.

    How the parser takes a misplaced brace depends on all that follows, so a repair may make it take other text differently.
    """
    if not fixes or _is_read_alike(text, select(fixes)):
        return []
    return [fix for number, fix in enumerate(fixes) if number >= MAX_TRIED or not _is_read_alike(text, [fix])]


def _is_read_alike(text: Reading, fixes: list[Fix]) -> bool:
    """Return whether a text means the same after fixes of its syntax."""
    tree = parse(edited(text.tree.source, (edit for fix in fixes for edit in fix.edits)))
    if len(tree.problems) > len(text.tree.problems):
        return False
    # A known field means the same without its colon, but only with it may an unknown one be taken for a misspelling.
    has_unknown = any(problem.kind == "unknown-field" for problem in text.bound.problems)
    if are_alike(tree.root, text.tree.root, with_colons=has_unknown):  # then both mean the same, found out in less time and memory
        return True
    bound = bind(tree, text.schema, text.bound.message.type.name, text.asked_dialect)
    try:
        compare(text, text._replace(tree=tree, bound=bound), lambda old, new: verify(old, new, fixes))
    except FixRejected:
        return False
    return True


def _repair(text: Reading, problems: list[Problem]) -> Fix | None:
    edits = _edits(text, problems)
    message, fields = _owners(text, edits)
    changes = _changes(text, message, fields, edits) if fields else ()
    if changes is None:
        return None
    titles = {problem.repair_title for problem in problems}
    title = titles.pop() if len(titles) == 1 else f"repair the values of '{fields[0].name}'"
    is_syntax = any(problem in text.tree.problems for problem in problems)
    stage = Stage.SYNTAX if is_syntax else Stage.NAMES
    return Fix(text.path, title, edits, changes, all(problem.safe for problem in problems), stage)


def _edits(text: Reading, problems: list[Problem]) -> tuple[Edit, ...]:
    edits = {Edit(start, end, new) for problem in problems for start, end, new in problem.repair or ()}
    return tuple(sorted(_with_space(text.tree.source, edit) for edit in edits))


def _with_space(source: bytes, edit: Edit) -> Edit:
    """Add a space to an edit that would otherwise join two words."""
    new = edit.text
    after = source[edit.end : edit.end + 1]
    before = source[max(edit.start - 1, 0) : edit.start]
    if edit.start < edit.end and re.match(_IN_WORD, after):
        if not new and re.match(_IN_WORD, before):
            new = b" "
        elif re.match(_IN_WORD, new[-1:]) and not re.match(_IN_WORD, source[edit.end - 1 : edit.end]):
            new += b" "
    return edit._replace(text=new)


def _owners(text: Reading, edits: tuple[Edit, ...]) -> tuple[Message, list[Field]]:
    """Return the innermost message that contains all edits, and its fields whose name or value they change.

    No fields are returned if an edit changes the punctuation between them: the parser has already read the text as the
    repair says, so the meaning does not change.
    """
    message = message_at(text.bound.message, edits[0].start, max(edit.end for edit in edits))
    fields = message.block.fields
    owners: dict[int, Field] = {}
    for edit in edits:
        index = bisect_right(fields, edit.start, key=lambda field: field.start) - 1
        owner = next(
            (field for field in fields[max(index - 1, 0) : index + 1] if _is_inside(field, edit)), None
        )
        if owner is None:
            return message, []
        owners[owner.start] = owner
    return message, list(owners.values())


def _is_inside(field: Field, edit: Edit) -> bool:
    value = field.value
    if field.start <= edit.start and edit.end <= field.name_end:
        return True
    return (
        value is not None
        and not isinstance(value, Block)
        and value.start <= edit.start
        and edit.end <= value.end
    )


def _changes(
    text: Reading, message: Message, fields: list[Field], edits: tuple[Edit, ...]
) -> tuple[Change, ...] | None:
    """Return what edits of some fields change in a message, None if they do not reduce the number of problems."""
    source = text.tree.source
    if any(re.compile(_QUOTE_FOLLOWS).match(source, field.end) for field in fields):  # it would be joined with the repaired value
        return None
    repaired = {field.start: _edited(source, field, edits) for field in fields}
    names = {field.name for field in fields}
    for piece in repaired.values():
        names.update(field.name for field in parse(piece).root.fields)
    alike = [field for field in message.block.fields if field.name in names]
    old = _read(text, message, [source[field.start : field.end] for field in alike])
    new = _read(
        text, message, [repaired.get(field.start, source[field.start : field.end]) for field in alike]
    )
    if len(new.problems) >= len(old.problems):
        return None
    old_values, new_values = plain(message), plain(new.message)
    return tuple(
        Change(message.block, key, tuple(new_values.get(key, ())))
        for key in sorted({*names, *("?" + name for name in names)})
        if new_values.get(key) != old_values.get(key)
    )


def _edited(source: bytes, field: Field, edits: tuple[Edit, ...]) -> bytes:
    first, last = bisect_left(edits, (field.start,)), bisect_right(edits, field.end, key=lambda edit: edit.start)
    own = [edit for edit in edits[first:last] if _is_inside(field, edit)]
    shifted = (Edit(edit.start - field.start, edit.end - field.start, edit.text) for edit in own)
    return edited(source[field.start : field.end], shifted)


def _read(text: Reading, message: Message, pieces: list[bytes]) -> Bound:
    tree = parse(b"\n".join(pieces))
    bound = bind(tree, text.schema, message.type.name, text.asked_dialect)
    bound.problems = [*tree.problems, *bound.problems]
    return bound
