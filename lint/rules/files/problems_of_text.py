"""Findings for problems found while a file was parsed and bound."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from ...proto.named_tuple import NamedTuple
from ...proto.tree import Problem
from ...rule.finding import Hit
from ...source.files import SourceFile

# The rule that reports each kind of problem. Kinds that are not listed belong to E101.
_RULE_OF = {
    "unclosed": "E102",
    "missing-brace": "E102",
    "extra-brace": "E102",
    "c-style-comment": "E103",
    "smart-quotes": "E104",
    "unicode-space": "E104",
    "byte-order-mark": "E105",
    "missing-quotes": "E106",
    "unclosed-string": "E106",
    "invalid-escape": "E107",
    "missing-colon": "E108",
    "missing-value": "E109",
    "unknown-field": "E110",
    "wrong-type": "E111",
    "quoted-enum": "E111",
    "unknown-enum-value": "E112",
    "duplicate-field": "E113",
    "missing-required-field": "E114",
    "foreign-field": "E115",
    "foreign-value": "E115",
    "foreign-layer-type": "E115",
    "unknown-layer-type": "E116",
}


class FoundProblem(NamedTuple):
    """A problem and the finding that reports it."""

    hit: Hit
    problem: Problem


def problems_of(file: SourceFile, code: str) -> list[FoundProblem]:
    """Return what a rule reports: the problems of its kinds, each with its fix or guess."""
    problems = [
        problem
        for problem in (*file.tree.problems, *file.bound.problems)
        if _RULE_OF.get(problem.kind, "E101") == code
    ]
    if not problems:
        return []
    from ...fixes.unreadable_text import repairs  # keeps out of the start what only files with mistakes need

    found = []
    for problem, fix in zip(problems, repairs(file.reading, problems), strict=True):
        reason = f"Caffe stops here: Failed to parse {file.message.type.name} file."
        if problem.kind in ("foreign-layer-type", "unknown-layer-type"):  # a string, which is read like any other
            reason = "Caffe stops: Unknown layer type."
        hit = Hit(file, (problem.start, problem.end), problem.message, reason)
        is_guess = fix is not None and not fix.changes
        found.append(FoundProblem(hit._replace(guess=fix) if is_guess else hit._replace(fix=fix), problem))
    return found


def each_problem(file: SourceFile, code: str) -> Iterator[Hit]:
    """Yield one finding for each problem that a rule reports."""
    return (found.hit for found in problems_of(file, code))


def once(found: Iterable[tuple[Hit, Problem]]) -> Iterator[Hit]:
    """Yield findings with a fix one by one; of others with the same message, only the first, with their number."""
    alike: dict[str, list[Hit]] = {}
    for hit, problem in found:
        alike.setdefault(
            f"{problem.message} {problem.start}" if hit.has_fix else problem.message, []
        ).append(hit)
    for hits in alike.values():
        count = f" It occurs {len(hits)} times in this file." if len(hits) > 1 else ""
        yield hits[0]._replace(reason=hits[0].reason + count)
