"""Which suppressions of a unit's files were used, once its rules have run."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import TYPE_CHECKING, Any

from ..rule.registry import RULES
from ..rule.suppressed import suppressing, suppressions_of
from ..rule.suppressions import UNUSED, Outcome
from .selection import codes_of_files

if TYPE_CHECKING:
    from ..rule.suppressions import Selector
    from ..source.files import SourceFile
    from .rules_on import RulesOfPaths, RulesOn


def outcomes(subjects: list[tuple[str, Any]], on: RulesOfPaths, used: dict[str, set[Selector]]) -> Iterator[Outcome]:
    """Yield the outcome of the suppressions of each checked file.

    `subjects` are what the rules checked, with its kind; `used` are the selectors that suppressed something, by the file's
    path. If the rule for unused suppressions is selected by name, the rules that suppressions name run here, so that they
    need not be selected as well.
    """
    kinds = kinds_that_saw_all(subjects)
    for file in [subject for kind, subject in subjects if kind == "file"]:
        suppressions = suppressions_of(file)
        if suppressions is not None:
            own = on.of(file.path)
            codes = own.codes
            mine = used.get(file.path, set())
            if UNUSED in own.by_name:
                more = codes_of_files(own.settings._replace(select=(), extend_select=()), with_data=on.with_data) - codes
                mine = mine.union(_used_by(more, file, subjects, own))
                codes |= more
            seen = frozenset(code for code in codes if RULES[code].subject in kinds[file.path])
            yield Outcome(file, suppressions, mine, seen)


def judged_codes(subjects: list[tuple[str, Any]], on: RulesOfPaths) -> dict[str, frozenset[str]]:
    """Return the rules that checked all of each file."""
    return {
        path: frozenset(code for code in on.of(path).codes if RULES[code].subject in (*kinds, "suppressions"))
        for path, kinds in kinds_that_saw_all(subjects).items()
    }


def _used_by(
    codes: frozenset[str], file: SourceFile, subjects: list[tuple[str, Any]], on: RulesOn
) -> Iterator[Selector]:
    """Yield the selectors of a file that suppress findings of these rules."""
    for kind, subject in subjects:
        for rule in (RULES[code] for code in codes):
            if rule.subject == kind:
                for hit in rule.check(subject, **on.options(rule)):
                    if hit.file is file:
                        yield from suppressing(file, rule.code, hit.span[0])


def kinds_that_saw_all(subjects: list[tuple[str, Any]]) -> dict[str, Set[str]]:
    """Return the subjects whose rules could check all of a file, by the file's path.

    Rules of nets could not if no net was built with some of its layers (of a stage, or a phase that the solver does not
    run), rules of jobs could not if a net is missing, and no rule could after a syntax error.
    """
    of_kind: dict[str, list[Any]] = {}
    for kind, subject in subjects:
        of_kind.setdefault(kind, []).append(subject)
    if any(file.tree.problems for file in of_kind["file"]):
        return {file.path: frozenset() for file in of_kind["file"]}
    jobs = of_kind.get("job", [])
    whole = bool(jobs) and all(job.train is not None for job in jobs)
    common = {"file"} | ({"solver"} if jobs else set()) | ({"job"} if whole else set())
    built = {id(layer.message.block) for net in of_kind.get("net", ()) for layer in net.net.layers}
    kinds: dict[str, Set[str]] = {}
    for file in of_kind["file"]:
        layers = [entry[0] for name in ("layer", "layers") for entry in file.message.entries.get(name, ())]
        saw_net = {id(layer.block) for layer in layers} <= built if layers else whole
        kinds[file.path] = common | {"net"} if saw_net else common
    return kinds
