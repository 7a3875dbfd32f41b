"""SARIF 2.1.0 for code-scanning services and editors: findings with their rules' pages and their fixes.

Columns are in UTF-16 code units, as SARIF readers expect, and a byte-order mark does not count. Paths are relative to
`%SRCROOT%`, the root of the repository; files elsewhere have an absolute URI. An edit of text that is not UTF-8, or of a
byte-order mark, is given in bytes, because readers disagree on the columns. `schemaVersion` among the properties of the run is the
version of what this program adds: `confidence`, `caused_by`, `applicability`, and the fingerprint.
"""

from __future__ import annotations

import json
from base64 import b64encode
from importlib.metadata import version
from typing import Any

from ..fixes.edit import Edit, Fix
from ..rule.finding import Finding
from ..rule.page_form import SECTIONS
from ..rule.pages import read_page, sections_of
from ..rule.registry import FAMILIES, Rule, all_rules
from ..source.places import Place
from . import Summary, lines_of
from .fingerprints import fingerprints
from .page_markdown import one_text
from .repository import file_uri, path_from, plain_text, root, uri

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
VERSION = 1  # of what this program puts into the properties of a report
_LEVELS = {"error": "error", "warning": "warning", "advice": "note"}
_RANKS = {"high": 90.0, "medium": 60.0, "low": 30.0}  # SARIF's priority, from 0 to 100: by confidence
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def render(findings: list[Finding], summary: Summary, *, colour: bool = False) -> str:
    """The report, never coloured."""
    log = {"$schema": SCHEMA, "version": "2.1.0", "runs": [_Run(findings, summary).as_dict()]}
    return json.dumps(log, indent=2) + "\n"


class _Run:
    """A run of the program, with the files and rules that its results refer to by number."""

    def __init__(self, findings: list[Finding], summary: Summary) -> None:
        self.findings = findings
        self.summary = summary
        self.base = root()
        others = (place.path for finding in findings for place in (finding.place, *finding.related))
        self.paths = {path: number for number, path in enumerate(sorted({*summary.texts, *others}))}
        self.codes = {code: number for number, code in enumerate(sorted({finding.code for finding in findings}))}

    def as_dict(self) -> dict[str, Any]:
        results = zip(self.findings, fingerprints(self.findings, self.base), strict=True)
        return {
            "tool": {
                "driver": {
                    "name": "caffe-lint",
                    "semanticVersion": version("caffe-lint"),
                    **({"informationUri": self.summary.docs_url} if self.summary.docs_url else {}),
                    "rules": [_rule(all_rules()[code], self.summary.docs_url) for code in self.codes],
                }
            },
            "invocations": [
                {
                    "executionSuccessful": not self.summary.errors,
                    "toolExecutionNotifications": [
                        {"level": "error", "message": _message(sentence)} for sentence in self.summary.errors
                    ],
                }
            ],
            "originalUriBaseIds": {
                "%SRCROOT%": {
                    "uri": file_uri(self.base).rstrip("/") + "/",
                    "description": _message("The root of the repository."),
                }
            },
            "artifacts": [self._artifact(path) for path in self.paths],
            "columnKind": "utf16CodeUnits",
            "properties": {"schemaVersion": VERSION},
            "results": [self._result(finding, fingerprint) for finding, fingerprint in results],
        }

    def _artifact(self, path: str) -> dict[str, Any]:
        artifact: dict[str, Any] = {"location": self._location_of(path)}
        text = self.summary.texts.get(path)
        if text and _is_utf8(text):
            artifact["encoding"] = "utf-8"
        return artifact

    def _location_of(self, path: str) -> dict[str, Any]:
        relative = path_from(self.base, path)
        if relative is None:
            return {"uri": file_uri(path)}
        return {"uri": uri(relative), "uriBaseId": "%SRCROOT%"}

    def _result(self, finding: Finding, fingerprint: str) -> dict[str, Any]:
        result: dict[str, Any] = {
            "ruleId": finding.code,
            "ruleIndex": self.codes[finding.code],
            "level": _LEVELS[finding.severity],
            "message": _message(f"{finding.message}\n{finding.reason}".rstrip()),
            "locations": [self._location(finding.place, finding.line_text)],
            "rank": _RANKS[finding.confidence],
            "properties": {"confidence": finding.confidence},
            "partialFingerprints": {"caffeLint/v1": fingerprint},
        }
        if finding.caused_by is not None:
            result["properties"]["caused_by"] = finding.caused_by._asdict()
        if finding.related:
            result["relatedLocations"] = [
                {"id": number, "message": _message(place.message), **self._location(place, self.summary.line_text(place))}
                for number, place in enumerate(finding.related, 1)
            ]
        if finding.fix is not None and finding.fix.path in self.summary.texts:
            result["fixes"] = [self._fix(finding.fix, self.summary.texts[finding.fix.path])]
        return result

    def _location(self, place: Place, line: str) -> dict[str, Any]:
        artifact = {**self._location_of(place.path), "index": self.paths[place.path]}
        region: dict[str, Any] = {
            "startLine": place.line,
            "startColumn": _utf16_column(place.column, place.line, line),
            "endLine": place.end_line,
            "endColumn": _utf16_column(place.end_column, place.line, line),
        }
        physical = {"artifactLocation": artifact, "region": region}
        if line:
            shown = line.removeprefix("\ufeff") if place.line == 1 else line
            region["snippet"] = _message(shown[place.column - 1 : place.end_column - 1])
            physical["contextRegion"] = {"startLine": place.line, "snippet": _message(shown)}
        return {"physicalLocation": physical}

    def _fix(self, fix: Fix, text: bytes) -> dict[str, Any]:
        return {
            "description": _message(fix.title),
            "artifactChanges": [
                {
                    "artifactLocation": {**self._location_of(fix.path), "index": self.paths[fix.path]},
                    "replacements": [_replacement(edit, text) for edit in fix.edits],
                }
            ],
            "properties": {"applicability": "safe" if fix.safe else "unsafe"},
        }


def _rule(rule: Rule, docs_url: str | None) -> dict[str, Any]:
    address = {"helpUri": f"{docs_url.rstrip('/')}/rules/{rule.code}.html"} if docs_url else {}
    page = read_page(rule)
    parts = sections_of(page).items()
    text = "\n".join([f"{page.summary}\n", *(f"## {name}\n\n{one_text(section)}" for name, section in parts)])
    return {
        "id": rule.code,
        "name": rule.name,
        "shortDescription": _message(rule.summary),
        "fullDescription": _message(page.sections.get(SECTIONS[0], rule.summary)),
        "help": {"text": text, "markdown": text},
        **address,
        "defaultConfiguration": {"enabled": rule.default, "level": _LEVELS[rule.severity]},
        "properties": {"tags": [FAMILIES[rule.code[0]]]},
    }


def _replacement(edit: Edit, text: bytes) -> dict[str, Any]:
    lines = lines_of(text)
    first, last = lines.start(edit.start), lines.end(edit.end)
    in_mark = edit.start < len(_BYTE_ORDER_MARK) and text.startswith(_BYTE_ORDER_MARK)
    if in_mark or not (_is_utf8(text[first:last]) and _is_utf8(edit.text)):
        return {
            "deletedRegion": {"byteOffset": edit.start, "byteLength": edit.end - edit.start},
            "insertedContent": {"binary": b64encode(edit.text).decode("ascii")},
        }
    replacement: dict[str, Any] = {
        "deletedRegion": {
            "startLine": lines.number(edit.start),
            "startColumn": _utf16_width(text, first, edit.start) + 1,
            "endLine": lines.number(edit.end),
            "endColumn": _utf16_width(text, lines.start(edit.end), edit.end) + 1,
        }
    }
    if edit.text:
        replacement["insertedContent"] = {"text": edit.text.decode("utf-8")}
    return replacement


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


def _utf16_width(text: bytes, start: int, end: int) -> int:
    """Return the number of code units from the start of a line, without a byte-order mark at the start of the file."""
    width = len(text[start:end].decode("utf-8").encode("utf-16-le")) // 2
    return width - 1 if start == 0 and text[:end].startswith(_BYTE_ORDER_MARK) else width


def _utf16_column(column: int, number: int, line: str) -> int:
    """Convert a column from characters to code units; unchanged if the text of the line is not known (empty)."""
    if number == 1:
        line = line.removeprefix("\ufeff")
    return column + sum(character > "\uffff" for character in line[: column - 1])


def _message(text: str) -> dict[str, str]:
    return {"text": plain_text(text)}
