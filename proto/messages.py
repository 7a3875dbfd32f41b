"""Create protobuf message classes from a compiled descriptor set, in a separate pool.

A separate pool lets our schema, a user's caffe.proto and pycaffe coexist in one process. A descriptor set can be loaded by
every protobuf runtime since 4.25, whereas a generated module rejects runtimes older than its compiler.
"""

from __future__ import annotations

from collections.abc import Iterable

from google.protobuf import message_factory
from google.protobuf.descriptor import Descriptor, FileDescriptor
from google.protobuf.descriptor_pb2 import FileDescriptorSet
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.message import Message

from caffe_lint.proto.compile import OPTIONS_FILE


def file_descriptors(descriptor_set: bytes) -> list[FileDescriptor]:
    """Load the files of a descriptor set into a new pool, and return them without protobuf's own options file."""
    files = FileDescriptorSet.FromString(descriptor_set).file
    pool = DescriptorPool()
    for file in files:
        pool.Add(file)
    return [pool.FindFileByName(file.name) for file in files if file.name != OPTIONS_FILE]


def message_class(descriptor_set: bytes, name: str) -> type[Message]:
    """Return one top-level message class of a descriptor set, which takes half the time of creating all of them.

    Raises KeyError if there is none of that name.
    """
    messages = {
        name: message for file in file_descriptors(descriptor_set) for name, message in file.message_types_by_name.items()
    }
    return message_factory.GetMessageClass(messages[name])


def message_classes(descriptor_set: bytes) -> dict[str, type[Message]]:
    """Return the message classes of a descriptor set by full name without the package, as in the schema table.

    >>> message_classes(Path("caffe.binpb").read_bytes())["NetParameter"](name="LeNet").name
    'LeNet'
    """
    classes: dict[str, type[Message]] = {}

    def add(scope: str, messages: Iterable[Descriptor]) -> None:
        for message in messages:
            classes[scope + message.name] = message_factory.GetMessageClass(message)
            add(f"{scope}{message.name}.", message.nested_types)

    for file in file_descriptors(descriptor_set):
        add("", file.message_types_by_name.values())
    return classes
