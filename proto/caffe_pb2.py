"""Caffe's messages and enums, by the names that a module generated from caffe.proto would give them.

They are loaded from the compiled descriptor set that lies beside this file, into a pool of their own (see
messages). The stub beside it, made by the build, tells type checkers what is here.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from google.protobuf import message_factory
from google.protobuf.descriptor import FileDescriptor
from google.protobuf.internal.enum_type_wrapper import EnumTypeWrapper

from caffe_lint.proto.messages import file_descriptors

DESCRIPTOR = file_descriptors(Path(__file__).with_name("caffe.binpb").read_bytes())[-1]


def _names(file: FileDescriptor) -> dict[str, Any]:
    names: dict[str, Any] = {}
    for name, enum in file.enum_types_by_name.items():
        names[name] = EnumTypeWrapper(enum)
        names.update((value.name, value.number) for value in enum.values)
    for name, message in file.message_types_by_name.items():
        names[name] = message_factory.GetMessageClass(message)
    for name, extension in file.extensions_by_name.items():
        names[name] = extension
        names[f"{name.upper()}_FIELD_NUMBER"] = extension.number
    return names


globals().update(_names(DESCRIPTOR))
