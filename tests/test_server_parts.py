"""The parts of the language server that need no client: positions, cursors, skeletons, notes."""

from __future__ import annotations

import gc
import os
import random
import subprocess
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from counted_work import steps
from harness import NET, SOLVER, check
from lsprotocol import types as lsp

from caffe_lint import api
from caffe_lint.layers.skeletons import plain_text, skeleton
from caffe_lint.proto.field_notes import note_on
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.server.cursor import cursor_at
from caffe_lint.server.diagnostics import carried
from caffe_lint.server.language_server import Server
from caffe_lint.server.positions import changed, difference
from caffe_lint.server.project import LARGE, Project
from caffe_lint.settings.in_force import CommandLine
from caffe_lint.source.files import NotPrototxt, use_working_folders


def test_every_field_of_bvlc_has_a_note() -> None:
    schema = caffe_schema()
    seen: set[str] = set()
    queue = ["SolverParameter", "NetParameter"]
    without = []
    for name in queue:
        if name in seen or name.startswith(("V0", "V1")) or name == "BlobProto":
            continue
        seen.add(name)
        message = schema.message(name)
        for field in message.fields.values():
            if not field.dialects:
                queue += [field.type_name] * (field.kind == "message")
                without += [f"{name}.{field.name}"] * (not note_on(message, field))
    assert without == []


def test_changes_are_applied_as_the_protocol_has_it() -> None:
    chance = random.Random(3)
    for encoding, width in (("utf-8", None), ("utf-16", "utf-16-le"), ("utf-32", "utf-32-le")):
        text = "a\u00e9\r\nb\U0001f600c\rd\n\u2028e\x0cf\n\n"
        for _ in range(200):
            lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
            start = chance.randrange(len(lines))
            end = chance.randrange(start, len(lines))
            first, last = chance.randrange(len(lines[start]) + 1), chance.randrange(len(lines[end]) + 1)
            if start == end and last < first:
                first, last = last, first

            def units(part: str) -> int:
                return len(part.encode()) if width is None else len(part.encode(width)) // (2 if "16" in width else 4)  # noqa: B023

            range_ = lsp.Range(lsp.Position(start, units(lines[start][:first])), lsp.Position(end, units(lines[end][:last])))
            new = chance.choice(["", "x", "\n", "\U0001f600", "\r\n", "\u00e9y"])
            result = changed(text.encode(), lsp.TextDocumentContentChangePartial(range_, new), encoding).decode()
            lines[start : end + 1] = [lines[start][:first] + new.replace("\r\n", "\n") + lines[end][last:]]
            assert result.replace("\r\n", "\n").replace("\r", "\n") == "\n".join(lines)
            text = result or "a"


def test_the_difference_of_texts_makes_one_the_other() -> None:
    chance = random.Random(5)
    for _ in range(300):
        old, new = ("".join(chance.choices("ab\n\u00e9\U0001f600", k=chance.randrange(12))).encode() for _ in range(2))
        start, end, text = difference(old, new)
        assert old[:start] + text + old[end:] == new
        text.decode()


def test_what_simulations_found_moves_with_its_text() -> None:
    old = b"a: 1\nb: 2\nc: 3\n"
    place = api.Place("x", 3, 1, 3, 2)
    finding = api.Finding(place, "G101", "n", "advice", "m", "", "c: 3", (), None, 10)
    (moved,) = carried([finding], old, b"new: 1\n" + old)
    assert (moved.place.line, moved.start) == (4, 17)
    (kept,) = carried([finding], old, old + b"d: 4\n")
    assert (kept.place.line, kept.start) == (3, 10)
    assert carried([finding], old, b"a: 1\nb: 2\nc: 30\n") == []


@pytest.mark.parametrize(
    ("text", "field", "word", "blocks"),
    [
        ("base|", "", "base", []),
        ("base_lr: |", "base_lr", "", []),
        ("base_lr: 0.|", "base_lr", "0.", []),
        ('layer { type: "Conv|', "type", "Conv", ["layer"]),
        ('layer { type: "Conv|"', "type", "Conv", ["layer"]),
        ('layer { type "Conv|"', "type", "Conv", ["layer"]),
        ('layer { # { {\n name: "{" top|', "", "top", ["layer"]),
        ("layer { convolution_param { num_output: 3 } |", "", "", ["layer"]),
        ("layer { bottom:\n top: |", "top", "", ["layer"]),
        ("a < b { c: [1, 2|", "c", "2", ["a", "b"]),
        ("} } x|", "", "x", []),
    ],
)
def test_a_cursor_knows_where_it_is(text: str, field: str, word: str, blocks: list[str]) -> None:
    found = cursor_at(text.replace("|", "").encode(), text.index("|"))
    assert (found.field, found.word, [block.name for block in found.blocks]) == (field, word, blocks)


@pytest.mark.parametrize("type_name", ["Convolution", "Pooling", "InnerProduct", "DummyData", "Input", "LSTM", "Reshape", "SPP", "Tile", "Embed", "Deconvolution"])
def test_a_skeleton_is_a_layer_that_caffe_builds(type_name: str) -> None:
    inputs = 'layer { name: "d" type: "Input" top: "data" input_param { shape { dim: 2 dim: 3 dim: 8 dim: 8 } } }\n'
    inputs += 'layer { name: "l" type: "Input" top: "label" input_param { shape { dim: 2 dim: 3 } } }\n'
    net = api.build_net(inputs + plain_text(skeleton(type_name)), "TEST")
    assert [problem.message for problem in net.problems] == []


def test_without_pygls_one_sentence_says_what_to_install() -> None:
    code = "import sys; sys.modules['pygls'] = None; from caffe_lint.cli.main import main; sys.argv = ['caffe-lint', 'server']; main()"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == "caffe-lint: the language server needs pygls: pip install pygls\n"
    assert done.stdout == ""


# -- typing ----------------------------------------------------------------------------------------------------------

TYPED = """layer {
  name: "typed"
  type: "Convolution"
  bottom: "data"
  top: "typed"
  convolution_param { num_output: 8 kernel_size: 3 weight_filler { type: "xavier" } }
}
"""


def being_typed(before: str, after: str) -> Iterator[bytes]:
    """A text at each key press while a layer is typed between two parts of it."""
    return ((before + TYPED[:number] + after).encode() for number in range(1, len(TYPED) + 1))


def test_an_editor_is_offered_the_repairs_that_a_check_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    at = NET.index("layer {", NET.index("layer {") + 1)
    project = Project(CommandLine())
    for text in [*being_typed(NET[:at], NET[at:])][::4]:
        project.texts["net.prototxt"] = text
        found = project.check("net.prototxt", with_stability=False).findings["net.prototxt"]
        guesses = [each for each in found if each.code.startswith("E1") and each.fix is not None]
        offered = [(each.code, each.start, each.fix.edits) for each in guesses if each.fix and project.verified(each.fix)]
        reported = [(each.code, each.start, each.fix.edits) for each in check(text, select=("E1",)) if each.fix is not None]
        assert reported == offered, text.decode()


def test_a_half_typed_layer_costs_little_more_than_a_whole_net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    layers = [TYPED.replace("typed", f"conv{number}").replace('"data"', f'"conv{number - 1}"') for number in range(1, 41)]
    project = Project(CommandLine())

    def press(text: bytes) -> int:
        project.texts["net.prototxt"] = text
        return steps(lambda: project.check("net.prototxt", with_stability=False))

    before, after = NET + "".join(layers[:20]), "".join(layers[20:])
    press((before + after).encode())  # imports, and what is computed once
    whole = press((before + TYPED + after).encode())
    for text in [*being_typed(before, after)][5::40]:
        press(text)  # as above, for texts with mistakes
        assert press(text + b"\n") <= 1.5 * whole, text[len(before) :][: len(TYPED)]


def test_a_key_press_tries_no_repair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tried: list[object] = []
    monkeypatch.setattr("caffe_lint.fixes.unreadable_text.misread", lambda text, fixes: tried.append(fixes) or [])
    project = Project(CommandLine())
    offered = set()
    for typed in (TYPED[:40], TYPED.replace("kernel_size", "kernal_size"), TYPED.replace("name:", "name"), TYPED.replace("}", "")):
        project.texts["net.prototxt"] = (NET + typed).encode()
        found = project.check("net.prototxt", with_stability=False).findings["net.prototxt"]
        offered |= {each.code for each in found if each.fix is not None}
    assert offered >= {"E102", "E108", "E110"}
    assert tried == []


def test_a_check_leaves_nothing_to_the_garbage_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    project = Project(CommandLine())
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for text in [*being_typed(NET, "")][::40]:
            project.texts["net.prototxt"] = text
            project.check("net.prototxt", with_stability=False)
            left = gc.collect()
        assert left < 100
    finally:
        if was_enabled:
            gc.enable()


# -- folders and texts of an editor ----------------------------------------------------------------------------------


@pytest.fixture
def working_folders() -> Iterator[Callable[[Iterable[str]], None]]:
    yield use_working_folders
    use_working_folders(())


def test_paths_begin_in_the_folder_of_the_editor_that_a_solver_is_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, working_folders: Callable[[Iterable[str]], None]
) -> None:
    for name in ("one", "two"):
        (tmp_path / name / "models").mkdir(parents=True)
        (tmp_path / name / "models" / "net.prototxt").write_text(NET)
        (tmp_path / name / "jobs").mkdir()
        (tmp_path / name / "jobs" / "solver.prototxt").write_text(SOLVER.replace("net.prototxt", "models/net.prototxt"))
    monkeypatch.chdir(tmp_path / "one")
    working_folders([str(tmp_path / "one"), str(tmp_path / "two")])
    project = Project(CommandLine())
    for solver, net in (
        ("jobs/solver.prototxt", "models/net.prototxt"),
        (str(tmp_path / "two" / "jobs" / "solver.prototxt"), str(tmp_path / "two" / "models" / "net.prototxt")),
    ):
        assert [each.file.path for each in project.view(solver).nets] == [net, net][: len(project.view(solver).nets)]
        assert solver in project.together(net)


def test_a_large_text_beside_a_net_is_not_read_for_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    project = Project(CommandLine())
    project.texts["net.prototxt"] = NET.encode()
    project.texts["large.prototxt"] = b"# large\n" * (LARGE // 8 + 1) + SOLVER.encode()
    assert project.together("net.prototxt") == ("net.prototxt",)
    assert "tree" not in project.file("large.prototxt").__dict__


def test_text_that_became_binary_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    project = Project(CommandLine())
    project.texts["net.prototxt"] = b"\0\0\0\0" + NET.encode()
    with pytest.raises(NotPrototxt, match="binary"):
        project.check("net.prototxt", with_stability=False)


@pytest.mark.parametrize("uri", ["file:///tmp/%00x.prototxt", "untitled:a\0b"])
def test_no_path_of_a_document_has_a_null_byte(uri: str) -> None:
    path = Server().path_of(uri)
    assert "%00" in path
    os.path.realpath(path)


@pytest.mark.parametrize(
    ("message", "status", "said"),
    [
        (b'Content-Length: 5\r\n\r\n{"a":', 0, b"Unable to handle message"),
        (b"Content-Length: 2\r\n\r\n[]", 0, b"Unable to handle message"),
        (b"Content-Length: 99999999999999999\r\n\r\n{}", 2, b"larger than the memory"),
    ],
)
def test_a_broken_message_is_said_without_a_traceback(message: bytes, status: int, said: bytes) -> None:
    done = subprocess.run([sys.executable, "-m", "caffe_lint", "server"], input=message, capture_output=True, timeout=60)
    assert done.returncode == status
    assert said in done.stderr
    assert b"Traceback" not in done.stderr
