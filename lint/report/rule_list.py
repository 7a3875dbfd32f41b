"""The list of rules, and a table of them for the documentation."""

from __future__ import annotations

import json

from ..rule.registry import FAMILIES, Rule, all_rules
from .wrapping import columns, fitted, wrapped

_INDENT = 8  # of what continues a rule below


def render(format: str, *, width: int | None = None) -> str:
    """Return all rules in one of RULE_LIST_FORMATS. `width` is that of the terminal, if they are printed to one."""
    return RULE_LIST_FORMATS[format](list(all_rules().values()), width)


def _json(known: list[Rule], width: int | None) -> str:
    return json.dumps([_as_dict(rule) for rule in known], indent=2) + "\n"


def _markdown(known: list[Rule], width: int | None) -> str:
    lines = []
    for letter, meaning in FAMILIES.items():
        if family := [rule for rule in known if rule.code[0] == letter]:
            lines += [
                f'## <a id="{letter.lower()}"></a>{letter}: {meaning}',
                "",
                "| code | name | severity | fix | default | what it finds |",
                "|---|---|---|---|---|---|",
            ]
            lines += [f"| {' | '.join(_cells(rule))} |" for rule in family]
            lines.append("")
    return "\n".join(lines)


def _cells(rule: Rule) -> tuple[str, ...]:
    return rule.code, rule.name, rule.severity, fixes_of(rule), "on" if rule.default else "off", rule.summary


def _text(known: list[Rule], width: int | None) -> str:
    lines = []
    for letter, meaning in FAMILIES.items():
        family = [rule for rule in known if rule.code[0] == letter]
        if family:
            lines.append(fitted(f"{letter}  {meaning}", width))
            for rule in family:
                start = f"  {rule.code}  {rule.severity:8} {rule.name:28} "
                if width is None or columns(start + rule.summary) <= width:
                    lines.append(start + rule.summary)
                else:
                    lines += [fitted(start.rstrip(), width), *wrapped(rule.summary, width, first=" " * _INDENT, others=" " * _INDENT)]
    return "\n".join(lines) + "\n"


# For a terminal, for programs, and for docs/rules.md.
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
