"""The schema: BVLC's part is Caffe's own, the forks' is complete and out of its way, any runtime reads it."""

from __future__ import annotations

import csv
import re
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from google.protobuf import text_format
from google.protobuf.descriptor_pb2 import FieldDescriptorProto, FileDescriptorProto, FileDescriptorSet

from caffe_lint.proto import caffe_pb2
from caffe_lint.proto.compile import CompileError, CompilerMissing, compile_proto, schema_table
from caffe_lint.proto.messages import message_classes

PACKAGE = Path(caffe_pb2.__file__).parent
FACTS = Path(__file__).resolve().parents[2] / "shared" / "facts"

with_facts = pytest.mark.skipif(not FACTS.is_dir(), reason=f"the tables of Caffe's schema are not at {FACTS}")
with_protoc = pytest.mark.skipif(find_spec("grpc_tools") is None, reason="grpcio-tools is not installed")


def facts(name: str) -> list[dict[str, str]]:
    with (FACTS / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))


def rows(name: str) -> list[list[str]]:
    lines = (PACKAGE / name).read_text(encoding="utf-8").splitlines()
    return [line.split("\t") for line in lines if not line.startswith("#")]


def fields_of_table() -> dict[tuple[str, str], list[str]]:
    """The F lines of caffe.schema by message and name in the .proto."""
    fields = {}
    message = ""
    for row in rows("caffe.schema"):
        if row[0] == "M":
            message = row[1]
        elif row[0] == "F":
            fields[message, row[8] or row[1]] = row
    return fields


def values_of_table() -> dict[tuple[str, str], list[str]]:
    values = {}
    enum = ""
    for row in rows("caffe.schema"):
        if row[0] == "E":
            enum = row[1]
        elif row[0] == "V":
            values[enum, row[1]] = row
    return values


def fields_of_descriptor() -> dict[tuple[str, str], FieldDescriptorProto]:
    """All fields by message and name, as the runtime describes them."""
    file = FileDescriptorProto()
    caffe_pb2.DESCRIPTOR.CopyToProto(file)
    fields = {}
    messages = [(message.name, message) for message in file.message_type]
    while messages:
        name, message = messages.pop()
        messages.extend((f"{name}.{nested.name}", nested) for nested in message.nested_type)
        fields.update({(name, field.name): field for field in message.field})
    return fields


def described(field: FieldDescriptorProto) -> dict[str, str]:
    """A field in the words of facts/schema_bvlc.tsv."""
    kind = FieldDescriptorProto.Type.Name(field.type).removeprefix("TYPE_").lower()
    return {
        "number": str(field.number),
        "label": FieldDescriptorProto.Label.Name(field.label).removeprefix("LABEL_").lower(),
        "kind": kind if kind in ("message", "enum") else "scalar",
        "type": field.type_name.removeprefix(".caffe_lint.") or kind,
        "packed": str(int(field.options.packed)),
        "deprecated": str(int(field.options.deprecated)),
        "default": same_default(kind, field.default_value) if field.HasField("default_value") else "<none>",
    }


def same_default(kind: str, text: str) -> str:
    """A default in one form: runtimes write the digits of a float in their own ways."""
    return f"{float(text):.7g}" if kind in ("float", "double") else text


@with_facts
def test_bvlc_fields_are_those_of_caffe() -> None:
    expected = {(row.pop("message"), row.pop("field")): row for row in facts("schema_bvlc.tsv")}
    bvlc = {key for key, row in fields_of_table().items() if not row[7]}
    assert bvlc == expected.keys()
    for row in expected.values():
        if row["default"] != "<none>":
            row["default"] = same_default(row["type"], row["default"])
    fields = fields_of_descriptor()
    assert {key: described(fields[key]) for key in expected} == expected


@with_facts
def test_bvlc_enum_values_are_those_of_caffe() -> None:
    expected = {(row["enum"], row["value"]): row["number"] for row in facts("enums_bvlc.tsv")}
    assert {key: row[2] for key, row in values_of_table().items() if not row[3]} == expected


@with_facts
def test_every_field_of_every_fork_is_there_with_its_type() -> None:
    def plain(kind: str) -> str:  # the OpenCL branch counts in 64 bits what all others count in 32
        return kind.replace("int64", "int32")

    known = {(key[0], row[1], plain(row[5] or row[4])) for key, row in fields_of_table().items()}
    forks = {
        (row["message_or_enum"], row["name"], plain(row["type"]))
        for row in facts("schema_forks.tsv")
        if row["row_kind"] == "field" and row["fork"] != "BVLC/caffe history"
    }
    assert forks <= known


@with_facts
def test_what_bvlc_had_once_is_there_unless_it_has_another_type_today() -> None:
    known = {(key[0], row[1]) for key, row in fields_of_table().items()}
    once = {
        (row["message_or_enum"], row["name"])
        for row in facts("schema_forks.tsv")
        if row["row_kind"] == "field" and row["fork"] == "BVLC/caffe history"
    }
    assert once <= known


@with_facts
def test_every_enum_value_of_every_fork_is_there() -> None:
    forks = {
        (row["message_or_enum"], row["name"]) for row in facts("schema_forks.tsv") if row["row_kind"] == "enum_value"
    }
    assert forks - values_of_table().keys() == set()


@with_facts
def test_numbers_of_fork_fields_are_above_all_that_caffe_or_a_fork_uses() -> None:
    used = {int(row["number"]) for name in ("schema_bvlc.tsv", "schema_forks.tsv") for row in facts(name)}
    ours = {int(row[2]) for row in fields_of_table().values() if row[7]}
    ours |= {int(row[2]) for row in values_of_table().values() if row[3]}
    assert min(ours) > max(used)


@with_facts
def test_layer_types_of_bvlc_are_caffes_registered_ones() -> None:
    registered = {row["type"] for row in facts("layer_counts_by_fork.tsv") if row["status"] == "BVLC"}
    assert {name for name, dialects in rows("layer_types.tsv") if not dialects} == registered


def test_every_dialect_named_in_a_table_is_described_once() -> None:
    names = [name for name, _, _ in rows("dialects.tsv")]
    assert len(names) == len(set(names))
    used = {dialect for row in fields_of_table().values() for dialect in row[7].split()}
    used |= {dialect for row in values_of_table().values() for dialect in row[3].split()}
    used |= {dialect for _, dialects in rows("layer_types.tsv") for dialect in dialects.split()}
    assert used - set(names) == set()
    assert names[0] == "bvlc"


def test_forms_of_one_text_field_belong_to_different_dialects() -> None:
    seen: dict[tuple[str, str], set[str]] = {}
    for (message, _), row in fields_of_table().items():
        dialects = set(row[7].split() or ["bvlc"])
        assert not dialects & seen.setdefault((message, row[1]), set()), (message, row[1])
        seen[message, row[1]] |= dialects


def test_the_schema_table_says_what_the_descriptor_says() -> None:
    labels = {"o": "optional", "q": "required", "r": "repeated", "p": "repeated"}

    def told(row: list[str]) -> dict[str, str]:
        return {
            "number": row[2],
            "label": labels[row[3]],
            "kind": row[4] if row[5] else "scalar",
            "type": row[5] or row[4],
            "packed": str(int(row[3] == "p")),
            "default": same_default(row[4], row[6][1:]) if row[6] != "-" else "<none>",
        }

    described_fields = {key: described(field) for key, field in fields_of_descriptor().items()}
    for field in described_fields.values():
        del field["deprecated"]
    assert {key: told(row) for key, row in fields_of_table().items()} == described_fields


def test_the_table_is_made_from_the_descriptor_set_that_is_shipped() -> None:
    shipped = (PACKAGE / "caffe.schema").read_text(encoding="utf-8")
    assert schema_table((PACKAGE / "caffe.binpb").read_bytes()) == shipped


def test_what_we_write_in_binary_is_read_by_caffe_without_the_forks_fields() -> None:
    file = FileDescriptorSet.FromString((PACKAGE / "caffe.binpb").read_bytes()).file[-1]
    keep_bvlc_only(file)
    theirs = message_classes(FileDescriptorSet(file=[file]).SerializeToString())["NetParameter"]
    net = caffe_pb2.NetParameter()
    text = """
        name: "net"
        layer {
          name: "conv" type: "Convolution" bottom: "data" top: "conv"
          param { lr_mult: 2 }
          convolution_param { num_output: 8 kernel_size: 3 kernel_size: 5 weight_filler { type: "msra" %s } }
          %s
        }
        layers { type: RELU bottom: "conv" top: "conv" }
    """
    text_format.Parse(text % ("alpha: 1", "permute_param { order: 0 order: 2 }"), net)
    assert net.layer[0].permute_param.order == [0, 2]
    read = theirs.FromString(net.SerializeToString())
    discard = text_format.MessageToString(read, print_unknown_fields=False)
    assert discard == text_format.MessageToString(text_format.Parse(text % ("", ""), theirs()))
    # Nothing of the forks is lost on the way back.
    assert caffe_pb2.NetParameter.FromString(read.SerializeToString()) == net


def keep_bvlc_only(file: FileDescriptorProto) -> None:
    """Drop all that is marked with dialects, and the marks."""
    fields = {key for key, row in fields_of_table().items() if not row[7]}
    values = {key for key, row in values_of_table().items() if not row[3]}
    del file.extension[:]
    del file.dependency[:]
    for message in file.message_type:
        keep(message.field, [field for field in message.field if (message.name, field.name) in fields])
        keep_bvlc_enums(message.enum_type, f"{message.name}.", values)
        del message.nested_type[:]  # BVLC nests no message
    keep(file.message_type, [message for message in file.message_type if message.field])
    keep_bvlc_enums(file.enum_type, "", values)


def keep_bvlc_enums(enums: Any, scope: str, values: set[tuple[str, str]]) -> None:
    for enum in enums:
        keep(enum.value, [value for value in enum.value if (scope + enum.name, value.name) in values])
    keep(enums, [enum for enum in enums if enum.value])


def keep(elements: Any, kept: list[Any]) -> None:
    copies = [type(element).FromString(element.SerializeToString()) for element in kept]
    del elements[:]
    elements.extend(copies)


def test_our_messages_live_beside_another_caffe_proto_in_the_default_pool() -> None:
    program = """if True:
        from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
        file = descriptor_pb2.FileDescriptorProto(name="caffe.proto", package="caffe", syntax="proto2")
        file.message_type.add(name="NetParameter").field.add(name="name", number=1, label=1, type=5)
        descriptor_pool.Default().Add(file)
        theirs = message_factory.GetMessageClass(
            descriptor_pool.Default().FindMessageTypeByName("caffe.NetParameter"))
        from caffe_lint.proto import caffe_pb2
        print(theirs(name=3).name, caffe_pb2.NetParameter(name="ours").name)
    """
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (run.stdout, run.stderr) == ("3 ours\n", "")


def test_the_module_has_every_name_that_its_stub_promises() -> None:
    stub = (PACKAGE / "caffe_pb2.pyi").read_text(encoding="utf-8")
    promised = set(re.findall(r"^(?:class )?([A-Za-z]\w*)(?=:|\()", stub, flags=re.MULTILINE))
    assert {"NetParameter", "Phase", "TRAIN", "DESCRIPTOR", "dialects"} <= promised
    assert [name for name in sorted(promised) if not hasattr(caffe_pb2, name)] == []


def test_defaults_are_caffes() -> None:
    solver = caffe_pb2.SolverParameter()
    assert (solver.clip_gradients, solver.type) == (-1, "SGD")
    assert solver.solver_mode == caffe_pb2.SolverParameter.GPU


@with_protoc
def test_a_users_own_schema_gives_a_table_without_dialects_and_real_messages(tmp_path: Path) -> None:
    own = tmp_path / "my_caffe.proto"
    own.write_text(
        """
        syntax = "proto2";
        package mine.caffe;
        import "solver.proto";
        message NetParameter {
          enum Mode { FAST = 3; EXACT = 4; }
          message Part { optional string text = 2 [default = "a\\tb"]; }
          required Mode mode = 1 [default = EXACT];
          repeated Part part = 7;
          repeated float weights = 8 [packed = true];
          optional SolverParameter solver = 9;
          optional int32 pad_w = 10;
          optional int32 pad_W = 11;
        }
        """
    )
    (tmp_path / "solver.proto").write_text(
        'syntax = "proto2"; package mine.caffe; message SolverParameter { optional double base_lr = 5; }'
    )
    descriptor_set = compile_proto(own)
    assert schema_table(descriptor_set).splitlines() == [
        "M\tSolverParameter\t",
        "F\tbase_lr\t5\to\tdouble\t\t-\t\t",
        "M\tNetParameter\t",
        "F\tmode\t1\tq\tenum\tNetParameter.Mode\t=EXACT\t\t",
        "F\tpart\t7\tr\tmessage\tNetParameter.Part\t-\t\t",
        "F\tweights\t8\tp\tfloat\t\t-\t\t",
        "F\tsolver\t9\to\tmessage\tSolverParameter\t-\t\t",
        "F\tpad_w\t10\to\tint32\t\t-\t\t",
        "F\tpad_W\t11\to\tint32\t\t-\t\t",
        "E\tNetParameter.Mode\t",
        "V\tFAST\t3\t",
        "V\tEXACT\t4\t",
        "M\tNetParameter.Part\t",
        "F\ttext\t2\to\tstring\t\t=a\\tb\t\t",
    ]
    net: Any = message_classes(descriptor_set)["NetParameter"]()
    text_format.Parse("part { text: 'x' } solver { base_lr: 0.1 } pad_W: 2", net)
    assert (net.part[0].text, net.solver.base_lr, net.pad_w, net.pad_W, net.mode) == ("x", 0.1, 0, 2, 4)


@with_protoc
def test_a_schema_that_protoc_refuses_is_an_error_with_protocs_words(tmp_path: Path) -> None:
    own = tmp_path / "caffe.proto"
    own.write_text('syntax = "proto2";\nmessage Net { optional Blob blob = 1; }\n')
    with pytest.raises(CompileError, match=r'caffe\.proto:2:24: "Blob" is not defined'):
        compile_proto(own)
    with pytest.raises(CompileError, match=r"nowhere\.proto: no such file"):
        compile_proto(tmp_path / "nowhere.proto")


def test_without_grpcio_tools_the_error_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "caffe.proto"
    own.write_text('syntax = "proto2";\n')
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(CompilerMissing, match="pip install grpcio-tools"):
        compile_proto(own)
