"""The language server, talked to as an editor does: over standard input and output, by a client of its own."""

from __future__ import annotations

import ast
import asyncio
import random
import sys
from collections.abc import AsyncIterator, Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
import pytest_lsp
from harness import NET, SOLVER
from lsprotocol import types as lsp
from lsprotocol.converters import get_converter
from pytest_lsp import ClientServerConfig, LanguageClient

from caffe_lint import api
from caffe_lint.layers.skeletons import plain_text
from caffe_lint.server.judge import Judge, Request
from caffe_lint.server.positions import Positions, as_bytes
from caffe_lint.settings.in_force import CommandLine

pytestmark = pytest.mark.asyncio(loop_scope="module")

CORPUS = Path(__file__).resolve().parent.parent.parent / "shared" / "corpus" / "files"
COMMAND = [sys.executable, "-m", "caffe_lint", "server"]
SNIPPETS = lsp.CompletionClientCapabilities(completion_item=lsp.ClientCompletionItemOptions(snippet_support=True, documentation_format=[lsp.MarkupKind.Markdown]))
PUSHED = lsp.ClientCapabilities(text_document=lsp.TextDocumentClientCapabilities(completion=SNIPPETS))
PULLED = lsp.ClientCapabilities(
    text_document=lsp.TextDocumentClientCapabilities(diagnostic=lsp.DiagnosticClientCapabilities()),
    workspace=lsp.WorkspaceClientCapabilities(workspace_edit=lsp.WorkspaceEditClientCapabilities(document_changes=True)),
    general=lsp.GeneralClientCapabilities(position_encodings=[lsp.PositionEncodingKind.Utf8]),
)
TRAIN_TEST = """\
name: "two"
# a comment
# of two lines
layer {
  name: "data"
  type: "DummyData"
  top: "data"
  top: "label"
  include { phase: TRAIN }
  dummy_data_param {
    shape { dim: 8 dim: 3 dim: 16 dim: 16 }
    shape { dim: 8 }
    data_filler { type: "gaussian" std: 1 }
  }
}
layer {
  name: "data"
  type: "DummyData"
  top: "data"
  top: "label"
  include { phase: TEST stage: "quick" }
  dummy_data_param {
    shape { dim: 2 dim: 3 dim: 16 dim: 16 }
    shape { dim: 2 }
    data_filler { type: "gaussian" std: 1 }
  }
}
layer {
  name: "conv"
  type: "Convolution"
  bottom: "data"
  top: "conv"
  param { name: "shared_w" }
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } }
}
layer {
  name: "relu"
  type: "ReLU"
  bottom: "conv"
  top: "conv"
}
layer {
  name: "twin"
  type: "Convolution"
  bottom: "data"
  top: "twin"
  param { name: "shared_w" }
  convolution_param { num_output: 4 kernel_size: 3 weight_filler { type: "xavier" } }
}
layer {
  name: "sum"
  type: "Eltwise"
  bottom: "conv"
  bottom: "twin"
  top: "sum"
}
layer {
  name: "score"
  type: "InnerProduct"
  bottom: "sum"
  top: "score"
  inner_product_param { num_output: 10 weight_filler { type: "xavier" } }
}
layer {
  name: "loss"
  type: "SoftmaxWithLoss"
  bottom: "score"
  bottom: "label"
  top: "loss"
}
"""
DEPLOY = """\
input: "data"
input_shape { dim: 1 dim: 3 dim: 16 dim: 16 }
layer { name: "conv" type: "Convolution" bottom: "data" top: "conv" convolution_param { num_output: 4 kernel_size: 3 } }
"""
STAGED = SOLVER.replace("net.prototxt", "train_val.prototxt") + 'test_iter: 1\ntest_interval: 10\ntest_state { stage: "quick" }\n'


class Editor:
    """A client with documents, as a person sees them."""

    def __init__(self, client: LanguageClient, folder: Path) -> None:
        self.client = client
        self.folder = folder
        self.texts: dict[str, str] = {}
        self.versions: dict[str, int] = {}

    def uri(self, name: str) -> str:
        return (self.folder / name).as_uri()

    def id(self, name: str) -> lsp.TextDocumentIdentifier:
        return lsp.TextDocumentIdentifier(self.uri(name))

    def open(self, name: str, text: str) -> None:
        self.texts[name] = text
        self.versions[name] = 0
        self.client.diagnostics.pop(self.uri(name), None)
        self.client.text_document_did_open(
            lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem(self.uri(name), "prototxt", 0, text))
        )

    def edit(self, name: str, start: int, end: int, new: str) -> None:
        """Replaces characters by others, as one change of a range."""
        old = self.texts[name]
        self.versions[name] += 1
        change = lsp.TextDocumentContentChangePartial(lsp.Range(position(old, start), position(old, end)), new)
        self.client.text_document_did_change(
            lsp.DidChangeTextDocumentParams(
                lsp.VersionedTextDocumentIdentifier(self.versions[name], self.uri(name)), [change]
            )
        )
        self.texts[name] = old[:start] + new + old[end:]

    def replace(self, name: str, old: str, new: str) -> None:
        start = self.texts[name].index(old)
        self.edit(name, start, start + len(old), new)

    def close(self) -> None:
        for name in self.texts:
            self.client.text_document_did_close(lsp.DidCloseTextDocumentParams(self.id(name)))
        self.texts.clear()

    def at(self, name: str, before: str, *, occurrence: int = 1, inside: int = 1) -> lsp.Position:
        """The position some characters into a piece of a text."""
        start = -1
        for _ in range(occurrence):
            start = self.texts[name].index(before, start + 1)
        return position(self.texts[name], start + inside)

    async def codes(self, name: str, wanted: Callable[[list[str]], bool]) -> list[lsp.Diagnostic]:
        """The diagnostics of a document, as soon as their codes are as wanted."""
        for _ in range(600):
            found = self.client.diagnostics.get(self.uri(name))
            if found is not None and wanted([str(each.code) for each in found]):
                return list(found)
            await asyncio.sleep(0.05)
        said = [(each.code, each.message) for each in self.client.diagnostics.get(self.uri(name)) or ()]
        raise AssertionError(f"the diagnostics of {name} stayed {said}")

    async def actions(self, name: str, start: lsp.Position, only: list[str] | None = None) -> list[dict[str, Any]]:
        """The code actions at a position."""
        kinds = list(map(lsp.CodeActionKind, only)) if only is not None else None
        params = lsp.CodeActionParams(self.id(name), lsp.Range(start, start), lsp.CodeActionContext([], only=kinds))
        return list(map(_as_dict, await self.client.text_document_code_action_async(params) or []))


def _as_dict(action: lsp.Command | lsp.CodeAction) -> dict[str, Any]:
    """An action as it is sent. The client takes one with a command for a command, whose name is then the text of the inner one."""
    if isinstance(action, lsp.Command):
        return {"title": action.title, "command": ast.literal_eval(action.command)}
    return get_converter().unstructure(action)  # type: ignore[no-any-return]


def position(text: str, offset: int) -> lsp.Position:
    """The position of a character in UTF-16, counted another way than the server does."""
    before = text[:offset].replace("\r\n", "\n").replace("\r", "\n")
    line = before.count("\n")
    return lsp.Position(line, len(before.rpartition("\n")[2].encode("utf-16-le", "surrogatepass")) // 2)


def applied(text: str, edits: Iterable[Any]) -> str:
    """A text after edits of an answer."""
    source = as_bytes(text)
    places = Positions(source)
    pieces = []
    for edit in edits:
        where = edit["range"] if isinstance(edit, dict) else edit.range
        new = edit["newText"] if isinstance(edit, dict) else edit.new_text
        if isinstance(where, dict):
            where = lsp.Range(lsp.Position(**where["start"]), lsp.Position(**where["end"]))
        pieces.append((places.offset(where.start), places.offset(where.end), as_bytes(new)))
    for start, end, new in sorted(pieces, reverse=True):
        source = source[:start] + new + source[end:]
    return source.decode("utf-8", "surrogatepass")


@pytest_lsp.fixture(scope="module", config=ClientServerConfig(server_command=COMMAND))
async def pushed(lsp_client: LanguageClient, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[None]:
    """A client that is sent diagnostics; the server's formatting is switched on."""
    folder = tmp_path_factory.mktemp("pushed")
    for name, text in (("solver.prototxt", SOLVER), ("net.prototxt", NET), ("train_val.prototxt", TRAIN_TEST)):
        (folder / name).write_text(text)
    (folder / "staged_solver.prototxt").write_text(STAGED)
    (folder / "deploy.prototxt").write_text(DEPLOY)
    (folder / "train_lmdb").mkdir()
    lsp_client.folder = folder  # type: ignore[attr-defined]
    await lsp_client.initialize_session(
        lsp.InitializeParams(capabilities=PUSHED, root_uri=folder.as_uri(), initialization_options={"formatting": True})
    )
    yield
    await lsp_client.shutdown_session()


@pytest_lsp.fixture(scope="module", config=ClientServerConfig(server_command=COMMAND))
async def pulled(lsp_client: LanguageClient, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[None]:
    """A client that asks for diagnostics, counts characters in bytes, and wants edits for versions."""
    folder = tmp_path_factory.mktemp("pulled")
    for name, text in (("solver.prototxt", SOLVER.replace("fixed", "fixd")), ("net.prototxt", NET)):
        (folder / name).write_text(text)
    lsp_client.folder = folder  # type: ignore[attr-defined]
    await lsp_client.initialize_session(lsp.InitializeParams(capabilities=PULLED, root_uri=folder.as_uri()))
    yield
    await lsp_client.shutdown_session()


@pytest.fixture
def editor(pushed: LanguageClient) -> Iterable[Editor]:
    """An editor without open documents."""
    found = Editor(pushed, pushed.folder)  # type: ignore[attr-defined]
    yield found
    found.close()


# -- diagnostics -----------------------------------------------------------------------------------


async def test_a_mistake_is_reported_while_it_is_typed_and_gone_when_it_is_mended(editor: Editor) -> None:
    editor.open("net.prototxt", NET)
    await editor.codes("net.prototxt", lambda codes: codes == [])
    editor.replace("net.prototxt", 'bottom: "data"', 'bottom: "dat"')
    (found,) = await editor.codes("net.prototxt", lambda codes: codes == ["E201"])
    assert found.severity == lsp.DiagnosticSeverity.Error
    assert found.source == "caffe-lint"
    assert "did you mean 'data'?" in found.message
    assert (found.range.start, found.range.end) == (editor.at("net.prototxt", '"dat"', inside=0), editor.at("net.prototxt", '"dat"', inside=5))
    assert found.code_description is not None
    assert found.code_description.href.endswith("E201.md")
    assert found.data == {"rule": "unknown-blob", "severity": "error", "confidence": "high"} or found.data["confidence"] == "high"  # type: ignore[index]
    editor.replace("net.prototxt", 'bottom: "dat"', 'bottom: "data"')
    await editor.codes("net.prototxt", lambda codes: codes == [])


async def test_a_rules_page_is_where_its_link_leads(editor: Editor) -> None:
    editor.open("net.prototxt", NET.replace('bottom: "data"', 'bottom: "dat"'))
    (found,) = await editor.codes("net.prototxt", lambda codes: codes == ["E201"])
    assert found.code_description is not None
    from urllib.parse import unquote, urlparse

    page = Path(unquote(urlparse(found.code_description.href).path)).read_text(encoding="utf-8")
    assert page.startswith("# E201 ")
    assert "## Why is this bad?" in page


async def test_solver_and_net_are_checked_together_with_unsaved_texts(editor: Editor) -> None:
    editor.open("solver.prototxt", SOLVER)
    editor.open("net.prototxt", NET)
    await editor.codes("solver.prototxt", lambda codes: codes == [])
    editor.replace("net.prototxt", 'type: "SoftmaxWithLoss"', 'type: "Softmax"')  # nothing learns: said of the solver's job
    editor.replace("net.prototxt", '  bottom: "label"\n', "")
    texts = dict(editor.texts)
    expected = {finding.code for finding in check(texts, "solver.prototxt").findings}
    assert expected
    await editor.codes("net.prototxt", lambda codes: bool(codes) and set(codes) <= expected)
    editor.replace("solver.prototxt", "base_lr: 0.01", "base_lr: -1")
    await editor.codes("solver.prototxt", lambda codes: any(code.startswith("S") for code in codes))


async def test_findings_on_stability_follow(editor: Editor) -> None:
    editor.open("solver.prototxt", SOLVER.replace("clip_gradients: 10\n", ""))
    (found,) = await editor.codes("solver.prototxt", lambda codes: "G101" in codes)
    assert found.severity == lsp.DiagnosticSeverity.Information
    editor.edit("solver.prototxt", 0, 0, "# one more line\n")  # the finding moves with its line, before it is computed again
    await editor.codes("solver.prototxt", lambda codes: "G101" in codes)


async def test_related_places_are_sent(editor: Editor) -> None:
    editor.open("net.prototxt", NET.replace('name: "score"', 'name: "data"'))
    expected = [one for one in api.check_text(editor.texts["net.prototxt"], "net.prototxt").findings if one.related]
    assert expected
    found = await editor.codes("net.prototxt", lambda codes: expected[0].code in codes)
    (one,) = [each for each in found if each.code == expected[0].code][:1]
    assert one.related_information
    assert one.related_information[0].location.uri == editor.uri("net.prototxt")


async def test_positions_are_in_utf_16(editor: Editor) -> None:
    editor.open("net.prototxt", NET.replace('bottom: "data"', 'bottom: "d\U0001f600\u00e9ata" top: "\U0001f600" # \U0001f600'))
    found = await editor.codes("net.prototxt", lambda codes: "E201" in codes)
    (one,) = [each for each in found if each.code == "E201"]
    name = '"d\U0001f600\u00e9ata"'
    assert (one.range.start, one.range.end) == (editor.at("net.prototxt", name, inside=0), editor.at("net.prototxt", name, inside=len(name)))


async def test_closing_a_document_takes_its_diagnostics_back(editor: Editor) -> None:
    editor.open("other.prototxt", NET.replace('bottom: "data"', 'bottom: "dat"'))
    await editor.codes("other.prototxt", lambda codes: codes == ["E201"])
    editor.close()
    editor.texts["other.prototxt"] = ""
    await editor.codes("other.prototxt", lambda codes: codes == [])
    editor.texts.clear()


async def test_a_document_without_a_file_is_checked(editor: Editor) -> None:
    uri = "untitled:Untitled-1"
    text = NET.replace('bottom: "data"', 'bottom: "dat"')
    editor.client.text_document_did_open(lsp.DidOpenTextDocumentParams(lsp.TextDocumentItem(uri, "prototxt", 1, text)))
    for _ in range(400):
        if [each.code for each in editor.client.diagnostics.get(uri, ())] == ["E201"]:
            break
        await asyncio.sleep(0.05)
    assert [each.code for each in editor.client.diagnostics[uri]] == ["E201"]
    editor.client.text_document_did_close(lsp.DidCloseTextDocumentParams(lsp.TextDocumentIdentifier(uri)))


async def test_a_net_typed_key_by_key_ends_with_the_findings_of_the_whole(editor: Editor) -> None:
    name, text = "typed.prototxt", NET.replace('bottom: "data"', 'bottom: "dat"')
    editor.open(name, "")
    for number, character in enumerate(text):
        editor.edit(name, number, number, character)
        if number % 40 == 0:  # half a file is answered as well
            where = position(editor.texts[name], number)
            await editor.client.text_document_completion_async(lsp.CompletionParams(editor.id(name), where))
            await editor.client.text_document_document_symbol_async(lsp.DocumentSymbolParams(editor.id(name)))
            await editor.client.text_document_hover_async(lsp.HoverParams(editor.id(name), where))
            await editor.client.text_document_semantic_tokens_full_async(lsp.SemanticTokensParams(editor.id(name)))
    await editor.codes(name, lambda codes: codes == ["E201"])


async def test_any_buffer_is_survived(editor: Editor) -> None:
    chance = random.Random(7)
    name = "any.prototxt"
    editor.open(name, NET)
    pieces = ["{", "}", '"', "'", "#", "\n", "\r", "\r\n", "\u2028", "\x0c", "\x00", "\U0001f600", "\ud800", "layer {", "top: ", "[", "\u00e9" * 5, ":"]
    for number in range(120):
        text = editor.texts[name]
        start = chance.randrange(len(text) + 1)
        end = min(len(text), start + chance.choice((0, 0, 1, 5, 40)))
        while 0 < start < len(text) and text[start - 1 : start + 1] == "\r\n":
            start -= 1
        while end < len(text) and end > 0 and text[end - 1 : end + 1] == "\r\n":
            end += 1
        editor.edit(name, start, end, chance.choice(pieces))
        if number % 15 == 0:
            where = position(editor.texts[name], chance.randrange(len(editor.texts[name])))
            for params in (lsp.CompletionParams(editor.id(name), where), lsp.HoverParams(editor.id(name), where)):
                call = editor.client.text_document_completion_async if isinstance(params, lsp.CompletionParams) else editor.client.text_document_hover_async
                await call(params)  # type: ignore[operator]
            await editor.client.text_document_folding_range_async(lsp.FoldingRangeParams(editor.id(name)))
    editor.edit(name, 0, len(editor.texts[name]), NET.replace('bottom: "data"', 'bottom: "dat"'))
    await editor.codes(name, lambda codes: codes == ["E201"])


async def test_findings_go_when_a_text_becomes_binary_and_come_back(editor: Editor) -> None:
    editor.open("net.prototxt", NET.replace('bottom: "data"', 'bottom: "dat"'))
    await editor.codes("net.prototxt", lambda codes: codes == ["E201"])
    editor.edit("net.prototxt", 0, 0, "\x00" * 4)
    await editor.codes("net.prototxt", lambda codes: codes == [])
    assert any("binary" in said.message for said in editor.client.messages)
    editor.edit("net.prototxt", 0, 4, "")
    await editor.codes("net.prototxt", lambda codes: codes == ["E201"])


async def test_real_nets_typed_into_are_reported_as_a_check_reports_them(editor: Editor) -> None:
    paths = [path for path in sorted(CORPUS.glob("*/*.prototxt"))[::40] if 500 < path.stat().st_size < 12_000][:5] if CORPUS.is_dir() else []
    if not paths:
        pytest.skip("../shared/corpus is missing")
    for path in paths:
        text = path.read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")
        middle = text.index("\n", len(text) // 2)
        editor.open("real.prototxt", text)
        for number, character in enumerate("\nlayer { name: \"new\" "):
            editor.edit("real.prototxt", middle + number, middle + number, character)
        await editor.codes("real.prototxt", lambda codes: bool(codes))
        editor.replace("real.prototxt", '\nlayer { name: "new" ', "")
        expected = sorted(one.code for one in check({"real.prototxt": text}, "real.prototxt").findings if one.code[0] != "G")
        await editor.codes("real.prototxt", lambda codes: sorted(code for code in codes if code[0] != "G") == expected)  # noqa: B023
        editor.close()


def check(texts: dict[str, str], path: str) -> api.Report:
    """What a check says of texts."""
    return api.check([path], texts={name: as_bytes(text) for name, text in texts.items()})


async def test_a_new_configuration_applies_at_once(editor: Editor) -> None:
    editor.open("net.prototxt", NET.replace('bottom: "data"', 'bottom: "dat"'))
    await editor.codes("net.prototxt", lambda codes: codes == ["E201"])
    config = editor.folder / "caffe-lint.toml"
    for content, wanted in (('ignore = ["E201"]\n', []), ("", ["E201"])):
        config.write_text(content)
        change = lsp.FileEvent(config.as_uri(), lsp.FileChangeType.Changed)
        editor.client.workspace_did_change_watched_files(lsp.DidChangeWatchedFilesParams([change]))
        await editor.codes("net.prototxt", lambda codes: codes == wanted)  # noqa: B023
    config.unlink()
    for settings, wanted in (({"caffe-lint": {"ignore": ["E201"]}}, []), ({"caffe-lint": {}}, ["E201"])):
        editor.client.workspace_did_change_configuration(lsp.DidChangeConfigurationParams(settings))
        await editor.codes("net.prototxt", lambda codes: codes == wanted)  # noqa: B023


async def test_a_large_text_is_checked_by_the_process_of_its_own(editor: Editor) -> None:
    editor.open("large.prototxt", NET.replace('bottom: "data"', 'bottom: "dat"') + "# large\n" * 140_000)
    await editor.codes("large.prototxt", lambda codes: codes == ["E201"])
    where = lsp.Position(16, 12)
    assert await editor.client.text_document_hover_async(lsp.HoverParams(editor.id("large.prototxt"), where)) is None


async def test_work_that_is_not_wanted_any_more_is_ended(tmp_path: Path) -> None:
    (tmp_path / "net.prototxt").write_text(NET)
    path = str(tmp_path / "net.prototxt")
    request = Request("check", (path,), {"with_stability": True}, CommandLine(), {path: NET.encode()}, True)
    judge = Judge()
    asked = asyncio.ensure_future(judge.ask(request))
    while judge._process is None:
        await asyncio.sleep(0.01)
    judge.stop()
    with pytest.raises(ConnectionError):
        await asked
    found = await judge.ask(request)  # by another process
    assert found.findings == {path: ()}
    with pytest.raises(api.InputError):
        await judge.ask(request._replace(method="stability", arguments=("none.prototxt",), named={}, texts={}))
    judge.stop()


# -- code actions ----------------------------------------------------------------------------------


async def test_the_fix_of_a_finding_is_offered_and_mends_it(editor: Editor) -> None:
    editor.open("net.prototxt", NET.replace('bottom: "data"', 'bottom: "dat"'))
    await editor.codes("net.prototxt", lambda codes: codes == ["E201"])
    found = await editor.actions("net.prototxt", editor.at("net.prototxt", '"dat"'))
    fix, here, in_file, *whole = found
    assert fix["isPreferred"] is True
    assert fix["kind"] == "quickfix"
    assert fix["diagnostics"][0]["code"] == "E201"
    assert applied(editor.texts["net.prototxt"], fix["edit"]["changes"][editor.uri("net.prototxt")]) == NET
    assert [each["command"]["command"] for each in whole] == ["caffe-lint.fixAll"]
    for action, comment in ((here, "# caffe-lint: ignore[E201]"), (in_file, "# caffe-lint: file-ignore[E201]")):
        text = applied(editor.texts["net.prototxt"], action["edit"]["changes"][editor.uri("net.prototxt")])
        assert comment in text
        assert "E201" not in {one.code for one in api.check_text(text, "net.prototxt").findings}


async def test_a_fix_of_several_files_is_one_edit_of_all_of_them(editor: Editor) -> None:
    """Neither a fix on its own nor all fixes of one file change a net apart from the other."""
    norm = 'layer { name: "bn" type: "BatchNorm" bottom: "raw" top: "score" }\nlayer {\n  name: "loss"'
    biased = NET.replace('top: "score"', 'top: "raw"').replace('layer {\n  name: "loss"', norm)
    nets = {"train.prototxt": biased, "test.prototxt": biased}
    named = 'train_net: "train.prototxt"\ntest_net: "test.prototxt"\ntest_iter: 1\ntest_interval: 9'
    editor.open("solver.prototxt", SOLVER.replace('net: "net.prototxt"', named))
    for name, text in nets.items():
        editor.open(name, text)
    await editor.codes("train.prototxt", lambda codes: "N502" in codes)
    found = await editor.actions("train.prototxt", editor.at("train.prototxt", '"InnerProduct"'))
    (fix,) = [one for one in found if "in train.prototxt and test.prototxt" in one["title"]]
    changes = fix["edit"]["changes"]
    fixed = {name: applied(text, changes[editor.uri(name)]) for name, text in nets.items()}
    assert all("bias_term: false" in text for text in fixed.values())
    assert not [one for one in found if one.get("command", {}).get("command") == "caffe-lint.fixAllUnsafe"]


async def test_a_second_rule_joins_the_comment_for_the_file(editor: Editor) -> None:
    editor.open("net.prototxt", "# caffe-lint: file-ignore[E116]\n" + NET.replace('bottom: "data"', 'bottom: "dat"'))
    await editor.codes("net.prototxt", lambda codes: "E201" in codes)
    (in_file,) = [one for one in await editor.actions("net.prototxt", editor.at("net.prototxt", '"dat"')) if "in this file" in one["title"]]
    text = applied(editor.texts["net.prototxt"], in_file["edit"]["changes"][editor.uri("net.prototxt")])
    assert text.startswith("# caffe-lint: file-ignore[E116, E201]\n")


async def test_all_fixes_are_made_on_saving(editor: Editor) -> None:
    text = NET.replace('bottom: "data"', 'bottom: "dat"').replace("num_output", "num_ouput")
    editor.open("net.prototxt", text)
    await editor.codes("net.prototxt", lambda codes: len(codes) >= 1)
    (action,) = await editor.actions("net.prototxt", lsp.Position(0, 0), ["source.fixAll"])
    expected = api.apply_fixes(text, path="net.prototxt").text
    assert applied(text, action["edit"]["changes"][editor.uri("net.prototxt")]) == expected
    assert action["kind"] == "source.fixAll.caffe-lint"


async def test_the_server_upgrades_an_old_file(editor: Editor) -> None:
    old = 'layers { name: "a" type: RELU bottom: "x" top: "y" }\ninput: "x"\ninput_dim: 1 input_dim: 3 input_dim: 4 input_dim: 4\n'
    editor.open("old.prototxt", old)
    await editor.codes("old.prototxt", lambda codes: codes == [])
    found = await editor.actions("old.prototxt", lsp.Position(0, 0))
    assert "caffe-lint.upgrade" in [one["command"]["command"] for one in found if "command" in one]
    done: asyncio.Future[lsp.ApplyWorkspaceEditParams] = asyncio.get_running_loop().create_future()

    @editor.client.feature(lsp.WORKSPACE_APPLY_EDIT)
    def apply(params: lsp.ApplyWorkspaceEditParams) -> lsp.ApplyWorkspaceEditResult:
        done.set_result(params)
        return lsp.ApplyWorkspaceEditResult(True)

    await editor.client.workspace_execute_command_async(
        lsp.ExecuteCommandParams("caffe-lint.upgrade", [editor.uri("old.prototxt")])
    )
    params = await asyncio.wait_for(done, 60)
    assert params.edit.changes is not None
    text = applied(old, params.edit.changes[editor.uri("old.prototxt")])
    assert 'type: "ReLU"' in text
    assert 'type: "Input"' in text


# -- hover -----------------------------------------------------------------------------------------


async def said(editor: Editor, name: str, where: lsp.Position) -> str:
    found = await editor.client.text_document_hover_async(lsp.HoverParams(editor.id(name), where))
    assert found is not None
    assert isinstance(found.contents, lsp.MarkupContent)
    return found.contents.value


async def test_a_field_is_explained(editor: Editor) -> None:
    editor.open("train_val.prototxt", TRAIN_TEST)
    text = await said(editor, "train_val.prototxt", editor.at("train_val.prototxt", "kernel_size"))
    assert "repeated uint32 in ConvolutionParameter" in text
    assert "Side of the filter" in text
    editor.open("fork.prototxt", 'layer { name: "n" type: "Normalize" bottom: "a" top: "b" norm_param { across_spatial: false } }')
    text = await said(editor, "fork.prototxt", editor.at("fork.prototxt", "across_spatial"))
    assert "Default: `true`" in text
    assert "ssd (weiliu89/caffe" in text


async def test_a_layer_is_described_with_shapes_and_signal(editor: Editor) -> None:
    editor.open("train_val.prototxt", TRAIN_TEST)
    text = await said(editor, "train_val.prototxt", editor.at("train_val.prototxt", '"conv"'))
    assert "**conv**: Convolution layer" in text
    assert "TRAIN: data (8 x 3 x 16 x 16) → conv (8 x 4 x 14 x 14)" in text
    assert "TEST: data (2 x 3 x 16 x 16) → conv (2 x 4 x 14 x 14)" in text
    assert "Parameters: 112 (weight 4 x 3 x 3 x 3, bias 4)" in text
    assert "Multiply-adds: " in text
    assert "Iteration 0: mean |conv| is " in text
    assert "Iteration 0: the update of its weight is " in text


async def test_a_blob_is_described_by_who_makes_and_reads_it(editor: Editor) -> None:
    editor.open("train_val.prototxt", TRAIN_TEST)
    text = await said(editor, "train_val.prototxt", editor.at("train_val.prototxt", 'bottom: "conv"', inside=10))
    assert "**conv**: blob" in text
    assert "made by conv (Convolution), relu (ReLU)" in text
    assert "read by relu, sum" in text


async def test_a_learning_rate_is_shown_as_a_curve(editor: Editor) -> None:
    editor.open("solver.prototxt", SOLVER.replace('"fixed"', '"step"\ngamma: 0.1\nstepsize: 40'))
    text = await said(editor, "solver.prototxt", editor.at("solver.prototxt", "stepsize"))
    assert "Iterations between two steps of the policy step" in text
    assert "█" in text
    assert "policy 'step', 100 iterations" in text


async def test_a_finding_names_its_rule(editor: Editor) -> None:
    editor.open("net.prototxt", NET.replace('bottom: "data"', 'bottom: "dat"'))
    assert "caffe-lint explain E201" in await said(editor, "net.prototxt", editor.at("net.prototxt", '"dat"'))


# -- completion ------------------------------------------------------------------------------------


async def completed(editor: Editor, name: str, text: str) -> dict[str, lsp.CompletionItem]:
    """The items at the mark in a text, by their labels, in their order."""
    editor.open(name, text.replace("|", ""))
    where = position(text, text.index("|"))
    found = await editor.client.text_document_completion_async(lsp.CompletionParams(editor.id(name), where))
    assert isinstance(found, lsp.CompletionList)
    return {item.label: item for item in sorted(found.items, key=lambda item: item.sort_text or item.label)}


def inserted(text: str, item: lsp.CompletionItem) -> str:
    assert isinstance(item.text_edit, lsp.TextEdit)
    return applied(text.replace("|", ""), [item.text_edit])


async def test_fields_are_completed_by_schema_and_type(editor: Editor) -> None:
    text = 'layer {\n  name: "c"\n  type: "Convolution"\n  con|\n}\n'
    found = await completed(editor, "new.prototxt", text)
    assert next(iter(found)) == "convolution_param"
    assert "name" not in found
    assert "bottom" in found
    assert inserted(text, found["convolution_param"]) == text.replace("con|", "convolution_param { $0 }")
    assert "across_spatial" not in await completed(editor, "new2.prototxt", 'layer { type: "ReLU" relu_param { | } }')
    assert list(await completed(editor, "new3.prototxt", 'layer { type: "ReLU" relu_param { | } }')) == ["engine", "negative_slope"]
    solver = await completed(editor, "my_solver.prototxt", "base|")
    assert inserted("base|", solver["base_lr"]) == "base_lr: $0"


async def test_fields_of_a_fork_are_completed_in_its_files_only(editor: Editor) -> None:
    ssd = 'layer { name: "n" type: "Normalize" bottom: "a" top: "b" norm_param { | } }'
    assert "across_spatial" in await completed(editor, "fork.prototxt", ssd)
    assert "norm_param" not in await completed(editor, "bvlc.prototxt", 'layer { name: "n" type: "ReLU" | }')


async def test_values_are_completed(editor: Editor) -> None:
    assert list(await completed(editor, "a.prototxt", 'layer { type: "Pooling" pooling_param { pool: | } }')) == ["AVE", "MAX", "STOCHASTIC"]
    assert list(await completed(editor, "b.prototxt", 'layer { type: "Convolution" convolution_param { bias_term: t| } }')) == ["false", "true"]
    text = 'base_lr: 1\nmax_iter: 5\nlr_policy: "st|"\n'
    found = await completed(editor, "c.prototxt", text)
    assert "cosine" not in found
    assert inserted(text, found["step"]) == text.replace("st|", "step")


async def test_a_layer_type_brings_what_it_needs(editor: Editor) -> None:
    text = 'layer {\n  name: "c"\n  type: "Conv|"\n  bottom: "x"\n}\n'
    found = await completed(editor, "a.prototxt", text)
    new = plain_text(inserted(text, found["Convolution"]))
    assert new == text.replace('"Conv|"', '"Convolution"\n  convolution_param { num_output: 64 kernel_size: 3 }')
    assert "Normalize" not in found
    whole = "lay|\n"
    found = await completed(editor, "b.prototxt", whole)
    assert plain_text(inserted(whole, found["layer Pooling"])).startswith('layer {\n  name: "pooling"\n  type: "Pooling"\n  bottom: "data"\n')


async def test_blobs_in_scope_are_completed_the_nearest_first(editor: Editor) -> None:
    text = TRAIN_TEST.replace('bottom: "sum"\n', 'bottom: "|"\n')
    found = await completed(editor, "a.prototxt", text)
    assert list(found)[:3] == ["sum", "twin", "conv"]
    assert "score" not in found
    assert inserted(text, found["twin"]) == text.replace('"|"', '"twin"')
    assert "conv" in await completed(editor, "b.prototxt", TRAIN_TEST.replace('top: "sum"\n', "top: |\n"))
    assert "shared_w" in await completed(editor, "c.prototxt", TRAIN_TEST.replace('name: "shared_w"', 'name: "|"', 1))


async def test_stages_and_files_are_completed(editor: Editor) -> None:
    assert "quick" in await completed(editor, "staged_solver.prototxt", STAGED.replace('"quick"', '"|"'))
    text = STAGED.replace("train_val.prototxt", "tr|")
    found = await completed(editor, "staged_solver.prototxt", text)
    assert "train_lmdb" in found
    assert inserted(text, found["train_val.prototxt"]) == STAGED
    data = await completed(editor, "a.prototxt", 'layer { type: "Data" data_param { source: "|" } }')
    assert inserted('layer { type: "Data" data_param { source: "|" } }', data["train_lmdb"]) == 'layer { type: "Data" data_param { source: "train_lmdb/" } }'


async def test_nothing_is_completed_in_a_comment(editor: Editor) -> None:
    assert await completed(editor, "a.prototxt", "base_lr: 1 # base|\nmax_iter: 1\n") == {}


# -- names -----------------------------------------------------------------------------------------


def where(editor: Editor, name: str, locations: Any) -> list[str]:
    """The files and lines of locations, the lines as they are read."""
    texts = {editor.uri(each): text for each, text in editor.texts.items()}
    lines = []
    for location in locations:
        text = texts.get(location.uri) or Path(location.uri.removeprefix("file://")).read_text()
        lines.append(f"{location.uri.rpartition('/')[2]}: {text.splitlines()[location.range.start.line].strip()}")
    return lines


async def test_a_blob_leads_to_the_layers_that_make_it(editor: Editor) -> None:
    editor.open("train_val.prototxt", TRAIN_TEST)
    editor.open("staged_solver.prototxt", STAGED)
    params = lsp.DefinitionParams(editor.id("train_val.prototxt"), editor.at("train_val.prototxt", 'bottom: "data"', inside=10))
    found = await editor.client.text_document_definition_async(params)
    assert [(each.range.start.line) for each in found] == [6, 18]  # type: ignore[union-attr]
    params = lsp.DefinitionParams(editor.id("train_val.prototxt"), editor.at("train_val.prototxt", 'bottom: "conv"', occurrence=2, inside=10))
    found = await editor.client.text_document_definition_async(params)
    assert [each.range.start.line for each in found] == [39]  # type: ignore[union-attr]  # the ReLU that works in place


async def test_a_solver_leads_to_its_net_and_a_param_to_its_first_layer(editor: Editor) -> None:
    editor.open("staged_solver.prototxt", STAGED)
    params = lsp.DefinitionParams(editor.id("staged_solver.prototxt"), editor.at("staged_solver.prototxt", "train_val"))
    (found,) = await editor.client.text_document_definition_async(params)  # type: ignore[misc]
    assert found.uri == editor.uri("train_val.prototxt")
    editor.open("train_val.prototxt", TRAIN_TEST)
    params = lsp.DefinitionParams(editor.id("train_val.prototxt"), editor.at("train_val.prototxt", "shared_w", occurrence=2))
    (found,) = await editor.client.text_document_definition_async(params)  # type: ignore[misc]
    assert found.range.start == editor.at("train_val.prototxt", "shared_w", inside=0)


async def test_references_reach_into_all_nets_of_the_job(editor: Editor) -> None:
    editor.open("train_val.prototxt", TRAIN_TEST)
    params = lsp.ReferenceParams(lsp.ReferenceContext(True), editor.id("train_val.prototxt"), editor.at("train_val.prototxt", 'top: "conv"', inside=8))
    found = where(editor, "train_val.prototxt", await editor.client.text_document_references_async(params))
    assert len([each for each in found if each.startswith("train_val")]) == 4
    assert [each for each in found if each.startswith("deploy")] == ["deploy.prototxt: " + DEPLOY.splitlines()[2]]
    stage = lsp.ReferenceParams(lsp.ReferenceContext(True), editor.id("train_val.prototxt"), editor.at("train_val.prototxt", '"quick"'))
    found = where(editor, "train_val.prototxt", await editor.client.text_document_references_async(stage))
    assert sorted(each.partition(":")[0] for each in found) == ["staged_solver.prototxt", "train_val.prototxt"]


async def test_a_rename_changes_all_nets_of_the_job(editor: Editor) -> None:
    editor.open("train_val.prototxt", TRAIN_TEST)
    at = editor.at("train_val.prototxt", 'top: "conv"', inside=8)
    prepared = await editor.client.text_document_prepare_rename_async(lsp.PrepareRenameParams(editor.id("train_val.prototxt"), at))
    assert isinstance(prepared, lsp.PrepareRenamePlaceholder)
    assert prepared.placeholder == "conv"
    edit = await editor.client.text_document_rename_async(lsp.RenameParams(editor.id("train_val.prototxt"), at, "first"))
    assert edit is not None
    assert edit.changes is not None
    assert set(edit.changes) == {editor.uri("train_val.prototxt"), editor.uri("deploy.prototxt")}
    text = applied(TRAIN_TEST, edit.changes[editor.uri("train_val.prototxt")])
    assert text == TRAIN_TEST.replace('bottom: "conv"', 'bottom: "first"').replace('top: "conv"', 'top: "first"')
    assert applied(DEPLOY, edit.changes[editor.uri("deploy.prototxt")]) == DEPLOY.replace('top: "conv"', 'top: "first"')
    with pytest.raises(Exception, match="there is a blob 'twin' already"):
        await editor.client.text_document_rename_async(lsp.RenameParams(editor.id("train_val.prototxt"), at, "twin"))


async def test_a_stage_and_a_shared_param_are_renamed(editor: Editor) -> None:
    editor.open("train_val.prototxt", TRAIN_TEST)
    for old, files in (("quick", {"train_val.prototxt", "staged_solver.prototxt"}), ("shared_w", {"train_val.prototxt"})):
        at = editor.at("train_val.prototxt", old)
        edit = await editor.client.text_document_rename_async(lsp.RenameParams(editor.id("train_val.prototxt"), at, "other"))
        assert edit is not None
        assert edit.changes is not None
        assert set(edit.changes) == {editor.uri(name) for name in files}
        assert applied(TRAIN_TEST, edit.changes[editor.uri("train_val.prototxt")]) == TRAIN_TEST.replace(f'"{old}"', '"other"')


async def test_a_name_is_highlighted(editor: Editor) -> None:
    editor.open("train_val.prototxt", TRAIN_TEST)
    at = editor.at("train_val.prototxt", 'top: "twin"', inside=8)
    found = await editor.client.text_document_document_highlight_async(lsp.DocumentHighlightParams(editor.id("train_val.prototxt"), at))
    assert [each.kind for each in found or ()] == [lsp.DocumentHighlightKind.Write, lsp.DocumentHighlightKind.Read]


# -- the file as a whole ---------------------------------------------------------------------------


async def test_the_outline_has_layers_with_shapes(editor: Editor) -> None:
    editor.open("train_val.prototxt", TRAIN_TEST)
    found = await editor.client.text_document_document_symbol_async(lsp.DocumentSymbolParams(editor.id("train_val.prototxt")))
    assert [each.name for each in found or ()] == ["name", "data", "data", "conv", "relu", "twin", "sum", "score", "loss"]
    conv = found[3]  # type: ignore[index]
    assert isinstance(conv, lsp.DocumentSymbol)
    assert conv.detail == "Convolution → conv 8 x 4 x 14 x 14 → conv 2 x 4 x 14 x 14"
    assert [each.name for each in conv.children or ()] == ["param", "convolution_param"]
    assert conv.range.start.line <= conv.selection_range.start.line <= conv.range.end.line


async def test_blocks_and_comments_fold(editor: Editor) -> None:
    editor.open("train_val.prototxt", TRAIN_TEST)
    found = await editor.client.text_document_folding_range_async(lsp.FoldingRangeParams(editor.id("train_val.prototxt")))
    folds = [(each.start_line, each.end_line, each.kind) for each in found or ()]
    assert folds[0] == (1, 2, lsp.FoldingRangeKind.Comment)
    assert folds[1] == (3, 13, lsp.FoldingRangeKind.Region)
    assert (9, 12, lsp.FoldingRangeKind.Region) in folds


async def test_hints_show_the_shapes_of_tops(editor: Editor) -> None:
    editor.open("train_val.prototxt", TRAIN_TEST)
    whole = lsp.Range(lsp.Position(0, 0), lsp.Position(1000, 0))
    found = await editor.client.text_document_inlay_hint_async(lsp.InlayHintParams(editor.id("train_val.prototxt"), whole))
    labels = {each.position.line: each.label for each in found or ()}
    assert labels[6] == "8 x 3 x 16 x 16"
    assert labels[18] == "2 x 3 x 16 x 16"
    assert labels[31] == "TRAIN 8 x 4 x 14 x 14, TEST 2 x 4 x 14 x 14"
    assert 39 not in labels  # in place: nothing changes
    few = lsp.Range(lsp.Position(0, 0), lsp.Position(8, 0))
    found = await editor.client.text_document_inlay_hint_async(lsp.InlayHintParams(editor.id("train_val.prototxt"), few))
    assert [each.position.line for each in found or ()] == [6, 7]


async def test_words_have_meanings(editor: Editor) -> None:
    text = '# \U0001f600\nlayer { name: "n" type: "Normalize" bottom: "\U0001f600" top: "b" norm_param { across_spatial: false } odd: 1 }\n'
    editor.open("words.prototxt", text)
    found = await editor.client.text_document_semantic_tokens_full_async(lsp.SemanticTokensParams(editor.id("words.prototxt")))
    assert found is not None
    legend = editor.client.protocol  # noqa: F841
    decoded = decode(text, list(found.data))
    assert decoded[0] == ("# \U0001f600", "comment", 0)
    assert ("layer", "keyword", 0) in decoded
    assert ('"Normalize"', "type", 4) in decoded
    assert ('"\U0001f600"', "variable", 0) in decoded
    assert ('"b"', "variable", 1) in decoded
    assert ("across_spatial", "property", 4) in decoded
    assert ("false", "keyword", 0) in decoded
    assert ("odd", "property", 8) in decoded
    part = lsp.SemanticTokensRangeParams(editor.id("words.prototxt"), lsp.Range(lsp.Position(0, 0), lsp.Position(0, 4)))
    found = await editor.client.text_document_semantic_tokens_range_async(part)
    assert found is not None
    assert len(found.data) == 5


def decode(text: str, data: list[int]) -> list[tuple[str, str, int]]:
    """The words of semantic tokens, with their types and modifiers."""
    from caffe_lint.server.tokens import TYPES

    lines = [line.encode("utf-16-le") for line in text.split("\n")]
    line = character = 0
    found = []
    for moved, across, length, kind, modifiers in zip(*[iter(data)] * 5, strict=True):
        line, character = line + moved, across if moved else character + across
        word = lines[line][2 * character : 2 * (character + length)].decode("utf-16-le")
        found.append((word, TYPES[kind], modifiers))
    return found


async def test_formatting_changes_nothing_but_the_beginnings_of_lines(editor: Editor) -> None:
    text = 'layer {\nname: "a"   # why\n      type: "ReLU"\n\n   param {\nlr_mult: 1 }\n }\n'
    editor.open("ugly.prototxt", text)
    options = lsp.FormattingOptions(tab_size=2, insert_spaces=True)
    found = await editor.client.text_document_formatting_async(lsp.DocumentFormattingParams(editor.id("ugly.prototxt"), options))
    assert applied(text, found or ()) == 'layer {\n  name: "a"   # why\n  type: "ReLU"\n\n  param {\n    lr_mult: 1 }\n}\n'
    editor.open("broken.prototxt", "layer {\nname: 'a'\n")
    assert not await editor.client.text_document_formatting_async(lsp.DocumentFormattingParams(editor.id("broken.prototxt"), options))


# -- a client that asks ----------------------------------------------------------------------------


async def test_diagnostics_are_given_to_who_asks_and_not_sent(pulled: LanguageClient) -> None:
    editor = Editor(pulled, pulled.folder)  # type: ignore[attr-defined]
    editor.open("net.prototxt", NET.replace('bottom: "data"', 'bottom: "d\u00e9t"'))
    report = await pulled.text_document_diagnostic_async(lsp.DocumentDiagnosticParams(editor.id("net.prototxt")))
    assert isinstance(report, lsp.RelatedFullDocumentDiagnosticReport)
    (found,) = report.items
    assert found.code == "E201"
    assert found.range.end.character - found.range.start.character == 6  # in bytes
    again = await pulled.text_document_diagnostic_async(
        lsp.DocumentDiagnosticParams(editor.id("net.prototxt"), previous_result_id=report.result_id)
    )
    assert isinstance(again, lsp.RelatedUnchangedDocumentDiagnosticReport)
    assert pulled.diagnostics == {}
    await asyncio.sleep(0)
    editor.close()


async def test_the_whole_workspace_is_checked_for_who_asks(pulled: LanguageClient) -> None:
    editor = Editor(pulled, pulled.folder)  # type: ignore[attr-defined]
    report = await pulled.workspace_diagnostic_async(lsp.WorkspaceDiagnosticParams([]))
    codes = {item.uri.rpartition("/")[2]: [each.code for each in item.items] for item in report.items if isinstance(item, lsp.WorkspaceFullDocumentDiagnosticReport)}
    assert codes == {"solver.prototxt": ["S121"], "net.prototxt": []}
    before = [lsp.PreviousResultId(item.uri, item.result_id or "") for item in report.items]
    again = await pulled.workspace_diagnostic_async(lsp.WorkspaceDiagnosticParams(before))
    assert all(isinstance(item, lsp.WorkspaceUnchangedDocumentDiagnosticReport) for item in again.items)
    assert editor.texts == {}


async def test_edits_are_for_versions_where_the_client_wants_that(pulled: LanguageClient) -> None:
    editor = Editor(pulled, pulled.folder)  # type: ignore[attr-defined]
    editor.open("net.prototxt", NET.replace('bottom: "data"', 'bottom: "dat"'))
    fix, *_ = await editor.actions("net.prototxt", editor.at("net.prototxt", '"dat"'))
    (change,) = fix["edit"]["documentChanges"]
    assert change["textDocument"] == {"uri": editor.uri("net.prototxt"), "version": 0}
    editor.close()
