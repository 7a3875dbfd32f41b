"""What a rule is, and the registry of all rules.

A rule is a function with metadata; its docstring is its page (`rule.pages`). Rules are in `rules/`, with one folder per
family, and their examples in `rules/examples/`.
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

# The subjects of rules. In this order, a check is called with a `SourceFile`, a `SolverFile`, a `NetInPhase`, a `Job`,
# an `Evidence` of a training log (these rules yield causes instead of hits), a `LayerData`, or, after all other rules
# have checked a file, an `Outcome`.
SUBJECTS = ("file", "solver", "net", "job", "log", "inputs", "suppressions")
_OF_FILES = frozenset({"file", "solver", "net", "job", "suppressions"})


class Option(NamedTuple):
    """A setting of a rule in the configuration: its default, which determines its type, its meaning, and the limits of a number.

    Without a limit, any finite number is accepted.
    """

    default: Any
    meaning: str
    least: float | None = None
    greatest: float | None = None


class Rule(NamedTuple):
    """A rule: its check is called with one subject and the rule's options, and yields hits.

    `fixes` lists the kinds of fixes that it may offer. If they are `by_name`, they are applied only if the rule is
    selected by its code or name, not by a prefix: they change something that works as it is. A rule that is not
    `default` runs only if selected. `causes` are the names of the causes that a rule for logs tells apart, with explanations.
    Fixes `in_all_nets` are made in all nets of a solver, or in none.
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
    plugin: str = ""  # the plugin that registered it, empty for our own rules
    confidence: str = DEFAULT
    causes: dict[str, str] = {}  # noqa: RUF012 - of a tuple, never changed
    in_all_nets: bool = False

    @property
    def is_ours(self) -> bool:
        """Whether the rule belongs to the program, not to a plugin."""
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
    causes: dict[str, str] | None = None,
    in_all_nets: bool = False,
) -> Callable[[Check], Check]:
    """Register a check as a rule. Without `confidence`, our rules have the one of `rule.confidence`, others are medium.

    Raises ValueError if the code or name is already registered, if the family, subject or confidence is unknown, or if
    the page or the examples are incomplete (`page_form`). Our own pages are checked by tests instead, to keep the start
    fast.
    """

    def register(check: Check) -> Check:
        if code in RULES or name in _NAMES:
            raise ValueError(f"rule {code} {name} is registered twice")
        if code[0] not in FAMILIES or subject not in SUBJECTS or confidence not in ("", *CONFIDENCES):
            raise ValueError(f"rule {code}: unknown family, subject or confidence")
        sure = confidence or (confidence_of(code) if check.__module__.startswith(_OUR_RULES) else DEFAULT)
        found = Rule(code, name, subject, severity, check, options or {}, fixes, default, by_name,
                     confidence=sure, causes=causes or {}, in_all_nets=in_all_nets)  # fmt: skip
        if not found.is_ours and sys.flags.optimize < 2:  # -OO removes docstrings
            _check_page(found)
        _NAMES.add(name)
        RULES[code] = found
        return check

    return register


def _check_page(rule: Rule) -> None:
    from .page_form import fault_of, fault_of_examples  # keeps pages out of the start: only for plugins
    from .pages import read_page  # keeps pages out of the start: only for plugins

    page, fixes = read_page(rule), bool(rule.fixes)
    fault = fault_of(rule.page, fixes=fixes, options=bool(rule.options)) or fault_of_examples(
        page.bad, page.good, fixes=fixes
    )
    if fault:
        raise ValueError(f"rule {rule.code}: {fault}")


def loaded_by(loader: Callable[[Iterable[str]], None]) -> None:
    """Set what registers our own rules: a function that imports the rules for the given subjects."""
    _LOADERS.append(loader)


def _load(subjects: Iterable[str]) -> None:
    if not _LOADERS:
        raise RuntimeError("no rules are registered: import caffe_lint.rules first")
    for loader in _LOADERS:
        loader(subjects)


@cache
def all_rules() -> dict[str, Rule]:
    """Return all rules by code, sorted by code."""
    _load(SUBJECTS)
    return dict(sorted(RULES.items()))


@cache
def rules_of_files(*, with_data: bool = False) -> dict[str, Rule]:
    """Return the rules for solvers and nets, `with_data` also those for data; other rules are not loaded."""
    subjects = _OF_FILES | ({"inputs"} if with_data else set())
    _load(subjects)
    return {code: rule for code, rule in sorted(RULES.items()) if rule.subject in subjects}


def forget_listed() -> None:
    """Clear the cached lists of rules after a plugin has registered some."""
    all_rules.cache_clear()
    rules_of_files.cache_clear()


def matching(selector: str) -> list[str]:
    """Return the codes that match a selector: a code, a prefix of codes, a name, or ALL. Empty if none match."""
    return [code for code, rule in all_rules().items() if means(selector, rule)]


def naming(cause: str) -> list[str]:
    """Return the codes of the rules that name a cause of logs. Empty if none does."""
    return [code for code, rule in all_rules().items() if cause.lower() in rule.causes]


def means(selector: str, rule: Rule) -> bool:
    """Whether a selector matches a rule."""
    return selector.upper() == "ALL" or rule.code.startswith(selector.upper()) or rule.name == selector.lower()
