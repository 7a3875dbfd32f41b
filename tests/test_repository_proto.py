"""The caffe.proto of a repository, read as data: it takes back what is said of unknown names, and changes nothing else."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from counted_work import assert_linear
from harness import check_files, findings_on_disk, fix_files, patched_on_disk, run

import caffe_lint.proto
from caffe_lint.proto.proto_text import MAX_DEPTH, ProtoError, proto_table
from caffe_lint.source.files import forget_folders
from caffe_lint.source.repository_files import forget_repositories
from caffe_lint.source.repository_proto import MAX_PROTO

CHECKOUT = Path(__file__).resolve().parent.parent
PROTO = """\
syntax = "proto2";
package caffe;
/* A fork of Caffe. */
message SolverParameter { optional string net = 24; optional float base_lr = 5; optional float warp_speed = 200 [default = 1.5]; }
message NetParameter {
  optional string name = 1;
  repeated LayerParameter layer = 100;
  repeated V1LayerParameter layers = 2;
}
message LayerParameter {
  optional string name = 1;
  optional string type = 2;
  repeated string bottom = 3;
  repeated string top = 4;
  optional GRNormParameter gr_norm_param = 190;
  optional PoolingParameter pooling_param = 121;
}
message PoolingParameter {
  enum PoolMethod { MAX = 0; AVE = 1; SORTED = 7; }
  optional PoolMethod pool = 1 [default = MAX];
  optional string pad = 4;
  optional uint32 kernel_size = 2;
}
message GRNormParameter { optional float alpha = 1 [default = 1.0]; oneof which { int32 a = 3; float b = 4; } }
message V1LayerParameter {
  enum LayerType { NONE = 0; GR_NORM = 99; }
  repeated string bottom = 2;
  repeated string top = 3;
  optional LayerType type = 5;
}
"""
INPUT = 'layer { name: "a" type: "Input" top: "a" input_param { shape { dim: 1 dim: 3 dim: 8 dim: 8 } } }\n'
OWN = 'layer { name: "b" type: "GRNorm" bottom: "a" top: "b" gr_norm_param { alpha: 2 } }\n'
POOL = 'layer { name: "p" type: "Pooling" bottom: "b" top: "p" pooling_param { pool: SORTED pad: "x" kernel_size: 2 } }\n'
NET = INPUT + OWN + POOL
NAMES = ("E110", "E111", "E112", "E115", "E116")


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A repository with a net, and a Caffe of its own."""
    for path, text in (("caffe-mine/src/caffe/proto/caffe.proto", PROTO), ("net.prototxt", NET), (".git/HEAD", "")):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    monkeypatch.chdir(tmp_path)
    forget()
    return tmp_path


def forget() -> None:
    forget_folders()
    forget_repositories()


def codes(texts: dict[str, str], **settings: object) -> list[str]:
    forget()
    return [finding.code for finding in check_files(texts, select=NAMES, **settings)]


# -- what it takes back ----------------------------------------------------------------------------------------


def test_names_of_the_repositorys_own_caffe_are_not_reported(repository: Path) -> None:
    assert codes({"net.prototxt": NET}) == []
    assert codes({"net.prototxt": NET}, no_repository_proto=True) == ["E116", "E110", "E112", "E111"]
    assert codes({"solver.prototxt": 'net: "net.prototxt" base_lr: 1 warp_speed: 9\n'}) == []
    assert codes({"old.prototxt": 'layers { bottom: "x" top: "y" type: GR_NORM }\n'}) == []


def test_names_that_it_does_not_have_are(repository: Path) -> None:
    assert codes({"net.prototxt": NET.replace("alpha: 2", "beta: 2")}) == []  # E110 is about gr_norm_param as a whole
    assert codes({"net.prototxt": NET.replace("kernel_size", "kernel_sizes")}) == ["E110"]
    assert codes({"net.prototxt": NET.replace("SORTED", "UNSORTED")}) == ["E112"]
    assert codes({"net.prototxt": NET.replace('"GRNorm"', '"GRNormal"')}) == ["E116"]
    assert codes({"net.prototxt": NET.replace('"Pooling"', '"POOLING"')}) == ["E116"]  # a known type, misspelled
    lacks = NET.replace("kernel_size: 2", 'stride: "two"')  # of a field that this Caffe lacks, the type is not known
    assert codes({"net.prototxt": lacks}) == ["E111"]


def test_a_repositorys_caffe_may_have_what_two_forks_have(repository: Path) -> None:
    path = repository / "caffe-mine/src/caffe/proto/caffe.proto"
    both = INPUT.replace("}\n", "dense_image_data_param { } detectnet_groundtruth_param { } }\n", 1)
    assert "E115" in codes({"net.prototxt": both})
    own = "optional Own dense_image_data_param = 191; optional Own detectnet_groundtruth_param = 192;\n"
    path.write_text(PROTO.replace("  optional GRNorm", f"  {own}  optional GRNorm") + "message Own { }\n")
    assert codes({"net.prototxt": both}) == []
    assert "E115" in codes({"net.prototxt": both}, dialect="bvlc")  # the user says which Caffe it is


def test_it_changes_no_other_rule_and_no_fix(repository: Path) -> None:
    text = NET.replace('bottom: "b" top: "p"', 'bottom: "c" top: "p"') + INPUT.replace("Input", "Inputt")
    with_it, without = ([], [])
    for found, off in ((with_it, False), (without, True)):
        forget()
        found += check_files({"net.prototxt": text}, no_repository_proto=off)
    assert [one for one in without if one.code not in NAMES] == [one for one in with_it if one.code not in NAMES]
    assert {one.code for one in with_it} & {"E201", "E116"} == {"E201", "E116"}
    fixed = [fix_files({"net.prototxt": text}, no_repository_proto=off)["net.prototxt"] for off in (False, True)]
    assert fixed[0] == fixed[1]
    # A name that it knows is corrected to no other.
    known = NET.replace("kernel_size", "kernel_sizf")
    path = repository / "caffe-mine/src/caffe/proto/caffe.proto"
    assert "kernel_size:" in fix_files({"net.prototxt": known}, unsafe=True, select=("E110",))["net.prototxt"]
    path.write_text(PROTO.replace("uint32 kernel_size", "uint32 kernel_sizf"))
    forget()
    assert fix_files({"net.prototxt": known}, unsafe=True, select=("E110",))["net.prototxt"] == known


# -- the same everywhere ---------------------------------------------------------------------------------------


def test_it_is_said_once_in_a_run(repository: Path) -> None:
    for name in "abcdef":
        (repository / f"{name}.prototxt").write_text(NET)
    sentence = (
        "read caffe-mine/src/caffe/proto/caffe.proto: 2 fields, 1 enum value and 1 type known to this repository"
        " (--no-repository-proto reports them)\n"
    ).replace("/", os.sep, 0)
    outputs = []
    for options in (["--no-cache", "-j", "1"], ["--no-cache", "-j", "2"], ["--cache-dir", "kept"], ["--cache-dir", "kept"]):
        done = run(repository, ".", "--output-format", "concise", "--select", ",".join(NAMES), *options)
        assert done.stderr.count("known to this repository") == 1
        assert sentence in done.stderr.replace(os.sep, "/")
        outputs.append((done.returncode, done.stdout))
    assert outputs == [(0, outputs[0][1])] * 4
    piped = run(repository, "-", "--select", ",".join(NAMES), "--stdin-filename", "net.prototxt", stdin=NET.encode())
    assert (piped.returncode, piped.stderr.count("known to this repository")) == (0, 1)
    off = run(repository, "net.prototxt", "--no-repository-proto", "--select", ",".join(NAMES))
    assert (off.returncode, "known to this repository" in off.stderr) == (1, False)


def test_a_change_of_it_is_noticed_in_spite_of_kept_results(repository: Path) -> None:
    options = ("net.prototxt", "--cache-dir", "kept", "--select", ",".join(NAMES))
    path = repository / "caffe-mine/src/caffe/proto/caffe.proto"
    assert run(repository, *options).returncode == 0
    path.write_text(PROTO.replace("SORTED", "SHUFFLED"))
    assert run(repository, *options).returncode == 1
    path.unlink()
    assert run(repository, *options).returncode == 1


def test_nothing_is_searched_without_an_unknown_name(repository: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(root: str) -> None:
        raise AssertionError(root)

    monkeypatch.setattr("caffe_lint.source.repository_proto.repository_files", fail)
    assert codes({"net.prototxt": INPUT}) == []
    assert codes({"net.prototxt": NET}, no_repository_proto=True) != []


# -- which files -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "is_read"),
    [
        ("src/caffe/proto/caffe.proto", True),
        ("external/Caffe-SSD/src/caffe/proto/caffe.proto", True),
        ("caffe/proto/caffe.proto", True),
        ("third_party/caffe_fork/caffe.proto", True),
        ("caffe.proto", True),
        ("proto/caffe.proto", True),
        ("mycaffe/caffe.proto", True),
        ("src/caffe/proto/other.proto", False),
        (".hidden/node_modules/caffe/caffe.proto", False),
    ],
)
def test_only_files_of_that_name_are_read(repository: Path, path: str, is_read: bool) -> None:
    (repository / "caffe-mine/src/caffe/proto/caffe.proto").unlink()
    (repository / path).parent.mkdir(parents=True, exist_ok=True)
    (repository / path).write_text(PROTO)
    assert (codes({"net.prototxt": NET}) == []) is is_read


# -- parts of a caffe.proto ------------------------------------------------------------------------------------


PART = """\
message LayerParameter { optional GRNormParameter gr_norm_param = 190; }
message GRNormParameter { optional float alpha = 1; optional FillerParameter scale_filler = 2; }
message PoolingParameter { enum PoolMethod { SORTED = 7; } optional string pad = 4; }
"""


def test_a_part_of_a_proto_adds_to_the_known_names(repository: Path) -> None:
    path = repository / "caffe-mine/src/caffe/proto/caffe.proto"
    path.write_text(PART)
    assert codes({"net.prototxt": NET}) == []
    assert codes({"net.prototxt": NET.replace("alpha: 2", 'scale_filler { type: "xavier" }')}) == []
    assert codes({"net.prototxt": NET.replace("alpha: 2", "beta: 2")}) == []  # E110 is about gr_norm_param as a whole
    assert codes({"net.prototxt": NET.replace("kernel_size", "kernel_sizes")}) == ["E110"]
    assert codes({"net.prototxt": NET.replace("SORTED", "UNSORTED")}) == ["E112"]
    assert codes({"net.prototxt": NET.replace('"GRNorm"', '"Transform"')}) == ["E116"]  # a setting of every layer, and no type
    both = INPUT.replace("}\n", "dense_image_data_param { } detectnet_groundtruth_param { } }\n", 1)
    assert codes({"net.prototxt": both}) == ["E115"]  # what two forks have, and this part does not


def test_a_part_may_add_to_a_message_of_a_fork(repository: Path) -> None:
    path = repository / "caffe-mine/src/caffe/proto/caffe.proto"
    text = INPUT + 'layer { name: "b" type: "Permute" bottom: "a" top: "b" permute_param { order: 0 swiftly: true } }\n'
    path.write_text("message PermuteParameter { optional bool slowly = 9; }\n")
    assert codes({"net.prototxt": text}) == ["E110"]
    path.write_text("message PermuteParameter { optional bool swiftly = 9; }\n")
    assert codes({"net.prototxt": text}) == []


@pytest.mark.parametrize("text", ["message Datum { optional bytes data = 4; }\n", "optional GRNormParameter gr_norm_param = 190;\n"])
def test_what_is_no_part_says_nothing(repository: Path, text: str) -> None:
    (repository / "caffe-mine/src/caffe/proto/caffe.proto").write_text(text)
    assert codes({"net.prototxt": NET}) == ["E116", "E110", "E112", "E111"]


def test_a_proto_outside_the_repository_is_not_read(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = repository / "caffe-mine/src/caffe/proto/caffe.proto"
    outside = tmp_path_factory.mktemp("outside") / "caffe.proto"
    outside.write_text(PROTO)
    path.unlink()
    path.symlink_to(outside)
    assert codes({"net.prototxt": NET}) != []
    path.unlink()
    path.write_text(PROTO)
    (repository / "caffe-mine/.git").write_text("gitdir: elsewhere\n")  # a repository of its own
    assert codes({"net.prototxt": NET}) != []


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_and_a_file_that_is_too_large_are_not_read(repository: Path) -> None:
    path = repository / "caffe-mine/src/caffe/proto/caffe.proto"
    path.write_text(PROTO + "//" + "x" * MAX_PROTO)
    assert codes({"net.prototxt": NET}) != []
    path.unlink()
    os.mkfifo(path)
    assert codes({"net.prototxt": NET}) != []


@pytest.mark.parametrize("damage", ["message", "message A {", '"', "/* ", "message A { optional x = 1; }", "}", "\0\0"])
def test_a_damaged_proto_says_nothing(repository: Path, damage: str) -> None:
    (repository / "caffe-mine/src/caffe/proto/caffe.proto").write_text(PROTO + damage)
    assert codes({"net.prototxt": NET}) == ["E116", "E110", "E112", "E111"]


def test_nothing_that_it_imports_is_read(repository: Path) -> None:
    other = repository / "caffe-mine/src/caffe/proto/own.proto"
    other.write_text('syntax = "proto2"; package caffe; message Own { optional int32 a = 1; }\n')
    text = 'import "own.proto";\n' + PROTO.replace("optional GRNormParameter gr_norm", "optional Own own_param = 7; optional GRNormParameter gr_norm")
    (repository / "caffe-mine/src/caffe/proto/caffe.proto").write_text(text)
    assert codes({"net.prototxt": NET}) == []
    assert codes({"net.prototxt": NET.replace("gr_norm_param { alpha: 2 }", "own_param { a: 2 }")}) == ["E110"]


def test_files_on_disk_and_their_patches_are_the_same(repository: Path) -> None:
    forget()
    assert [one.code for one in findings_on_disk("net.prototxt") if one.code in NAMES] == []
    assert patched_on_disk("net.prototxt") == {}


# -- the reader ------------------------------------------------------------------------------------------------


def rows(table: str) -> dict[str, list[tuple[str, ...]]]:
    """The lines below each message or enum, without what the reader leaves out."""
    found: dict[str, list[tuple[str, ...]]] = {}
    for line in table.splitlines():
        kind, name, *rest = line.split("\t")
        if kind in "ME":
            here = found.setdefault(f"{kind} {name}", [])
        elif kind == "F":
            here.append((rest[6] or name, rest[0], rest[1].replace("p", "r"), *rest[2:4]))
        else:
            here.append((name, rest[0]))
    return found


def test_it_reads_our_own_schema_as_protoc_does() -> None:
    text = (CHECKOUT / "proto" / "caffe.proto").read_text()
    assert rows(proto_table(text)) == rows(Path(caffe_lint.proto.__file__).with_name("caffe.schema").read_text())


def test_groups_maps_services_and_options_are_read_past() -> None:
    table = proto_table(
        'syntax = "proto2"; option java_package = "a;b{"; package p.q;\n'
        "message A { extensions 100 to max; reserved 2, 3; optional group G = 1 [deprecated = true] { optional fixed32 f = 2; }\n"
        "map<string, A> m = 4; optional .p.q.A.B b = 5 [(x) = { a: 1 }]; message B { enum E { X = -0x1; option allow_alias = true; } } }\n"
        "extend A { optional int32 x = 100; } service S { rpc R (A) returns (A) { option o = 1; } }"
    )
    found = rows(table)
    assert found["M A"] == [("G", "1", "o", "message", "A.G"), ("b", "5", "o", "message", "A.B")]
    assert found["E A.B.E"] == [("X", "-1")]


@pytest.mark.parametrize(
    "text",
    ["message A { optional int32 a = x; }", "message A { optional int32 a = 99999999999; }", "enum E { A }", "A b = 1;", "message A { message }"],
)
def test_what_it_does_not_know_is_an_error(text: str) -> None:
    with pytest.raises(ProtoError, match="line 1: "):
        proto_table(text)


def test_messages_that_nest_too_deep_are_an_error() -> None:
    with pytest.raises(ProtoError, match="deep"):
        proto_table("message A { " * (MAX_DEPTH + 2) + "}" * (MAX_DEPTH + 2))


@pytest.mark.parametrize(
    "piece",
    [
        "message A%d { optional B b = 1; }\n",
        "message A { optional int32 a%d = 1; }\n",
        "enum A%d { X = 1; } // b\n",
        'option a = "%d"; /* c */\n',
        "extend A { optional int32 a = %d [(x) = { a { } }]; }\n",
    ],
)
def test_reading_is_work_in_proportion_to_the_size(piece: str) -> None:
    def work(size: int) -> Callable[[], object]:
        text = "".join(piece % number for number in range(size))
        return lambda: proto_table(text)

    assert_linear(work, 50)


@pytest.mark.parametrize("piece", ["/*", "*/ /* ", '"', "/", "{", "a.", "0x", "message A {"])
def test_a_text_that_has_no_end_ends_soon(piece: str) -> None:
    with pytest.raises(ProtoError):
        proto_table("option a = " + piece * 200_000)


# -- layer types that sources register --------------------------------------------------------------------


SOURCE = """\
// A layer of our own.
#include "caffe/layers/warp_field_layer.hpp"
namespace caffe {
// REGISTER_LAYER_CLASS(OldWarp);
INSTANTIATE_CLASS(WarpFieldLayer);
REGISTER_LAYER_CLASS(WarpField);
#ifdef X
  REGISTER_LAYER_CREATOR( WarpBack, GetWarpBackLayer );
#endif
}
"""


def _types(*names: str) -> str:
    layers = (f'layer {{ name: "{name}" type: "{name}" bottom: "a" top: "{name}" }}\n' for name in names)
    return INPUT + "".join(layers)


def _unknown_types(folder: Path) -> list[str]:
    forget_folders()
    forget_repositories()
    found = [each for each in findings_on_disk(str(folder)) if each.code == "E116"]
    return sorted(finding.message.split("'")[1] for finding in found)


def test_a_type_that_a_source_of_the_repository_registers_is_known(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "net.prototxt").write_text(_types("WarpField", "WarpBack", "OldWarp", "Other"))
    assert _unknown_types(tmp_path) == ["OldWarp", "Other", "WarpBack", "WarpField"]
    layers = tmp_path / "caffe" / "src" / "caffe" / "layers"
    layers.mkdir(parents=True)
    (layers / "warp_field_layer.cpp").write_text(SOURCE)
    assert _unknown_types(tmp_path) == ["OldWarp", "Other"]
    (layers / "warp_field_layer.cpp").write_bytes(b"\0" * 2_000_000 + SOURCE.encode())  # no source that anybody wrote
    assert _unknown_types(tmp_path) == ["OldWarp", "Other", "WarpBack", "WarpField"]


def test_a_registered_type_does_not_excuse_a_misspelled_one(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "net.prototxt").write_text(_types("relu"))
    (tmp_path / "relu_layer.cpp").write_text("REGISTER_LAYER_CLASS(relu);\n")
    assert _unknown_types(tmp_path) == ["relu"]


def test_what_a_source_registers_is_said_in_one_note(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "net.prototxt").write_text(_types("WarpField", "WarpBack"))
    (tmp_path / "layers").mkdir()
    (tmp_path / "layers" / "warp_field_layer.cpp").write_text(SOURCE)
    done = run(tmp_path, "net.prototxt", "--select", "E116")
    assert done.returncode == 0
    assert "read layers: 2 types known to this repository (--no-repository-proto reports them)" in done.stderr
    assert "E116" in run(tmp_path, "net.prototxt", "--select", "E116", "--no-repository-proto").stdout
