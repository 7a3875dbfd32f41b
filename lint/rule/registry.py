"""What a rule is, and the registry that holds them all.

A rule is one function with its metadata; its docstring is its page (`rule.pages`). Rules stand in `rules/`, a folder
a family, and their examples in `rules/examples/`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING, Any, TypeVar

from ..proto.named_tuple import NamedTuple
from ..settings.settings import CONFIDENCES
from .confidence import DEFAULT, confidence_of

if TYPE_CHECKING:
    from .finding import Hit

FAMILIES = {
    "E": "the file cannot be read, or Caffe would stop",
    "N": "net structure",
    "S": "solver and schedule",
    "G": "gradients and numerical stability",
    "D": "data and inputs",
    "P": "portability, legacy, and suppressions",
    "T": "findings from training logs",
}

# What a rule may look at, and what it is called with: a `SourceFile`, a `SolverFile`, a `NetInPhase`, a `Job`,
# for training logs an `Evidence`, which yields causes instead of hits, for data a `LayerData`, and for suppressions,
# when all others have looked at a file, an `Outcome`.
SUBJECTS = ("file", "solver", "net", "job", "log", "inputs", "suppressions")
_OF_FILES = frozenset({"file", "solver", "net", "job", "suppressions"})


class Option(NamedTuple):
    """A setting of a rule, from the configuration: its default, whose type it has, and what it means."""

    default: Any
    meaning: str


class Rule(NamedTuple):
    """A rule: its check is called with one subject and the rule's options, and yields hits.

    `fixes` says which fixes it may offer; where they are `by_name`, only to who selects the rule by its code or name,
    not by the beginning of codes: what they change works as it is. A rule that is not `default` runs only when
    selected.
    """

    code: str
    name: str
    subject: str
    severity: str
    check: Callable[..., Iterable[Hit]]
    options: dict[str, Option]
    fixes: str  # "", "safe", "unsafe" or "safe, unsafe"
    default: bool
    by_name: bool = False
    plugin: str = ""  # the one that brought it; empty for a rule of our own
    confidence: str = DEFAULT

    @property
    def is_ours(self) -> bool:
        """Whether it comes with the program, not with a plugin."""
        return self.check.__module__.startswith(_OUR_RULES)

    @property
    def page(self) -> str:
        """The docstring of the check, which is the rule's page."""
        from inspect import cleandoc  # keeps inspect out of the start

        return cleandoc(self.check.__doc__ or "")

    @property
    def summary(self) -> str:
        """The first sentence of the page."""
        return self.page.split("\n", 1)[0]


RULES: dict[str, Rule] = {}
_NAMES: set[str] = set()
_OUR_RULES = "caffe_lint.rules."
_LOADERS: list[Callable[[Iterable[str]], None]] = []
Check = TypeVar("Check", bound=Callable[..., Iterable[Any]])


def rule(
    code: str,
    name: str,
    *,
    subject: str,
    severity: str,
    options: dict[str, Option] | None = None,
    fixes: str = "",
    default: bool = True,
    by_name: bool = False,
    confidence: str = "",
) -> Callable[[Check], Check]:
    """Registers a check as a rule. Without a `confidence`, ours have the one of `rule.confidence`, others are medium.

    Raises ValueError for a code or name that is taken, of no family, or where page or examples are missing
    (`page_form`). Tests ask for our own instead, since the usual call has no time for it.
    """

    def register(check: Check) -> Check:
        if code in RULES or name in _NAMES:
            raise ValueError(f"rule {code} {name} is registered twice")
        if code[0] not in FAMILIES or subject not in SUBJECTS or confidence not in ("", *CONFIDENCES):
            raise ValueError(f"rule {code}: no such family, subject or confidence")
        sure = confidence or (confidence_of(code) if check.__module__.startswith(_OUR_RULES) else DEFAULT)
        found = Rule(code, name, subject, severity, check, options or {}, fixes, default, by_name, confidence=sure)
        if not found.is_ours and sys.flags.optimize < 2:  # -OO leaves docstrings out
            _ask_for_page(found)
        _NAMES.add(name)
        RULES[code] = found
        return check

    return register


def _ask_for_page(rule: Rule) -> None:
    from .page_form import fault_of, fault_of_examples  # keeps pages out of the start: for plugins
    from .pages import read_page  # keeps pages out of the start: for plugins

    page, fixes = read_page(rule), bool(rule.fixes)
    fault = fault_of(rule.page, fixes=fixes, options=bool(rule.options)) or fault_of_examples(
        page.bad, page.good, fixes=fixes
    )
    if fault:
        raise ValueError(f"rule {rule.code}: {fault}")


def loaded_by(loader: Callable[[Iterable[str]], None]) -> None:
    """Takes what registers our own rules: called with subjects, it imports the rules that look at them."""
    _LOADERS.append(loader)


def _load(subjects: Iterable[str]) -> None:
    if not _LOADERS:
        raise RuntimeError("no rules are there: import caffe_lint.rules first")
    for loader in _LOADERS:
        loader(subjects)


@cache
def all_rules() -> dict[str, Rule]:
    """Every rule by its code, in the order of codes."""
    _load(SUBJECTS)
    return dict(sorted(RULES.items()))


@cache
def rules_of_files(*, with_data: bool = False) -> dict[str, Rule]:
    """The rules that look at solvers and nets, `with_data` also those for data; the others are not loaded."""
    subjects = _OF_FILES | ({"inputs"} if with_data else set())
    _load(subjects)
    return {code: rule for code, rule in sorted(RULES.items()) if rule.subject in subjects}


def forget_listed() -> None:
    """Lets the rules be listed again, since a plugin has registered some."""
    all_rules.cache_clear()
    rules_of_files.cache_clear()


def matching(selector: str) -> list[str]:
    """The codes that a selector means: a code, the beginning of codes, a name, or ALL. Empty if it means none."""
    return [code for code, rule in all_rules().items() if means(selector, rule)]


def means(selector: str, rule: Rule) -> bool:
    """Whether a selector means a rule."""
    return selector.upper() == "ALL" or rule.code.startswith(selector.upper()) or rule.name == selector.lower()
