"""The diagnosis of a training log, as text and as JSON.

JSON, layout version 1: {"version": 1, "log", "runs": [{"run", "log_line", "iterations", "passes", "tests"}], "causes":
[{"code", "name", "severity", "confidence", "confidence_level", "cause", "message", "reason", "help", "run", "layer", "blob",
"iteration", "log_line", "first_not_finite": null or {"layer", "blob", "iteration", "log_line", "value"}, "evidence":
[{"log_line", "text"}], "places": [{"path", "line", "column", "message"}]}], "notes": [{"symptom", "text"}], "unjudged": what
could not be judged, or "", "fixes": [titles], "next": what to run, or ""}. `notes` explain numbers that people ask about.
The most likely cause comes first.
"""

from __future__ import annotations

import json
from typing import Any

from ..proto.named_tuple import NamedTuple
from ..rule.finding import Finding
from ..source.places import Place
from ..source.visible import visible
from ..source.wording import counted
from ..training_log.causes import Diagnosed
from ..training_log.evidence import Evidence
from ..training_log.log_repair import next_step
from ..training_log.remarks import CANNOT_TELL, normal, unjudged
from ..training_log.runs import Run
from ..training_log.symptoms import Seen
from . import Summary, shown
from . import render as render_findings
from .colours import paint
from .folding import groups
from .full import folded
from .wrapping import columns, fitted, wrapped

VERSION = 1
WIDTH = 110


class Report(NamedTuple):
    """The contents of a report on a log."""

    path: str
    runs: list[Run]
    found: list[Diagnosed]
    places: dict[int, tuple[Place, ...]]  # of each cause, by its position
    fixes: list[str]
    fixed: bool
    next_step: str
    notes: list[Seen]
    unjudged: str
    files: Summary


def report_on(
    path: str,
    runs: list[Run],
    found: list[Diagnosed],
    places: dict[int, tuple[Place, ...]],
    fixes: list[str],
    files: Summary,
    *,
    fixed: bool,
    of_all_rules: bool,
) -> Report:
    """Return the report on the runs of a log, with what is normal in the last one; `of_all_rules`: none were left out on request."""
    last = [
        seen for run in runs[-1:] for seen in normal(Evidence(run), [each for each in found if each.run == run.number])
    ]
    unknown = "" if found else unjudged(runs, is_sure=of_all_rules)
    return Report(path, runs, found, places, fixes, fixed, next_step(found), last, unknown, files)


def render(format: str, report: Report, *, colour: bool = False) -> str:
    """Return the report in one of `report.FORMATS`; `json` and `full` differ from those of findings."""
    if format == "json":
        return _json(report)
    if format == "full":
        return _text(report, colour)
    return render_findings(format, _findings(report), report.files, colour=colour)


def _findings(report: Report) -> list[Finding]:
    """Convert causes to findings with the evidence, at their place in the prototxt if known, otherwise in the log."""
    findings = []
    for position, each in enumerate(report.found):
        cause = each.cause
        places = report.places.get(position, ())
        evidence = [Place(report.path, line.line, 1, line.line, 1, line.text) for line in cause.evidence]
        place, *others = places or (Place(report.path, cause.line or 1, 1, cause.line or 1, 1),)
        findings.append(
            Finding(
                place._replace(message=""),
                each.code,
                each.name,
                each.severity,
                cause.message,
                f"{cause.reason} {cause.help}".strip(),
                report.files.line_text(place),
                (*others, *evidence),
                None,
                confidence=each.confidence,
            )
        )
    return findings


def _text(report: Report, colour: bool) -> str:
    blocks = []
    terminal = report.files.width
    equals = f"  {paint('=', 'frame', colour)} "
    findings = _findings(report)
    positions = {id(finding): position for position, finding in enumerate(findings)}
    for group in groups(findings, lambda finding: _what_is_alike(report.found[positions[id(finding)]])):
        position = positions[id(group.first)]
        each = report.found[position]
        cause = each.cause
        head = paint(f"{each.severity}[{each.code}]", each.severity, colour)
        lines = [fitted(f"{head} {paint(each.name, 'path', colour)}: {visible(cause.message)}", terminal)]
        where = visible(f"{report.path}:{cause.line}" if cause.line else report.path)
        run = f", run {each.run}" if len(report.runs) > 1 else ""
        iteration = f", iteration {cause.iteration}" if cause.iteration is not None else ""
        lines.append(f"  {paint('-->', 'frame', colour)} {where}{run}{iteration}")
        width = len(str(max((line.line for line in cause.evidence), default=0)))
        lines += [
            f"  {paint(f'{line.line:>{width}} |', 'frame', colour)} {_cut(visible(line.text), terminal and terminal - width - 5)}"
            for line in cause.evidence
        ]
        for place in report.places.get(position, ()):
            there = visible(f"{place.shown}: {place.message}")
            lines += wrapped(there, terminal, first=equals, others="    ") if terminal else [equals + there]
        lines += wrapped(f"note: {visible(cause.reason)}", terminal or WIDTH, first=equals, others="    ")
        if cause.help:
            lines += wrapped(f"help: {visible(cause.help)}", terminal or WIDTH, first=equals, others="    ")
        if each.confidence != "high":
            lines.append(f"{equals}confidence: {each.confidence}")
        repeats = [shown(finding) for finding in group.repeats]
        lines += folded(group._replace(repeats=repeats), equals, "    ", terminal)
        blocks.append("\n".join(lines))
    fixes = [f"fixed: {title}" if report.fixed else f"help: {title} (--fix)" for title in map(visible, report.fixes)]
    blocks += [fitted(paint(fix, "fix", colour), terminal) for fix in fixes]
    if report.next_step:
        blocks.append(fitted(f"next: {visible(report.next_step)}", terminal))
    notes = (f"note: {seen.symptom.title}: {visible(seen.meaning)}" for seen in report.notes)
    blocks += ["\n".join(wrapped(note, terminal or WIDTH, others="  ")) for note in notes]
    blocks.append(fitted(_summary(report), terminal))
    return "\n\n".join(blocks) + "\n"


def _what_is_alike(each: Diagnosed) -> tuple[object, ...]:
    """Return what causes have in common that differ only in where they show."""
    return each.run, each.cause.cause, each.cause.help, each.cause.reason


def _cut(text: str, width: int | None) -> str:
    return text if width is None or columns(text) <= width else f"{text[: max(1, width - 1)]}…"


def _summary(report: Report) -> str:
    iterations = sum(run.steps.count for run in report.runs)
    passes = sum(run.passes.count for run in report.runs)
    read = (
        f"{counted(len(report.runs), 'run')}, {counted(iterations, 'displayed iteration')}, "
        f"{counted(passes, 'pass', 'passes')} with debug_info"
    )
    if not report.found and report.unjudged.startswith(CANNOT_TELL):
        return "\n".join(wrapped(f"{report.unjudged} ({read})", report.files.width or WIDTH, others="  "))
    if not report.found:
        return "\n".join(
            wrapped(f"No problem found in {read}. {report.unjudged}", report.files.width or WIDTH, others="  ")
        )
    return f"{counted(len(report.found), 'cause')} found, most likely first ({read})."


def _json(report: Report) -> str:
    by_number = {run.number: Evidence(run) for run in report.runs}
    return (
        json.dumps(
            {
                "version": VERSION,
                "log": report.path,
                "runs": [
                    {
                        "run": run.number,
                        "log_line": run.first_line,
                        "iterations": run.steps.count,
                        "passes": run.passes.count,
                        "tests": run.tests.count,
                    }
                    for run in report.runs
                ],
                "causes": [
                    _cause(each, report.places.get(number, ()), by_number[each.run])
                    for number, each in enumerate(report.found)
                ],
                "notes": [{"symptom": seen.name, "text": seen.meaning} for seen in report.notes],
                "unjudged": report.unjudged,
                "fixes": report.fixes,
                "next": report.next_step,
            },
            indent=2,
        )
        + "\n"
    )


def _cause(each: Diagnosed, places: tuple[Place, ...], log: Evidence) -> dict[str, Any]:
    cause = each.cause
    bad = log.first_bad
    return {
        "code": each.code,
        "name": each.name,
        "severity": each.severity,
        "confidence": round(cause.confidence, 2),
        "confidence_level": each.confidence,
        "cause": cause.cause,
        "message": cause.message,
        "reason": cause.reason,
        "help": cause.help,
        "run": each.run,
        "layer": cause.layer,
        "blob": cause.blob,
        "iteration": cause.iteration,
        "log_line": cause.line,
        "first_not_finite": bad
        and {
            "layer": bad.key.layer,
            "blob": bad.key.blob,
            "iteration": log.bad_pass.iteration if log.bad_pass else None,
            "log_line": bad.line,
            "value": str(bad.value),
        },
        "evidence": [{"log_line": line.line, "text": line.text} for line in cause.evidence],
        "places": [
            {"path": place.path, "line": place.line, "column": place.column, "message": place.message}
            for place in places
        ],
    }
