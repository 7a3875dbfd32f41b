"""The rules that are enabled for each file of a unit, and turning their hits into findings."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from ..proto.named_tuple import NamedTuple
from ..rule.finding import Finding, Hit
from ..rule.registry import RULES, Rule
from ..source.places import place_of
from .selection import codes_by_name, codes_of_files, codes_of_subject, options_of

if TYPE_CHECKING:
    from ..proto.tree import Tree
    from ..settings.settings import Settings


class RulesOn(NamedTuple):
    """The settings for a file, the codes of the enabled rules, and of those that are selected by code or name."""

    settings: Settings
    codes: frozenset[str]
    by_name: frozenset[str]

    def options(self, rule: Rule) -> dict[str, Any]:
        """Return the options that the rule's check is called with."""
        return options_of(self.settings, rule.code)

    def finding(self, hit: Hit, rule: Rule) -> Finding:
        """Return a hit in this file as a finding."""
        place = place_of(hit.file, hit.span)
        return Finding(
            place,
            rule.code,
            rule.name,
            self.settings.severities.get(rule.code) or hit.severity or rule.severity,
            hit.message,
            hit.reason,
            _line(hit.file.tree, place.line),
            tuple(place_of(other.file, other.span, other.message) for other in hit.related),
            hit.fix if not rule.by_name or rule.code in self.by_name else None,
            hit.span[0],
            hit.confidence or rule.confidence,
        )

    def shows(self, finding: Finding) -> bool:
        """Return whether a finding is certain enough to be reported (`--min-confidence`)."""
        return finding.is_sure(self.settings.min_confidence)


@lru_cache(maxsize=1)
def _line(tree: Tree, line: int) -> str:
    """Return the text of a line; a thousand findings may be in one of a megabyte."""
    return tree.line_text(line).decode("utf-8", "replace")


class RulesOfPaths:
    """The enabled rules for each path of a unit, among those for solvers and nets or those of one subject.

    `with_data` says whether something is known of the data of its nets.
    """

    def __init__(self, settings: Settings, subject: str = "", *, with_data: bool = False) -> None:
        self.with_data = with_data
        self._settings = settings
        self._subject = subject
        self._by_path: dict[str, RulesOn] = {}

    def of(self, path: str) -> RulesOn:
        """Return the rules for a path. Raises ConfigError."""
        if path not in self._by_path:
            own = self._settings.of(path)
            known = next((each for each in self._by_path.values() if each.settings is own), None)
            self._by_path[path] = known or self._of(own)
        return self._by_path[path]

    def _of(self, settings: Settings) -> RulesOn:
        subject, with_data = self._subject, self.with_data
        codes = codes_of_subject(settings, subject) if subject else codes_of_files(settings, with_data=with_data)
        return RulesOn(settings, codes, codes_by_name(settings, with_data=with_data))

    def by_subject(self, paths: Iterable[str]) -> dict[str, list[Rule]]:
        """Return the rules that are enabled for any of some paths, by subject."""
        return _by_subject(frozenset().union(*(self.of(path).codes for path in paths)))


@lru_cache(maxsize=16)
def _by_subject(codes: frozenset[str]) -> dict[str, list[Rule]]:
    rules: dict[str, list[Rule]] = {}
    for code in sorted(codes):
        rules.setdefault(RULES[code].subject, []).append(RULES[code])
    return rules
