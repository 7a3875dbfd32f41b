"""Turn the repairs of unreadable text into fixes, with the changes that each makes to the meaning of its file.

A `Problem` of the parser or the binder says how to repair the text. The resulting change of the message is found by reading
the repaired fields on their own, since the rest of the file must not change.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence

from ..proto.binder import Bound, Message, bind, plain
from ..proto.message import message_at
from ..proto.named_tuple import NamedTuple
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
_MOST_REPEATED = 10_000  # edits of a fix, over all problems that share it


def repairs(text: Reading, problems: Sequence[Problem]) -> list[Fix | None]:
    """Return the fix of each problem, None if it has no repair, or one that would only cause another problem.

    Problems with fields of the same name in one message share a fix, because only all of them determine the new value. If they
    are so many that reports would repeat its edits without end, only the first has it.

    A fix without changes is a guess: see `misread`.
    """
    groups: dict[object, _Group] = {}
    keys: list[object] = []
    for problem in problems:
        key: object = problem
        if problem.repair:
            edits = sorted({_with_space(text.tree.source, Edit(*edit)) for edit in problem.repair})
            message, owned = _owners(text, edits)
            if owned:
                key = id(message.block), owned[0][0].name
            groups.setdefault(key, _Group([], message, [], [])).add(problem, edits, owned)
        keys.append(key)
    fixes = {key: _repair(text, group) for key, group in groups.items()}
    found: list[Fix | None] = []
    for problem, key in zip(problems, keys, strict=True):
        fix = fixes.get(key)
        sharing = groups[key].problems if fix is not None else []
        is_repeated = fix is not None and problem is not sharing[0] and len(sharing) * len(fix.edits) > _MOST_REPEATED
        found.append(None if is_repeated else fix)
    return found


class _Group(NamedTuple):
    """Problems that share a fix: with their message, their edits, and its fields that these change, each with its own edits."""

    problems: list[Problem]
    message: Message
    edits: list[Edit]
    owned: list[tuple[Field, list[Edit]]]

    def add(self, problem: Problem, edits: list[Edit], owned: list[tuple[Field, list[Edit]]]) -> None:
        """Add a problem."""
        self.problems.append(problem)
        self.edits.extend(edits)
        self.owned.extend(owned)


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


def _repair(text: Reading, group: _Group) -> Fix | None:
    problems = group.problems
    owned: list[tuple[Field, list[Edit]]] = []
    for one in sorted(group.owned, key=lambda one: one[0].start):
        if owned and owned[-1][0] is one[0]:
            one = one[0], sorted({*owned.pop()[1], *one[1]})
        owned.append(one)
    changes = _changes(text, group.message, owned) if owned else ()
    if changes is None:
        return None
    titles = {problem.repair_title for problem in problems}
    title = titles.pop() if len(titles) == 1 else f"repair the values of '{owned[0][0].name}'"
    is_syntax = any(problem in text.tree.problems for problem in problems)
    stage = Stage.SYNTAX if is_syntax else Stage.NAMES
    return Fix(text.path, title, tuple(sorted({*group.edits})), changes, all(problem.safe for problem in problems), stage)


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


def _owners(text: Reading, edits: Sequence[Edit]) -> tuple[Message, list[tuple[Field, list[Edit]]]]:
    """Return the innermost message that contains all edits, and its fields whose name or value they change, each with its own.

    Edits are in the order of their positions, as fields are. No fields are returned if one changes the punctuation between them:
    the parser has already read the text as the repair says, so the meaning does not change.
    """
    message = message_at(text.bound.message, edits[0].start, edits[-1].end)
    fields = message.block.fields
    owned: dict[int, tuple[Field, list[Edit]]] = {}
    following = bisect_right(fields, edits[0].start, key=lambda field: field.start)
    for edit in edits:
        while following < len(fields) and fields[following].start <= edit.start:
            following += 1
        for index in range(max(following - 2, 0), following):
            if _is_inside(fields[index], edit):
                owned.setdefault(index, (fields[index], []))[1].append(edit)
                break
        else:
            return message, []
    return message, list(owned.values())


def _is_inside(field: Field, edit: Edit) -> bool:
    value = field.value
    if edit.start == edit.end and edit.start in (field.start, field.end) and edit.text != b"]":
        return False  # what is inserted there stands between fields, except for the end of a list
    if field.start <= edit.start and edit.end <= field.name_end:
        return True
    return (
        value is not None
        and not isinstance(value, Block)
        and value.start <= edit.start
        and edit.end <= value.end
    )


def _changes(text: Reading, message: Message, owned: list[tuple[Field, list[Edit]]]) -> tuple[Change, ...] | None:
    """Return what edits of some fields change in a message, None if they do not reduce the number of problems."""
    source = text.tree.source
    follows = re.compile(_QUOTE_FOLLOWS)
    if any(follows.match(source, field.end) for field, _ in owned):  # it would be joined with the repaired value
        return None
    repaired = {field.start: _edited(source, field, edits) for field, edits in owned}
    names = {field.name for field, _ in owned} | _names_in(list(repaired.values()))
    alike = [field for field in message.block.fields if field.name in names]
    new = _read(text, message, [repaired.get(field.start, source[field.start : field.end]) for field in alike])
    del repaired
    first = owned[0][0]
    # Reading all as written takes long, and is not needed where one field is enough to tell.
    if new.problems or not _read(text, message, [source[first.start : first.end]]).problems:
        old = _read(text, message, [source[field.start : field.end] for field in alike])
        if len(new.problems) >= len(old.problems):
            return None
    old_values, new_values = plain(message), plain(new.message)
    return tuple(
        Change(message.block, key, tuple(new_values.get(key, ())))
        for key in sorted({*names, *("?" + name for name in names)})
        if new_values.get(key) != old_values.get(key)
    )


def _names_in(pieces: list[bytes]) -> set[str]:
    """Return the names of the fields in some pieces of text."""
    tree = parse(b"\n".join(pieces))
    if len(pieces) > 1 and (tree.problems or tree.malformed):  # one might be read differently after another
        return set().union(*(_names_in([piece]) for piece in pieces))
    return {field.name for field in tree.root.fields}


def _edited(source: bytes, field: Field, edits: list[Edit]) -> bytes:
    start = field.start
    shifted = (Edit(edit.start - start, edit.end - start, edit.text) for edit in edits)
    return edited(source[start : field.end], shifted)


def _read(text: Reading, message: Message, pieces: list[bytes]) -> Bound:
    tree = parse(b"\n".join(pieces))
    bound = bind(tree, text.schema, message.type.name, text.asked_dialect)
    bound.problems = [*tree.problems, *bound.problems]
    return bound
