"""Patched text is verified by protobuf itself, a reader that shares no code with ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from caffe_lint.engine.files_in_memory import Files, round_of
from caffe_lint.engine.fixing import apply_round
from caffe_lint.engine.user_schema import user_schema
from caffe_lint.fixes import bindings
from caffe_lint.fixes.bindings import verified, verify_rounds
from caffe_lint.fixes.changes import FixRejected, PathChange, PathChanges, PathInsertion
from caffe_lint.fixes.edit import Change, Edit, Fix
from caffe_lint.proto.schema import caffe_schema
from caffe_lint.source.files import SourceFile

SCHEMA = caffe_schema()
SOLVER = b'net: "a.prototxt"\nbase_lr: 0.1\nmomentum: 0.9\n'
NET = b"""\
name: "n"
layer { name: "a" type: "ReLU" bottom: "x" top: "y" my_field { deep: 1 } }
layer { name: "b" type: "ReLU" bottom: "y" top: "z" my_field { deep: 2 } }
"""


def verify_text(before: bytes, after: bytes, *changes: Any) -> None:
    verify_rounds([round_of(SourceFile("x.prototxt", before, SCHEMA, None), changes)], after, SCHEMA)


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Which reader was asked for a text, in order."""
    readers: list[str] = []
    for name in ("read_by_protobuf", "_read_by_binder"):
        read = getattr(bindings, name)

        def spy(*arguments: Any, _read: Any = read, _name: str = name) -> Any:
            values = _read(*arguments)
            readers.append(_name.removeprefix("_").removeprefix("read_by_"))
            return values

        monkeypatch.setattr(bindings, name, spy)
    return readers


def test_a_declared_change_passes(asked: list[str]) -> None:
    verify_text(SOLVER, SOLVER.replace(b"0.1", b"0.01"), PathChange((), "base_lr", (0.01,)))
    assert asked == ["protobuf", "protobuf"]


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        (PathChange((("net_param", 0), ("layer", 1)), "top", ("w",)), b'top: "z"', b'top: "w"'),
        (
            PathInsertion((("net_param", 0),), "layer", 2, {"name": ["c"], "relu_param": [{"negative_slope": [0.1]}]}),
            b"\n}\n",
            b'\nlayer { name: "c" relu_param { negative_slope: 0.1 } }\n}\n',
        ),
    ],
)
def test_protobuf_itself_verifies_changes_of_messages_in_messages(
    change: PathChange | PathInsertion, old: bytes, new: bytes, asked: list[str]
) -> None:
    before = SOLVER.replace(b'net: "a.prototxt"', b"net_param {\n" + NET + b"}")
    assert old in before
    verify_text(before, before.replace(old, new), change)
    assert asked == ["protobuf", "protobuf"]
    with pytest.raises(FixRejected):
        verify_text(before, before, change)


def test_a_field_that_a_fix_takes_for_unknown_and_protobuf_knows_is_left_to_our_binder(asked: list[str]) -> None:
    with pytest.raises(FixRejected):
        verify_text(NET, NET + b'layer { top: "w" }\n', PathInsertion((), "layer", 2, {"?top": [b'top "w"']}))
    assert asked == ["protobuf", "binder", "binder"]


@pytest.mark.parametrize(
    ("after", "changes", "message"),
    [
        (SOLVER.replace(b"0.1", b"0.01"), (), r"base_lr is 0\.00999\d*, expected 0\.1000"),
        (SOLVER, (PathChange((), "base_lr", (0.01,)),), "base_lr is"),
        (SOLVER.replace(b"0.1", b"1"), (PathChange((), "base_lr", (0.01,)),), r"base_lr is 1\.0"),
        (SOLVER + b"gamma: 1\n", (), "gamma has 1 value, expected 0"),
        (SOLVER.replace(b"momentum: 0.9\n", b""), (), "momentum has 0 values, expected 1"),
        (SOLVER.replace(b"0.1", b"- 1"), (PathChange((), "base_lr", (-1.0,)),), "parser rejects"),
        (SOLVER + b"base_lr: 0.1\n", (), "parser rejects"),
        (SOLVER + b"}\n", (), "parser rejects"),
    ],
)
def test_a_wrong_patch_is_rejected(after: bytes, changes: PathChanges, message: str) -> None:
    with pytest.raises(FixRejected, match=message):
        verify_text(SOLVER, after, *changes)


def test_a_mistake_that_our_binder_shares_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A binder that takes every momentum for 0.9 lets a wrong edit through; protobuf does not."""
    files = Files(SCHEMA, None)
    files.add("s.prototxt", SOLVER)
    file = files.get("s.prototxt")
    at = SOLVER.index(b"0.9")
    # The fix says that it changes the rate, and breaks the momentum as well.
    rate = SOLVER.index(b"0.1")
    wrong = Fix(
        "s.prototxt",
        "lower the rate",
        (Edit(rate, rate + 3, b"0.2"), Edit(at, at + 3, b"9.0")),
        (Change(file.message.block, "base_lr", (0.2,)),),
    )
    momentum = SCHEMA.message("SolverParameter").fields["momentum"]
    monkeypatch.setattr(momentum, "known", dict.fromkeys((b"0.9", b"9.0"), 0.9))
    apply_round(files, {"s.prototxt": [wrong]})
    good, refused = verified(files.patched, files.rounds, SCHEMA)
    assert good == {}
    assert refused == ["s.prototxt: not written: the patched text has an unexpected change: momentum is 9.0, expected 0.8999999761581421"]


def test_rounds_are_verified_together(asked: list[str]) -> None:
    """The second round's paths hold for the text that the first one left."""
    first = SourceFile("n.prototxt", NET, SCHEMA, None)
    inserted = NET.replace(b"layer { name: \"b\"", b'layer { name: "new" }\nlayer { name: "b"')
    second = SourceFile("n.prototxt", inserted, SCHEMA, None)
    final = inserted.replace(b'"z"', b'"zz"')
    rounds = [
        round_of(first, (PathInsertion((), "layer", 1, {"name": ["new"]}),)),
        round_of(second, (PathChange((("layer", 2),), "top", ("zz",)),)),
    ]
    verify_rounds(rounds, final, SCHEMA)
    assert asked == ["protobuf", "protobuf"]
    with pytest.raises(FixRejected, match=r"layer\[0\].top"):
        verify_rounds(rounds, final.replace(b'"y" my', b'"yy" my'), SCHEMA)


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (NET.replace(b"deep: 1", b"deep: 3"), r"layer\[0\]\.\?my_field is b'my_field { deep 3 }'"),
        (NET.replace(b" my_field { deep: 2 }", b""), r"\?my_field has 0 values"),
        (NET.replace(b"deep: 2 }", b"deep: 2 } my_field: 1"), r"\?my_field has 2 values"),
        (NET.replace(b"deep: 2", b"deep: 9").replace(b"deep: 1", b"deep: 2").replace(b"9", b"1"), "my_field is"),
    ],
)
def test_unknown_fields_must_not_change(after: bytes, message: str) -> None:
    with pytest.raises(FixRejected, match=message):
        verify_text(NET, after)


def test_an_unknown_field_may_get_the_text_that_a_fix_names(asked: list[str]) -> None:
    change = PathChange((("layer", 1),), "?my_field", (b"my_field { deep 3 }",))
    verify_text(NET, NET.replace(b"deep: 2", b"deep: 3"), change)
    assert asked == ["protobuf", "protobuf"]
    with pytest.raises(FixRejected, match=r"layer\[1\]\.\?my_field is b'my_field { deep 4 }'"):
        verify_text(NET, NET.replace(b"deep: 2", b"deep: 4"), change)


def test_the_layout_of_an_unknown_field_may_change() -> None:
    verify_text(NET, NET.replace(b"my_field { deep: 2 }", b"my_field: <\n  deep: 2; # why\n>"))
    verify_text(NET, NET.replace(b" my_field { deep: 2 }", b""), PathChange((("layer", 1),), "?my_field", ()))


@pytest.mark.parametrize(
    "before",
    [
        b"base_lr: - 1\nmomentum: 0.9\n",  # a detached minus, which only C++ takes
        b"base_lr: -\n1\nmomentum: 0.9\n",
        b"base_lr: -# why\n1\nmomentum: 0.9\n",
        b'net: "\xe4.prototxt"\nmomentum: 0.9\n',  # Latin-1 in a string
        b"iter_size: - 1\nmomentum: 0.9\n",
    ],
)
def test_text_that_only_cpp_accepts_is_verified_by_our_binder(before: bytes, asked: list[str]) -> None:
    after = before.replace(b"momentum: 0.9", b"momentum: 0.5")
    verify_text(before, after, PathChange((), "momentum", (0.5,)))
    assert asked == ["binder", "binder"]
    with pytest.raises(FixRejected, match="momentum"):
        verify_text(before, before.replace(b"0.9", b"0.6"), PathChange((), "momentum", (0.5,)))


@pytest.mark.parametrize(
    "before",
    [
        b"base_lr: +1\nmomentum: 0.9\n",  # Python takes these and C++ does not
        b'snapshot_prefix: "C:\\data"\nmomentum: 0.9\n',
        b"base_lr:\xc2\xa01\nmomentum: 0.9\n",
        b"momentun: 0.9\nbase_lr: 1\n",
    ],
)
def test_text_that_only_python_accepts_is_not_given_to_protobuf(before: bytes, asked: list[str]) -> None:
    file = SourceFile("x.prototxt", before, SCHEMA, None)
    assert not round_of(file).as_written
    verify_text(before, before.replace(b"0.9", b"0.5"), PathChange((), "momentum", (0.5,)))
    assert asked == ["binder", "binder"]


def test_after_the_text_is_repaired_protobuf_verifies_the_rest(asked: list[str]) -> None:
    broken = SOLVER.replace(b"0.1", b"+0.1")
    rounds = [
        round_of(SourceFile("s", broken, SCHEMA, None)),
        round_of(SourceFile("s", SOLVER, SCHEMA, None), (PathChange((), "momentum", (0.5,)),)),
    ]
    verify_rounds(rounds, SOLVER.replace(b"0.9", b"0.5"), SCHEMA)
    assert asked == ["protobuf", "protobuf"]


def test_comments_need_not_be_utf8(asked: list[str]) -> None:
    before = b"# \xe4\n" + SOLVER
    verify_text(before, before.replace(b"0.9", b"0.5"), PathChange((), "momentum", (0.5,)))
    assert asked == ["protobuf", "protobuf"]


def test_a_patch_that_no_fix_explains_is_rejected() -> None:
    assert verified({"s": SOLVER}, {}, SCHEMA) == ({}, ["s: not written: no fix explains the changes"])


def test_protoc_reads_the_patched_text_as_protobufs_parser_does(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools")
    folder = Path(__file__).resolve().parent.parent / "proto"
    text = SOLVER.replace(b"0.1", b"0.01") + b"clip_gradients: 35\n"
    import grpc_tools

    include = Path(grpc_tools.__file__).parent / "_proto"
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{folder}", f"-I{include}"]
    done = subprocess.run(
        [*command, "--encode=caffe_lint.SolverParameter", "caffe.proto"], input=text, capture_output=True, check=True
    )
    from caffe_lint.proto import caffe_pb2

    theirs = caffe_pb2.SolverParameter.FromString(done.stdout)
    from google.protobuf import text_format

    assert text_format.Parse(text, caffe_pb2.SolverParameter()) == theirs


def loaded_after(*arguments: str) -> bool:
    """Whether protobuf is loaded when the program has run."""
    code = (
        "import sys\nfrom caffe_lint.cli import main\n"
        "sys.exit = os_exit = lambda status=0: None\n"
        "import os\nos._exit = sys.exit\nmain.main()\n"
        "sys.stderr.write('protobuf' if 'google.protobuf' in sys.modules else 'none')"
    )
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, check=True)
    assert done.stderr.endswith(("protobuf", "none")), done.stderr
    return done.stderr.endswith("protobuf")


def test_protobuf_is_loaded_for_a_patch_and_for_nothing_else(tmp_path: Path) -> None:
    solver = tmp_path / "solver.prototxt"
    solver.write_text('net_param { name: "n" }\nbase_lr: 0.1,\nmax_iter: 5\nlr_policy: "fixed"\nsolver_type: SGD\n')
    assert not loaded_after(str(solver))
    assert not loaded_after(str(solver), "--output-format", "json")
    assert loaded_after(str(solver), "--upgrade", "--diff")
    assert loaded_after(str(solver), "--upgrade")
    assert not loaded_after(str(solver), "--upgrade")  # nothing is left to patch


def run(*arguments: str, before: str = "") -> subprocess.CompletedProcess[str]:
    """The program, after some code that breaks it."""
    code = f"import sys\n{before}\nfrom caffe_lint.cli.main import main\nmain()"
    return subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True)


# A writer of numbers that writes a momentum beside every rate, and a binder that reads no momentum.
BROKEN = """
from caffe_lint.fixes import apply
from caffe_lint.proto.schema import caffe_schema
edited = apply.edited
def wrong(source, edits):
    return edited(source, edits) + b"\\nmomentum: 0.5\\n"
from caffe_lint.engine import fixing
fixing.edited = wrong
from caffe_lint.proto import message
plain = message.plain
def blind(read):
    values = plain(read)
    values.pop("momentum", None)
    return values
apply.plain = blind
"""


@pytest.mark.parametrize("how", [("--fix",), ("--diff",), ("--fix", "--output-dir", "out")])
def test_a_rejected_patch_is_not_written_and_sets_the_status(tmp_path: Path, how: tuple[str, ...]) -> None:
    solver = tmp_path / "solver.prototxt"
    text = 'net_param { name: "n" }\nbase_lr: 0.1\nmax_iter: 5\nlr_policy: "fixed"\nsolver_type: SGD\n'
    solver.write_text(text)
    out = tmp_path / "out"
    how = tuple(str(out) if word == "out" else word for word in how)
    done = run(str(solver), "--select", "P205", "--isolated", *how, before=BROKEN)
    assert done.returncode == 2
    assert "not written: the patched text has an unexpected change: momentum has 1 value, expected 0" in done.stderr
    assert "+" not in done.stdout
    assert solver.read_text() == text
    assert not out.exists()
    assert run(str(solver), "--select", "P205", "--isolated", *how).returncode < 2


def test_a_users_own_schema_verifies_its_files(tmp_path: Path) -> None:
    pytest.importorskip("grpc_tools")
    proto = tmp_path / "caffe.proto"
    ours = (Path(__file__).resolve().parent.parent / "proto" / "caffe.proto").read_text(encoding="utf-8")
    proto.write_text(ours.replace("message SolverParameter {", "message SolverParameter {\n  optional int32 own = 31000000;"))
    schema = user_schema(str(proto))
    file = SourceFile("s.prototxt", SOLVER + b"own: 3\n", schema, None)
    verify_rounds([round_of(file, (PathChange((), "own", (4,)),))], SOLVER + b"own: 4\n", schema)
    with pytest.raises(FixRejected, match=r"own is 5, expected 4"):
        verify_rounds([round_of(file, (PathChange((), "own", (4,)),))], SOLVER + b"own: 5\n", schema)
