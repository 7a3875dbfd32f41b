"""Compile a caffe.proto, ours or a user's, with grpcio-tools. The build uses this for the files shipped in the package.

The build loads this file by path, before the package exists, so it imports nothing from the package.
"""

from __future__ import annotations

import contextlib
import importlib.util
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from google.protobuf.descriptor import FieldDescriptor  # keeps protobuf out of the start

    # Keeps protobuf out of the start.
    from google.protobuf.descriptor_pb2 import DescriptorProto, EnumDescriptorProto, FieldDescriptorProto

# Imported by our schema for its options.
OPTIONS_FILE = "google/protobuf/descriptor.proto"

# FieldDescriptorProto.Label, by number.
_LABELS = {1: "o", 2: "q", 3: "r"}
# FieldDescriptorProto.Type, by number.
_KINDS = (
    "",
    *("double", "float", "int64", "uint64", "int32", "fixed64", "fixed32", "bool", "string"),
    *("message", "message", "bytes", "uint32", "enum", "sfixed32", "sfixed64", "sint32", "sint64"),
)
_GROUP = 10
# What protoc logs besides the problems of a file.
_LOGGED = re.compile(r"WARNING: All log messages before|[IWEF][0-9]{4} |.*: warning: ")


class CompileError(Exception):
    """A .proto file could not be compiled; the message is protoc's, or says which file is missing."""


class CompilerMissing(CompileError):
    """grpcio-tools, which contains protoc, is not installed."""

    def __init__(self) -> None:
        super().__init__("compiling a .proto file needs grpcio-tools: pip install grpcio-tools")


def compile_proto(path: Path) -> bytes:
    """Compile a .proto file to a serialized FileDescriptorSet that includes the imported files.

    Raises CompilerMissing without grpcio-tools, and CompileError with protoc's message for a file that it rejects.
    """
    with tempfile.TemporaryDirectory() as folder:
        _run_protoc(path, Path(folder), "--include_imports", "--descriptor_set_out=descriptor_set")
        return _with_plain_json_names((Path(folder) / "descriptor_set").read_bytes())


def compile_stub(path: Path) -> str:
    """Return the type stub of the module that protoc would generate, adapted for mypy --strict."""
    with tempfile.TemporaryDirectory() as folder:
        _run_protoc(path, Path(folder), "--pyi_out=.")
        stub = (Path(folder) / f"{path.stem}_pb2.pyi").read_text(encoding="utf-8")
    stub = stub.replace("_Mapping]", "_Mapping[str, object]]")
    # A field whose name is a Python keyword can only be passed as **{"lambda": 1}.
    stub = stub.replace("**kwargs)", "**kwargs: object)")
    # An enum value whose name is one can only be read with getattr.
    stub = re.sub(r"^ *None: .*\n", "", stub, flags=re.MULTILINE)
    stub = re.sub(r"^(\w+): _ClassVar\[int\]$", r"\1: int", stub, flags=re.MULTILINE)
    # Two fields whose names differ only in case share the constant of their number.
    lines: list[str] = []
    numbers: set[str] = set()
    for line in stub.splitlines(keepends=True):
        if "_FIELD_NUMBER: " not in line:
            numbers.clear()
        elif line in numbers:
            continue
        else:
            numbers.add(line)
        lines.append(line)
    return "".join(lines)


def schema_table(descriptor_set: bytes) -> str:
    """Convert the schema to lines of tab-separated words, which can be read at run time without protobuf.

    M  message    dialects
    F  text name  number  label  kind  type  default (- or =text)  dialects  proto name if different
    E  enum       dialects
    V  value      number  dialects

    F lines belong to the M line above them, V lines to the E line. Messages and enums have their full names without the
    package. Labels: o optional, q required, r repeated, p repeated and packed. Without dialects, an entry belongs to
    BVLC, as everything in a user's file does. In a default, backslash, tab and line endings are escaped as in Python.
    """
    from google.protobuf import message_factory  # keeps protobuf out of the start
    from google.protobuf.descriptor_pb2 import FileDescriptorSet  # keeps protobuf out of the start
    from google.protobuf.descriptor_pool import DescriptorPool  # keeps protobuf out of the start

    files: Any = FileDescriptorSet.FromString(descriptor_set)
    names = _names_without_package(files)
    pool = DescriptorPool()
    for file in files.file:
        pool.Add(file)
    classes = message_factory.GetMessageClassesForFiles([file.name for file in files.file], pool)
    options: dict[str, FieldDescriptor] = {}
    with contextlib.suppress(KeyError):
        for name in ("dialects", "text_name", "message_dialects", "enum_dialects", "value_dialects"):
            options[name] = pool.FindExtensionByName(f"caffe_lint.{name}")
        # Our options can only be read by messages of the pool that defines them.
        files = classes["google.protobuf.FileDescriptorSet"].FromString(descriptor_set)
    lines: list[str] = []
    for file in files.file:
        if file.name != OPTIONS_FILE:
            for enum in file.enum_type:
                lines.extend(_enum_lines(enum, "", options))
            for message in file.message_type:
                lines.extend(_message_lines(message, "", names, options))
    return "".join(f"{line}\n" for line in lines)


_Options = Mapping[str, "FieldDescriptor"]


def _names_without_package(files: Any) -> dict[str, str]:
    """Map each `type_name` of a field to the full name of its message or enum without the package."""
    names: dict[str, str] = {}
    for file in files.file:
        package = f".{file.package}." if file.package else "."
        scopes = [("", file)]
        while scopes:
            scope, holder = scopes.pop()
            messages = holder.message_type if holder is file else holder.nested_type
            names.update((f"{package}{scope}{enum.name}", f"{scope}{enum.name}") for enum in holder.enum_type)
            names.update((f"{package}{scope}{message.name}", f"{scope}{message.name}") for message in messages)
            scopes.extend((f"{scope}{message.name}.", message) for message in messages)
    return names


def _option(element: Any, name: str, options: _Options) -> str:
    return element.options.Extensions[options[name]] if options else ""


def _message_lines(message: DescriptorProto, scope: str, names: Mapping[str, str], options: _Options) -> Iterator[str]:
    dialects = _option(message, "message_dialects", options)
    yield f"M\t{scope}{message.name}\t{dialects}"
    for field in message.field:
        yield _field_line(field, dialects, names, options)
    for enum in message.enum_type:
        yield from _enum_lines(enum, f"{scope}{message.name}.", options)
    for nested in message.nested_type:
        yield from _message_lines(nested, f"{scope}{message.name}.", names, options)


def _field_line(field: FieldDescriptorProto, dialects: str, names: Mapping[str, str], options: _Options) -> str:
    type_name = names.get(field.type_name, field.type_name.lstrip("."))
    text_name = _option(field, "text_name", options) or field.name
    if field.type == _GROUP:  # In text format, a group has the name of its type.
        text_name = type_name.rpartition(".")[2]
    default = "-"
    if field.HasField("default_value"):
        value: str | bytes = field.default_value  # bytes where it is not UTF-8
        text = value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value
        default = "=" + text.translate(_ESCAPES)
    label = "p" if field.options.packed else _LABELS[field.label]
    words = ["F", text_name, str(field.number), label, _KINDS[field.type], type_name, default]
    words.append(_option(field, "dialects", options) or dialects)
    words.append(field.name if field.name != text_name else "")
    return "\t".join(words)


def _enum_lines(enum: EnumDescriptorProto, scope: str, options: _Options) -> Iterator[str]:
    dialects = _option(enum, "enum_dialects", options)
    yield f"E\t{scope}{enum.name}\t{dialects}"
    for value in enum.value:
        yield f"V\t{value.name}\t{value.number}\t{_option(value, 'value_dialects', options) or dialects}"


_ESCAPES = str.maketrans({"\\": r"\\", "\t": r"\t", "\n": r"\n", "\r": r"\r"})


def _run_protoc(path: Path, folder: Path, *arguments: str) -> None:
    """Run protoc in a separate process, because it writes its errors directly to the terminal."""
    if not path.is_file():
        raise CompileError(f"{path}: no such file")
    tools = importlib.util.find_spec("grpc_tools")
    if tools is None or not tools.submodule_search_locations:
        raise CompilerMissing
    path = path.resolve()
    command = [sys.executable, "-m", "grpc_tools.protoc", f"-I{path.parent}"]
    command += [f"-I{Path(location, '_proto')}" for location in tools.submodule_search_locations]
    # `python -m` searches for modules in the working directory first, so use one that has none.
    run = subprocess.run(
        [*command, *arguments, str(path)], cwd=folder, capture_output=True, encoding="utf-8", errors="replace"
    )
    if run.returncode:
        problems = [line for line in run.stderr.splitlines() if line.strip() and not _LOGGED.match(line)]
        raise CompileError("; ".join(problems) or f"{path}: protoc stopped with status {run.returncode}")


def _with_plain_json_names(descriptor_set: bytes) -> bytes:
    """Set the JSON name of each field to its name, since protobuf rejects default JSON names that differ only in case."""
    from google.protobuf.descriptor_pb2 import FileDescriptorSet  # keeps protobuf out of the start

    files = FileDescriptorSet.FromString(descriptor_set)
    for file in files.file:
        messages = list(file.message_type)
        while messages:
            message = messages.pop()
            messages.extend(message.nested_type)
            for field in message.field:
                field.json_name = field.name
    return files.SerializeToString(deterministic=True)


# setuptools loads this file in a build. At run time it is not needed and may be missing.
if "setuptools" in sys.modules:
    from setuptools.command.build_py import build_py

    class BuildPy(build_py):
        """Add to the package what is compiled from caffe.proto: descriptor set, schema table, type stub."""

        def run(self) -> None:
            """Compile next to the sources for an editable install, otherwise only into the build folder."""
            source = Path(self.get_package_dir("caffe_lint.proto"))
            if self.editable_mode:
                _write_compiled(source / "caffe.proto", source)
                # The cached list of data files was made before compiling.
                self.__dict__.pop("data_files", None)
                super().run()
            else:
                super().run()
                _write_compiled(source / "caffe.proto", Path(self.build_lib, "caffe_lint", "proto"))

    def _write_compiled(path: Path, folder: Path) -> None:
        descriptor_set = compile_proto(path)
        (folder / "caffe.binpb").write_bytes(descriptor_set)
        (folder / "caffe.schema").write_text(schema_table(descriptor_set), encoding="utf-8", newline="\n")
        (folder / "caffe_pb2.pyi").write_text(compile_stub(path), encoding="utf-8", newline="\n")
