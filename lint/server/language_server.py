"""The language server: what a client asks, and when files are checked.

A change of a text is checked at once without the rules that simulate trainings; these follow from a process of their own (`judge`)
when there is a moment of quiet. Until then, what they found before stays where it still fits. Nothing waits for what is no longer
wanted: a newer change replaces one that was not begun.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib.metadata import version
from typing import Any, TypeVar

from lsprotocol import types as lsp
from pygls import uris
from pygls.lsp.server import LanguageServer
from pygls.protocol.language_server import LanguageServerProtocol, lsp_method

from ..api import InputError, Keeping, Stability
from ..fixes.edit import partial_repairs
from ..fixes.fields import string_text
from ..fixes.write import write_whole
from ..report.rule_page import Printed, markdown
from ..rule.finding import Finding
from ..rule.registry import all_rules
from ..rules.portability.legacy import UPGRADES
from ..settings.in_force import CommandLine
from ..source.files import NotPrototxt, SourceFile, shown, use_working_folders, working_folder
from ..source.write_roots import write_roots
from . import actions, hover
from .completion import Completer
from .diagnostics import carried, diagnostic
from .indenting import indented
from .judge import Judge, Request
from .occurrences import PARAM, Occurrence, definitions, occurrence_at, same
from .outline import folds, hints, layers_at, symbols
from .positions import Positions, changed
from .project import LARGE, ON_STABILITY, Found, Project, View
from .tokens import LEGEND, tokens

AT_ONCE = 0.01  # seconds in which more changes may come that were made at the same time
QUIET = 0.25  # seconds without a change after which trainings are simulated
MOST_GARBAGE = 500_000  # objects, about 50 MB
PATIENCE = 3.0  # seconds that a hover waits for a simulation
NAME = "caffe-lint"
_LANGUAGE = "prototxt"
_log = logging.getLogger(__name__)

Result = TypeVar("Result")


class _Protocol(LanguageServerProtocol):
    """The protocol, without the texts that the library keeps: its lines end at more characters than those of editors."""

    @lsp_method(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def lsp_text_document__did_change(self, params: lsp.DidChangeTextDocumentParams) -> Iterator[Any]:
        yield self.fm.features[lsp.TEXT_DOCUMENT_DID_CHANGE], (params,), None


class Server(LanguageServer):
    """The server, with the texts of its client and what was found in them."""

    def __init__(self) -> None:
        super().__init__(NAME, version("caffe-lint"), protocol_cls=_Protocol)
        self.project = Project(CommandLine())
        self.judge = Judge()
        self.versions: dict[str, int] = {}
        self.findings: dict[str, tuple[Finding, ...]] = {}  # by path, the last ones of the rules that run at once
        self.slow: dict[str, tuple[bytes, tuple[Finding, ...]]] = {}  # those of the others, with the text that they are of
        self.checked: dict[str, bytes] = {}  # the texts that `findings` are of
        self.published: set[str] = set()
        self.uris: dict[str, str] = {}
        self.folders: list[str] = []
        self.offers_formatting = False
        self.waiting: dict[str, asyncio.TimerHandle] = {}
        self.slow_timer: asyncio.TimerHandle | None = None
        self.slow_paths: dict[str, None] = {}
        self.slow_task: asyncio.Task[None] | None = None
        self.stability: dict[str, tuple[dict[str, bytes], Stability | None]] = {}
        self.is_fresh = True
        self.said: set[str] = set()
        self._positions: dict[str, Positions] = {}

    # -- texts and places ------------------------------------------------------------------------------

    def path_of(self, uri: str) -> str:
        """Return the path of a document; of one without a file, its address."""
        path = uris.to_fs_path(uri) if uri.startswith("file:") else None
        return (shown(path) if path else uri).replace("\0", "%00")  # which no path can have

    def uri_of(self, path: str) -> str:
        """Return the address of a file as the client knows it."""
        return self.uris.get(path) or uris.from_fs_path(os.path.abspath(path)) or path

    def source_of(self, path: str) -> bytes:
        """Return a text as the client or the disk has it; empty if it cannot be read."""
        try:
            return self.project.file(path).source
        except InputError:
            return b""

    def positions_of(self, path: str) -> Positions:
        """Return the positions in a text."""
        source = self.source_of(path)
        known = self._positions.get(path)
        if known is None or known.source != source:
            known = Positions(source, self.encoding)
            if len(self._positions) > 16:
                self._positions.clear()
            self._positions[path] = known
        return known

    @property
    def encoding(self) -> str:
        """What characters are counted in."""
        chosen = self.workspace.position_encoding
        return chosen.value if isinstance(chosen, lsp.PositionEncodingKind) else str(chosen)

    def file(self, uri: str) -> SourceFile | None:
        """Return the file of a document; None if it cannot be read, or is too large to be read while it is typed."""
        path = self.path_of(uri)
        if len(self.project.texts.get(path, b"")) > LARGE:
            return None
        try:
            return self.project.file(path)
        except InputError:
            return None

    def view(self, path: str) -> View:
        """Return the jobs and nets of a file, none if they cannot be read."""
        try:
            return self.project.view(path)
        except InputError:
            return View((), ())

    @property
    def pulls(self) -> bool:
        """Whether the client asks for diagnostics, so that none are sent without being asked for."""
        text_document = self.client_capabilities.text_document
        return text_document is not None and text_document.diagnostic is not None

    def tell(self, error: InputError) -> None:
        """Show the client why something cannot be done, once."""
        if str(error) not in self.said:
            self.said.add(str(error))
            self.window_show_message(lsp.ShowMessageParams(lsp.MessageType.Warning, str(error)))

    # -- checking --------------------------------------------------------------------------------------

    def touch(self, path: str) -> None:
        """Check a file, and those that belong to it, as soon as no more changes are coming."""
        if (timer := self.waiting.pop(path, None)) is not None:
            timer.cancel()
        self.judge.hurry()
        self.waiting[path] = asyncio.get_running_loop().call_later(AT_ONCE, self.check_now, path)

    def check_now(self, path: str) -> None:
        """Check a file with what takes little time, send what was found, and have the rest done."""
        if (timer := self.waiting.pop(path, None)) is not None:
            timer.cancel()
        if path not in self.project.texts:
            return
        if len(self.project.texts[path]) <= LARGE:
            try:
                self.take(self.project.check(path, with_stability=False))
            except NotPrototxt as error:
                self.tell(error)
                self.slow.pop(path, None)
                self.take(Found({path: ()}, {path: self.project.texts[path]}))
            except InputError as error:
                self.tell(error)
            except Exception:
                _log.exception("%s could not be checked", path)
        self.slow_paths[path] = None
        if self.slow_timer is not None:
            self.slow_timer.cancel()
        self.slow_timer = asyncio.get_running_loop().call_later(QUIET, self.start_slow)

    def take(self, found: Found) -> None:
        """Keep what was found, and send it."""
        for path, findings in found.findings.items():
            self.findings[path] = findings
            self.checked[path] = found.texts.get(path, b"")
        if not self.pulls:
            self.publish(found.findings)

    def start_slow(self) -> None:
        """Have the files simulated that have changed, one after another."""
        self.slow_timer = None
        if self.slow_task is None or self.slow_task.done():
            self.slow_task = asyncio.get_running_loop().create_task(self.check_all_slowly())

    async def check_all_slowly(self) -> None:
        """Check the files that have changed with all rules, until there are none, or changes are coming again."""
        while self.slow_paths and self.slow_timer is None:
            path = next(iter(self.slow_paths))
            del self.slow_paths[path]
            if path in self.project.texts:
                await self.check_slowly(path)
        if self.slow_timer is None:
            gc.collect()  # see `create`

    async def check_slowly(self, path: str) -> None:
        """Check a file with all rules, unless it has changed when its turn comes, and send what was found."""
        before = self.project.texts.get(path)
        try:
            found: Found = await self.ask("check", path, with_stability=True)
        except InputError as error:
            self.tell(error)
            return
        except ConnectionError:
            return
        if self.project.texts.get(path) != before:
            return
        is_large = len(before or b"") > LARGE
        for each, findings in found.findings.items():
            text = found.texts.get(each, b"")
            if is_large:
                self.findings[each], self.checked[each] = findings, text
            self.slow[each] = text, tuple(filter(_is_slow, findings))
        if not self.pulls:
            self.publish(found.findings)
        elif self.refreshes:
            self.workspace_diagnostic_refresh(None)

    @property
    def refreshes(self) -> bool:
        """Whether the client asks for diagnostics again when it is told to."""
        workspace = self.client_capabilities.workspace
        return workspace is not None and workspace.diagnostics is not None and bool(workspace.diagnostics.refresh_support)

    async def ask(self, method: str, *arguments: Any, **named: Any) -> Any:
        """Return what a method of the project returns in the process of its own. Raises InputError and ConnectionError."""
        texts, folders = dict(self.project.texts), tuple(self.folders)
        request = Request(method, arguments, named, self.project.asked, texts, self.is_fresh, folders)
        self.is_fresh = False
        return await self.judge.ask(request)

    def all_findings(self, path: str) -> list[Finding]:
        """Return what is known of a file as it is now: of the rules that run at once, and what simulations found before."""
        source = self.source_of(path)
        if path in self.project.texts and self.checked.get(path) != source and len(source) <= LARGE:
            self.check_now(path)
        findings = list(self.findings.get(path, ()))
        text, slow = self.slow.get(path, (b"", ()))
        findings += slow if text == source else carried(slow, text, source)
        return sorted(findings, key=lambda finding: (finding.start, finding.code))

    def publish(self, paths: Iterable[str]) -> None:
        """Send the findings in files, and take back those in files that nothing belongs to any more."""
        for path in paths:
            if path in self.project.texts or self.findings.get(path) or path in self.published:
                self.published.add(path)
                self.text_document_publish_diagnostics(
                    lsp.PublishDiagnosticsParams(self.uri_of(path), self.diagnostics(path), self.versions.get(path))
                )

    def withdraw(self, path: str) -> None:
        """Forget what was found in a file that was closed, and in those on disk if nothing is open any more."""
        gone = {path} if self.project.texts else set(self.published)
        for each in gone:
            for known in (self.findings, self.slow, self.checked, self.stability):
                known.pop(each, None)
            if each in self.published and not self.pulls:
                self.published.discard(each)
                self.text_document_publish_diagnostics(lsp.PublishDiagnosticsParams(self.uri_of(each), []))

    def diagnostics(self, path: str) -> list[lsp.Diagnostic]:
        """Return the findings in a file as diagnostics."""
        return [self.diagnostic(finding) for finding in self.all_findings(path)]

    def diagnostic(self, finding: Finding) -> lsp.Diagnostic:
        """Return a finding as a diagnostic."""
        return diagnostic(finding, self.positions_of, self.uri_of, lambda code: self.page_of(code, finding.place.path))

    def page_of(self, code: str, path: str) -> str | None:
        """Return the address of a rule's page: on the website that the settings name, else a copy in the user's folder."""
        try:
            docs = self.project.session().settings.of(path).docs_url
        except InputError:
            docs = None
        return f"{docs.rstrip('/')}/rules/{code}.html" if docs else local_page(code)

    async def predicted(self, path: str) -> Stability | None:
        """Return what is predicted of the training of a file, None if that takes too long or nothing can be told."""
        texts = dict(self.project.texts)
        known = self.stability.get(path)
        if known is None or known[0] != texts:
            try:
                found = await asyncio.wait_for(self.ask("stability", path), PATIENCE)
            except (InputError, ConnectionError, asyncio.TimeoutError):
                return None
            known = self.stability[path] = texts, found
        return known[1]

    # -- edits -------------------------------------------------------------------------------------------

    def is_verified(self, finding: Finding) -> bool:
        """Whether the fix of a finding changes what it says and nothing else; one from the process of its own was tried there."""
        if finding.fix is None or _is_slow(finding):
            return finding.fix is not None
        try:
            return self.project.verified(finding.fix)
        except InputError:
            return False

    def with_all_parts(self, finding: Finding) -> list[Finding]:
        """Return a finding with those whose fixes are made only together with its own; none if one is not known or not verified."""
        fix = finding.fix
        if fix is None:
            return []
        found = [finding]
        if fix.repair:
            known = (other for path in list(self.findings) for other in self.all_findings(path))
            found = [other for other in known if other.fix is not None and other.fix.repair == fix.repair]
            if partial_repairs([other.fix for other in found if other.fix is not None]):
                return []
        return found if all(map(self.is_verified, found)) else []

    def edit_of(self, path: str, edits: list[lsp.TextEdit]) -> lsp.WorkspaceEdit:
        """Return edits of one file, for the version that the client has."""
        return self.edits_of({path: edits})

    def edits_of(self, edits: Mapping[str, list[lsp.TextEdit]]) -> lsp.WorkspaceEdit:
        """Return edits of files by path, for the versions that the client has, if it understands these."""
        workspace = self.client_capabilities.workspace
        if workspace is not None and workspace.workspace_edit is not None and workspace.workspace_edit.document_changes:
            return lsp.WorkspaceEdit(
                document_changes=[
                    lsp.TextDocumentEdit(
                        lsp.OptionalVersionedTextDocumentIdentifier(self.uri_of(path), self.versions.get(path)), list(listed)
                    )
                    for path, listed in edits.items()
                ]
            )
        return lsp.WorkspaceEdit(changes={self.uri_of(path): listed for path, listed in edits.items()})

    async def fixed(self, uri: str, *, unsafe: bool = False, select: tuple[str, ...] = ()) -> lsp.WorkspaceEdit | None:
        """Return the edit that fixes a file, None if there is nothing to fix or it has changed meanwhile."""
        path = self.path_of(uri)
        before = self.source_of(path)
        try:
            new = await self.ask("fixed", path, unsafe=unsafe, select=select)
        except InputError as error:
            self.tell(error)
            return None
        if new is None or self.source_of(path) != before:
            return None
        return self.edit_of(path, actions.replacement(before, new, self.positions_of(path)))

    def location(self, name: Occurrence) -> lsp.Location:
        """Return where a name is written, without its quotes."""
        source = self.source_of(name.path)
        start, end = _inside(source, name)
        return lsp.Location(self.uri_of(name.path), self.positions_of(name.path).range(start, end))


def _inside(source: bytes, name: Occurrence) -> tuple[int, int]:
    """Return the span of a name without its quotes, if it is a single string."""
    text = source[name.start : name.end]
    if len(text) >= 2 and text[:1] in b"\"'" and text[-1:] == text[:1] and text.count(text[:1]) == 2:
        return name.start + 1, name.end - 1
    return name.start, name.end


_PAGES: dict[str, str | None] = {}


def local_page(code: str) -> str | None:
    """Return the address of a rule's page in the user's cache folder, where it is written first; None if there is no place."""
    if code not in _PAGES:
        _PAGES[code] = None
        folder = Keeping().folder()
        rule = all_rules().get(code)
        if folder is not None and rule is not None:
            target = os.path.join(folder, "rules", version("caffe-lint"), f"{code}.md")
            try:
                os.makedirs(os.path.dirname(target), exist_ok=True)
                text = markdown(rule, Printed(missing=f"run `caffe-lint explain {code}` to see what is printed for it"))
                write_whole(target, text.encode(), write_roots([target]))
                _PAGES[code] = uris.from_fs_path(target)
            except OSError:
                _log.warning("the page of %s could not be written", code)
    return _PAGES[code]


# Fields of CommandLine that are written to, or that have values of other types.
_NOT_FROM_CLIENTS = ("write_baseline", "output_dir", "gpus", "input_shape", "select", "ignore")


def asked_by(options: Any) -> CommandLine:
    """Return the settings that a client gives when it starts the server, by the names of the command line's options."""
    given = options if isinstance(options, Mapping) else {}
    values: dict[str, Any] = {}
    for name in CommandLine._fields:
        value = given.get(name, given.get(name.replace("_", "-")))
        if isinstance(value, (str, bool)) and value and name not in _NOT_FROM_CLIENTS:
            values[name] = value
        elif isinstance(value, list) and name in ("select", "extend_select", "ignore"):
            values[name] = tuple(map(str, value))
    return CommandLine(**values)


def create() -> Server:
    """Return a server that answers everything.

    A check leaves nothing that has to be collected. What other requests leave is collected in the moments of quiet, since to look
    through all that is kept takes as long as a check; in between, only once it is much.
    """
    gc.set_threshold(MOST_GARBAGE)
    server = Server()
    feature: Callable[..., Callable[[Callable[..., Any]], Any]] = server.feature

    # -- life ------------------------------------------------------------------------------------------

    @feature(lsp.INITIALIZE)
    def initialize(params: lsp.InitializeParams) -> None:
        folders = [folder.uri for folder in params.workspace_folders or ()] or [params.root_uri or ""]
        server.folders = [path for uri in folders if uri and (path := uris.to_fs_path(uri)) and os.path.isdir(path)]
        if server.folders:
            os.chdir(server.folders[0])  # paths in solvers begin where Caffe is started: in the project's folder
        use_working_folders(server.folders)
        options = params.initialization_options
        server.project.asked = asked_by(options)
        server.offers_formatting = isinstance(options, Mapping) and bool(options.get("formatting"))
        if server.offers_formatting:
            feature(lsp.TEXT_DOCUMENT_FORMATTING)(formatting)
        all_rules()
        gc.freeze()  # what is there from the start stays

    @feature(lsp.INITIALIZED)
    def initialized(_: lsp.InitializedParams) -> None:
        workspace = server.client_capabilities.workspace
        watching = workspace.did_change_watched_files if workspace is not None else None
        if watching is not None and watching.dynamic_registration:
            patterns = ("**/*.{prototxt,pbtxt,txtpb,pt}", "**/{caffe-lint.toml,pyproject.toml,caffe-lint.data.json}")
            watched = lsp.DidChangeWatchedFilesRegistrationOptions([lsp.FileSystemWatcher(pattern) for pattern in patterns])
            method = lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES
            server.client_register_capability(lsp.RegistrationParams([lsp.Registration("files", method, watched)]))

    @feature(lsp.SHUTDOWN)
    def shutdown(_: None) -> None:
        server.judge.stop()

    @feature(lsp.WORKSPACE_DID_CHANGE_WORKSPACE_FOLDERS)
    def did_change_workspace_folders(params: lsp.DidChangeWorkspaceFoldersParams) -> None:
        added, removed = (
            [path for folder in folders if (path := uris.to_fs_path(folder.uri)) and os.path.isdir(path)]
            for folders in (params.event.added, params.event.removed)
        )
        server.folders = [*(folder for folder in server.folders if folder not in removed), *added]
        use_working_folders(server.folders)
        forget()

    @feature(lsp.WORKSPACE_DID_CHANGE_CONFIGURATION)
    def did_change_configuration(params: lsp.DidChangeConfigurationParams) -> None:
        settings = params.settings.get(NAME, params.settings) if isinstance(params.settings, Mapping) else {}
        server.project.asked = asked_by(settings)
        forget()

    @feature(lsp.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def did_change_watched_files(_: lsp.DidChangeWatchedFilesParams) -> None:
        forget()

    def forget() -> None:
        server.project.forget()
        server.is_fresh = True
        server.said.clear()
        for path in server.project.texts:
            server.touch(path)

    # -- texts -----------------------------------------------------------------------------------------

    @feature(lsp.TEXT_DOCUMENT_DID_OPEN)
    def did_open(params: lsp.DidOpenTextDocumentParams) -> None:
        document = params.text_document
        path = server.path_of(document.uri)
        server.uris[path] = document.uri
        server.versions[path] = document.version
        server.project.texts[path] = document.text.encode("utf-8", "surrogatepass")
        server.touch(path)

    @feature(lsp.TEXT_DOCUMENT_DID_CHANGE)
    def did_change(params: lsp.DidChangeTextDocumentParams) -> None:
        path = server.path_of(params.text_document.uri)
        server.versions[path] = params.text_document.version
        for change in params.content_changes:
            server.project.texts[path] = changed(server.project.texts.get(path, b""), change, server.encoding)
        server.touch(path)

    @feature(lsp.TEXT_DOCUMENT_DID_SAVE)
    def did_save(_: lsp.DidSaveTextDocumentParams) -> None:
        forget()

    @feature(lsp.TEXT_DOCUMENT_DID_CLOSE)
    def did_close(params: lsp.DidCloseTextDocumentParams) -> None:
        path = server.path_of(params.text_document.uri)
        server.project.texts.pop(path, None)
        server.versions.pop(path, None)
        server.withdraw(path)
        server.uris.pop(path, None)
        server.project.forget()
        server.is_fresh = True
        for other in server.project.texts:
            server.touch(other)

    # -- diagnostics -----------------------------------------------------------------------------------

    @feature(
        lsp.TEXT_DOCUMENT_DIAGNOSTIC,
        lsp.DiagnosticOptions(inter_file_dependencies=True, workspace_diagnostics=True, identifier=NAME),
    )
    def pull(params: lsp.DocumentDiagnosticParams) -> Any:
        path = server.path_of(params.text_document.uri)
        items = server.diagnostics(path)
        result = _digest(items)
        if result == params.previous_result_id:
            return lsp.RelatedUnchangedDocumentDiagnosticReport(result)
        return lsp.RelatedFullDocumentDiagnosticReport(items, result_id=result)

    @feature(lsp.WORKSPACE_DIAGNOSTIC)
    async def pull_all(params: lsp.WorkspaceDiagnosticParams) -> lsp.WorkspaceDiagnosticReport:
        folders = [shown(folder) for folder in server.folders]
        before = {each.uri: each.value for each in params.previous_result_ids}
        try:
            found: Found = await server.ask("check_folders", tuple(folders))
        except (InputError, ConnectionError):
            return lsp.WorkspaceDiagnosticReport([])
        reports: list[Any] = []
        for path, findings in sorted(found.findings.items()):
            uri = server.uri_of(path)
            items = [server.diagnostic(finding) for finding in findings]
            result = _digest(items)
            if before.get(uri) == result:
                reports.append(lsp.WorkspaceUnchangedDocumentDiagnosticReport(uri, result, server.versions.get(path)))
            else:
                reports.append(lsp.WorkspaceFullDocumentDiagnosticReport(uri, items, server.versions.get(path), result_id=result))
        return lsp.WorkspaceDiagnosticReport(reports)

    # -- actions ---------------------------------------------------------------------------------------

    kinds = [lsp.CodeActionKind.QuickFix, actions.FIX_ALL_KIND, actions.UPGRADE_KIND]

    @feature(lsp.TEXT_DOCUMENT_CODE_ACTION, lsp.CodeActionOptions(code_action_kinds=kinds))
    async def code_action(params: lsp.CodeActionParams) -> list[lsp.CodeAction]:
        uri = params.text_document.uri
        path, file, only = server.path_of(uri), server.file(uri), params.context.only
        if file is None:
            return []
        found: list[lsp.CodeAction] = []
        findings = server.all_findings(path)
        positions = server.positions_of(path)
        start, end = positions.offset(params.range.start), positions.offset(params.range.end)
        if actions.wants(only, lsp.CodeActionKind.QuickFix.value):
            for finding in findings:
                first, last = positions.span_of(finding.place)
                if first <= end and start <= last:
                    found += actions.of_finding(
                        finding,
                        server.diagnostic(finding),
                        file,
                        with_all_parts=server.with_all_parts,
                        positions_of=server.positions_of,
                        edits_of=server.edits_of,
                    )
        of_file = actions.of_file(uri, file, findings, verified=server.is_verified)
        whole = [each for each in of_file if actions.wants(only, str(each.kind))]
        if only and any(each.kind == actions.FIX_ALL_KIND for each in whole):  # on saving: the edit itself is wanted
            edit = await server.fixed(uri)
            kept = [each for each in whole if each.kind != actions.FIX_ALL_KIND]
            title = actions.COMMANDS[actions.FIX_ALL]
            whole = [*([lsp.CodeAction(title, kind=actions.FIX_ALL_KIND, edit=edit)] if edit is not None else []), *kept]
        return [*found, *whole]

    for command, keywords in (
        (actions.FIX_ALL, {}),
        (actions.FIX_ALL_UNSAFE, {"unsafe": True}),
        (actions.UPGRADE, {"select": UPGRADES}),
    ):
        server.command(command)(_command(server, command, keywords))

    # -- words -----------------------------------------------------------------------------------------

    @feature(lsp.TEXT_DOCUMENT_HOVER)
    async def show_hover(params: lsp.HoverParams) -> lsp.Hover | None:
        uri = params.text_document.uri
        path, file = server.path_of(uri), server.file(uri)
        if file is None or file.kind not in ("solver", "net"):
            return None
        positions = server.positions_of(path)
        offset = positions.offset(params.position)
        pointed = hover.pointed_at(file, offset)
        said: list[str] = []
        place: tuple[int, int] | None = None
        name = occurrence_at(file, offset)
        layer = hover.layer_start(file, offset)
        if name is not None and layer is None:
            view = server.view(path)
            said.append(hover.of_name(name, view.nets, same(name, view.files)))
            place = name.start, name.end
        elif layer is not None:
            view = server.view(path)
            predicted = await server.predicted(path) if view.jobs and layers_at(view.of(path), layer) else None
            said.append(hover.of_layer(view.nets, layer, file, predicted))
        if pointed is not None and (pointed.is_name or not any(said)):
            said = [hover.of_field(pointed, file.schema), hover.of_rate(pointed, file), *said]
        if pointed is not None and place is None:
            value = pointed.value
            spans = value is not None and not pointed.is_name
            place = (value.start, value.end) if spans and value is not None else (pointed.field.start, pointed.field.name_end)
        here = [each for each in server.all_findings(path) if _covers(positions.span_of(each.place), offset)]
        said.append(hover.of_findings(here))
        text = "\n\n---\n\n".join(filter(None, said))
        if not text:
            return None
        span = positions.range(*place) if place is not None else None
        return lsp.Hover(lsp.MarkupContent(lsp.MarkupKind.Markdown, text), span)

    @feature(lsp.TEXT_DOCUMENT_COMPLETION, lsp.CompletionOptions(trigger_characters=['"', "'", "/", ":"]))
    def complete(params: lsp.CompletionParams) -> lsp.CompletionList:
        uri = params.text_document.uri
        path, file = server.path_of(uri), server.file(uri)
        if file is None:
            return lsp.CompletionList(False, [])
        positions = server.positions_of(path)
        text_document = server.client_capabilities.text_document
        completion = text_document.completion if text_document is not None else None
        item = completion.completion_item if completion is not None else None
        folders = dict.fromkeys([working_folder(path), os.path.dirname(os.path.abspath(path))])
        view = server.view(path)
        folders.update((job.run_folder, None) for job in view.jobs if job.run_folder)
        completer = Completer(file, positions, view.files, folders, snippets=bool(item is not None and item.snippet_support))
        return lsp.CompletionList(False, completer.at(positions.offset(params.position)))

    # -- names -----------------------------------------------------------------------------------------

    def named(params: Any) -> tuple[Occurrence, View] | None:
        file = server.file(params.text_document.uri)
        if file is None:
            return None
        path = server.path_of(params.text_document.uri)
        name = occurrence_at(file, server.positions_of(path).offset(params.position))
        return (name, server.view(path)) if name is not None else None

    def files_of(name: Occurrence, view: View) -> list[SourceFile]:
        return view.files or [server.project.file(name.path)]

    @feature(lsp.TEXT_DOCUMENT_DEFINITION)
    def definition(params: lsp.DefinitionParams) -> list[lsp.Location]:
        found = named(params)
        if found is not None:
            return [server.location(each) for each in definitions(found[0], found[1].nets, files_of(*found))]
        return list(_files_at(server, params))

    @feature(lsp.TEXT_DOCUMENT_REFERENCES)
    def references(params: lsp.ReferenceParams) -> list[lsp.Location]:
        found = named(params)
        if found is None:
            return []
        everywhere = same(found[0], files_of(*found))
        if not params.context.include_declaration:
            everywhere = [each for each in everywhere if not each.defines or each.kind == PARAM]
        return [server.location(each) for each in everywhere]

    @feature(lsp.TEXT_DOCUMENT_DOCUMENT_HIGHLIGHT)
    def highlight(params: lsp.DocumentHighlightParams) -> list[lsp.DocumentHighlight]:
        found = named(params)
        if found is None:
            return []
        write, read = lsp.DocumentHighlightKind.Write, lsp.DocumentHighlightKind.Read
        own = same(found[0], [server.project.file(found[0].path)])
        return [lsp.DocumentHighlight(server.location(each).range, write if each.defines else read) for each in own]

    @feature(lsp.TEXT_DOCUMENT_PREPARE_RENAME)
    def prepare_rename(params: lsp.PrepareRenameParams) -> lsp.PrepareRenamePlaceholder | None:
        found = named(params)
        return lsp.PrepareRenamePlaceholder(server.location(found[0]).range, found[0].name) if found is not None else None

    @feature(lsp.TEXT_DOCUMENT_RENAME, lsp.RenameOptions(prepare_provider=True))
    def rename(params: lsp.RenameParams) -> lsp.WorkspaceEdit | None:
        found = named(params)
        if found is None:
            return None
        name, view = found
        files = files_of(name, view)
        if not params.new_name:
            raise ValueError(f"a {name.kind} needs a name")
        if params.new_name != name.name and same(name._replace(name=params.new_name), files):
            raise ValueError(f"there is a {name.kind} '{params.new_name}' already")
        edits: dict[str, list[lsp.TextEdit]] = {}
        for each in same(name, files):
            quote = server.source_of(each.path)[each.start : each.start + 1].decode("utf-8", "replace")
            text = string_text(params.new_name, quote if quote in "\"'" else '"')
            span = server.positions_of(each.path).range(each.start, each.end)
            edits.setdefault(each.path, []).append(lsp.TextEdit(span, text))
        return server.edits_of(edits)

    # -- the file as a whole ---------------------------------------------------------------------------

    @feature(lsp.TEXT_DOCUMENT_DOCUMENT_SYMBOL)
    def document_symbol(params: lsp.DocumentSymbolParams) -> list[lsp.DocumentSymbol]:
        file = server.file(params.text_document.uri)
        return symbols(file, server.view(file.path).of(file.path), server.positions_of(file.path)) if file is not None else []

    @feature(lsp.TEXT_DOCUMENT_FOLDING_RANGE)
    def folding_range(params: lsp.FoldingRangeParams) -> list[lsp.FoldingRange]:
        file = server.file(params.text_document.uri)
        return folds(file, server.positions_of(file.path)) if file is not None else []

    @feature(lsp.TEXT_DOCUMENT_INLAY_HINT)
    def inlay_hint(params: lsp.InlayHintParams) -> list[lsp.InlayHint]:
        file = server.file(params.text_document.uri)
        if file is None:
            return []
        return hints(server.view(file.path).of(file.path), server.positions_of(file.path), params.range)

    @feature(lsp.TEXT_DOCUMENT_SEMANTIC_TOKENS_FULL, LEGEND)
    def tokens_full(params: lsp.SemanticTokensParams) -> lsp.SemanticTokens:
        file = server.file(params.text_document.uri)
        return lsp.SemanticTokens(tokens(file, server.positions_of(file.path)) if file is not None else [])

    @feature(lsp.TEXT_DOCUMENT_SEMANTIC_TOKENS_RANGE, LEGEND)
    def tokens_range(params: lsp.SemanticTokensRangeParams) -> lsp.SemanticTokens:
        file = server.file(params.text_document.uri)
        if file is None:
            return lsp.SemanticTokens([])
        positions = server.positions_of(file.path)
        first, last = positions.offset(params.range.start), positions.offset(params.range.end)
        return lsp.SemanticTokens(tokens(file, positions, first, last))

    def formatting(params: lsp.DocumentFormattingParams) -> list[lsp.TextEdit]:
        file = server.file(params.text_document.uri)
        return indented(file, server.positions_of(file.path), params.options) if file is not None else []

    return server


def _command(server: Server, name: str, keywords: dict[str, Any]) -> Callable[..., Any]:
    async def run(uri: str) -> None:
        edit = await server.fixed(uri, **keywords)
        if edit is not None:
            await server.workspace_apply_edit_async(lsp.ApplyWorkspaceEditParams(edit, label=actions.COMMANDS[name]))

    return run


def _files_at(server: Server, params: lsp.DefinitionParams) -> Iterable[lsp.Location]:
    """Yield the file that a path at a position means: a net of a solver, or another file that is there."""
    file = server.file(params.text_document.uri)
    if file is None:
        return
    offset = server.positions_of(file.path).offset(params.position)
    pointed = hover.pointed_at(file, offset)
    if pointed is None or pointed.value is None:
        return
    for job in server.view(file.path).jobs:
        for reference in job.references if job.solver.file.path == file.path else ():
            start, end = file.message.span(reference.field, reference.number)
            if reference.path is not None and start <= offset <= end:
                yield lsp.Location(server.uri_of(reference.path), lsp.Range(lsp.Position(0, 0), lsp.Position(0, 0)))
                return
    written = pointed.value.text.decode("utf-8", "replace").strip("\"'")
    for folder in (working_folder(file.path), os.path.dirname(os.path.abspath(file.path))):
        target = os.path.join(folder, written)
        if written and os.path.isfile(target):
            yield lsp.Location(server.uri_of(shown(target)), lsp.Range(lsp.Position(0, 0), lsp.Position(0, 0)))
            return


def _is_slow(finding: Finding) -> bool:
    """Whether a finding comes from the process of its own."""
    return finding.code.startswith(ON_STABILITY)


def _covers(span: tuple[int, int], offset: int) -> bool:
    return span[0] <= offset <= span[1]


def _digest(items: list[lsp.Diagnostic]) -> str:
    """Return what tells whether diagnostics are the same as before."""
    return str(hash(tuple((str(item.range), item.code, item.message, item.severity) for item in items)))
