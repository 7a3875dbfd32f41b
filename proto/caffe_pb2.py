"""Caffe's messages and enums, under the names that they would have in a module generated from caffe.proto.

They are loaded from the compiled descriptor set in this folder into a separate pool (see `messages`). The build also
creates a stub, which tells type checkers what this module contains.
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
