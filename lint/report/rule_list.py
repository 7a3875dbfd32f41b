"""The list of rules, and a table of them for the documentation."""

from __future__ import annotations

import json

from ..rule.registry import FAMILIES, Rule, all_rules


def render(format: str) -> str:
    """Return all rules in one of RULE_LIST_FORMATS."""
    return RULE_LIST_FORMATS[format](list(all_rules().values()))


def _json(known: list[Rule]) -> str:
    return json.dumps([_as_dict(rule) for rule in known], indent=2) + "\n"


def _markdown(known: list[Rule]) -> str:
    rows = [f"| {rule.code} | {rule.name} | {rule.severity} | {fixes_of(rule)} | {rule.summary} |" for rule in known]
    return "\n".join(["| code | name | severity | fix | what it finds |", "|---|---|---|---|---|", *rows]) + "\n"


def _text(known: list[Rule]) -> str:
    lines = []
    for letter, meaning in FAMILIES.items():
        family = [rule for rule in known if rule.code[0] == letter]
        if family:
            lines.append(f"{letter}  {meaning}")
            lines += [f"  {rule.code}  {rule.severity:8} {rule.name:28} {rule.summary}" for rule in family]
    return "\n".join(lines) + "\n"


# For a terminal, for programs, and for the table in the README.
RULE_LIST_FORMATS = {"text": _text, "json": _json, "markdown": _markdown}


def fixes_of(rule: Rule) -> str:
    """Describe the fixes of a rule; `by name` means that they need the rule to be selected by its code or name."""
    return (rule.fixes or "none") + (" (by name)" if rule.by_name else "")


def _as_dict(rule: Rule) -> dict[str, object]:
    return {
        "code": rule.code,
        "name": rule.name,
        "severity": rule.severity,
        "confidence": rule.confidence,
        "fix": rule.fixes,
        "fix_by_name": rule.by_name,
        "default": rule.default,
        "summary": rule.summary,
        "options": {name: option.default for name, option in rule.options.items()},
    }
