"""Code actions: the fixes of findings, suppressing them, and changing a file as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from lsprotocol.types import CodeAction, CodeActionKind, Command, Diagnostic, TextEdit, WorkspaceEdit

from ..engine.ignoring import Known, write_suppressions
from ..fixes.fields import eol
from ..rule.finding import Finding
from ..rule.registry import all_rules
from ..rule.suppressed import suppressions_of
from ..rules.portability.legacy import UPGRADES
from ..source.files import SourceFile
from ..source.visible import visible
from .positions import Positions, as_text, difference

FIX_ALL_KIND = f"{CodeActionKind.SourceFixAll.value}.caffe-lint"
UPGRADE_KIND = f"{CodeActionKind.RefactorRewrite.value}.caffe-lint"
# Commands of the server, each with the address of a document.
FIX_ALL, FIX_ALL_UNSAFE, UPGRADE = "caffe-lint.fixAll", "caffe-lint.fixAllUnsafe", "caffe-lint.upgrade"
COMMANDS = {
    FIX_ALL: "Fix all problems of this file that caffe-lint fixes safely",
    FIX_ALL_UNSAFE: "Fix all problems of this file, also in ways that change the training",
    UPGRADE: "Upgrade this file to the current format",
}

EditsOf = Callable[[Mapping[str, list[TextEdit]]], WorkspaceEdit]


def wants(kinds: Sequence[CodeActionKind | str] | None, kind: str) -> bool:
    """Whether a client that asked for some kinds only, or for all, wants one."""
    asked = [each.value if isinstance(each, CodeActionKind) else each for each in kinds or ()]
    return not asked or any(not each or kind == each or kind.startswith(f"{each}.") for each in asked)


def of_finding(
    finding: Finding,
    diagnostic: Diagnostic,
    file: SourceFile,
    *,
    with_all_parts: Callable[[Finding], Iterable[Finding]],
    positions_of: Callable[[str], Positions],
    edits_of: EditsOf,
) -> Iterator[CodeAction]:
    """Yield the fix of a finding with the other parts of its repair, if they verify, and the ways to suppress the finding."""
    fix = finding.fix
    edits: dict[str, list[TextEdit]] = {}
    for part in (each.fix for each in with_all_parts(finding)):
        if part is not None:
            at = positions_of(part.path)
            edits.setdefault(part.path, []).extend(TextEdit(at.range(edit.start, edit.end), as_text(edit.text)) for edit in part.edits)
    if fix is not None and edits:
        yield CodeAction(
            visible(fix.title) + ("" if fix.safe else " (unsafe)"),
            kind=CodeActionKind.QuickFix,
            diagnostics=[diagnostic],
            is_preferred=fix.safe or None,
            edit=edits_of(edits),
        )
    for title, new in (
        (f"Ignore {finding.code} here", suppressed_here(file, finding)),
        (f"Ignore {finding.code} in this file", suppressed_in_file(file, finding.code)),
    ):
        if new != file.source:
            edit = edits_of({file.path: replacement(file.source, new, positions_of(file.path))})
            yield CodeAction(title, kind=CodeActionKind.QuickFix, diagnostics=[diagnostic], edit=edit)


def suppressed_here(file: SourceFile, finding: Finding) -> bytes:
    """Return the text with a comment that suppresses a finding where it stands; the text as it is if that is not possible."""
    return write_suppressions(file, [Known(finding.code, finding.start)]).source


def suppressed_in_file(file: SourceFile, code: str) -> bytes:
    """Return the text with a comment that suppresses a rule in the whole file: added to one that is there, else in the first line."""
    suppressions = suppressions_of(file)
    for old in suppressions.all if suppressions is not None else ():
        if old.scope == "file":
            return file.source[: old.closes] + f", {code}".encode() + file.source[old.closes :]
    start = 3 if file.source.startswith(b"\xef\xbb\xbf") else 0
    return file.source[:start] + f"# caffe-lint: file-ignore[{code}]".encode() + eol(file.tree) + file.source[start:]


def replacement(old: bytes, new: bytes, positions: Positions) -> list[TextEdit]:
    """Return the one edit that makes a text another."""
    start, end, text = difference(old, new)
    return [TextEdit(positions.range(start, end), as_text(text))]


def of_file(uri: str, file: SourceFile, findings: Iterable[Finding], *, verified: Callable[[Finding], bool]) -> Iterator[CodeAction]:
    """Yield what can be done to a file as a whole, and to no other; the server does it when it is asked to."""
    fixable = [(finding, finding.fix) for finding in findings if finding.fix is not None and not finding.fix.repair]
    if any(fix.safe and verified(finding) for finding, fix in fixable):
        yield _command(FIX_ALL, FIX_ALL_KIND, uri)
    if any(not fix.safe and verified(finding) for finding, fix in fixable):
        yield _command(FIX_ALL_UNSAFE, CodeActionKind.QuickFix, uri)
    if file.kind in ("solver", "net") and any(_is_found(code, file) for code in UPGRADES):
        yield _command(UPGRADE, UPGRADE_KIND, uri)


def _is_found(code: str, file: SourceFile) -> bool:
    """Whether a rule for files has something to report, whether it is enabled or not."""
    return any(True for _ in all_rules()[code].check(file))


def _command(name: str, kind: str, uri: str) -> CodeAction:
    return CodeAction(COMMANDS[name], kind=kind, command=Command(COMMANDS[name], name, arguments=[uri]))
