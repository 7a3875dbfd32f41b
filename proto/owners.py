"""Whose the name at a place is: of a Caffe that is known, or of one that may call things as it likes.

A name of BVLC's Caffe, or of the one that the user named, is known in full, so that a misspelled one can be corrected. A fork
whose name the user did not give may be another one than it looks, and nobody knows the fields of a custom layer type.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum

from .misnomers import MISNOMERS
from .schema import MessageType, Schema
from .spelling import is_certain
from .tree import Block, Field, Scalar, Tree, fields_at, inner_block

LAYERS = ("LayerParameter", "V1LayerParameter")


class Owner(IntEnum):
    """Whose a name is."""

    UNKNOWN = 0  # of a layer type that no known Caffe has
    FORK = 1  # of a known fork that the user did not name
    OURS = 2  # of BVLC's Caffe, or of the one that the user named


class Owners:
    """Tells whose the names in a tree are. `asked` is the dialect that the user named, None if it was detected."""

    def __init__(self, tree: Tree, type: MessageType, schema: Schema, asked: str | None) -> None:
        self._tree = tree
        self._type = type
        self._schema = schema
        self._asked = asked

    def has(self, dialects: Collection[str]) -> bool:
        """Whether what these dialects have (none: all) is of BVLC's Caffe or of the one that the user named."""
        return not dialects or self._asked in dialects

    def of(self, field: Field, *, is_type: bool = False) -> Owner:
        """Return whose the message around a field is. `is_type` says that the field stands for the type of its layer."""
        if self._schema.layer_types is None:
            return Owner.OURS  # the user's own caffe.proto
        owner = Owner.OURS
        type, block = self._type, self._tree.root
        for outer in fields_at(self._tree.root, field.start):
            if outer is field:
                break
            spec = type.fields.get(outer.name)
            inside = inner_block(outer, field.start)
            if spec is None or spec.kind != "message" or inside is None:
                return min(owner, Owner.FORK)
            type, block = spec.message, inside
            if not self.has(spec.dialects):
                owner = min(owner, Owner.FORK)
            if type.name in LAYERS:
                last = is_type and block.fields and field in block.fields
                owner = min(owner, self._of_layer(block, type, field if last else None))
        return owner

    def _of_layer(self, layer: Block, type: MessageType, as_type: Field | None) -> Owner:
        """Return whose the type of a layer is."""
        field = as_type or next((field for field in layer.fields if field.name == "type"), None)
        if field is None or not isinstance(field.value, Scalar):
            return Owner.FORK
        name = field.value.text.decode("utf-8", "replace").strip("\"'")
        if name in self._schema.custom_types:
            return Owner.UNKNOWN
        assert self._schema.layer_types is not None
        dialects = self._schema.layer_types.get(name)
        if dialects is None and type.fields["type"].kind == "enum":
            enum = type.fields["type"].enum
            dialects = enum.dialects_of.get(name, frozenset()) if name in enum.values else None
        if dialects is None:
            return Owner.UNKNOWN
        return Owner.OURS if self.has(dialects) else Owner.FORK

    @staticmethod
    def extends(type: MessageType, name: str) -> bool:
        """Whether a field that no known Caffe has shows that a message type is that of an unknown one.

        A layer's `…_param` shows only that it has one more layer type.
        """
        if type.name in LAYERS and name.endswith("_param"):
            return False
        return name not in MISNOMERS.get(type.name, ())

    def is_certain(self, written: str, meant: str, known: Collection[str], dialects: Collection[str]) -> bool:
        """Whether a name can only be a slip for one that `dialects` have and that is ours; see `spelling.is_certain`."""
        return self.has(dialects) and is_certain(written, meant, known)
